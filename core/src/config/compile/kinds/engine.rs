//! The policy engine of `RBAC` compiled: where it is, which headers it may add, under what its answers are kept.

use http::HeaderName;

use crate::{
    config::{
        compile::{Bench, told},
        node::Node,
        policy::{OnError, Rbac as Written},
        problem::{Problem, nearest},
        services::Services,
    },
    policy::rbac::{
        engine::{Engine, REMEMBERED},
        key::{CacheKey, Part},
    },
    recent::Recent,
};

/// Keys that only engines understand.
pub(super) const KEYS: [&str; 5] = ["timeout_ms", "cache_seconds", "cache_key", "on_error", "headers"];

/// Compiles the engine at `address`, which stands at `endpoint`; `node` is the policy's.
pub(super) fn engine(
    address: &str,
    endpoint: &Node,
    keys: &Written,
    node: &Node,
    services: &mut Services,
    bench: &Bench<'_>,
) -> Option<Engine> {
    if keys.timeout_ms == 0 {
        bench.note(Problem::error(node.span_of("timeout_ms"), "`timeout_ms` must be at least 1"));
    }
    let remote = services.remote(address, endpoint.span, keys.timeout_ms).map_err(|why| {
        let message = format!("`{}` is no address of a policy engine: {why}", endpoint.shown());
        let problem = Problem::error(endpoint.span, message);
        bench.note(problem.cure("write `http://host/path` or `https://host/path`"));
    });
    let headers = headers(keys, node, bench);
    let cache_key = cache_key(keys, node, bench);
    Some(Engine {
        remote: remote.ok()?,
        cache_ms: keys.cache_seconds.saturating_mul(1000),
        cache_key: cache_key?,
        headers: headers?,
        fails_open: keys.on_error == OnError::Allow,
        decided: Recent::new(REMEMBERED),
    })
}

/// The headers that answers may add. `Some(None)` where that is not said.
fn headers(keys: &Written, node: &Node, bench: &Bench<'_>) -> Option<Option<Vec<HeaderName>>> {
    let Some(written) = &keys.headers else { return Some(None) };
    let mut headers = Vec::new();
    for (text, node) in node.members("headers", written) {
        let cure = "use a name of its own, such as `X-Tier`";
        headers.extend(told::field(text, node, "what an engine says", cure, bench));
    }
    (headers.len() == written.len()).then_some(Some(headers))
}

fn cache_key(keys: &Written, node: &Node, bench: &Bench<'_>) -> Option<CacheKey> {
    let Some((key, list)) = node.entry("cache_key") else { return Some(CacheKey::default()) };
    bench.not_empty(node, "cache_key");
    if keys.cache_seconds == 0 {
        let problem = Problem::error(key.span, "`cache_key` means nothing, as no answer is kept");
        bench.note(problem.cure("say for how long one holds: `cache_seconds: 5`"));
    }
    let mut parts = Vec::new();
    for (text, node) in node.members("cache_key", &keys.cache_key) {
        match Part::parse(text) {
            Some(part) => parts.push(part),
            None => bench.note(unknown(node, text)),
        }
    }
    let whole = parts.len() == keys.cache_key.len();
    let key = CacheKey(parts);
    if whole && !key.0.is_empty() && !key.tells_users_apart() {
        let problem = Problem::note(list.span, "an answer about one user will hold for every other");
        bench.note(problem.cure("add `user` or `roles`, unless the engine does not look at who asks"));
    }
    whole.then_some(key)
}

fn unknown(node: &Node, text: &str) -> Problem {
    let problem = Problem::error(node.span, format!("`{}` is no part of the question", node.shown()));
    match nearest(text, Part::WORDS) {
        _ if text == "request_id" => Problem::error(node.span, "no two requests have the same `request_id`")
            .cure("leave it out, or nothing would be found again"),
        Some(near) if !node.is_filled() => problem.cure(format!("did you mean `{near}`?")),
        _ => problem.cure(format!("known are: {}, claim:NAME", Part::WORDS.join(", "))),
    }
}
