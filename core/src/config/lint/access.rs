//! Who may come in: requests that change something and that nobody has to sign, and checks that don't hold where
//! they should.

use http::Method;

use super::{
    rule::Rule,
    subject::{Subject, Written, path},
    words::{is_entrance, is_probe},
};
use crate::{
    config::{
        document::{Route, Routed},
        node::Span,
        policy::{Kind, OnError},
        problem::{Problem, Severity},
    },
    pattern::Pattern,
    policy::Stage,
    route::Holding,
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "unauthenticated-write",
        level: Severity::Warning,
        what: "a route that takes POST, PUT, PATCH or DELETE from anybody",
        why: "Nothing says who changes data, so nothing can be permitted, limited by user or traced. Mostly the \
              authentication was given to the other routes and forgotten on this one. Ways in, such as `/login` \
              or `/webhooks`, and paths that are taken out by `exclude_paths` or `disabled: true`, are not meant.",
        cure: "add an authentication policy, or `methods: [GET]` if it is only read",
        check: unauthenticated,
    },
    Rule {
        id: "excluded-write",
        level: Severity::Hint,
        what: "POST, PUT, PATCH or DELETE where authentication is excluded or disabled",
        why: "It is said outright, so it is meant; but the service behind has to know that it alone decides. Ways \
              in, such as `/login`, are not meant.",
        cure: "let the service check such requests itself, or leave authentication on",
        check: excluded,
    },
    Rule {
        id: "exclude-paths-too-wide",
        level: Severity::Warning,
        what: "`exclude_paths` that take authentication, limits or permissions away from most of what they are for",
        why: "A policy that is written for everything and excludes nearly everything reads as protection and is \
              none. Each path added later is likely to be excluded unseen.",
        cure: "exclude single paths, or give the policy to the routes that need it",
        check: too_wide,
    },
    Rule {
        id: "fails-open",
        level: Severity::Warning,
        what: "permissions with `on_error: allow`",
        why: "While the policy engine can't be reached, everybody may do everything, and whoever can keep it from \
              answering decides when.",
        cure: "leave `on_error` out: requests are answered 503 while the engine can't be asked",
        check: fails_open,
    },
];

const WRITES: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

fn writes(holding: &Holding<'_>) -> bool {
    WRITES.iter().any(|method| holding.serves(method))
}

/// Whether an engine is asked about those who don't say who they are.
fn is_asked(holding: &Holding<'_>) -> bool {
    holding.plan.authorization.iter().any(|applied| applied.can_allow_anonymous())
}

fn unauthenticated(subject: &Subject<'_>) -> Vec<Problem> {
    let forgotten = |holding: &&Holding<'_>| {
        writes(holding)
            && holding.plan.authentication.is_none()
            && !is_asked(holding)
            && !is_entrance(&holding.route.pattern)
            && subject.waivers(holding.plan, Stage::Authentication).next().is_none()
    };
    let mut open: Vec<&Routed<'_, Route>> = subject
        .routes()
        .filter(|(_, holdings)| holdings.iter().any(|holding| forgotten(&holding)))
        .map(|(written, _)| written)
        .collect();
    let elsewhere = subject.policies().find(|policy| policy.kind.stage() == Stage::Authentication);
    let Some(elsewhere) = elsewhere else {
        // One mistake, however many routes there are.
        open.truncate(1);
        let message =
            "nothing in this configuration asks who makes a request, and anybody may change something";
        return open.into_iter().map(|route| Problem::note(path(route), message)).collect();
    };
    let message = "requests that change something need no authentication here";
    let problem = |route: &Routed<'_, Route>| {
        Problem::note(path(route), message).related(elsewhere.at(), "it is asked for elsewhere")
    };
    open.into_iter().map(problem).collect()
}

fn excluded(subject: &Subject<'_>) -> Vec<Problem> {
    let mut found: Vec<Problem> = Vec::new();
    for (route, holding) in subject.holdings() {
        if !writes(holding) || is_asked(holding) || is_exempt(&holding.route.pattern) {
            continue;
        }
        for at in outside(subject, holding) {
            if found.iter().all(|other| other.span != at) {
                let message = "requests that change something are taken out of authentication here";
                found.push(Problem::note(at, message).related(path(route), "on this route"));
            }
        }
    }
    found
}

/// Where it is said that authentication does not hold, for all paths there or for some.
fn outside(subject: &Subject<'_>, holding: &Holding<'_>) -> Vec<Span> {
    let some = holding.plan.authentication.iter().flat_map(|jwt| &jwt.except);
    let some = some.filter(|(pattern, _)| !is_exempt(pattern)).map(|(_, at)| *at);
    let all = subject.waivers(holding.plan, Stage::Authentication);
    some.chain(all.filter(|_| !is_exempt(holding.pattern))).collect()
}

/// What is rightly open to everybody.
fn is_exempt(pattern: &Pattern) -> bool {
    is_entrance(pattern) || is_probe(pattern)
}

fn too_wide(subject: &Subject<'_>) -> Vec<Problem> {
    let guards = [Stage::Authentication, Stage::RateLimiting, Stage::Authorization];
    let policies = subject.policies().filter(|policy| guards.contains(&policy.kind.stage()));
    policies.filter_map(|policy| width(subject, &policy)).collect()
}

fn width(subject: &Subject<'_>, policy: &Written<'_>) -> Option<Problem> {
    let excluded: Vec<Pattern> = policy.excluded.iter().flat_map(|text| Pattern::parse(text)).collect();
    let covers = |pattern: &Pattern| excluded.iter().any(|wide| wide.covers(pattern));
    let domain = subject.domain(policy.level);
    let span = policy.node.span_of("exclude_paths");
    if !excluded.is_empty() && domain.iter().all(covers) {
        let message = format!("`{}` holds nowhere: every path is excluded from it", policy.name());
        return Some(Problem::note(span, message).cure("leave the policy out, or exclude less"));
    }
    let guarded = || domain.iter().filter(|pattern| !is_exempt(pattern));
    let (all, without) = (guarded().count(), guarded().filter(|pattern| covers(pattern)).count());
    (without * 2 > all).then(|| {
        let message =
            format!("`{}` is written for {all} routes and does not hold on {without} of them", policy.name());
        Problem::note(span, message)
    })
}

fn fails_open(subject: &Subject<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    for policy in subject.policies() {
        if let Kind::Rbac(rbac) = policy.kind
            && rbac.on_error == OnError::Allow
        {
            let message = "everybody may do everything while the policy engine can't be asked";
            found.push(Problem::note(policy.node.span_of("on_error"), message));
        }
    }
    found
}
