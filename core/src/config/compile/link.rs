//! Routes, overrides and chains into the look-up, and what only shows when they come together: routes without
//! an order, overrides without one, and overrides that would never hold.

use std::cmp::Ordering;

use super::{Bench, chain::Chains, route::check_timeout};
use crate::{
    config::{
        document::{Override, Routed, Whole},
        node::{Node, Span},
        problem::{Problem, nearest},
    },
    pattern::Pattern,
    policy::Overriding,
    route::{self, Ambiguity, OverrideOn, Route},
};

/// `None` for a route or an override that can't be read.
pub(super) fn link(
    whole: &Whole<'_>,
    routes: Vec<Option<Route>>,
    overrides: Vec<Option<OverrideOn>>,
    chains: &Chains<'_>,
    bench: &Bench<'_>,
) -> Option<route::Router> {
    let unreadable: Vec<usize> =
        (0..).zip(&routes).filter(|(_, route)| route.is_none()).map(|(at, _)| at).collect();
    // Beyond this point indices are those of what could be read.
    let (route_at, routes): (Vec<usize>, Vec<Route>) =
        routes.into_iter().enumerate().filter_map(|(at, route)| Some((at, route?))).unzip();
    let (override_at, overrides): (Vec<usize>, Vec<OverrideOn>) =
        overrides.into_iter().enumerate().filter_map(|(at, on)| Some((at, on?))).unzip();
    let original = |list: &[usize], index: usize| list.get(index).copied().unwrap_or(usize::MAX);
    for written in &whole.overrides {
        check_timeout(written.item.node, written.item.value.timeout_ms, bench);
    }
    let readable: Vec<(&OverrideOn, &Routed<'_, Override>)> = overrides
        .iter()
        .zip(&override_at)
        .filter_map(|(on, at)| Some((on, whole.overrides.get(*at)?)))
        .collect();
    check_order(&readable, bench);

    let mut holds = vec![false; overrides.len()];
    let built = route::build(routes, &overrides, |route, index, pattern, holding| {
        for index in holding {
            if let (Some(holds), Some(on)) = (holds.get_mut(*index), overrides.get(*index)) {
                *holds |= match (&on.methods, &route.methods) {
                    (Some(own), Some(routes)) => own.overlap(routes),
                    _ => true,
                };
            }
        }
        let written = original(&route_at, index);
        let holding: Vec<usize> = holding.iter().map(|index| original(&override_at, *index)).collect();
        let mut plan = chains.plan(written, pattern, &holding, bench);
        let own = whole.routes.get(written).and_then(|route| route.item.value.timeout_ms);
        let timeout = |index: &usize| whole.overrides.get(*index).and_then(|on| on.item.value.timeout_ms);
        plan.patience = route.service.patience;
        if let Some(timeout) = holding.iter().rev().find_map(timeout).or(own) {
            plan.patience.head_ms = timeout;
        }
        let written = |index: &usize| whole.overrides.get(*index);
        let timed = holding.iter().rev().filter_map(written).map(|on| on.item.node).find_map(timeout_at);
        plan.provenance.timeout =
            timed.or_else(|| timeout_at(whole.routes.get(original(&route_at, index))?.item.node));
        plan.provenance.overrides = holding.iter().filter_map(written).map(overriding).collect();
        plan.into()
    });
    // What is wrong with the policies of a route does not wait until the route itself is mended. What they lack
    // may come from an override.
    if let Ok(everything) = Pattern::parse("/*") {
        let bench = Bench { complete: false, expressions: bench.expressions.clone(), ..*bench };
        for index in &unreadable {
            chains.plan(*index, &everything, &[], &bench);
        }
    }
    let listed = whole.root.get("routes").map_or(0, |list| list.items().len());
    if built.is_ok() && unreadable.is_empty() && whole.routes.len() == listed && listed > 0 {
        let held = override_at.iter().zip(&holds).filter(|(_, holds)| **holds).map(|(at, _)| *at);
        chains.check_use(&held.collect::<Vec<_>>(), bench);
        for ((_, written), _) in readable.iter().zip(&holds).filter(|(_, holds)| !**holds) {
            bench.miss(never_holds(written, whole));
        }
    }
    let route = |index: usize| {
        let node = whole.routes.get(original(&route_at, index)).map(|written| written.item.node);
        node.map_or(whole.root.span, |node| node.span_of("path"))
    };
    let on = |index: usize| readable.get(index).map_or(whole.root.span, |(_, written)| place(written));
    built
        .map_err(|ambiguities| {
            for ambiguity in ambiguities {
                bench.note(ambiguous(&ambiguity, route, on, whole.root.span_of("routes")));
            }
        })
        .ok()
}

fn timeout_at(node: &Node) -> Option<Span> {
    node.get("timeout_ms").map(|node| node.span)
}

fn overriding(on: &Routed<'_, Override>) -> Overriding {
    let Override { path, description, .. } = &on.item.value;
    Overriding { path: path.clone(), span: place(on), description: description.clone() }
}

/// `route` and `on` tell where a route and an override stand.
fn ambiguous(
    ambiguity: &Ambiguity,
    route: impl Fn(usize) -> Span,
    on: impl Fn(usize) -> Span,
    routes: Span,
) -> Problem {
    match ambiguity {
        Ambiguity::Routes(first, second) => {
            let (first, second) = (route(*first.min(second)), route(*first.max(second)));
            Problem::error(second, "two routes can match the same request, and neither is more specific")
                .related(first, "the other one is here")
                .cure("make one more specific: by `methods`, `hosts`, `headers` or `query`")
        }
        Ambiguity::Refused(pattern) => Problem::error(routes, format!("`{pattern}` can't be looked up")),
        Ambiguity::Overrides(index) => {
            Problem::error(on(*index), "too many overrides may or may not hold for the same requests")
                .cure("write overrides whose paths contain one another, or fewer with `methods`")
        }
    }
}

fn place(written: &Routed<'_, Override>) -> Span {
    written.item.node.span_of("path")
}

fn never_holds(written: &Routed<'_, Override>, whole: &Whole<'_>) -> Problem {
    let problem =
        Problem::error(place(written), "no route serves such requests, so this override would never hold");
    let paths = whole.routes.iter().map(|route| route.item.value.path.as_str());
    let filled = written.item.node.get("path").is_some_and(Node::is_filled);
    match nearest(&written.item.value.path, paths).filter(|near| !filled && *near != written.item.value.path)
    {
        Some(near) => problem.cure(format!("did you mean `{near}`?")),
        None => problem.cure("add the route, or leave the override out"),
    }
}

/// Of two overrides that hold for the same requests, the more specific one has the last word. Where neither is,
/// they may not disagree: the order of the file means nothing.
fn check_order(overrides: &[(&OverrideOn, &Routed<'_, Override>)], bench: &Bench<'_>) {
    let mut sorted: Vec<_> = overrides.iter().collect();
    let rank = |a: &OverrideOn, b: &OverrideOn| {
        a.pattern.specificity(&b.pattern).then(a.methods.is_some().cmp(&b.methods.is_some()))
    };
    sorted.sort_by(|(a, _), (b, _)| rank(a, b));
    for (at, (second, written)) in sorted.iter().enumerate() {
        let earlier =
            sorted.iter().take(at).rev().take_while(|(first, _)| rank(first, second) == Ordering::Equal);
        let at_once = |first: &OverrideOn| match (&first.methods, &second.methods) {
            (Some(a), Some(b)) => a.overlap(b),
            _ => true,
        };
        for (_, first) in earlier.filter(|(first, _)| at_once(first)) {
            if let Some(what) = both_set(first, written) {
                let message =
                    format!("two overrides set {what} for the same requests, and neither is more specific");
                let problem =
                    Problem::error(place(written), message).related(place(first), "the other one is here");
                bench.note(problem.cure("make them one, or tell them apart by `methods`"));
                break;
            }
        }
    }
}

fn both_set(first: &Routed<'_, Override>, second: &Routed<'_, Override>) -> Option<String> {
    let (a, b) = (&first.item.value, &second.item.value);
    if a.timeout_ms.and(b.timeout_ms).is_some() {
        return Some("`timeout_ms`".to_owned());
    }
    if a.enable_compression.and(b.enable_compression).is_some() {
        return Some("`enable_compression`".to_owned());
    }
    let name = |policy: &'_ crate::config::document::Item<'_, crate::config::policy::Policy>| {
        policy.value.head.name.clone()
    };
    let names: Vec<String> = first.policies.iter().map(name).collect();
    let both = second.policies.iter().map(name).find(|name| !name.is_empty() && names.contains(name));
    both.map(|name| format!("the policy `{name}`"))
}
