//! What two configurations mean differently, whatever their files look like: what holds for which requests,
//! told once wherever it shows, and whether protection got weaker by it.
//!
//! Gateways are compared, not texts: a default written down, a moved line, an included file are no difference.
//! What holds for a route is looked up as it is for requests, at points that stand for all of them. The rooms:
//! `pairs` (which route is which), `index`, `points` and `sides` (where to look), `routes`, `policies`, `services`, `top`
//! (what is compared), `setting` (values, and which way is the weaker), `gathering` (once, not on each route),
//! `text` (for people and programs).

mod change;
mod gathering;
mod index;
mod listeners;
mod matchers;
mod pairs;
mod points;
mod policies;
mod routes;
mod services;
pub(crate) mod setting;
mod settings;
mod sides;
mod text;
mod top;

pub use self::{
    change::{Change, Kind, On, What},
    text::Placed,
};
use self::{gathering::Gathering, index::Index, pairs::Pair};
use crate::gateway::Gateway;

/// All differences, the weakenings first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The differences.
    pub list: Vec<Change>,
}

impl Changes {
    /// How many there are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.list.iter().filter(|change| change.kind == kind).count()
    }
}

/// Compares two gateways.
pub fn compare(old: &Gateway, new: &Gateway) -> Changes {
    let mut gathering = Gathering::default();
    let indices = (Index::new(old), Index::new(new));
    for pair in pairs::pairs(old.router().routes(), new.router().routes()) {
        let points = sides::sides(pair, &indices.0, &indices.1);
        routes::compare(pair, &points, old, new).into_iter().for_each(|change| gathering.add(change));
        let found = points.iter().map(|sides| policies::compare(sides, old, new)).collect();
        gathering.add_points(pair.route(), &points, found);
        // Where a route has gone and where it has come, others may have served, or serve now.
        if let Pair::Moved(a, b) = pair {
            for pair in [Pair::Removed(a), Pair::Added(b)] {
                let points = sides::sides(pair, &indices.0, &indices.1);
                let found = points.iter().map(|sides| policies::compare(sides, old, new)).collect();
                gathering.add_points(pair.route(), &points, found);
            }
        }
    }
    services::compare(old, new).into_iter().for_each(|change| gathering.add(change));
    top::compare(old, new).into_iter().for_each(|change| gathering.add(change));
    Changes { list: gathering.finish() }
}
