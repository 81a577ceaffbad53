//! Which route of one configuration is which of the other: the one with the same paths and matchers, else one
//! that serves the same paths, else one that was moved: the same matchers and the same service on other paths.

use std::collections::{HashMap, HashSet};

use super::matchers::{Matchers, shape};
use crate::{pattern::Segment, route::Route};

/// A route on both sides, or on one only.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pair<'g> {
    /// The same paths.
    Same(&'g Route, &'g Route),
    /// Other paths.
    Moved(&'g Route, &'g Route),
    Removed(&'g Route),
    Added(&'g Route),
}

impl<'g> Pair<'g> {
    /// The route by which people know the pair.
    pub(super) fn route(self) -> &'g Route {
        match self {
            Self::Same(_, route) | Self::Moved(_, route) | Self::Removed(route) | Self::Added(route) => route,
        }
    }
}

/// What two routes have to have in common.
type Facets = (Option<String>, Option<Matchers>, Option<String>);

/// All routes of both sides.
pub(super) fn pairs<'g>(old: &'g [Route], new: &'g [Route]) -> Vec<Pair<'g>> {
    let (mut old, mut new): (Vec<&Route>, Vec<&Route>) = (old.iter().collect(), new.iter().collect());
    let mut pairs = Vec::new();
    let path = |route: &Route| Some(shape(&route.pattern));
    let matchers = |route: &Route| Some(Matchers::of(route));
    let service = |route: &Route| Some(route.service.name.to_string());
    let mut same = |facets: &dyn Fn(&Route) -> Facets| {
        for (a, b) in take(&mut old, &mut new, facets) {
            pairs.push(Pair::Same(a, b));
        }
    };
    same(&|route| (path(route), matchers(route), service(route)));
    same(&|route| (path(route), matchers(route), None));
    same(&|route| (path(route), None, service(route)));
    same(&|route| (path(route), None, None));
    for (a, b) in take(&mut old, &mut new, &|route| (None, matchers(route), service(route))) {
        pairs.push(Pair::Moved(a, b));
    }
    pairs.extend(old.into_iter().map(Pair::Removed));
    pairs.extend(new.into_iter().map(Pair::Added));
    pairs
}

/// Takes pairs with the same facets out of both lists: the most alike first.
fn take<'g>(
    old: &mut Vec<&'g Route>,
    new: &mut Vec<&'g Route>,
    facets: &dyn Fn(&Route) -> Facets,
) -> Vec<(&'g Route, &'g Route)> {
    let mut groups: HashMap<Facets, (Vec<&Route>, Vec<&Route>)> = HashMap::new();
    for route in &*new {
        groups.entry(facets(route)).or_default().1.push(route);
    }
    for route in &*old {
        if let Some((olds, _)) = groups.get_mut(&facets(route)) {
            olds.push(route);
        }
    }
    let mut pairs = Vec::new();
    for (olds, news) in groups.into_values() {
        pairs.extend(closest(olds, news));
    }
    let address = std::ptr::from_ref::<Route>;
    let taken: HashSet<*const Route> =
        pairs.iter().flat_map(|(old, new): &(&Route, &Route)| [address(old), address(new)]).collect();
    old.retain(|route| !taken.contains(&address(route)));
    new.retain(|route| !taken.contains(&address(route)));
    pairs
}

fn closest<'g>(mut olds: Vec<&'g Route>, mut news: Vec<&'g Route>) -> Vec<(&'g Route, &'g Route)> {
    let mut pairs = Vec::new();
    while !olds.is_empty() && !news.is_empty() {
        let mut best = (0, 0, 0);
        for (a, old) in olds.iter().enumerate() {
            for (b, new) in news.iter().enumerate() {
                let alike = likeness(old.pattern.segments(), new.pattern.segments()) + 1;
                if alike > best.0 {
                    best = (alike, a, b);
                }
            }
        }
        // In their order, so that what is left over is the same in every run.
        pairs.push((olds.remove(best.1), news.remove(best.2)));
    }
    pairs
}

/// How many segments two paths have in common at the front and at the end.
fn likeness(a: &[Segment], b: &[Segment]) -> usize {
    let front = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let rest = |list: &[Segment]| list.len().saturating_sub(front);
    let end = a.iter().rev().zip(b.iter().rev()).take(rest(a).min(rest(b)));
    front + end.take_while(|(a, b)| a == b).count()
}
