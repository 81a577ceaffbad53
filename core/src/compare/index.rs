//! What may hold for each route of a gateway, gathered once: the patterns and the methods that make a difference.

use std::collections::{HashMap, HashSet};

use super::matchers::names;
use crate::{
    gateway::Gateway,
    pattern::Pattern,
    policy::Absence,
    route::{Holding, Route},
};

/// A gateway with its plans by route.
pub(super) struct Index<'g> {
    pub(super) gateway: &'g Gateway,
    /// By the address of the route.
    plans: HashMap<*const Route, Vec<Holding<'g>>>,
}

impl<'g> Index<'g> {
    pub(super) fn new(gateway: &'g Gateway) -> Self {
        let mut plans: HashMap<_, Vec<Holding<'g>>> = HashMap::new();
        for placed in gateway.router().plans() {
            plans.entry(std::ptr::from_ref(placed.route)).or_default().push(placed);
        }
        Self { gateway, plans }
    }

    fn plans(&self, route: &Route) -> &[Holding<'g>] {
        self.plans.get(&std::ptr::from_ref(route)).map_or(&[], Vec::as_slice)
    }

    /// The patterns under which something of its own may hold for the route.
    pub(super) fn patterns(&self, route: &Route) -> Vec<Pattern> {
        let mut found = vec![route.pattern.clone()];
        let mut known: HashSet<String> = HashSet::from([route.pattern.to_string()]);
        let mut note = |pattern: &Pattern| {
            if !known.contains(pattern.as_str()) {
                known.insert(pattern.to_string());
                if pattern.overlaps(&route.pattern) {
                    found.push(pattern.clone());
                }
            }
        };
        for placed in self.plans(route) {
            note(placed.pattern);
            for pattern in placed.conditions().filter_map(|condition| condition.pattern.as_ref()) {
                note(pattern);
            }
            for held in placed.plan.held("") {
                held.origin.excluded.iter().for_each(|(pattern, _)| note(pattern));
            }
            for absence in &placed.plan.provenance.absent {
                if let Absence::Excluded(origin, _) = absence {
                    origin.excluded.iter().for_each(|(pattern, _)| note(pattern));
                }
            }
        }
        found
    }

    /// The methods of which overrides speak.
    pub(super) fn methods(&self, route: &Route) -> Vec<String> {
        let conditions = self.plans(route).iter().flat_map(Holding::conditions);
        conditions.filter_map(|condition| condition.methods.as_ref()).flat_map(names).collect()
    }
}

/// The patterns of both lists.
pub(super) fn union(mut patterns: Vec<Pattern>, more: Vec<Pattern>) -> Vec<Pattern> {
    let known: HashSet<String> = patterns.iter().map(ToString::to_string).collect();
    patterns.extend(more.into_iter().filter(|pattern| !known.contains(pattern.as_str())));
    patterns
}
