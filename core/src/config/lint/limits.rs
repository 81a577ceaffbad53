//! Routes on which a single client may ask as often as it likes.

use super::{
    rule::Rule,
    subject::{Subject, path},
    words::{is_probe, of_a_model},
};
use crate::{
    config::{
        document::{Route, Routed},
        node::Span,
        problem::{Problem, Severity},
    },
    policy::{Applied, Plan, Stage, limit::Limit},
    route::Holding,
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "unlimited-costly-route",
        level: Severity::Warning,
        what: "a route with a timeout above 30 s, or one that speaks of models, without any limit",
        why: "What takes long or asks a language model costs more to answer than to ask. Without a limit one client, \
              or one loop in an agent, uses it up for all others and runs up the bill.",
        cure: "add a limit: `{name: rate_limiting, type: FixedWindow, rate: 10, per: user_id}`",
        check: costly,
    },
    Rule {
        id: "unlimited-route",
        level: Severity::Warning,
        what: "a route with neither authentication nor any limit",
        why: "Anybody may send as many requests as they can, and nothing here notices. Probes, such as `/healthz`, \
              and paths that are taken out of a limit by `exclude_paths` or `disabled: true`, are not meant.",
        cure: "add a limit: `{name: rate_limiting, type: FixedWindow, rate: 100, per: ip}`",
        check: unlimited,
    },
];

/// Nobody waits longer for something cheap.
const LONG_MS: u64 = 30_000;

fn costly(subject: &Subject<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    for (written, holdings) in subject.routes() {
        let dear = holdings.iter().filter(|holding| !is_limited(holding.plan));
        if let Some((why, at)) = dear.filter_map(|holding| cost(written, holding)).next() {
            let problem = Problem::note(path(written), format!("{why}, and nothing limits how often"));
            found.push(if at == path(written) { problem } else { problem.related(at, "it is said here") });
        }
    }
    found
}

/// Whether a limit refuses anybody. One in shadow only writes down whom it would.
pub(super) fn is_limited(plan: &Plan) -> bool {
    enforced(plan).next().is_some()
}

/// The limits that refuse.
pub(super) fn enforced(plan: &Plan) -> impl Iterator<Item = &Applied<Limit>> {
    plan.limits.iter().filter(|limit| !limit.shadow)
}

/// Why an answer is dear, and where that is said.
fn cost(written: &Routed<'_, Route>, holding: &Holding<'_>) -> Option<(String, Span)> {
    let node = written.item.node;
    let plan = holding.plan;
    if plan.patience.head_ms > LONG_MS {
        let why = format!("requests here may take {} s each", plan.patience.head_ms.div_ceil(1000));
        return Some((why, plan.provenance.timeout.unwrap_or(holding.route.service.span)));
    }
    let overriding = plan.provenance.overrides.iter();
    let said = overriding.filter_map(|on| Some((on.description.as_deref()?, on.span)));
    let own = ["description", "path", "target_service"];
    let own = own.iter().filter_map(|key| node.get(key)).map(|node| (node.shown(), node.span));
    own.chain(said).find_map(|(text, at)| {
        let word = of_a_model(text)?;
        Some((format!("requests here seem to ask a model (`{word}`)"), at))
    })
}

fn unlimited(subject: &Subject<'_>) -> Vec<Problem> {
    let open = |holding: &Holding<'_>| {
        let plan = holding.plan;
        !is_limited(plan)
            && plan.authentication.is_none()
            && !is_probe(&holding.route.pattern)
            && subject.waivers(plan, Stage::RateLimiting).next().is_none()
    };
    let mut open: Vec<&Routed<'_, Route>> = subject
        .routes()
        .filter(|(_, holdings)| {
            // A dear route is told of by the other rule.
            let dear = holdings.iter().any(|on| !is_limited(on.plan) && cost_is_known(subject, on));
            !dear && holdings.iter().any(open)
        })
        .map(|(written, _)| written)
        .collect();
    let anywhere = subject.policies().any(|policy| policy.kind.stage() == Stage::RateLimiting);
    let message = match anywhere {
        true => "anybody may ask here as often as they like",
        false => "nothing in this configuration limits how often anybody may ask",
    };
    if !anywhere {
        // One mistake, however many routes there are.
        open.truncate(1);
    }
    open.into_iter().map(|route| Problem::note(path(route), message)).collect()
}

fn cost_is_known(subject: &Subject<'_>, holding: &Holding<'_>) -> bool {
    subject.whole.routes.get(holding.index).is_some_and(|written| cost(written, holding).is_some())
}
