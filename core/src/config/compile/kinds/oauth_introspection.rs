//! `OAuthIntrospection` compiled: where to ask and as whom, what an answer has to say, how long it is remembered.

use http::HeaderName;

use super::{
    forward::CLAIMS,
    tokens::{required, scopes, token_source},
};
use crate::{
    config::{
        compile::Bench,
        node::Node,
        policy::{ClientAuth, OAuthIntrospection as Written},
        problem::Problem,
        services::Services,
    },
    policy::oauth_introspection::{OAuthIntrospection, client::Client, flights::Flights, memory::Memory},
};

/// Besides the time that an issuer may take, how long a question may take before it counts as lost.
const SLACK_MS: u64 = 1_000;

pub(super) fn oauth_introspection(
    keys: &Written,
    node: &Node,
    services: &mut Services,
    identity_headers: &mut Vec<HeaderName>,
    bench: &Bench<'_>,
) -> Option<OAuthIntrospection> {
    bench.not_empty(node, "audience");
    bench.not_blank(node, &["issuer", "audience", "role_claim", "client_id", "client_secret"]);
    times(keys, node, bench);
    let source = token_source(&keys.token_from, node, bench);
    let scopes = scopes(keys.scopes.as_slice(), node, bench);
    let forward = CLAIMS.compile(&keys.forward_claims, node, identity_headers, bench);
    let required = required(&keys.required_claims, node, bench);
    let span = node.span_of("introspection_endpoint");
    let remote = services.remote(&keys.introspection_endpoint, span, keys.timeout_ms);
    let remote = remote
        .map_err(|why| {
            let shown = node.get("introspection_endpoint").unwrap_or(node).shown();
            let problem = Problem::error(span, format!("`{shown}` is no introspection endpoint: {why}"));
            bench.note(problem.cure("write `https://host/path` or `http://host/path`"));
        })
        .ok()?;
    let (id, secret) = (&keys.client_id, keys.client_secret.text());
    let ms = |seconds: u64| seconds.saturating_mul(1000);
    Some(OAuthIntrospection {
        asked: format!("{}{}", remote.service.name, remote.target),
        remote,
        client: match keys.client_auth {
            ClientAuth::Basic => Client::basic(id, secret),
            ClientAuth::Post => Client::post(id, secret),
        },
        source: source?,
        issuer: keys.issuer.clone(),
        audience: keys.audience.as_slice().to_vec(),
        wanted: keys.scopes.as_slice().join(" ").into(),
        scopes: scopes?,
        required,
        leeway_ms: ms(keys.leeway_seconds),
        forward,
        role_claim: keys.role_claim.clone(),
        memory: Memory::new(
            ms(keys.cache_ttl_seconds),
            ms(keys.negative_ttl_seconds),
            ms(keys.serve_stale_seconds),
        ),
        flights: Flights::new(keys.timeout_ms.saturating_add(SLACK_MS)),
    })
}

fn times(keys: &Written, node: &Node, bench: &Bench<'_>) {
    if keys.timeout_ms == 0 {
        bench.note(Problem::error(node.span_of("timeout_ms"), "`timeout_ms` must be at least 1"));
    }
    if keys.cache_ttl_seconds == 0 && keys.serve_stale_seconds > 0 {
        let message = "`serve_stale_seconds` means nothing where the issuer is asked each time";
        let problem = Problem::error(node.span_of("serve_stale_seconds"), message);
        bench.note(problem.cure("leave it out, or let `cache_ttl_seconds` be 1 at least"));
    }
}
