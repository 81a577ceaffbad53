//! `ApiKey` compiled: digests read, identities made beforehand.

use std::collections::HashMap;

use http::HeaderName;
use serde_json::{Map, Value};

use super::{super::Bench, forward::METADATA};
use crate::{
    config::{instant::instant, node::Node, policy as written, problem::Problem},
    identity::Identity,
    policy::{
        api_key::{ApiKey, Known},
        jwt_validation::TokenSource,
    },
};

/// Where a key is looked for unless said otherwise.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

pub(super) fn api_key(
    keys: &written::ApiKey,
    node: &Node,
    identity_headers: &mut Vec<HeaderName>,
    bench: &Bench<'_>,
) -> Option<ApiKey> {
    bench.not_empty(node, "keys");
    bench.not_blank(node, &["header", "query"]);
    let source = source(keys, node, bench);
    let forward = METADATA.compile(&keys.forward_metadata, node, identity_headers, bench);
    let mut known = HashMap::new();
    let mut whole = true;
    for (key, place) in node.members("keys", &keys.keys) {
        let digest = digest(&key.hash, place, bench);
        let expires_at = end(key.expires.as_deref(), place, bench);
        let metadata: Map<String, Value> =
            key.metadata.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let identity = Identity::of_key(&key.subject, &key.roles, metadata, &forward);
        if identity.is_none() {
            bench.note(Problem::error(
                place.span_of("subject"),
                "a key without a `subject` would be nobody's",
            ));
        }
        let (Some(digest), Some(expires_at), Some(identity)) = (digest, expires_at, identity) else {
            whole = false;
            continue;
        };
        if known.insert(digest, Known { identity: identity.into(), expires_at }).is_some() {
            let problem = Problem::error(place.span_of("hash"), "this key stands here twice");
            bench.note(problem.cure("a key has one subject: leave one of the two out"));
        }
    }
    whole.then_some(ApiKey { source: source?, keys: known })
}

fn source(keys: &written::ApiKey, node: &Node, bench: &Bench<'_>) -> Option<TokenSource> {
    match (&keys.header, &keys.query) {
        (Some(_), Some(_)) => {
            let message = "a key is looked for in one place only: `header` or `query`";
            bench.note(Problem::error(node.span_of("query"), message));
            None
        }
        (None, Some(name)) => Some(TokenSource::Query(name.clone())),
        (None, None) => Some(TokenSource::Header(X_API_KEY)),
        (Some(name), None) => match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => Some(TokenSource::Header(name)),
            Err(_) => {
                let node = node.get("header").unwrap_or(node);
                bench.note(Problem::error(node.span, format!("`{}` is no header name", node.shown())));
                None
            }
        },
    }
}

/// `None` where it can't be read, `Some(None)` where there is none.
pub(super) fn end(text: Option<&str>, place: &Node, bench: &Bench<'_>) -> Option<Option<u64>> {
    let Some(text) = text else { return Some(None) };
    let end = instant(text);
    if end.is_none() {
        let node = place.get("expires").unwrap_or(place);
        let problem = Problem::error(node.span, format!("`{}` is no point in time", node.shown()));
        bench.note(problem.cure("write it in UTC, as `2030-01-01T00:00:00Z`"));
    }
    end.map(Some)
}

fn digest(text: &str, place: &Node, bench: &Bench<'_>) -> Option<[u8; 32]> {
    let digest = text.strip_prefix("sha256:").and_then(unhex);
    if digest.is_none() {
        // Not quoted: it may be the key itself.
        let problem = Problem::error(place.span_of("hash"), "this `hash` is no digest of a key");
        bench.note(problem.cure("`tollgate key new` prints a key and its `sha256:…`"));
    }
    digest
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = [0; 32];
    if !rest.is_empty() || pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}
