//! What all requests of a replay come to: how many there were, which would end otherwise, which could not be made
//! again. Its size follows the number of routes, not of requests.

use std::collections::HashMap;

use tollgate_core::policy::limit::UNAVAILABLE;

use super::{
    outcome::Outcome,
    record::{Record, Unusable},
};

/// Requests of a group that are shown.
const MAX_EXAMPLES: usize = 3;

/// The sum of a replay.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were made again.
    pub replayed: u64,
    /// Lines that the log itself has lost.
    pub lost: u64,
    /// Requests that don't end under the old configuration as the log says.
    pub unlike_log: u64,
    /// The first of these.
    pub first_unlike_log: Option<u64>,
    groups: HashMap<(Outcome, Outcome), Group>,
    passed_over: HashMap<Unusable, (u64, u64)>,
}

/// Requests that would all end in the same other way.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Group {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// A request, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The number of its line.
    pub line: u64,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Who it was.
    pub user: Option<String>,
}

impl Tally {
    pub(super) fn add(&mut self, line: u64, record: &Record, before: Outcome, after: Outcome) {
        self.replayed += 1;
        if !is_as_recorded(&before, record) {
            self.unlike_log += 1;
            self.first_unlike_log.get_or_insert(line);
        }
        if before.is_like(&after) {
            return;
        }
        let group = self.groups.entry((before, after)).or_default();
        group.count += 1;
        if group.examples.len() < MAX_EXAMPLES {
            let Record { method, path, user, .. } = record.clone();
            group.examples.push(Example { line, method, path, user });
        }
    }

    pub(super) fn pass_over(&mut self, line: u64, why: Unusable) {
        self.passed_over.entry(why).or_insert((0, line)).0 += 1;
    }

    /// How many would end otherwise.
    pub fn otherwise(&self) -> u64 {
        self.groups.values().map(|group| group.count).sum()
    }

    /// The requests that would end otherwise, the most first: how they end, and how they would.
    pub fn groups(&self) -> Vec<(&Outcome, &Outcome, &Group)> {
        let mut groups: Vec<_> =
            self.groups.iter().map(|((before, after), group)| (before, after, group)).collect();
        groups.sort_by_key(|(before, after, group)| (std::cmp::Reverse(group.count), *before, *after));
        groups
    }

    /// What was not made again: why, how many lines, and the first.
    pub fn passed_over(&self) -> Vec<(Unusable, u64, u64)> {
        let mut list: Vec<_> =
            self.passed_over.iter().map(|(why, (count, first))| (*why, *count, *first)).collect();
        list.sort_unstable();
        list
    }
}

/// What services and platforms did then is no matter of the configuration.
fn is_as_recorded(outcome: &Outcome, record: &Record) -> bool {
    let ours = |reason: &&str| !reason.starts_with("upstream.") && !UNAVAILABLE.contains(reason);
    let refusal = outcome.refusal.as_ref().map(|(_, reason)| reason.as_str());
    outcome.route == record.route && refusal == record.refusal.as_deref().filter(ours)
}
