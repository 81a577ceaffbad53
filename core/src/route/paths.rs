//! The paths of one host: matchit trees from normalised path to leaf, and in each leaf the routes that may
//! serve such a path, the most specific first, with their policies.
//!
//! One tree is enough for most configurations. matchit has no place for a parameter and a final `*` side by
//! side (`/a/{x}` and `/a/*`), so patterns that collide so go to a further tree, and the best leaf wins.

use std::sync::Arc;

use http::Method;

use super::Methods;
use crate::{path::for_matching, pattern::Pattern, policy::Plan};

/// Everything known about the paths of one host.
#[derive(Debug)]
pub(crate) struct Paths {
    pub(super) trees: Vec<matchit::Router<usize>>,
    /// From the least to the most specific.
    pub(super) leaves: Vec<Leaf>,
}

/// What may serve the paths of one pattern that no more specific pattern matches.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(super) pattern: Pattern,
    pub(super) candidates: Vec<Candidate>,
}

/// A route that may serve.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// Index of the route.
    pub(super) route: usize,
    /// The route's pattern crosses the leaf's: some of these paths are not its own.
    pub(super) check_path: bool,
    pub(super) plans: Plans,
}

/// The plans of a route on a leaf: one for each set of overrides that may hold together.
#[derive(Debug)]
pub(crate) struct Plans {
    /// What has to be asked at each request: overrides with methods, or whose pattern crosses the leaf's.
    pub(super) conditions: Vec<Condition>,
    /// Indexed by the bits of the conditions that hold.
    pub(super) by_conditions: Vec<Arc<Plan>>,
}

/// When an override holds.
#[derive(Debug, Clone)]
pub struct Condition {
    pub(crate) pattern: Option<Pattern>,
    pub(crate) methods: Option<Methods>,
}

impl Paths {
    pub(super) fn leaf(&self, path: &str) -> Option<&Leaf> {
        let path = for_matching(path);
        let best = self.trees.iter().filter_map(|tree| tree.at(path).ok()).map(|found| *found.value).max()?;
        self.leaves.get(best)
    }
}

impl Plans {
    /// The conditions that hold where the plan of this index does.
    pub(super) fn holding(&self, which: usize) -> impl Iterator<Item = &Condition> {
        let conditions = self.conditions.iter().enumerate();
        conditions.filter(move |(bit, _)| which >> bit & 1 == 1).map(|(_, condition)| condition)
    }

    pub(super) fn choose(&self, path: &str, method: &Method) -> Option<&Arc<Plan>> {
        let mut which = 0;
        for (bit, condition) in self.conditions.iter().enumerate() {
            let holds = condition.methods.as_ref().is_none_or(|methods| methods.contain(method))
                && condition.pattern.as_ref().is_none_or(|pattern| pattern.matches(path));
            which |= usize::from(holds) << bit;
        }
        self.by_conditions.get(which)
    }
}
