//! Where counted limits keep their states: in this process's memory, exact among its threads.
//!
//! The arithmetic is core's ([`FixedWindow`]). Nothing here is shared with other instances or survives
//! a restart.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tollgate_core::{
    host::Timestamp,
    window::{Draw, FixedWindow, Quota},
};

/// How many counters are kept unless told otherwise; some 64 bytes each.
pub const DEFAULT_CAPACITY: usize = 1_000_000;

/// More than most machines have cores, so threads seldom meet at one.
const SHARDS: usize = 64;

/// All counters of this process, at most as many as its capacity.
///
/// When there is no room for another one, those whose window has ended go first. If none has, those go
/// that would end soonest: whoever they counted starts anew, so under a flood of made-up keys the limits
/// admit too much. They never refuse everybody.
#[derive(Debug)]
pub struct Counters {
    shards: Vec<Mutex<Shard>>,
    per_shard: usize,
    // A client may choose how long a key is, so what is kept is a hash of it. Two 64-bit hashes under
    // secrets of this process: nobody can find keys that collide, and by chance they don't.
    secrets: [RandomState; 2],
}

type Name = u128;

impl Counters {
    /// Room for `capacity` counters, rounded up to a multiple of the number of shards.
    pub fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            per_shard: capacity.div_ceil(SHARDS).max(1),
            secrets: [RandomState::new(), RandomState::new()],
        }
    }

    /// Takes from all counters or, when one refuses, from none.
    ///
    /// Each quota says whether its own draw found enough; what it says is left is what is left after all
    /// is taken or given back.
    pub fn draw(&self, draws: &[Draw], now: Timestamp) -> Vec<Quota> {
        match draws {
            [] => Vec::new(),
            [only] => {
                let name = self.name(only);
                vec![self.lock(shard_of(name)).counter(name, now, self.per_shard).draw(only, now)]
            }
            many => self.draw_all(many, now),
        }
    }

    /// How many counters there are.
    pub fn len(&self) -> usize {
        (0..SHARDS).map(|shard| self.lock(shard).counters.len()).sum()
    }

    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn draw_all(&self, draws: &[Draw], now: Timestamp) -> Vec<Quota> {
        let named: Vec<(Name, &Draw)> = draws.iter().map(|draw| (self.name(draw), draw)).collect();
        // All shards are held at once, so nobody sees what is taken only to be given back. In the order
        // of their numbers, so no two threads wait for each other.
        let shards: BTreeSet<usize> = named.iter().map(|&(name, _)| shard_of(name)).collect();
        let mut held: BTreeMap<usize, MutexGuard<'_, Shard>> =
            shards.into_iter().map(|shard| (shard, self.lock(shard))).collect();
        let mut on = |name: Name, act: &mut dyn FnMut(&mut Counter)| {
            let shard = shard_of(name);
            let shard = held.entry(shard).or_insert_with(|| self.lock(shard));
            act(shard.counter(name, now, self.per_shard));
        };

        let mut quotas = Vec::with_capacity(named.len());
        for &(name, draw) in &named {
            on(name, &mut |counter| quotas.push(counter.draw(draw, now)));
        }
        if quotas.iter().all(|quota| quota.admitted) {
            return quotas;
        }
        for (&(name, draw), quota) in named.iter().zip(&quotas) {
            if quota.admitted {
                on(name, &mut |counter| counter.give_back(draw, now));
            }
        }
        // Only now: two draws may have named one counter.
        for (&(name, draw), quota) in named.iter().zip(&mut quotas) {
            on(name, &mut |counter| quota.remaining = counter.remaining(draw, now));
        }
        quotas
    }

    fn name(&self, draw: &Draw) -> Name {
        let [high, low] = self.secrets.each_ref().map(|secret| u128::from(secret.hash_one(&draw.key)));
        high << 64 | low
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard> {
        // The arithmetic under this lock does not panic, and a half-made draw is better than none.
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

fn shard_of(name: Name) -> usize {
    (name % SHARDS as u128) as usize
}

#[derive(Debug, Default)]
struct Shard {
    counters: HashMap<Name, Counter>,
}

impl Shard {
    fn counter(&mut self, name: Name, now: Timestamp, capacity: usize) -> &mut Counter {
        if self.counters.len() >= capacity && !self.counters.contains_key(&name) {
            self.make_room(now, capacity);
        }
        self.counters.entry(name).or_default()
    }

    /// Frees an eighth of the room at least, so that the next look at all counters is as many draws away.
    fn make_room(&mut self, now: Timestamp, capacity: usize) {
        self.counters.retain(|_, counter| counter.ends_at > now);
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
    window: FixedWindow,
    ends_at: Timestamp,
}

impl Counter {
    fn draw(&mut self, draw: &Draw, now: Timestamp) -> Quota {
        let quota = self.window.draw(draw, now);
        self.ends_at = self.window.ends_at(draw.window_ms);
        quota
    }

    fn give_back(&mut self, draw: &Draw, now: Timestamp) {
        self.window.give_back(draw, now);
    }

    fn remaining(&self, draw: &Draw, now: Timestamp) -> u64 {
        let nothing = Draw { key: String::new(), cost: 0, ..*draw };
        // On a copy: looking is not taking.
        let mut window = self.window;
        window.draw(&nothing, now).remaining
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn draw(key: &str, limit: u64) -> Draw {
        Draw { key: key.to_owned(), limit, window_ms: 60_000, cost: 1 }
    }

    fn admitted(quotas: &[Quota]) -> Vec<bool> {
        quotas.iter().map(|quota| quota.admitted).collect()
    }

    #[test]
    fn exactly_the_limit_is_admitted_among_threads() {
        let counters = Counters::default();
        let total: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1_000).filter(|_| counters.draw(&[draw("k", 3_210)], 5)[0].admitted).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(total, 3_210);
    }

    #[test]
    fn threads_that_draw_from_several_counters_neither_over_admit_nor_lock_up() {
        let counters = Counters::default();
        let total: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let mut draws = [draw("a", 700), draw("b", 500), draw("c", 600)];
                    draws.rotate_left(thread % 3);
                    let counters = &counters;
                    scope.spawn(move || {
                        (0..500)
                            .filter(|_| counters.draw(&draws, 5).iter().all(|quota| quota.admitted))
                            .count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(total, 500);
        // Not one of the refused has left a trace.
        assert_eq!(counters.draw(&[draw("a", 700)], 5)[0].remaining, 199);
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
        let day = Draw { window_ms: 86_400_000, ..draw("day", 5) };
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
        let day = Draw { window_ms: 86_400_000, ..draw("day", 5) };
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
}
