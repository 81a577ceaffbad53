//! The same difference in many places is one difference.

use std::collections::HashMap;

use super::{Change, On, sides::Sides};
use crate::{pattern::Pattern, route::Route};

/// Differences with the places in which they show.
#[derive(Default)]
pub(super) struct Gathering {
    changes: Vec<Change>,
    known: HashMap<Change, usize>,
}

impl Gathering {
    /// Adds one that knows its place, or has none.
    pub(super) fn add(&mut self, mut change: Change) {
        let on = std::mem::take(&mut change.on);
        let at = *self.known.entry(change.clone()).or_insert(self.changes.len());
        match self.changes.get_mut(at) {
            Some(known) => known.on.extend(on),
            None => self.changes.push(Change { on, ..change }),
        }
    }

    /// Adds what is different at the points of a route.
    pub(super) fn add_points(&mut self, route: &Route, points: &[Sides<'_>], found: Vec<Vec<Change>>) {
        let mut order: Vec<Change> = Vec::new();
        let mut by_change: HashMap<Change, Vec<usize>> = HashMap::new();
        for (at, changes) in found.into_iter().enumerate() {
            for change in changes {
                let places = by_change.entry(change.clone()).or_default();
                if places.is_empty() {
                    order.push(change);
                }
                places.push(at);
            }
        }
        for change in order {
            let at = by_change.remove(&change).unwrap_or_default();
            for on in places(route, points, &at) {
                self.add(change.clone().on(on));
            }
        }
    }

    /// All of them, the weakenings first.
    pub(super) fn finish(mut self) -> Vec<Change> {
        for change in &mut self.changes {
            change.on.sort();
            change.on.dedup();
        }
        self.changes.sort_by(|a, b| {
            let key = |change: &Change| (change.kind, change.what);
            key(a)
                .cmp(&key(b))
                .then_with(|| a.on.cmp(&b.on))
                .then_with(|| a.policy.cmp(&b.policy))
                .then_with(|| a.service.cmp(&b.service))
                .then_with(|| a.key.cmp(&b.key))
                .then_with(|| (&a.old, &a.new).cmp(&(&b.old, &b.new)))
        });
        self.changes
    }
}

/// The fewest words for these points of a route.
fn places(route: &Route, points: &[Sides<'_>], at: &[usize]) -> Vec<On> {
    let mut by_pattern: Vec<(&Pattern, Vec<String>)> = Vec::new();
    for sides in at.iter().filter_map(|at| points.get(*at)) {
        let label = sides.point.label.clone();
        match by_pattern.iter_mut().find(|(pattern, _)| *pattern == &sides.point.pattern) {
            Some((_, labels)) => labels.extend(label),
            None => by_pattern.push((&sides.point.pattern, label.into_iter().collect())),
        }
    }
    for (pattern, labels) in &mut by_pattern {
        let all = points.iter().filter(|sides| sides.point.pattern == **pattern).count();
        if labels.len() == all {
            labels.clear();
        }
    }
    let covered = |pattern: &Pattern, labels: &[String]| {
        by_pattern.iter().any(|(other, others)| {
            *other != pattern && other.covers(pattern) && (others.is_empty() || others == labels)
        })
    };
    by_pattern
        .iter()
        .filter(|(pattern, labels)| !covered(pattern, labels))
        .map(|(pattern, labels)| On {
            route: route.pattern.to_string(),
            path: (!pattern.covers(&route.pattern)).then(|| pattern.to_string()),
            methods: labels.clone(),
        })
        .collect()
}
