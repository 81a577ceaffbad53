//! One route on both sides: which plans hold for requests that nothing tells apart.

use http::{HeaderName, HeaderValue, Method, Request, request};

use super::{
    index::{Index, union},
    pairs::Pair,
    points::{Point, carried, points, sample},
};
use crate::{
    gateway::Gateway,
    pattern::Pattern,
    policy::Plan,
    route::{HostPattern, Route},
};

/// What holds on one side.
#[derive(Debug, Clone)]
pub(super) struct Side<'g> {
    pub(super) route: &'g Route,
    pub(super) plan: &'g Plan,
    pub(super) path: String,
}

/// Both sides of a point.
#[derive(Debug)]
pub(super) struct Sides<'g> {
    pub(super) point: Point,
    pub(super) old: Side<'g>,
    pub(super) new: Side<'g>,
}

/// All points of a pair at which some route serves on both sides.
pub(super) fn sides<'g>(pair: Pair<'g>, old: &Index<'g>, new: &Index<'g>) -> Vec<Sides<'g>> {
    match pair {
        Pair::Same(a, b) => {
            let patterns = union(old.patterns(a), new.patterns(b));
            let methods = [old.methods(a), new.methods(b)].concat();
            let both = |point: Point| {
                let before = own(old.gateway, a, &point.path, &point.method)?;
                Some(Sides { old: before, new: own(new.gateway, b, &point.path, &point.method)?, point })
            };
            points(b, a, patterns, &methods).into_iter().filter_map(both).collect()
        }
        Pair::Moved(a, b) => {
            let before = old.patterns(a);
            let before = before.iter().filter_map(|own| carried(own, &a.pattern, &b.pattern)).collect();
            let patterns = union(before, new.patterns(b));
            let back: Vec<Pattern> =
                patterns.iter().filter_map(|own| carried(own, &b.pattern, &a.pattern)).collect();
            let deepest = back.iter().map(|pattern| pattern.segments().len()).max().unwrap_or_default();
            let methods = [old.methods(a), new.methods(b)].concat();
            let both = |point: Point| {
                let pattern = carried(&point.pattern, &b.pattern, &a.pattern)?;
                let path = sample(&pattern, &a.pattern, &back, deepest)?;
                let before = own(old.gateway, a, &path, &point.method)?;
                Some(Sides { old: before, new: own(new.gateway, b, &point.path, &point.method)?, point })
            };
            points(b, a, patterns, &methods).into_iter().filter_map(both).collect()
        }
        Pair::Removed(a) => {
            let both = |point: Point| {
                let instead = serving(new.gateway, a, &point)?;
                Some(Sides { old: own(old.gateway, a, &point.path, &point.method)?, new: instead, point })
            };
            let (patterns, methods) = (old.patterns(a), old.methods(a));
            points(a, a, patterns, &methods).into_iter().filter_map(both).collect()
        }
        Pair::Added(b) => {
            let both = |point: Point| {
                let before = serving(old.gateway, b, &point)?;
                Some(Sides { new: own(new.gateway, b, &point.path, &point.method)?, old: before, point })
            };
            let (patterns, methods) = (new.patterns(b), new.methods(b));
            points(b, b, patterns, &methods).into_iter().filter_map(both).collect()
        }
    }
}

/// The route itself, where no more specific one serves these requests in its place.
fn own<'g>(gateway: &'g Gateway, route: &'g Route, path: &str, method: &Method) -> Option<Side<'g>> {
    let found = find(gateway, route, path, method)?;
    std::ptr::eq(found.route, route).then_some(found)
}

/// What serves the requests of a route that the other side alone has.
fn serving<'g>(gateway: &'g Gateway, route: &Route, point: &Point) -> Option<Side<'g>> {
    find(gateway, route, &point.path, &point.method)
}

/// What serves requests that have all that `route` asks for.
fn find<'g>(gateway: &'g Gateway, route: &Route, path: &str, method: &Method) -> Option<Side<'g>> {
    let head = head(route, path, method)?;
    let found = gateway.router().find(&host(route), path, &head).ok()?;
    Some(Side { route: found.route, plan: found.plan, path: path.to_owned() })
}

/// A host that the route serves.
fn host(route: &Route) -> String {
    match route.hosts.first() {
        Some(HostPattern::Exact(name)) => name.clone(),
        Some(HostPattern::Below(suffix)) => format!("any-other{suffix}"),
        Some(HostPattern::Any) | None => "any-other.invalid".to_owned(),
    }
}

/// A request that has all that the route asks for.
fn head(route: &Route, path: &str, method: &Method) -> Option<request::Parts> {
    let query = route.sample_query();
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let (mut head, ()) = Request::builder().method(method).uri(target).body(()).ok()?.into_parts();
    for (name, value) in route.sample_headers() {
        head.headers.insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    Some(head)
}
