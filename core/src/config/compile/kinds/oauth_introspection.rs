//! `OAuthIntrospection` compiled: where to ask and as whom, what an answer has to say, how long it is remembered.

use http::HeaderName;

use super::{forward::Forward, token_source};
use crate::{
    config::{
        compile::Bench,
        node::Node,
        policy::{ClientAuth, OAuthIntrospection as Written, RequiredClaims},
        problem::Problem,
        services::Services,
    },
    policy::{
        jwt_validation::Required,
        oauth_introspection::{OAuthIntrospection, client::Client, flights::Flights, memory::Memory},
    },
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
    bench.not_empty(node, "scopes");
    bench.not_blank(node, &["issuer", "audience", "role_claim", "client_id", "client_secret"]);
    if let Some(from) = node.get("token_from") {
        bench.not_blank(from, &["cookie", "query"]);
    }
    times(keys, node, bench);
    let source = token_source(&keys.token_from, node, bench);
    let scopes = scopes(keys, node, bench);
    let forward = Forward { key: "forward_claims", carries: "a claim", example: "X-User-Email" };
    let forward = forward.compile(&keys.forward_claims, node, identity_headers, bench);
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
    let (id, secret) = (&keys.client_id, &keys.client_secret.0);
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

/// Each of them one word (RFC 6749 §3.3). A space or a quotation mark would make the challenge say something else.
fn scopes(keys: &Written, node: &Node, bench: &Bench<'_>) -> Option<Vec<String>> {
    let written = keys.scopes.as_slice();
    let mut scopes = Vec::new();
    for (scope, node) in node.members("scopes", written) {
        let fits = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if !scope.is_empty() && scope.bytes().all(fits) {
            scopes.push(scope.clone());
            continue;
        }
        let problem = Problem::error(node.span, format!("`{}` is no scope", node.shown()));
        bench.note(problem.cure("write each by itself, as `[orders:read, orders:write]`"));
    }
    (scopes.len() == written.len()).then_some(scopes)
}

fn required(written: &RequiredClaims, node: &Node, bench: &Bench<'_>) -> Vec<Required> {
    match written {
        RequiredClaims::None => Vec::new(),
        RequiredClaims::Present(names) => {
            names.iter().map(|claim| Required { claim: claim.clone(), values: Vec::new() }).collect()
        }
        RequiredClaims::OneOf(map) => {
            let claims = node.get("required_claims");
            map.iter()
                .inspect(|(claim, _)| {
                    claims.inspect(|claims| bench.not_empty(claims, claim));
                })
                .map(|(claim, values)| Required { claim: claim.clone(), values: values.as_slice().to_vec() })
                .collect()
        }
    }
}
