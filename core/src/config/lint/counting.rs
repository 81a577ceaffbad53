//! Limits that don't limit whom they seem to.

use super::{
    limits::{enforced, is_limited},
    rule::Rule,
    subject::{Subject, Written},
};
use crate::{
    config::{
        Host,
        problem::{Problem, Severity},
    },
    policy::{
        Applied, Stage, Way,
        jwt_validation::TokenSource,
        limit::{Limit, OnError, algorithm::Algorithm, per::Per},
    },
    route::Holding,
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rate-limit-header-spoofable",
        level: Severity::Warning,
        what: "a limit `per: header:NAME`, with no other limit beside it, where clients choose the header's value",
        why: "Each value has a counter of its own. Whoever sends another value with each request is never refused, \
              and fills the store of counters meanwhile.",
        cure: "count by `user_id`, `ip` or `claim:NAME`, or add a second limit `per: ip` beside it",
        check: spoofable,
    },
    Rule {
        id: "limit-per-ip-behind-proxies",
        level: Severity::Hint,
        what: "a limit by client address on a public listener, without `trusted_proxies`; that of wrong credentials \
               (`failed_auth_per_minute`) is one",
        why: "Behind a load balancer or a CDN every request comes from the proxy's address: all clients share one \
              counter and refuse each other, and one that presents wrong credentials locks all others out. Without \
              proxies in front all is well.",
        cure: "name the proxies in `trusted_proxies`, so that `X-Forwarded-For` is believed of them",
        check: behind_proxies,
    },
    Rule {
        id: "limit-fails-open",
        level: Severity::Hint,
        what: "`on_error: allow` on a limit, with no other limit beside it that holds",
        why: "While the counters can't be reached there is no limit at all, and a flood of requests may be why they \
              can't be.",
        cure: "leave `on_error` out where being flooded is worse than being away",
        check: fails_open,
    },
    Rule {
        id: "long-window-alone",
        level: Severity::Hint,
        what: "a limit of 1000 requests or more in an hour or longer, with no shorter window beside it",
        why: "The requests of a whole window may come in its first second, which is what limits are to prevent, and \
              whoever used theirs up waits until the window ends. In memory, such counters are lost with the process.",
        cure: "add a limit with a short window, such as `{rate: 20, window: 1s}`, beside it",
        check: long_window,
    },
];

/// The limits as written, each with what some request may get under it.
fn limits<'s>(subject: &'s Subject<'_>) -> impl Iterator<Item = (Written<'s>, Vec<&'s Holding<'s>>)> {
    let limits = subject.policies().filter(|policy| policy.kind.stage() == Stage::RateLimiting);
    limits.map(|policy| (policy, subject.under(policy.at()).collect()))
}

/// The limit that is written there.
fn own<'p>(holding: &'p Holding<'_>, policy: &Written<'_>) -> Option<&'p Applied<Limit>> {
    holding.plan.limits.iter().find(|limit| limit.origin.span == policy.at())
}

fn spoofable(subject: &Subject<'_>) -> Vec<Problem> {
    let avoidable = |holding: &&Holding<'_>| {
        is_limited(holding.plan)
            && enforced(holding.plan).all(|limit| limit.per.iter().any(|per| is_chosen(per, holding)))
    };
    limits(subject)
        .filter(|(_, holdings)| holdings.iter().any(avoidable))
        .map(|(policy, _)| {
            let message = format!("whoever changes the header is not limited by `{}`", policy.name());
            Problem::note(policy.node.span_of("per"), message)
        })
        .collect()
}

/// Whether clients may give a part of the key another value with each request.
fn is_chosen(per: &Per, holding: &Holding<'_>) -> bool {
    let Per::Header(name) = per else { return false };
    let checked = holding.plan.authentication.as_ref().is_some_and(|way| {
        let is_own = |source: &TokenSource| {
            matches!(source, TokenSource::Bearer | TokenSource::Header(_)) && source.field() == name
        };
        way.ways().iter().filter_map(Way::source).any(is_own)
    });
    !checked && !holding.route.fixes_header(name.as_str())
}

fn behind_proxies(subject: &Subject<'_>) -> Vec<Problem> {
    let Subject { gateway, whole, host, .. } = subject;
    // On Workers the platform tells the client's address.
    let listeners = &gateway.settings.listeners;
    let public = whole.top.enforce_domain || listeners.iter().any(|at| !at.address.is_local());
    if *host == Host::Workers || !public || !gateway.trusted.0.is_empty() {
        return Vec::new();
    }
    let whom = |policy: &Written<'_>, holdings: &[&Holding<'_>]| {
        let counted = |of: &Per, holding: &Holding<'_>| {
            own(holding, policy).is_some_and(|limit| limit.per.contains(of))
        };
        let anonymous = |holding: &Holding<'_>| {
            holding.plan.authentication.as_ref().is_none_or(|jwt| !jwt.except.is_empty())
        };
        if holdings.iter().any(|holding| counted(&Per::Ip, holding)) {
            Some("all clients")
        } else if holdings.iter().any(|holding| counted(&Per::User, holding) && anonymous(holding)) {
            Some("all who have no user")
        } else {
            None
        }
    };
    let policies = limits(subject).filter_map(|(policy, holdings)| {
        let whom = whom(&policy, &holdings)?;
        let message = format!("behind a proxy, `{}` counts {whom} as one", policy.name());
        Some(Problem::note(policy.node.get("per").map_or(policy.at(), |per| per.span), message))
    });
    policies.chain(failures_behind_proxies(subject)).collect()
}

/// The limit of wrong credentials holds wherever credentials are asked for, written or not.
fn failures_behind_proxies(subject: &Subject<'_>) -> Option<Problem> {
    let Subject { gateway, whole, .. } = subject;
    let asking = gateway.router().plans().find_map(|holding| holding.plan.authentication.as_ref())?;
    gateway.failures.as_ref()?;
    let message = "behind a proxy, one client's wrong credentials lock all others out";
    match whole.root.get("limits").and_then(|limits| limits.entry("failed_auth_per_minute")) {
        Some((key, _)) => Some(Problem::note(key.span, message)),
        None => {
            let unless = "(`limits.failed_auth_per_minute` is 60 unless written)";
            Some(Problem::note(asking.origin.span, format!("{message} {unless}")))
        }
    }
}

fn fails_open(subject: &Subject<'_>) -> Vec<Problem> {
    let alone = |holding: &&Holding<'_>| {
        is_limited(holding.plan) && enforced(holding.plan).all(|limit| limit.on_error == OnError::Allow)
    };
    limits(subject)
        .filter(|(_, holdings)| holdings.iter().any(alone))
        .map(|(policy, _)| {
            let message = "nothing is limited while the counters can't be reached";
            Problem::note(policy.node.span_of("on_error"), message)
        })
        .collect()
}

const HOUR_MS: u64 = 3_600_000;
const MANY: u64 = 1_000;

fn long_window(subject: &Subject<'_>) -> Vec<Problem> {
    let alone = |holding: &&Holding<'_>, policy: &Written<'_>| {
        own(holding, policy).is_some_and(|own| {
            let others = enforced(holding.plan).filter(|limit| limit.origin.span != policy.at());
            // Leases, and buckets whose burst is smaller, spread what comes as well as a shorter window does.
            let window_ms = own.algorithm.window_ms().unwrap_or_default();
            let spread = |limit: &&Applied<Limit>| match limit.algorithm {
                Algorithm::Concurrency { .. } => true,
                other => other.window_ms() < Some(window_ms) || limit.amount.burst < own.amount.burst,
            };
            let is_own =
                !matches!(own.algorithm, Algorithm::TokenBucket { .. } | Algorithm::Concurrency { .. });
            is_own
                && window_ms >= HOUR_MS
                && own.amount.rate >= MANY
                && !others.into_iter().any(|one| spread(&one))
        })
    };
    limits(subject)
        .filter(|(policy, holdings)| holdings.iter().any(|holding| alone(holding, policy)))
        .map(|(policy, _)| {
            let message = format!("all requests of `{}` may come at once", policy.name());
            Problem::note(policy.node.span_of("window"), message)
        })
        .collect()
}
