//! `JWT_Validation` compiled from its keys: claims to be checked, where the token is, what is passed on.
//!
//! Whose tokens they are is in [`issuers`].

mod issuers;
mod keys;

use http::HeaderName;

use super::{Bench, Kinds};
use crate::{
    config::{
        node::Node,
        policy::{self as written, Mode, RequiredClaims},
        problem::Problem,
        services::Services,
    },
    policy::jwt_validation::{self, JwtValidation, Required, TokenSource},
    recent::Recent,
    transform::hygiene,
};

impl Kinds {
    pub(super) fn jwt_validation(
        &mut self,
        keys: &written::JwtValidation,
        node: &Node,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<JwtValidation> {
        let issuers = self.issuers(keys, node, services, bench);
        let source = token_source(keys, node, bench);
        let forward = self.forward(keys, node, bench);
        let scopes = scopes(keys, node, bench);
        bench.not_blank(node, &["role_claim", "typ"]);
        if let Some(from) = node.get("token_from") {
            bench.not_blank(from, &["cookie", "query"]);
        }
        if keys.max_age_seconds == Some(0) {
            let span = node.span_of("max_age_seconds");
            bench.note(Problem::error(span, "a `max_age_seconds` of 0 would refuse every token"));
        }
        Some(JwtValidation {
            issuers: issuers?,
            typ: keys.typ.clone(),
            required: required(keys, node, bench),
            scopes: scopes?,
            max_age_ms: keys.max_age_seconds.map(|seconds| seconds.saturating_mul(1000)),
            leeway_ms: keys.leeway_seconds.saturating_mul(1000),
            optional: keys.mode == Mode::Optional,
            source: source?,
            forward,
            role_claim: keys.role_claim.clone(),
            verified: Recent::new(jwt_validation::REMEMBERED),
        })
    }

    fn forward(
        &mut self,
        keys: &written::JwtValidation,
        node: &Node,
        bench: &Bench<'_>,
    ) -> Vec<(String, HeaderName)> {
        let mut forward = Vec::new();
        for (claim, header) in &keys.forward_claims {
            match HeaderName::from_bytes(header.as_bytes()) {
                // Fields that clients need for themselves are not taken off requests, so they can't be trusted.
                Ok(header) if !hygiene::concerns(&header) => {
                    let node = node.get("forward_claims").and_then(|map| map.get(claim)).unwrap_or(node);
                    let message =
                        format!("`{}` can't carry a claim: clients send it themselves", node.shown());
                    let problem = Problem::error(node.span, message);
                    bench.note(problem.cure("use a name of its own, such as `X-User-Email`"));
                }
                Ok(header) => {
                    self.identity_headers.push(header.clone());
                    forward.push((claim.clone(), header));
                }
                Err(_) => {
                    let node = node.get("forward_claims").and_then(|map| map.get(claim)).unwrap_or(node);
                    bench.note(Problem::error(node.span, format!("`{}` is no header name", node.shown())));
                }
            }
        }
        forward
    }
}

fn required(keys: &written::JwtValidation, node: &Node, bench: &Bench<'_>) -> Vec<Required> {
    match &keys.required_claims {
        RequiredClaims::None => Vec::new(),
        RequiredClaims::Present(names) => {
            names.iter().map(|claim| Required { claim: claim.clone(), values: Vec::new() }).collect()
        }
        RequiredClaims::OneOf(map) => map
            .iter()
            .inspect(|(claim, _)| {
                node.get("required_claims").inspect(|claims| bench.not_empty(claims, claim));
            })
            .map(|(claim, values)| Required { claim: claim.clone(), values: values.as_slice().to_vec() })
            .collect(),
    }
}

/// A scope is what RFC 6749 §3.3 lets it be: then it can stand in the challenge that asks for it.
fn scopes(keys: &written::JwtValidation, node: &Node, bench: &Bench<'_>) -> Option<Vec<String>> {
    bench.not_empty(node, "scopes");
    let fits = |c: char| ('!'..='~').contains(&c) && c != '"' && c != '\\';
    let mut good = true;
    for (text, node) in node.members("scopes", keys.scopes.as_slice()) {
        if text.is_empty() || !text.chars().all(fits) {
            good = false;
            let problem = Problem::error(node.span, format!("`{}` is no scope", node.shown()));
            bench.note(problem.cure("list scopes one by one, such as `[read, write]`"));
        }
    }
    good.then(|| keys.scopes.as_slice().to_vec())
}

fn token_source(keys: &written::JwtValidation, node: &Node, bench: &Bench<'_>) -> Option<TokenSource> {
    let from = &keys.token_from;
    let span = node.span_of("token_from");
    match (&from.header, &from.cookie, &from.query) {
        (None, None, None) => Some(TokenSource::Bearer),
        (Some(name), None, None) => match HeaderName::from_bytes(name.as_bytes()) {
            Ok(http::header::AUTHORIZATION) => Some(TokenSource::Bearer),
            Ok(name) => Some(TokenSource::Header(name)),
            Err(_) => {
                let node = node.get("token_from").and_then(|from| from.get("header")).unwrap_or(node);
                bench.note(Problem::error(node.span, format!("`{}` is no header name", node.shown())));
                None
            }
        },
        (None, Some(name), None) => Some(TokenSource::Cookie(name.clone())),
        (None, None, Some(name)) => Some(TokenSource::Query(name.clone())),
        _ => {
            bench.note(Problem::error(
                span,
                "a token is looked for in one place only: `header`, `cookie` or `query`",
            ));
            None
        }
    }
}
