//! Routes: which came, went and moved, and what each does with a request besides its policies.

use super::{
    Change, Kind, On, What,
    matchers::Matchers,
    pairs::Pair,
    setting::{Leaning, Setting, Value},
    settings::differences,
    sides::Sides,
};
use crate::{gateway::Gateway, route::Route, transform::rewrite::Target, upstream::Service};

/// What is different in a pair of routes; `sides` are its points.
pub(super) fn compare(pair: Pair<'_>, sides: &[Sides<'_>], old: &Gateway, new: &Gateway) -> Vec<Change> {
    match pair {
        Pair::Same(a, b) => attributes(a, b, sides),
        Pair::Moved(a, b) => {
            let (old_at, new_at) = (a.places.at("path"), b.places.at("path"));
            let moved = Change::new(Kind::Changed, What::RouteMoved, old_at, new_at).key("path");
            let moved = moved.values(Some(a.pattern.to_string()), Some(b.pattern.to_string()));
            let mut changes = vec![moved.on(On::route(b.pattern.as_str()))];
            changes.extend(attributes(a, b, sides));
            changes
        }
        Pair::Removed(a) => {
            let change = Change::new(Kind::Changed, What::RouteRemoved, a.span, new.places.at("routes"));
            let instead = sides.first().map(|sides| told(sides.new.route));
            vec![change.on(On::route(a.pattern.as_str())).values(Some(told(a)), instead)]
        }
        Pair::Added(b) => {
            let change = Change::new(Kind::Changed, What::RouteAdded, old.places.at("routes"), b.span);
            let before = sides.first().map(|sides| told(sides.old.route));
            vec![change.on(On::route(b.pattern.as_str())).values(before, Some(told(b)))]
        }
    }
}

/// Where a route leads.
fn told(route: &Route) -> String {
    let service = route.places.written("target_service").unwrap_or(&route.service.name);
    format!("`{}` to {service}", route.pattern)
}

fn attributes(a: &Route, b: &Route, sides: &[Sides<'_>]) -> Vec<Change> {
    let settings = |route: &Route| {
        let mut settings = vec![
            Setting::neutral("target_service", &*route.service.name),
            Setting::neutral("preserve_host", route.preserve_host),
            Setting::new("hide_credentials", route.hide_credentials, Leaning::LessIsLooser),
            Setting::new(
                "encoded_slash",
                if route.keeps_encoded_slash { Value::Rank(1, "keep") } else { Value::Rank(0, "reject") },
                Leaning::MoreIsLooser,
            ),
        ];
        settings.extend(Matchers::of(route).settings());
        settings
    };
    let (before, after) = (settings(a), settings(b));
    let mut changes = differences(What::RouteChanged, (&before, &a.places), (&after, &b.places));
    for change in changes.iter_mut().filter(|change| change.key.as_deref() == Some("target_service")) {
        change.kind = transport(&a.service, &b.service);
    }
    changes.extend(rewriting(a, b, sides));
    changes.into_iter().map(|change| change.on(On::route(b.pattern.as_str()))).collect()
}

/// Whether requests travel less safely to another service.
pub(super) fn transport(old: &Service, new: &Service) -> Kind {
    let secure = |service: &Service| service.endpoints.iter().all(|endpoint| endpoint.tls.is_some());
    match (secure(old), secure(new)) {
        (true, false) => Kind::Loosened,
        (false, true) => Kind::Tightened,
        _ => Kind::Changed,
    }
}

/// The path for the service, where it is no longer the same for the same request. How it is made is of no
/// interest, and a path that is sent on as it came changes with the route's.
fn rewriting(a: &Route, b: &Route, sides: &[Sides<'_>]) -> Option<Change> {
    let as_it_came = |route: &Route| matches!(route.target, Target::Kept);
    let becomes = |route: &Route, path: &str| {
        route.target.apply(&route.pattern, path, "", None).map(|target| target.to_string()).ok()
    };
    let same = |sides: &Sides<'_>| becomes(a, &sides.old.path) == becomes(b, &sides.new.path);
    if a.target == b.target || (as_it_came(a) && as_it_came(b)) || sides.iter().all(same) {
        return None;
    }
    let key = |route: &Route| match route.target {
        Target::Kept => None,
        Target::Stripped(_) => Some("strip_prefix"),
        Target::Rewritten(_) => Some("rewrite"),
    };
    let shown = |route: &Route| {
        let key = key(route)?;
        Some(route.places.written(key).map_or_else(|| format!("{}", route.target), str::to_owned))
    };
    let at = |route: &Route| route.places.at(key(route).unwrap_or("path"));
    let change = Change::new(Kind::Changed, What::RouteChanged, at(a), at(b));
    Some(change.key(key(b).or(key(a))?).values(shown(a), shown(b)))
}
