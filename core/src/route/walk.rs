//! The look-up as a whole: every plan that some request may get, with its route and paths. For advice on a
//! configuration; no request is looked up here.

use std::{collections::HashSet, sync::Arc};

use http::Method;

use super::{
    Route, Router,
    paths::{Candidate, Condition, Leaf, Paths},
};
use crate::{
    pattern::{Pattern, Segment},
    policy::Plan,
};

/// A plan, and where it holds.
#[derive(Debug, Clone, Copy)]
pub struct Holding<'g> {
    /// Which of the router's routes.
    pub index: usize,
    /// The route.
    pub route: &'g Route,
    /// The paths: of these, those that no more specific pattern of the configuration matches.
    pub pattern: &'g Pattern,
    /// What holds there.
    pub plan: &'g Arc<Plan>,
    candidate: &'g Candidate,
    /// The conditions that hold, by their bits.
    which: usize,
    /// The candidates that are asked before.
    before: &'g [Candidate],
    routes: &'g [Route],
}

impl<'g> Holding<'g> {
    /// What of the overrides has to be asked for each request, and holds here.
    pub fn conditions(&self) -> impl Iterator<Item = &'g Condition> + use<'g> {
        self.candidate.plans.holding(self.which)
    }

    /// Whether requests with this method may get the plan on this route.
    pub fn serves(&self, method: &Method) -> bool {
        self.route.methods.as_ref().is_none_or(|methods| methods.contain(method))
            && self.conditions_allow(method)
            && self.taken_by(method).is_none()
    }

    /// The route that takes all requests with this method before this one is asked.
    pub fn taken_by(&self, method: &Method) -> Option<&Route> {
        self.before.iter().filter(|candidate| !candidate.check_path).find_map(|candidate| {
            let earlier = self.routes.get(candidate.route)?;
            let takes = earlier.methods.as_ref().is_none_or(|methods| methods.contain(method))
                && earlier.headers.follow_from(&self.route.headers)
                && earlier.query.follow_from(&self.route.query);
            takes.then_some(earlier)
        })
    }

    fn conditions_allow(&self, method: &Method) -> bool {
        self.candidate.plans.conditions.iter().enumerate().all(|(bit, condition)| {
            let concerned = condition.methods.as_ref().is_none_or(|methods| methods.contain(method));
            match self.which >> bit & 1 {
                1 => concerned,
                // Where the path decides as well, the override may not hold for a method it names.
                _ => !concerned || condition.pattern.is_some(),
            }
        })
    }
}

impl Router {
    /// Every plan of every route, for all paths on which there is no more specific pattern. The same plan may come
    /// several times: once for each of the route's hosts and patterns.
    pub fn plans(&self) -> impl Iterator<Item = Holding<'_>> {
        self.hosts.all().flat_map(|paths| {
            let shapes = shapes(paths);
            let leaves = paths.leaves.iter().filter(move |leaf| !is_taken(&leaf.pattern, &shapes));
            leaves.flat_map(|leaf| self.holdings(leaf))
        })
    }

    fn holdings<'g>(&'g self, leaf: &'g Leaf) -> impl Iterator<Item = Holding<'g>> {
        leaf.candidates.iter().enumerate().flat_map(move |(at, candidate)| {
            let plans = candidate.plans.by_conditions.iter().enumerate();
            plans.filter_map(move |(which, plan)| {
                let route = self.routes.get(candidate.route)?;
                let before = leaf.candidates.get(..at)?;
                let (index, routes) = (candidate.route, self.routes.as_slice());
                Some(Holding { index, route, pattern: &leaf.pattern, plan, candidate, which, before, routes })
            })
        })
    }
}

/// What a pattern looks like, whatever its parameters are called; whether it is open.
type Shape<'p> = (Vec<&'p str>, bool);

/// No literal segment holds a brace.
const PARAMETER: &str = "{}";

fn segments(pattern: &Pattern) -> Vec<&str> {
    let of = pattern.segments().iter();
    of.map(|segment| match segment {
        Segment::Literal(literal) => literal.as_str(),
        Segment::Parameter(_) => PARAMETER,
    })
    .collect()
}

fn shapes(paths: &Paths) -> HashSet<Shape<'_>> {
    paths.leaves.iter().map(|leaf| (segments(&leaf.pattern), leaf.pattern.is_open())).collect()
}

/// Whether more specific patterns together match all paths of an open one: `/a` and `/a/{x}/*` leave nothing
/// to `/a/*`.
fn is_taken(pattern: &Pattern, shapes: &HashSet<Shape<'_>>) -> bool {
    if !pattern.is_open() {
        return false;
    }
    let mut shape = (segments(pattern), false);
    // Ends: the shapes are finite.
    while shapes.contains(&shape) {
        shape.0.push(PARAMETER);
        shape.1 = true;
        if shapes.contains(&shape) {
            return true;
        }
        shape.1 = false;
    }
    false
}
