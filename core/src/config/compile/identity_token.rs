//! `identity_token` compiled: keys read, header and path checked, services found that ask for tokens in vain.

use http::{HeaderName, header};
use serde_json::Value;

use super::{Bench, told};
use crate::{
    config::{
        Host,
        document::{IdentityToken as Written, Whole},
        node::Node,
        problem::Problem,
    },
    identity_token::{IdentityToken, OWN_CLAIMS},
    path::NormalPath,
    route::Route,
    signing::PrivateKey,
};

/// A token that is good for longer is no proof that its user may still do anything.
const MAX_TTL_SECONDS: u64 = 600;
const MAKE_ONE: &str = "`tollgate key pair` makes one; write it as `\"${NAME}\"`";

pub(super) fn identity_token(whole: &Whole<'_>, bench: &Bench<'_>) -> Option<IdentityToken> {
    let Some(written) = &whole.top.identity_token else {
        services_in_vain(whole, bench);
        return None;
    };
    let node = whole.root.get("identity_token").unwrap_or(whole.root);
    bench.not_blank(node, &["issuer"]);
    if !(1..=MAX_TTL_SECONDS).contains(&written.ttl_seconds) {
        let problem = Problem::error(node.span_of("ttl_seconds"), "`ttl_seconds` must be from 1 to 600");
        bench.note(problem.cure("tokens are made anew as long as a user comes; 60 will do"));
    }
    claims(written, node, bench);
    let header = header(written, node, bench);
    let keys = keys(written, node, bench);
    let publish_at = publish_at(written, node, bench);
    IdentityToken::new(
        written.issuer.clone(),
        keys?,
        written.ttl_seconds.saturating_mul(1000),
        header?,
        written.claims.clone(),
        publish_at,
    )
}

/// A route at the very path of the keys would never be reached.
pub(super) fn check_routes(whole: &Whole<'_>, routes: &[Option<Route>], bench: &Bench<'_>) {
    let Some(path) = whole.top.identity_token.as_ref().and_then(|token| token.publish_at.as_ref()) else {
        return;
    };
    let node = whole.root.get("identity_token").unwrap_or(whole.root);
    for route in routes.iter().flatten().filter(|route| route.pattern.as_str() == path) {
        let problem = Problem::error(node.span_of("publish_at"), "a route has this very path");
        bench.note(
            problem.related(route.span, "it would never be reached").cure("publish the keys elsewhere"),
        );
    }
}

fn services_in_vain(whole: &Whole<'_>, bench: &Bench<'_>) {
    // One that can't be read is there all the same.
    if whole.root.get("identity_token").is_some() {
        return;
    }
    for (name, item) in whole.services.iter().filter(|(_, item)| item.value.identity_token) {
        let message =
            format!("`{name}` asks for tokens, and there is no `identity_token` that says how to make them");
        bench.miss(
            Problem::error(item.node.span_of("identity_token"), message)
                .cure("add `identity_token: {issuer: https://gateway.example.com, key: \"${IDENTITY_KEY}\"}` at the top"),
        );
    }
}

fn claims(written: &Written, node: &Node, bench: &Bench<'_>) {
    for (name, node) in node.members("claims", &written.claims) {
        if OWN_CLAIMS.contains(&name.as_str()) {
            let message = format!("the gateway says `{}` itself", node.shown());
            bench.note(Problem::error(node.span, message).cure("leave it out"));
        }
    }
}

fn header(written: &Written, node: &Node, bench: &Bench<'_>) -> Option<HeaderName> {
    if written.header.eq_ignore_ascii_case(header::AUTHORIZATION.as_str()) {
        return Some(header::AUTHORIZATION);
    }
    let at = node.get("header").unwrap_or(node);
    let cure = "use `Authorization`, or a name of its own, such as `X-Tollgate-Identity`";
    told::field(&written.header, at, "the token", cure, bench)
}

/// No message quotes a key: it would stand in logs.
fn keys(written: &Written, node: &Node, bench: &Bench<'_>) -> Option<Vec<PrivateKey>> {
    bench.not_empty(node, "key");
    let mut keys: Vec<(PrivateKey, &Node)> = Vec::new();
    let texts = written.key.as_slice();
    for (text, node) in node.members("key", texts) {
        let Some(key) = key(text, node, bench) else { continue };
        if let Some((_, first)) = keys.iter().find(|(other, _)| other.kid == key.kid) {
            let problem = Problem::error(node.span, "two keys have the same `kid`");
            bench.note(problem.related(first.span, "the other one is here").cure("give one another `kid`"));
        }
        keys.push((key, node));
    }
    let all = !texts.is_empty() && keys.len() == texts.len();
    all.then(|| keys.into_iter().map(|(key, _)| key).collect())
}

fn key(text: &str, node: &Node, bench: &Bench<'_>) -> Option<PrivateKey> {
    let read;
    let text = match text.strip_prefix("file:") {
        None => text,
        Some(_) if bench.host == Host::Workers => {
            let message = "a private key would travel in the bundle, where everybody may read it";
            bench.note(Problem::error(node.span, message).cure("make it a secret, and write `\"${NAME}\"`"));
            return None;
        }
        Some(path) => {
            let path = bench.beside(node.span, path.strip_prefix("//").unwrap_or(path));
            read = match bench.files.read(&path) {
                Ok(text) => text,
                Err(error) => {
                    bench.note(Problem::error(node.span, format!("this file can't be read: {error}")));
                    return None;
                }
            };
            &read
        }
    };
    let Ok(jwk) = serde_json::from_str::<Value>(text) else {
        bench.note(Problem::error(node.span, "this is no JSON Web Key").cure(MAKE_ONE));
        return None;
    };
    let key = match PrivateKey::from_jwk(&jwk) {
        Ok(key) => key,
        Err(why) => {
            let message = match jwk.get("d") {
                None => "this key has no private half (`d`), so it can't sign".to_owned(),
                Some(_) => format!("this is no private key of Ed25519 or P-256: {why}"),
            };
            bench.note(Problem::error(node.span, message).cure(MAKE_ONE));
            return None;
        }
    };
    // Without the means to tell, the first signature does.
    #[cfg(feature = "verify")]
    if crate::signing::pure::sign(&key, b"").is_none() {
        let message = "the halves of this key don't belong together: nobody could verify its tokens";
        bench.note(Problem::error(node.span, message).cure(MAKE_ONE));
        return None;
    }
    Some(key)
}

fn publish_at(written: &Written, node: &Node, bench: &Bench<'_>) -> Option<String> {
    let path = written.publish_at.as_ref()?;
    let is_plain = !path.contains(['{', '*', '?', '#']);
    let is_normal = NormalPath::new(path).is_ok_and(|normal| normal.text == *path);
    if !is_plain || !is_normal {
        let node = node.get("publish_at").unwrap_or(node);
        bench.note(
            Problem::error(node.span, format!("`{}` is no path of one thing", node.shown()))
                .cure("write one without parameters, such as `/.well-known/tollgate/jwks.json`"),
        );
        return None;
    }
    Some(path.clone())
}
