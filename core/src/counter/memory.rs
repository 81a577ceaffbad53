//! Counters in this process's memory, exact among its threads: what a host counts with that has nothing else, and what
//! any host falls back to (`on_error: local`). Nothing here is shared with other processes or survives a restart.

use std::collections::HashMap;

use super::{Draw, Outcome, Quota, Settlement, State, naming::Name, shards::Shards};
use crate::host::Timestamp;

/// How many counters are kept unless told otherwise. Of a million each weighs 137 bytes, of a sliding window 260, most
/// of it room in tables that are half full; no more than 160 and 280 is what `tests/counters_memory.rs` holds them to.
pub const DEFAULT_CAPACITY: usize = 1_000_000;

/// More than most machines have cores, so threads seldom meet at one.
const SHARDS: usize = 64;
/// A shard looks for what can be forgotten after so many draws at least.
const LOOK_AFTER: usize = 1_024;

/// All counters of this process, at most as many as its capacity.
///
/// What can be forgotten is forgotten after a while, and its memory given back. When there is no room for another one,
/// and none can be forgotten, those go that would be soonest: whoever they counted starts anew, so under a flood of
/// made-up keys the limits admit too much. They never refuse everybody.
#[derive(Debug)]
pub struct Counters {
    shards: Shards<Shard>,
}

impl Counters {
    /// Room for `capacity` counters, rounded up to a multiple of the number of shards.
    pub fn new(capacity: usize) -> Self {
        Self::seeded(capacity, 0)
    }

    /// The same, with a secret of the host's that clients must not know: needed where `std` has no randomness, as in
    /// WebAssembly.
    pub fn seeded(capacity: usize, seed: u128) -> Self {
        Self { shards: Shards::new(SHARDS, capacity, seed) }
    }

    /// Takes from all counters or, when one refuses, from none.
    ///
    /// Each quota says whether its own draw found enough; what it says is left, and when all is there again, is what is
    /// so after all is taken or handed back.
    pub fn draw(&self, draws: &[Draw], now: Timestamp) -> Vec<Quota> {
        match draws {
            [] => Vec::new(),
            [only] => {
                let name = self.shards.name(&only.key);
                vec![self.shards.of(name).counter(name, now, self.shards.room()).draw(only, now)]
            }
            many => self.draw_all(many, now),
        }
    }

    /// Puts right what was drawn.
    pub fn settle(&self, settlements: &[Settlement], now: Timestamp) {
        for settlement in settlements {
            let name = self.shards.name(&settlement.draw.key);
            self.shards.of(name).counter(name, now, self.shards.room()).settle(settlement, now);
        }
    }

    /// How many counters there are.
    pub fn len(&self) -> usize {
        self.shards.all().map(|shard| shard.counters.len()).sum()
    }

    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn draw_all(&self, draws: &[Draw], now: Timestamp) -> Vec<Quota> {
        let names: Vec<Name> = draws.iter().map(|draw| self.shards.name(&draw.key)).collect();
        // All shards are held at once, so nobody sees what is taken only to be handed back. In the order
        // of their numbers, so no two threads wait for each other.
        let mut numbers: Vec<usize> = names.iter().map(|name| self.shards.number(*name)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut held: Vec<_> = numbers.iter().map(|number| self.shards.lock(*number)).collect();
        let mut on = |name: Name, act: &mut dyn FnMut(&mut Counter)| {
            let at = numbers.binary_search(&self.shards.number(name)).unwrap_or_default();
            if let Some(shard) = held.get_mut(at) {
                act(shard.counter(name, now, self.shards.room()));
            }
        };

        let mut quotas = Vec::with_capacity(draws.len());
        for (name, draw) in names.iter().zip(draws) {
            on(*name, &mut |counter| quotas.push(counter.draw(draw, now)));
        }
        let repeats = |(at, name)| names.iter().skip(at + 1).any(|other| other == name);
        if quotas.iter().all(|quota| quota.admitted) && !names.iter().enumerate().any(repeats) {
            return quotas;
        }
        let undone = quotas.iter().any(|quota| !quota.admitted);
        let taken = names.iter().zip(draws).zip(&quotas).filter(|(_, quota)| undone && quota.admitted);
        for ((name, draw), quota) in taken {
            on(*name, &mut |counter| counter.undo(draw, quota, now));
        }
        // Only now: two draws may have named one counter.
        for ((name, draw), quota) in names.iter().zip(draws).zip(&mut quotas) {
            on(*name, &mut |counter| {
                (quota.remaining, quota.reset_ms) = counter.state.look(&draw.rule, now);
            });
        }
        quotas
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

#[derive(Debug, Default)]
struct Shard {
    counters: HashMap<Name, Counter>,
    /// Looked for since the last look at what can be forgotten.
    looked_for: usize,
}

impl Shard {
    fn counter(&mut self, name: Name, now: Timestamp, capacity: usize) -> &mut Counter {
        self.looked_for += 1;
        // As seldom as there are counters, so that it costs next to nothing for each draw.
        if self.looked_for >= self.counters.len().max(LOOK_AFTER) {
            self.forget(now);
        }
        if self.counters.len() >= capacity && !self.counters.contains_key(&name) {
            self.make_room(now, capacity);
        }
        self.counters.entry(name).or_default()
    }

    /// Forgets what is as good as new, and gives memory back that is no longer needed.
    fn forget(&mut self, now: Timestamp) {
        self.looked_for = 0;
        self.counters.retain(|_, counter| counter.ends_at > now);
        if self.counters.len() < self.counters.capacity() / 4 {
            self.counters.shrink_to(self.counters.len() * 2);
        }
    }

    /// Frees an eighth of the room at least, so that the next look at all counters is as many draws away.
    fn make_room(&mut self, now: Timestamp, capacity: usize) {
        self.forget(now);
        let mut excess = self.counters.len().saturating_sub(capacity - capacity.div_ceil(8));
        if excess == 0 {
            return;
        }
        let mut ends: Vec<Timestamp> = self.counters.values().map(|counter| counter.ends_at).collect();
        let (_, &mut last, _) = ends.select_nth_unstable(excess - 1);
        self.counters.retain(|_, counter| {
            let goes = excess > 0 && counter.ends_at <= last;
            excess -= usize::from(goes);
            !goes
        });
    }
}

#[derive(Debug, Default)]
struct Counter {
    state: State,
    ends_at: Timestamp,
}

impl Counter {
    fn draw(&mut self, draw: &Draw, now: Timestamp) -> Quota {
        let quota = self.state.draw(&draw.rule, draw.cost, now);
        self.ends_at = self.state.ends_at(&draw.rule);
        quota
    }

    fn undo(&mut self, draw: &Draw, quota: &Quota, now: Timestamp) {
        self.state.settle(&draw.rule, draw.cost, quota.at, Outcome::Used(0), now);
        self.ends_at = self.state.ends_at(&draw.rule);
    }

    fn settle(&mut self, settlement: &Settlement, now: Timestamp) {
        let Settlement { draw, at, outcome, .. } = settlement;
        self.state.settle(&draw.rule, draw.cost, *at, *outcome, now);
        self.ends_at = self.state.ends_at(&draw.rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counter::{LATE_MS, Rule, Window};

    fn draw(key: &str, limit: u64) -> Draw {
        Draw {
            key: key.to_owned(),
            rule: Rule::FixedWindow { limit, window: Window::Length(60_000) },
            cost: 1,
        }
    }

    fn a_day(key: &str) -> Draw {
        let rule = Rule::FixedWindow { limit: 5, window: Window::Length(86_400_000) };
        Draw { rule, ..draw(key, 5) }
    }

    fn admitted(quotas: &[Quota]) -> Vec<bool> {
        quotas.iter().map(|quota| quota.admitted).collect()
    }

    #[test]
    fn when_one_refuses_none_has_taken() {
        let counters = Counters::default();
        assert!(counters.draw(&[draw("small", 1)], 0)[0].admitted);
        let quotas = counters.draw(&[draw("large", 9), draw("small", 1), draw("last", 4)], 0);
        assert_eq!(admitted(&quotas), [true, false, true]);
        assert_eq!(quotas.iter().map(|quota| quota.remaining).collect::<Vec<_>>(), [9, 0, 4]);
        assert_eq!(counters.draw(&[draw("large", 9)], 0)[0].remaining, 8);
    }

    #[test]
    fn one_counter_named_twice_is_drawn_from_twice() {
        let counters = Counters::default();
        let quotas = counters.draw(&[draw("k", 1), draw("k", 1)], 0);
        assert_eq!(admitted(&quotas), [true, false]);
        assert!(quotas.iter().all(|quota| quota.remaining == 1));
        assert_eq!(admitted(&counters.draw(&[draw("k", 2), draw("k", 2)], 0)), [true, true]);
    }

    #[test]
    fn nothing_drawn_is_nothing_answered() {
        assert!(Counters::default().draw(&[], 0).is_empty());
    }

    #[test]
    fn made_up_keys_do_not_grow_the_memory() {
        let counters = Counters::new(640);
        for n in 0..10_000 {
            assert!(counters.draw(&[draw(&format!("k{n}"), 1)], 0)[0].admitted);
        }
        assert!((320..=640).contains(&counters.len()), "{}", counters.len());
    }

    #[test]
    fn ended_windows_make_room_before_running_ones_do() {
        let counters = Counters::new(6_400);
        let day = a_day("day");
        counters.draw(std::slice::from_ref(&day), 1_000_000);
        for n in 0..50_000 {
            // A new minute every thousand draws: at any time some windows have ended.
            counters.draw(&[draw(&format!("k{n}"), 1)], 1_000_000 + n / 1_000 * 60_000);
        }
        assert_eq!(counters.draw(&[day], 1_000_001)[0].remaining, 3);
    }

    #[test]
    fn among_running_windows_those_go_that_end_soonest() {
        let counters = Counters::new(640);
        let day = a_day("day");
        counters.draw(std::slice::from_ref(&day), 0);
        for n in 0..50_000 {
            counters.draw(&[draw(&format!("k{n}"), 1)], 0);
        }
        assert_eq!(counters.draw(&[day], 0)[0].remaining, 3);
    }

    #[test]
    fn a_late_thread_does_not_turn_a_counter_back() {
        let counters = Counters::default();
        assert!(counters.draw(&[draw("k", 1)], 60_000)[0].admitted);
        assert!(!counters.draw(&[draw("k", 1)], 59_999)[0].admitted);
        assert!(!counters.draw(&[draw("k", 1)], 60_001)[0].admitted);
    }

    #[test]
    fn what_has_ended_is_forgotten_and_its_memory_given_back() {
        const MANY: usize = 50_000;
        let counters = Counters::default();
        for n in 0..MANY {
            counters.draw(&[draw(&format!("k{n}"), 1)], 0);
        }
        assert_eq!(counters.len(), MANY);
        let room = |counters: &Counters| -> usize {
            counters.shards.all().map(|shard| shard.counters.capacity()).sum()
        };
        assert!(room(&counters) <= 4 * MANY);
        // Kept for those whose clocks are late; then some draws are enough to notice.
        for (now, most) in [(60_000, MANY), (60_000 + LATE_MS, 1_000)] {
            for n in 0..4 * MANY {
                counters.draw(&[draw(&format!("k{}", n % 1_000), 1)], now);
            }
            assert!((1_000..=most).contains(&counters.len()), "{}", counters.len());
            assert_eq!(counters.len() == MANY, now == 60_000);
        }
        assert!(room(&counters) < MANY / 10, "{}", room(&counters));
    }

    #[test]
    fn limits_of_different_kinds_are_drawn_from_together() {
        let counters = Counters::default();
        let lease =
            |lease| Draw { rule: Rule::Concurrency { limit: 1, lease_ms: 1_000, lease }, ..draw("c", 0) };
        let bucket = Draw { rule: Rule::TokenBucket { rate: 1, window_ms: 1_000, burst: 2 }, ..draw("b", 0) };
        let sliding = Draw { rule: Rule::SlidingWindow { limit: 9, window_ms: 1_000 }, ..draw("s", 0) };
        let first = counters.draw(&[lease(1), bucket.clone(), sliding.clone()], 50);
        assert_eq!(admitted(&first), [true, true, true]);
        let second = counters.draw(&[bucket.clone(), sliding.clone(), lease(2)], 50);
        assert_eq!(admitted(&second), [true, true, false]);
        assert_eq!(second.iter().map(|quota| quota.remaining).collect::<Vec<_>>(), [1, 8, 0]);
        counters
            .settle(&[Settlement { draw: lease(1), at: 50, outcome: Outcome::Used(1), is_local: false }], 60);
        assert_eq!(admitted(&counters.draw(&[bucket, sliding, lease(3)], 60)), [true, true, true]);
    }
}
