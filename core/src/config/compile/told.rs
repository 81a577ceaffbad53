//! Fields in which services are told something that clients can't be let say: which may be used for that, and that no
//! credential is looked for there.

use std::collections::HashSet;

use http::{HeaderName, header};

use super::Bench;
use crate::{
    config::{
        node::{Node, Span},
        problem::Problem,
    },
    pipeline::X_REQUEST_ID,
    policy::jwt_validation::TokenSource,
    route::Router,
    transform::{forwarded, hop_by_hop, hygiene},
};

/// The field of that name, if it may carry `what`; otherwise that is said, with what to do instead.
pub(super) fn field(
    text: &str,
    node: &Node,
    what: &str,
    cure: &str,
    bench: &Bench<'_>,
) -> Option<HeaderName> {
    let wrong = |why: &str| {
        bench.note(Problem::error(node.span, format!("`{}` {why}", node.shown())).cure(cure));
        None
    };
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) if is_the_gateways(&name) => wrong("is written by the gateway itself"),
        // What clients need for themselves is not taken off requests, so it can't be trusted.
        Ok(name) if !hygiene::concerns(&name) => {
            wrong(&format!("can't carry {what}: clients send it themselves"))
        }
        Ok(name) => Some(name),
        Err(_) => {
            bench.note(Problem::error(node.span, format!("`{}` is no header name", node.shown())));
            None
        }
    }
}

fn is_the_gateways(name: &HeaderName) -> bool {
    hop_by_hop::concerns(name)
        || forwarded::concerns(name.as_str())
        || [header::HOST, header::CONTENT_LENGTH, header::VIA, X_REQUEST_ID].contains(name)
}

/// Such fields are taken off requests before anybody looks at them, so no credential is ever found in one.
pub(super) fn check_credentials(router: &Router, told: &[HeaderName], bench: &Bench<'_>) {
    let mut seen: HashSet<Span> = HashSet::new();
    for applied in router.plans().filter_map(|holding| holding.plan.authentication.as_ref()) {
        let is_told =
            |source: &TokenSource| matches!(source, TokenSource::Header(name) if told.contains(name));
        let found = applied.ways().iter().any(|way| way.source().is_some_and(is_told));
        if found && seen.insert(applied.origin.span) {
            let message =
                "a credential is looked for in a header that tells services who asks: clients can't send it";
            let problem = Problem::error(applied.origin.span, message);
            bench.note(problem.cure("give one of the two another header"));
        }
    }
}
