//! What types of tokens have in common: where they are, and what they, or their issuers, have to say.

use http::HeaderName;

use crate::{
    config::{
        compile::Bench,
        node::Node,
        policy::{RequiredClaims, TokenFrom},
        problem::Problem,
    },
    policy::jwt_validation::{Required, TokenSource},
};

pub(super) fn required(claims: &RequiredClaims, node: &Node, bench: &Bench<'_>) -> Vec<Required> {
    match claims {
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
pub(super) fn scopes(written: &[String], node: &Node, bench: &Bench<'_>) -> Option<Vec<String>> {
    bench.not_empty(node, "scopes");
    let fits = |c: char| ('!'..='~').contains(&c) && c != '"' && c != '\\';
    let mut good = true;
    for (text, node) in node.members("scopes", written) {
        if text.is_empty() || !text.chars().all(fits) {
            good = false;
            let problem = Problem::error(node.span, format!("`{}` is no scope", node.shown()));
            bench.note(problem.cure("list scopes one by one, such as `[read, write]`"));
        }
    }
    good.then(|| written.to_vec())
}

pub(super) fn token_source(from: &TokenFrom, node: &Node, bench: &Bench<'_>) -> Option<TokenSource> {
    if let Some(from) = node.get("token_from") {
        bench.not_blank(from, &["cookie", "query"]);
    }
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
