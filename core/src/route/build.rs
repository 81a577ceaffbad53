//! From routes and overrides to the look-up: everything that can be known before a request is known here.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    Methods, Route, Router,
    host::{HostPattern, Hosts},
    paths::{Candidate, Condition, Leaf, Paths, Plans},
};
use crate::{
    pattern::{Pattern, Segment},
    policy::Plan,
};

/// More overrides than this, each holding or not by itself, would make a plan for each of 64 sets.
const MAX_CONDITIONS: usize = 6;

/// An override, as far as the look-up is concerned.
#[derive(Debug, Clone)]
pub(crate) struct OverrideOn {
    pub(crate) pattern: Pattern,
    pub(crate) methods: Option<Methods>,
}

/// What keeps routes and overrides from having one meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ambiguity {
    /// Two routes, by index, that can match the same request with the same specificity.
    Routes(usize, usize),
    /// This override, by index, crosses too many others.
    Overrides(usize),
    /// A pattern that the look-up refuses. Not known to happen; said rather than swallowed.
    Refused(String),
}

/// Builds the look-up. `plan` gives the policies of a route on a leaf's pattern with some overrides, listed from
/// the least to the most specific.
pub(crate) fn build(
    routes: Vec<Route>,
    overrides: &[OverrideOn],
    mut plan: impl FnMut(&Route, usize, &Pattern, &[usize]) -> Arc<Plan>,
) -> Result<Router, Vec<Ambiguity>> {
    let mut groups: BTreeMap<HostPattern, Vec<usize>> = BTreeMap::new();
    for (index, route) in routes.iter().enumerate() {
        for host in &route.hosts {
            groups.entry(host.clone()).or_default().push(index);
        }
        if route.hosts.is_empty() {
            groups.entry(HostPattern::Any).or_default().push(index);
        }
    }
    let mut ambiguities = Vec::new();
    let groups = groups
        .into_iter()
        .map(|(host, members)| (host, paths(&routes, &members, overrides, &mut plan, &mut ambiguities)))
        .collect();
    if ambiguities.is_empty() {
        Ok(Router { routes, hosts: Hosts::new(groups) })
    } else {
        ambiguities.dedup();
        Err(ambiguities)
    }
}

/// A pattern and all that stands on it.
struct Place {
    pattern: Pattern,
    routes: Vec<usize>,
    overrides: Vec<usize>,
}

fn paths(
    routes: &[Route],
    members: &[usize],
    overrides: &[OverrideOn],
    plan: &mut impl FnMut(&Route, usize, &Pattern, &[usize]) -> Arc<Plan>,
    ambiguities: &mut Vec<Ambiguity>,
) -> Paths {
    let mut trie = Trie::default();
    let mut places: Vec<Place> = Vec::new();
    for &index in members {
        if let Some(route) = routes.get(index)
            && let Some(place) = trie.place(&route.pattern, &mut places)
        {
            place.routes.push(index);
        }
    }
    for (index, on) in overrides.iter().enumerate() {
        if let Some(place) = trie.place(&on.pattern, &mut places) {
            place.overrides.push(index);
        }
    }
    for place in &mut places {
        sort_routes(routes, &mut place.routes, ambiguities);
        // An override for some methods is more specific than one for all.
        place.overrides.sort_by_key(|index| overrides.get(*index).is_some_and(|on| on.methods.is_some()));
    }
    // From the least to the most specific: a leaf's index is its rank.
    let mut order: Vec<usize> = (0..places.len()).collect();
    let pattern = |at: &usize| places.get(*at).map(|place| &place.pattern);
    order.sort_by(|a, b| match (pattern(a), pattern(b)) {
        (Some(a), Some(b)) => a.specificity(b),
        _ => a.cmp(b),
    });
    let mut trees = Vec::new();
    let mut leaves = Vec::with_capacity(places.len());
    for at in order {
        let Some(place) = places.get(at) else { continue };
        if !insert(&mut trees, &trie, &place.pattern, leaves.len()) {
            ambiguities.push(Ambiguity::Refused(place.pattern.to_string()));
        }
        let below = trie.less_specific(&place.pattern, at, &places);
        leaves.push(leaf(routes, overrides, place, &below, plan, ambiguities));
    }
    Paths { trees, leaves }
}

/// The routes of one pattern, the most specific first.
fn sort_routes(routes: &[Route], members: &mut [usize], ambiguities: &mut Vec<Ambiguity>) {
    let rank = |index: &usize| {
        routes.get(*index).map(|route| (route.methods.is_some(), route.headers.len(), route.query.len()))
    };
    members.sort_by_key(|index| std::cmp::Reverse(rank(index)));
    for (at, second) in members.iter().enumerate() {
        let equals = members.iter().take(at).rev().take_while(|first| rank(first) == rank(second));
        let mut rivals = equals.filter(|first| match (routes.get(**first), routes.get(*second)) {
            (Some(a), Some(b)) => can_match_the_same(a, b),
            _ => false,
        });
        // One is enough: of a thousand routes on one path nobody wants to hear of each pair.
        ambiguities.extend(rivals.next().map(|first| Ambiguity::Routes(*first, *second)));
    }
}

fn can_match_the_same(a: &Route, b: &Route) -> bool {
    let methods = match (&a.methods, &b.methods) {
        (Some(a), Some(b)) => a.overlap(b),
        _ => true,
    };
    methods && !a.headers.exclude(&b.headers) && !a.query.exclude(&b.query)
}

fn leaf(
    routes: &[Route],
    overrides: &[OverrideOn],
    place: &Place,
    below: &[&Place],
    plan: &mut impl FnMut(&Route, usize, &Pattern, &[usize]) -> Arc<Plan>,
    ambiguities: &mut Vec<Ambiguity>,
) -> Leaf {
    // From the least to the most specific, as they are applied.
    let applying: Vec<usize> = below
        .iter()
        .rev()
        .copied()
        .chain([place])
        .flat_map(|place| place.overrides.iter().copied())
        .collect();
    let mut candidates = Vec::new();
    for at in std::iter::once(place).chain(below.iter().copied()) {
        for &index in &at.routes {
            let Some(route) = routes.get(index) else { continue };
            let plans = plans(route, index, &place.pattern, overrides, &applying, plan);
            let Some(plans) = plans else {
                ambiguities.extend(applying.last().map(|index| Ambiguity::Overrides(*index)));
                continue;
            };
            candidates.push(Candidate {
                route: index,
                check_path: !route.pattern.covers(&place.pattern),
                plans,
            });
        }
    }
    Leaf { pattern: place.pattern.clone(), candidates }
}

fn plans(
    route: &Route,
    index: usize,
    pattern: &Pattern,
    overrides: &[OverrideOn],
    applying: &[usize],
    plan: &mut impl FnMut(&Route, usize, &Pattern, &[usize]) -> Arc<Plan>,
) -> Option<Plans> {
    let mut conditions = Vec::new();
    // For each override its bit, or none where it holds for all of the leaf's paths.
    let mut bits = Vec::with_capacity(applying.len());
    for &applied in applying {
        let on = overrides.get(applied)?;
        let crosses = !on.pattern.covers(pattern);
        if crosses || on.methods.is_some() {
            bits.push((applied, Some(conditions.len())));
            let pattern = crosses.then(|| on.pattern.clone());
            conditions.push(Condition { pattern, methods: on.methods.clone() });
        } else {
            bits.push((applied, None));
        }
    }
    if conditions.len() > MAX_CONDITIONS {
        return None;
    }
    let by_conditions = (0..1usize << conditions.len())
        .map(|which| {
            let holding: Vec<usize> = bits
                .iter()
                .filter(|(_, bit)| bit.is_none_or(|bit| which >> bit & 1 == 1))
                .map(|(applied, _)| *applied)
                .collect();
            plan(route, index, pattern, &holding)
        })
        .collect();
    Some(Plans { conditions, by_conditions })
}

/// Puts a pattern into the first tree that takes it. An open pattern also stands for its prefix, unless that
/// has a pattern of its own.
fn insert(trees: &mut Vec<matchit::Router<usize>>, trie: &Trie, pattern: &Pattern, at: usize) -> bool {
    let mut text = String::new();
    for (number, segment) in pattern.segments().iter().enumerate() {
        text.push('/');
        match segment {
            Segment::Literal(literal) => text.push_str(literal),
            // Names are ours, so that two patterns may call the same place differently.
            Segment::Parameter(_) => text.push_str(&format!("{{p{number}}}")),
        }
    }
    let mut put = |text: String| {
        if trees.iter_mut().any(|tree| tree.insert(text.clone(), at).is_ok()) {
            return true;
        }
        let mut tree = matchit::Router::new();
        let taken = tree.insert(text, at).is_ok();
        trees.push(tree);
        taken
    };
    let below = !pattern.is_open() || put(format!("{text}/{{*rest}}"));
    let itself = (pattern.is_open() && trie.has_exact(pattern))
        || put(if text.is_empty() { "/".to_owned() } else { text });
    below && itself
}

/// All patterns of a host by their segments, to find those that cross a given one without comparing all pairs.
#[derive(Default)]
struct Trie {
    nodes: Vec<Branch>,
}

#[derive(Default)]
struct Branch {
    literals: HashMap<String, usize>,
    parameter: Option<usize>,
    exact: Option<usize>,
    open: Option<usize>,
}

impl Trie {
    /// The place of a pattern's shape, made when there is none.
    fn place<'p>(&mut self, pattern: &Pattern, places: &'p mut Vec<Place>) -> Option<&'p mut Place> {
        if self.nodes.is_empty() {
            self.nodes.push(Branch::default());
        }
        let mut at = 0;
        for segment in pattern.segments() {
            let fresh = self.nodes.len();
            let next = match (self.nodes.get_mut(at), segment) {
                (Some(node), Segment::Literal(literal)) => {
                    *node.literals.entry(literal.clone()).or_insert(fresh)
                }
                (Some(node), Segment::Parameter(_)) => *node.parameter.get_or_insert(fresh),
                (None, _) => 0,
            };
            if next == fresh {
                self.nodes.push(Branch::default());
            }
            at = next;
        }
        let fresh = places.len();
        let slot = match self.nodes.get_mut(at) {
            Some(node) if pattern.is_open() => *node.open.get_or_insert(fresh),
            Some(node) => *node.exact.get_or_insert(fresh),
            None => fresh,
        };
        if slot == fresh {
            places.push(Place { pattern: pattern.clone(), routes: Vec::new(), overrides: Vec::new() });
        }
        places.get_mut(slot)
    }

    fn has_exact(&self, pattern: &Pattern) -> bool {
        let mut at = 0;
        for segment in pattern.segments() {
            let next = self.nodes.get(at).and_then(|node| match segment {
                Segment::Literal(literal) => node.literals.get(literal).copied(),
                Segment::Parameter(_) => node.parameter,
            });
            match next {
                Some(next) => at = next,
                None => return false,
            }
        }
        self.nodes.get(at).is_some_and(|node| node.exact.is_some())
    }

    /// The places less specific than `pattern` that share paths with it, the most specific first.
    fn less_specific<'p>(&self, pattern: &Pattern, own: usize, places: &'p [Place]) -> Vec<&'p Place> {
        let mut found = Vec::new();
        self.walk(0, 0, false, pattern, &mut found);
        let mut found: Vec<&Place> =
            found.into_iter().filter(|at| *at != own).filter_map(|at| places.get(at)).collect();
        found.sort_by(|a, b| b.pattern.specificity(&a.pattern));
        found
    }

    /// `less`: a segment before has already made all that follows less specific than the pattern.
    fn walk(&self, node: usize, depth: usize, less: bool, pattern: &Pattern, found: &mut Vec<usize>) {
        let Some(branch) = self.nodes.get(node) else { return };
        found.extend(branch.open);
        match pattern.segments().get(depth) {
            None => {
                if less || !pattern.is_open() {
                    found.extend(branch.exact);
                }
                if pattern.is_open() && less {
                    for next in branch.literals.values().copied().chain(branch.parameter) {
                        self.walk(next, depth, less, pattern, found);
                    }
                }
            }
            Some(Segment::Literal(literal)) => {
                if let Some(next) = branch.literals.get(literal) {
                    self.walk(*next, depth + 1, less, pattern, found);
                }
                if let Some(next) = branch.parameter {
                    self.walk(next, depth + 1, true, pattern, found);
                }
            }
            Some(Segment::Parameter(_)) => {
                if less {
                    for next in branch.literals.values() {
                        self.walk(*next, depth + 1, less, pattern, found);
                    }
                }
                if let Some(next) = branch.parameter {
                    self.walk(next, depth + 1, less, pattern, found);
                }
            }
        }
    }
}
