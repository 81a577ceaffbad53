//! `Hmac` compiled: secrets read, components named, identities made beforehand.

use std::collections::HashMap;

use base64ct::{Base64, Encoding};
use http::HeaderName;
use serde_json::{Map, Value};

use super::{super::Bench, api_key, forward::METADATA};
use crate::{
    config::{
        node::Node,
        policy as written,
        problem::{Problem, nearest},
    },
    content_digest::CONTENT_DIGEST,
    identity::Identity,
    policy::hmac::{Hmac, Secret, SharedKey, component::Component, structured::is_key},
};

pub(super) fn hmac(
    keys: &written::Hmac,
    node: &Node,
    identity_headers: &mut Vec<HeaderName>,
    bench: &Bench<'_>,
) -> Option<Hmac> {
    bench.not_empty(node, "keys");
    bench.not_empty(node, "required_components");
    bench.not_blank(node, &["label", "tag"]);
    if keys.max_age_seconds == 0 {
        let problem = Problem::error(
            node.span_of("max_age_seconds"),
            "a `max_age_seconds` of 0 would refuse everything",
        );
        bench.note(problem);
    }
    if let Some(label) = keys.label.as_deref().filter(|label| !label.is_empty() && !is_key(label)) {
        let shown = node.get("label").map_or(label, Node::shown);
        let problem = Problem::error(node.span_of("label"), format!("`{shown}` is no label of a signature"));
        bench.note(problem.cure("labels are of lower-case letters, digits, `_`, `-`, `.` and `*`"));
    }
    if keys.tag.as_deref().is_some_and(|tag| !is_visible(tag)) {
        bench.note(Problem::error(node.span_of("tag"), "this `tag` holds what no signature can"));
    }
    let required = components(keys, node, bench);
    let forward = METADATA.compile(&keys.forward_metadata, node, identity_headers, bench);
    let mut known = HashMap::new();
    let mut whole = true;
    for (key, place) in node.members("keys", &keys.keys) {
        let is_id = !key.id.is_empty() && is_visible(&key.id);
        if !is_id {
            let problem =
                Problem::error(place.span_of("id"), "this `id` can't be the `keyid` of a signature");
            bench.note(problem.cure("write letters, digits and signs of ASCII"));
        }
        let secret = secret(key, place, bench);
        let expires_at = api_key::end(key.expires.as_deref(), place, bench);
        let metadata: Map<String, Value> =
            key.metadata.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let identity = Identity::of_key(&key.subject, &key.roles, metadata, &forward);
        if identity.is_none() {
            bench.note(Problem::error(
                place.span_of("subject"),
                "a key without a `subject` would be nobody's",
            ));
        }
        let (true, Some(secret), Some(expires_at), Some(identity)) = (is_id, secret, expires_at, identity)
        else {
            whole = false;
            continue;
        };
        let shared = SharedKey { secret, identity: identity.into(), expires_at };
        if known.insert(key.id.clone(), shared).is_some() {
            let problem = Problem::error(place.span_of("id"), "this `id` stands here twice");
            bench.note(problem.cure("a key has one secret: give the other a name of its own"));
        }
    }
    let required = required?;
    // Any secret will do, as nothing is ever let in by it.
    let decoy = known.values().next()?.secret.clone();
    whole.then(|| Hmac {
        decoy,
        keys: known,
        allows_unsigned_body: keys.allow_unsigned_body,
        max_age_ms: keys.max_age_seconds.saturating_mul(1000),
        leeway_ms: keys.leeway_seconds.saturating_mul(1000),
        label: keys.label.clone(),
        tag: keys.tag.clone(),
        wanted: Hmac::wanted(
            &with_digest(&required, keys.allow_unsigned_body),
            keys.label.as_deref(),
            keys.tag.as_deref(),
        ),
        required,
    })
}

/// What clients are asked to cover: also what only requests with a body need.
fn with_digest(required: &[Component], allows_unsigned_body: bool) -> Vec<Component> {
    let mut all = required.to_vec();
    let digest = Component::Field(CONTENT_DIGEST);
    if !allows_unsigned_body && !all.contains(&digest) {
        all.push(digest);
    }
    all
}

fn components(keys: &written::Hmac, node: &Node, bench: &Bench<'_>) -> Option<Vec<Component>> {
    const DERIVED: [&str; 6] = ["@method", "@target-uri", "@authority", "@scheme", "@path", "@query"];
    let mut components = Vec::new();
    for (name, node) in node.members("required_components", &keys.required_components) {
        if let Some(component) = Component::parse(&name.to_ascii_lowercase()) {
            components.push(component);
            continue;
        }
        let message = format!("`{}` is no component that can be demanded", node.shown());
        let problem = Problem::error(node.span, message);
        let near = nearest(name, DERIVED).filter(|_| name.starts_with('@') && !name.starts_with("@query-"));
        bench.note(match near {
            Some(near) => problem.cure(format!("did you mean `{near}`?")),
            None => problem.cure(format!("known are: {}, and names of header fields", DERIVED.join(", "))),
        });
    }
    (components.len() == keys.required_components.len()).then_some(components)
}

/// The text as it is, or what stands after `base64:`. Never quoted.
fn secret(key: &written::SharedKey, place: &Node, bench: &Bench<'_>) -> Option<Secret> {
    let span = place.span_of("secret");
    let decoded;
    let bytes = match key.secret.text().strip_prefix("base64:") {
        None => key.secret.text().as_bytes(),
        Some(text) => match Base64::decode_vec(text) {
            Ok(bytes) => {
                decoded = bytes;
                &decoded
            }
            Err(_) => {
                bench.note(Problem::error(span, "what stands after `base64:` in this `secret` is no base64"));
                return None;
            }
        },
    };
    let secret = Secret::new(bytes);
    if secret.is_none() {
        bench.note(
            Problem::error(span, "this `secret` is too short: it could be guessed")
                .cure("at least 32 bytes, such as `openssl rand -base64 32` makes"),
        );
    }
    secret
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
