//! What could be left out: it is written, checked and read, and does nothing.

use std::collections::BTreeMap;

use http::Uri;

use super::{
    rule::Rule,
    subject::{Subject, Written, with_ways},
};
use crate::{
    config::{
        node::{Node, Span},
        problem::{Problem, Severity},
    },
    policy::{Absence, Origin, Plan, Stage},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "unused-service",
        level: Severity::Warning,
        what: "a service that no route and no policy leads to",
        why: "Either it is a leftover, or a route that should lead there names another: a misspelt `target_service` \
              is reached by its name instead.",
        cure: "leave it out, or let a route or the URL of a policy name it",
        check: unused_services,
    },
    Rule {
        id: "unused-policy-override",
        level: Severity::Warning,
        what: "a policy that says the same as the one it replaces",
        why: "Whoever changes the replaced policy later believes that the change holds everywhere, and here it does \
              not.",
        cure: "leave it out: the other one holds here too",
        check: unused_overrides,
    },
    Rule {
        id: "same-limit-twice",
        level: Severity::Hint,
        what: "a limit that says the same as the one it replaces",
        why: "It does not repeat the limit, it adds to it: each limit counts for itself, so that a client may use up \
              both.",
        cure: "leave it out so that all is counted together, or say another rate",
        check: same_limits,
    },
    Rule {
        id: "duplicate-service-endpoints",
        level: Severity::Warning,
        what: "endpoints of a service that are all listed equally often, more than once",
        why: "Endpoints take turns, so one that is listed twice among others gets twice as much. Where all are, \
              nothing is weighed, and mostly another address was meant.",
        cure: "list each endpoint once, or correct the address",
        check: repeated_endpoints,
    },
];

/// The keys by which policies say whom they ask.
const ASKED: [&str; 4] = ["issuer", "jwks_uri", "introspection_endpoint", "policy_engine_endpoint"];

fn unused_services(subject: &Subject<'_>) -> Vec<Problem> {
    let whole = subject.whole;
    let targets = whole.routes.iter().map(|route| route.item.value.target_service.clone());
    // Ways of `AnyOf` ask as well, and issuers in a list.
    let asking = subject
        .policies()
        .flat_map(|policy| with_ways(policy.node))
        .flat_map(|node| std::iter::once(node).chain(node.get("issuers").map_or(&[][..], Node::items)));
    let urls = asking.flat_map(|node| ASKED.iter().filter_map(|key| node.get(key)?.text()));
    let asked = urls.filter_map(|url| Some(url.parse::<Uri>().ok()?.host()?.to_owned()));
    let used: Vec<String> = targets.chain(asked).collect();
    let unused = whole.services.iter().filter(|(name, _)| !used.contains(name));
    unused
        .map(|(name, item)| {
            let key = whole.root.get("services").and_then(|services| services.entry(name));
            let span = key.map_or(item.node.span, |(key, _)| key.span);
            Problem::note(span, format!("nothing leads to the service `{name}`"))
        })
        .collect()
}

fn unused_overrides(subject: &Subject<'_>) -> Vec<Problem> {
    let others = |policy: &Written<'_>| policy.kind.stage() != Stage::RateLimiting;
    same(subject, others, |policy| {
        format!("`{}` says the same as the policy that it replaces", policy.name())
    })
}

fn same_limits(subject: &Subject<'_>) -> Vec<Problem> {
    let limits = |policy: &Written<'_>| policy.kind.stage() == Stage::RateLimiting;
    same(subject, limits, |policy| {
        format!("`{}` is the limit that it replaces once more, and counts for itself", policy.name())
    })
}

/// Policies that say the same as what they replace, wherever they hold.
fn same(
    subject: &Subject<'_>,
    meant: impl Fn(&Written<'_>) -> bool,
    message: impl Fn(&Written<'_>) -> String,
) -> Vec<Problem> {
    let mut found = Vec::new();
    for policy in subject.policies().filter(|policy| meant(policy)) {
        let mut replaced = Vec::new();
        for holding in subject.under(policy.at()) {
            replaced.push(alike(holding.plan, policy.at()));
        }
        // Where it replaces nothing, or something else, it has an effect.
        if let Some(Some(first)) = replaced.first()
            && replaced.iter().all(Option::is_some)
        {
            let problem = Problem::note(policy.at(), message(&policy));
            found.push(problem.related(*first, "the policy that it replaces"));
        }
    }
    found
}

/// Where the policy stands that the one at `at` replaces and is the like of.
fn alike(plan: &Plan, at: Span) -> Option<Span> {
    let (_, own) = plan.origins().find(|(_, origin)| origin.span == at)?;
    // The last one: what stood there before was replaced in its turn.
    let replaced = plan.provenance.absent.iter().rev().find_map(|absence| match absence {
        Absence::Replaced(origin, by) if *by == at => Some(origin),
        _ => None,
    })?;
    let said = |origin: &Origin| origin.meaning.clone();
    (said(own) == said(replaced)).then_some(replaced.span)
}

fn repeated_endpoints(subject: &Subject<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    for (_, service) in &subject.whole.services {
        let mut places: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
        for (endpoint, node) in service.node.members("endpoints", &service.value.endpoints) {
            places.entry(endpoint.url().trim_end_matches('/')).or_default().push(node);
        }
        let counts = || places.values().map(Vec::len);
        let (Some(least), Some(most)) = (counts().min(), counts().max()) else { continue };
        let Some([first, second, ..]) = places.values().next().map(Vec::as_slice) else { continue };
        if least == most {
            let problem = Problem::note(second.span, "this endpoint is listed already");
            found.push(problem.related(first.span, "here"));
        }
    }
    found
}
