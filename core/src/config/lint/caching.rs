//! Answers that are kept for whom they were not made, and such as are kept for nobody.

use super::{
    rule::Rule,
    subject::{Subject, path},
};
use crate::{
    config::{
        node::Span,
        policy::Kind,
        problem::{Problem, Severity},
    },
    policy::{Way, jwt_validation::TokenSource},
    route::Holding,
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "shared-cache-of-identities",
        level: Severity::Warning,
        what: "`shared: true` or `force: true` on a cache of authenticated routes",
        why: "With `shared`, whoever asks next is given the answer that was made for another user, with whatever of \
              theirs stands in it. With `force`, that a service marks an answer as private, not to be stored, or \
              sets a cookie, counts for nothing. Both are right only where answers are the same for everybody.",
        cure: "let the service say `Cache-Control: public` where an answer is for all, and leave the key out",
        check: shared,
    },
    Rule {
        id: "per-user-cache-defeats-itself",
        level: Severity::Hint,
        what: "a cache of a minute or less on authenticated routes in which each user has a copy of their own",
        why: "A copy is only of use to the user who asks twice within so short a time; the service is asked nearly \
              as often as without a cache.",
        cure: "let the service say `Cache-Control: public` where an answer is the same for all, or keep it longer",
        check: defeated,
    },
];

const SHORT_MS: u64 = 60_000;

/// The caches as written, each with where it holds for users who are told apart.
fn caches<'s>(
    subject: &'s Subject<'_>,
) -> impl Iterator<Item = (super::subject::Written<'s>, Vec<&'s Holding<'s>>)> {
    subject.policies().filter(|policy| matches!(policy.kind, Kind::Ttl(_))).map(|policy| {
        let under = subject.under(policy.at());
        (policy, under.filter(|holding| holding.plan.authentication.is_some()).collect())
    })
}

fn shared(subject: &Subject<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    for (policy, holdings) in caches(subject) {
        let told_apart = |holding: &&&Holding<'_>| !varies_by_credentials(holding);
        let Some(on) = holdings.iter().find(told_apart) else { continue };
        let Kind::Ttl(keys) = policy.kind else { continue };
        let (key, message) = match (keys.shared, keys.force) {
            (true, _) => ("shared", "the answer to one user is given to all others"),
            (false, true) => ("force", "answers are kept that the service says are not to be kept"),
            (false, false) => continue,
        };
        let problem = Problem::note(policy.node.span_of(key), message);
        found.push(problem.related(place(subject, on), "users are told apart on this route"));
    }
    found
}

/// Whether each credential has its own answer after all.
fn varies_by_credentials(holding: &Holding<'_>) -> bool {
    let (Some(jwt), Some(cache)) = (&holding.plan.authentication, &holding.plan.caching) else {
        return false;
    };
    let told_apart = |source: Option<&TokenSource>| match source {
        None | Some(TokenSource::Query(_)) => false,
        Some(source) => cache.vary_by.contains(source.field()),
    };
    jwt.ways().iter().map(Way::source).all(told_apart)
}

fn defeated(subject: &Subject<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    for (policy, holdings) in caches(subject) {
        let own =
            |holding: &&&Holding<'_>| {
                holding.plan.caching.as_ref().is_some_and(|cache| {
                    !cache.shared && cache.vary_by.is_empty() && cache.ttl_ms <= SHORT_MS
                })
            };
        if let Some(on) = holdings.iter().find(own) {
            let message = "each user has a copy of their own, and it is soon too old to be used again";
            let problem = Problem::note(policy.node.span_of("ttl_seconds"), message);
            found.push(problem.related(place(subject, on), "users are told apart on this route"));
        }
    }
    found
}

fn place(subject: &Subject<'_>, holding: &Holding<'_>) -> Span {
    subject.whole.routes.get(holding.index).map_or(holding.route.span, path)
}
