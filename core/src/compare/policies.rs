//! The policies that hold for a route, on both sides, wherever the files write them.

use super::{
    Change, Kind, What,
    points::excluded_at,
    setting::{Setting, Value},
    settings::differences,
    sides::{Side, Sides},
};
use crate::{
    config::node::Span,
    gateway::Gateway,
    policy::{Absence, Held, Origin, Scope, Stage},
};

/// A policy on one side of a point.
#[derive(Clone, Copy)]
enum Presence<'p> {
    Holds(Held<'p>),
    /// It would hold, were the path not excluded here.
    Excluded(&'p Origin, Span),
}

impl<'p> Presence<'p> {
    fn origin(&self) -> &'p Origin {
        match self {
            Self::Holds(held) => held.origin,
            Self::Excluded(origin, _) => origin,
        }
    }
}

/// What is different at a point. Where is not said yet: the same may be different at others.
pub(super) fn compare(sides: &Sides<'_>, old: &Gateway, new: &Gateway) -> Vec<Change> {
    let mut changes = Vec::new();
    for (before, after) in matched(present(&sides.old), present(&sides.new)) {
        match (before, after) {
            (Some(Presence::Holds(before)), Some(Presence::Holds(after))) => {
                changes.extend(between(before, after));
            }
            (Some(Presence::Holds(held)), Some(Presence::Excluded(origin, at))) => {
                let old_at = held.origin.places.at("exclude_paths");
                let change = Change::new(loss(held), What::PathExcluded, old_at, at);
                changes.push(excluded(change, origin).values(None, pattern(origin, at)));
            }
            (Some(Presence::Excluded(origin, at)), Some(Presence::Holds(held))) => {
                let new_at = held.origin.places.at("exclude_paths");
                let change = Change::new(loss(held).reversed(), What::PathIncluded, at, new_at);
                changes.push(excluded(change, held.origin).values(pattern(origin, at), None));
            }
            (Some(Presence::Holds(held)), None) => {
                let new_at = missing(held.origin, &sides.new, new);
                let change = Change::new(loss(held), What::PolicyRemoved, held.origin.span, new_at);
                changes.push(change.policy(&held.origin.name).values(Some(summary(held)), None));
            }
            (None, Some(Presence::Holds(held))) => {
                let old_at = missing(held.origin, &sides.old, old);
                let kind = loss(held).reversed();
                let change = Change::new(kind, What::PolicyAdded, old_at, held.origin.span);
                changes.push(change.policy(&held.origin.name).values(None, Some(summary(held))));
            }
            _ => {}
        }
    }
    changes.extend(timeout(sides));
    changes
}

fn excluded(change: Change, origin: &Origin) -> Change {
    change.policy(&origin.name).key("exclude_paths")
}

fn pattern(origin: &Origin, at: Span) -> Option<String> {
    excluded_at(&origin.excluded, at).map(ToString::to_string)
}

fn present<'g>(side: &Side<'g>) -> Vec<Presence<'g>> {
    let held = side.plan.held(&side.path).into_iter().map(|held| match held.exception {
        Some((_, at)) => Presence::Excluded(held.origin, *at),
        None => Presence::Holds(held),
    });
    let absent = side.plan.provenance.absent.iter().filter_map(|absence| match absence {
        Absence::Excluded(origin, at) => Some(Presence::Excluded(origin, *at)),
        Absence::Disabled(..) | Absence::Replaced(..) => None,
    });
    held.chain(absent).collect()
}

type Both<'p> = (Option<Presence<'p>>, Option<Presence<'p>>);

/// Of the same name, or else of the same type: a name alone decides nothing.
fn matched<'p>(old: Vec<Presence<'p>>, mut new: Vec<Presence<'p>>) -> Vec<Both<'p>> {
    let mut pairs = Vec::new();
    let mut left = Vec::new();
    let take = |new: &mut Vec<Presence<'p>>, is: &dyn Fn(&Origin) -> bool| {
        let at = new.iter().position(|other| is(other.origin()))?;
        Some(new.remove(at))
    };
    for before in old {
        match take(&mut new, &|other| other.name == before.origin().name) {
            Some(after) => pairs.push((Some(before), Some(after))),
            None => left.push(before),
        }
    }
    for before in left {
        let after = take(&mut new, &|other| other.r#type == before.origin().r#type);
        pairs.push((Some(before), after));
    }
    pairs.extend(new.into_iter().map(|after| (None, Some(after))));
    pairs
}

fn between(old: Held<'_>, new: Held<'_>) -> Vec<Change> {
    let name = &new.origin.name;
    if old.origin.r#type != new.origin.r#type {
        let kind = if old.stage == new.stage { exchange(old, new) } else { loss(old) };
        let change = Change::new(kind, What::PolicyReplaced, old.origin.span, new.origin.span);
        let mut changes = vec![change.policy(name).values(Some(summary(old)), Some(summary(new)))];
        if old.stage == new.stage && old.stage == Stage::RateLimiting {
            changes.extend(in_common(old, new));
        }
        return changes;
    }
    let before = (&*old.policy.settings(old.origin), &old.origin.places);
    let after = (&*new.policy.settings(new.origin), &new.origin.places);
    let changes = differences(What::PolicyChanged, before, after);
    changes.into_iter().map(|change| change.policy(name)).collect()
}

/// What it is when a policy of another type stands in its place. A window that slides lets less through than those that
/// stand one after another; of all others it depends.
fn exchange(old: Held<'_>, new: Held<'_>) -> Kind {
    match (old.origin.r#type, new.origin.r#type) {
        ("FixedWindow", "SlidingWindow") => Kind::Tightened,
        ("SlidingWindow", "FixedWindow") => Kind::Loosened,
        _ => Kind::Changed,
    }
}

/// What limits of two types say differently that both of them say: a limit that counts otherwise may by the way have
/// come to let more through, or to refuse nobody at all.
fn in_common(old: Held<'_>, new: Held<'_>) -> Vec<Change> {
    let (mut before, mut after) = (old.policy.settings(old.origin), new.policy.settings(new.origin));
    let has = |list: &[Setting], key: &str| list.iter().any(|setting| setting.key == key);
    before.retain(|setting| has(&after, &setting.key));
    after.retain(|setting| has(&before, &setting.key));
    let (before, after) = ((&*before, &old.origin.places), (&*after, &new.origin.places));
    let changes = differences(What::PolicyChanged, before, after);
    changes.into_iter().map(|change| change.policy(&new.origin.name)).collect()
}

/// What it is when the policy no longer holds.
fn loss(held: Held<'_>) -> Kind {
    match held.stage {
        Stage::Authentication | Stage::RateLimiting | Stage::Authorization => Kind::Loosened,
        Stage::Caching => {
            let shares = |setting: &Setting| {
                matches!(&*setting.key, "shared" | "force") && setting.value == Value::Flag(true)
            };
            let settings = held.policy.settings(held.origin);
            if settings.iter().any(shares) { Kind::Tightened } else { Kind::Changed }
        }
        Stage::Compression => Kind::Changed,
    }
}

/// The policy in a few words.
fn summary(held: Held<'_>) -> String {
    let settings = held.policy.settings(held.origin);
    let value = |key: &str| settings.iter().find(|setting| setting.key == key).map(|one| &one.value);
    let named = |key: &str| held.origin.places.written(key).is_none();
    let kind = held.origin.r#type;
    let known = |key: &str| value(key).filter(|_| named(key));
    match (known("rate").or(known("limit")), known("window").or(known("period"))) {
        (Some(most), Some(span)) => format!("{kind} {most} in {span}"),
        (Some(most), None) if kind == "Concurrency" => format!("{kind} {most}"),
        _ => kind.to_owned(),
    }
}

/// Where a policy is missing: what disables it, or else where it would be written.
fn missing(origin: &Origin, side: &Side<'_>, gateway: &Gateway) -> Span {
    let disabled = side.plan.provenance.absent.iter().find_map(|absence| match absence {
        Absence::Disabled(other, at) if other.name == origin.name => Some(*at),
        _ => None,
    });
    disabled.unwrap_or_else(|| match origin.scope {
        Scope::Global => gateway.places.at("policies"),
        Scope::Route => side.route.span,
        Scope::Override => {
            let over = side.plan.provenance.overrides.last().map(|on| on.span);
            over.unwrap_or_else(|| gateway.places.at("route_overrides"))
        }
    })
}

/// The time for an answer, where a route or an override speaks of it; what a service says is told once, there.
fn timeout(sides: &Sides<'_>) -> Option<Change> {
    let (old, new) = (&sides.old, &sides.new);
    let (before, after) = (old.plan.patience.head_ms, new.plan.patience.head_ms);
    let (old_at, new_at) = (old.plan.provenance.timeout, new.plan.provenance.timeout);
    if before == after || old_at.or(new_at).is_none() {
        return None;
    }
    let at = |place: Option<Span>, side: &Side<'_>| {
        place.unwrap_or_else(|| side.route.service.places.at("timeouts.first_byte_ms"))
    };
    let change =
        Change::new(Kind::Changed, What::RouteChanged, at(old_at, old), at(new_at, new)).key("timeout_ms");
    Some(change.values(Some(before.to_string()), Some(after.to_string())))
}
