//! Slices of a shared limit (`accuracy: leased`): an instance draws some of it in advance and decides by itself while
//! that lasts, so that most requests ask nobody. No I/O: what is to be drawn and settled is handed to the caller.
//!
//! What that admits at most, and whom it refuses too early, [`Leasing`] says.
//!
//! Where several limits are drawn from at once: take from each; make the draws of all wishes as one. When the request is
//! refused, what was decided here is undone by [`Slices::settle`], a wish that was refused is [`Slices::put`], and one
//! that was admitted but undone with the others is dropped.
//!
//! A settlement is carried out once or never: twice, it would hand back what was used.
//!
//! By the clock of each instance alone: a slice lasts from when it was asked for. When that clock is set back, a slice
//! may last as long again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Draw, Leasing, MAX, Outcome, Quota, Rule, Settlement, leasing::LONGEST_MS, naming::Name, shards::Shards,
};
use crate::host::Timestamp;

/// No refusal is remembered for longer: what others hand back is noticed that late.
const DENIED_MS: u64 = 1_000;
const SHARDS: usize = 16;
/// Whoever watches collects after so long: when what was there at the beginning has expired.
pub const WATCH_MS: u64 = LONGEST_MS + 100;

/// What became of a wish to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is decided. What it says is left is of the limit, without what may be overshot, as the shared counter said
    /// last; `at` is the moment at which the shared counter counted it, which settling needs.
    Here(Quota),
    /// The shared counter has to be asked: make the wish's draw, and [`Slices::put`] what it says. A wish that is
    /// dropped loses what was drawn for it, where that is not undone, and nothing else.
    Ask(Wish),
}

/// What is to be drawn from the shared counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What to draw: at least what was to be taken, and some in advance.
    pub draw: Draw,
    /// What was to be taken.
    cost: u64,
    asked: Timestamp,
    in_advance: bool,
}

impl Wish {
    /// What was to be taken.
    pub const fn cost(&self) -> u64 {
        self.cost
    }
}

/// The slices that an instance holds, at most of as many counters as its capacity. Losing one loses what is left of a
/// slice, never more.
#[derive(Debug)]
pub struct Slices {
    shards: Shards<Shard>,
    /// Until then somebody is about to collect.
    watched_until: AtomicU64,
}

impl Slices {
    /// Room for slices of `capacity` counters, rounded up to a multiple of the number of shards.
    pub fn new(capacity: usize) -> Self {
        Self::seeded(capacity, 0)
    }

    /// The same, with a secret of the host's: see [`super::memory::Counters::seeded`].
    pub fn seeded(capacity: usize, seed: u128) -> Self {
        Self { shards: Shards::new(SHARDS, capacity, seed), watched_until: AtomicU64::new(0) }
    }

    /// Takes from the slice of this key, or says what to ask the shared counter.
    pub fn take(&self, key: &str, leasing: &Leasing, cost: u64, now: Timestamp) -> Taken {
        let (name, mut shard) = self.shard(key);
        shard.expire(now, self.shards.room());
        let entry = shard.entry(name, now, self.shards.room());
        if cost > leasing.rule().capacity() {
            return Taken::Here(entry.refused(leasing, MAX, now));
        }
        if let Some(slice) = entry.slice.as_mut().filter(|slice| slice.lasts(now) && slice.rest >= cost) {
            slice.rest -= cost;
            let at = slice.at;
            return Taken::Here(entry.quota(leasing, at, now));
        }
        if let Some(denied) = entry.denied.filter(|denied| denied.holds(now) && cost >= denied.cost) {
            let retry_ms = match denied.retry_at {
                MAX => MAX,
                retry_at => retry_at.saturating_sub(now).max(1),
            };
            return Taken::Here(entry.refused(leasing, retry_ms, now));
        }
        // One at a time draws in advance; who comes meanwhile draws for itself.
        let in_advance = cost > 0 && !(entry.asking && near(entry.asked, now, leasing.slice_ms()));
        let mut amount = cost;
        if in_advance {
            if entry.granted && near(entry.asked, now, leasing.slice_ms()) {
                // The slice did not last as long as it might have.
                entry.next = entry.next.saturating_mul(2);
            }
            entry.next = entry.next.clamp(1, leasing.slice());
            amount = amount.max(entry.next);
            (entry.asked, entry.asking) = (now, true);
        }
        let draw = Draw { key: key.to_owned(), rule: leasing.shared(), cost: amount };
        Taken::Ask(Wish { draw, cost, asked: now, in_advance })
    }

    /// Takes in what the shared counter said to a wish: decides it, or asks again for less.
    pub fn put(&self, leasing: &Leasing, wish: Wish, quota: &Quota, now: Timestamp) -> Taken {
        let Wish { mut draw, cost, asked, in_advance } = wish;
        let (name, mut shard) = self.shard(&draw.key);
        let entry = shard.entry(name, now, self.shards.room());
        if in_advance {
            entry.asking = false;
        }
        (entry.left, entry.resets_at) = (quota.remaining, asked.saturating_add(quota.reset_ms));
        if !quota.admitted {
            entry.granted = false;
            let flows = matches!(leasing.rule(), Rule::TokenBucket { .. });
            if !flows {
                entry.next = quota.remaining.clamp(1, leasing.slice());
            }
            // What flows in drop by drop is not asked for by the drop: see below.
            if draw.cost > cost && !flows {
                draw.cost = cost;
                return Taken::Ask(Wish { draw, cost, asked: now, in_advance: false });
            }
            // A bucket is asked again when a slice has flowed in, or a flood would ask for each drop, and nobody would
            // get a slice. It is empty, but for a slice, so until then the limit has nothing left.
            let retry_ms = quota.retry_ms.max(leasing.flows_ms().min(DENIED_MS));
            let retry_at = if retry_ms >= MAX { MAX } else { asked.saturating_add(retry_ms) };
            let until = asked.saturating_add(retry_ms.min(DENIED_MS));
            entry.denied = Some(Denied { cost, until, retry_at });
            return Taken::Here(entry.refused(leasing, retry_ms, now));
        }
        entry.denied = None;
        entry.granted = true;
        let rest = draw.cost.saturating_sub(cost);
        let lasts_ms = match leasing.rule() {
            Rule::FixedWindow { .. } => leasing.slice_ms().min(quota.reset_ms),
            _ => leasing.slice_ms(),
        };
        let expires = asked.saturating_add(lasts_ms);
        if rest > 0 {
            let slice = Slice { draw, at: quota.at, rest, asked, expires };
            // One slice a counter: of two the one that lasts longer.
            let other = match &entry.slice {
                Some(held) if held.rest > 0 && held.expires >= expires => Some(slice),
                _ => entry.slice.replace(slice),
            };
            if let Some(other) = other {
                shard.hand_back(other, self.shards.room());
            }
            if shard.expiring.len() < 4 * self.shards.room() {
                shard.expiring.push_back((expires, name));
            }
            shard.expire(now, self.shards.room());
        }
        Taken::Here(shard.entry(name, now, self.shards.room()).quota(leasing, quota.at, now))
    }

    /// Puts right what was taken, as [`super::State::settle`] does: by the slice that it came from where that lasts,
    /// otherwise by the settlement that comes back, for the shared counter. A request that another limit refused is
    /// taken back so.
    pub fn settle(
        &self,
        leasing: &Leasing,
        mut settlement: Settlement,
        now: Timestamp,
    ) -> Option<Settlement> {
        settlement.draw.rule = leasing.shared();
        let Outcome::Used(used) = settlement.outcome else { return None };
        let taken = settlement.draw.cost;
        if used == taken {
            return None;
        }
        let (name, mut shard) = self.shard(&settlement.draw.key);
        if let Some(entry) = shard.entries.get_mut(&name) {
            // If it was handed back, what was refused may be no longer.
            entry.denied = entry.denied.filter(|_| used > taken);
            let slice = entry.slice.as_mut().filter(|slice| slice.at == settlement.at && slice.lasts(now));
            if let Some(slice) = slice {
                let rest = slice.rest.saturating_add(taken).checked_sub(used);
                if let Some(rest) = rest.filter(|rest| *rest <= slice.draw.cost) {
                    slice.rest = rest;
                    return None;
                }
            }
        }
        Some(settlement)
    }

    /// What is to be handed back to shared counters by now: the rest of what has expired. To be called after the shared
    /// counters were asked, at least.
    pub fn collect(&self, now: Timestamp) -> Vec<Settlement> {
        let mut collected = Vec::new();
        for mut shard in self.shards.all() {
            shard.expire(now, self.shards.room());
            collected.append(&mut shard.back);
        }
        collected
    }

    /// Whether somebody has to see to it that what expires is collected, when nobody comes any more: there are slices,
    /// and nobody else is about to. Whoever is told so collects within [`WATCH_MS`].
    pub fn needs_watch(&self, now: Timestamp) -> bool {
        let until = self.watched_until.load(Ordering::Relaxed);
        // A watch may have been lost with whoever held it, or the clock was set back.
        let is_watched = now < until && until - now <= 2 * WATCH_MS;
        if is_watched || !self.holds_any() {
            return false;
        }
        let next = now.saturating_add(2 * WATCH_MS);
        self.watched_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn holds_any(&self) -> bool {
        self.shards.all().any(|shard| !shard.expiring.is_empty())
    }

    /// Of how many counters something is known.
    pub fn len(&self) -> usize {
        self.shards.all().map(|shard| shard.entries.len()).sum()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &str) -> (Name, MutexGuard<'_, Shard>) {
        let name = self.shards.name(key);
        (name, self.shards.of(name))
    }
}

impl Default for Slices {
    fn default() -> Self {
        Self::new(1_024)
    }
}

#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<Name, Entry>,
    /// When slices expire, about in that order.
    expiring: VecDeque<(Timestamp, Name)>,
    /// What is to be handed back.
    back: Vec<Settlement>,
}

impl Shard {
    fn entry(&mut self, name: Name, now: Timestamp, capacity: usize) -> &mut Entry {
        if self.entries.len() >= capacity && !self.entries.contains_key(&name) {
            self.make_room(now, capacity);
        }
        self.entries.entry(name).or_default()
    }

    /// What has expired is to be handed back, and the next slice is as large as what was used of it.
    fn expire(&mut self, now: Timestamp, capacity: usize) {
        while let Some((expires, name)) = self.expiring.front().copied() {
            if expires > now && expires - now <= 2 * LONGEST_MS {
                break;
            }
            self.expiring.pop_front();
            let Some(entry) = self.entries.get_mut(&name) else { continue };
            let Some(slice) = entry.slice.take_if(|slice| !slice.lasts(now)) else { continue };
            entry.next = (slice.draw.cost - slice.rest).max(1);
            self.hand_back(slice, capacity);
        }
    }

    fn hand_back(&mut self, slice: Slice, capacity: usize) {
        let Slice { mut draw, at, rest, .. } = slice;
        // Where nobody collects, what is lost is lost until its time has passed: too little is admitted, not too much.
        if rest > 0 && self.back.len() < capacity {
            draw.cost = rest;
            self.back.push(Settlement { draw, at, outcome: Outcome::Used(0), is_local: false });
        }
    }

    /// Frees an eighth of the room at least, of what is of no use first.
    fn make_room(&mut self, now: Timestamp, capacity: usize) {
        let mut excess = self.entries.len().saturating_sub(capacity - capacity.div_ceil(8));
        let mut lost = Vec::new();
        for useful in [false, true] {
            self.entries.retain(|_, entry| {
                let goes = excess > 0 && (useful || !entry.is_useful(now));
                if goes {
                    excess -= 1;
                    lost.extend(entry.slice.take());
                }
                !goes
            });
        }
        lost.into_iter().for_each(|slice| self.hand_back(slice, capacity));
    }
}

/// What is known of one shared counter.
#[derive(Debug, Default)]
struct Entry {
    slice: Option<Slice>,
    /// When a slice was asked for last, and whether that is not answered yet.
    asked: Timestamp,
    asking: bool,
    /// Whether the shared counter had enough for it.
    granted: bool,
    /// How large the next one is.
    next: u64,
    denied: Option<Denied>,
    /// What the shared counter said last: what it has left, and when it has all.
    left: u64,
    resets_at: Timestamp,
}

/// What was drawn in advance.
#[derive(Debug)]
struct Slice {
    draw: Draw,
    at: Timestamp,
    rest: u64,
    asked: Timestamp,
    expires: Timestamp,
}

/// A refusal, of this much and of more.
#[derive(Debug, Clone, Copy)]
struct Denied {
    cost: u64,
    until: Timestamp,
    retry_at: Timestamp,
}

impl Entry {
    fn quota(&self, leasing: &Leasing, at: Timestamp, now: Timestamp) -> Quota {
        let rest = self.slice.as_ref().filter(|slice| slice.lasts(now)).map_or(0, |slice| slice.rest);
        let remaining = leasing.remaining(self.left.saturating_add(rest));
        Quota { admitted: true, remaining, reset_ms: self.resets_at.saturating_sub(now), retry_ms: 0, at }
    }

    fn refused(&self, leasing: &Leasing, retry_ms: u64, now: Timestamp) -> Quota {
        Quota { admitted: false, retry_ms, ..self.quota(leasing, now, now) }
    }

    fn is_useful(&self, now: Timestamp) -> bool {
        self.asking && near(self.asked, now, LONGEST_MS)
            || self.slice.as_ref().is_some_and(|slice| slice.rest > 0 && slice.lasts(now))
            || self.denied.is_some_and(|denied| denied.holds(now))
    }
}

impl Slice {
    fn lasts(&self, now: Timestamp) -> bool {
        now < self.expires && self.asked.saturating_sub(now) <= self.expires - self.asked
    }
}

impl Denied {
    fn holds(&self, now: Timestamp) -> bool {
        now < self.until && self.until - now <= DENIED_MS
    }
}

/// Whether two moments are less than so long apart.
fn near(one: Timestamp, other: Timestamp, apart_ms: u64) -> bool {
    one.abs_diff(other) < apart_ms
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::counter::{State, Window};

    const MINUTE: Window = Window::Length(60_000);

    fn fixed(limit: u64, overshoot: u64) -> Leasing {
        Leasing::new(Rule::FixedWindow { limit, window: MINUTE }, overshoot).unwrap()
    }

    /// Takes one, and counts how often the shared counter was asked.
    fn take(
        slices: &Slices,
        shared: &mut State,
        leasing: &Leasing,
        now: Timestamp,
        asked: &mut u32,
    ) -> Quota {
        let mut taken = slices.take("k", leasing, 1, now);
        loop {
            match taken {
                Taken::Here(quota) => return quota,
                Taken::Ask(wish) => {
                    *asked += 1;
                    let quota = shared.draw(&wish.draw.rule, wish.draw.cost, now);
                    taken = slices.put(leasing, wish, &quota, now);
                }
            }
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn whoever_uses_much_asks_seldom() {
        let (slices, mut shared, leasing, mut asked) = (Slices::new(10), State::New, fixed(1_000, 160), 0);
        for n in 0..1_160 {
            assert!(take(&slices, &mut shared, &leasing, 60_000 + n / 10, &mut asked).admitted, "{n}");
        }
        assert!(asked < 160, "{asked}");
        // From here on it is known.
        let before = asked;
        let refused = (0..100).map(|n| take(&slices, &mut shared, &leasing, 60_200 + n, &mut asked));
        assert!(refused.map(|quota| (quota.admitted, quota.remaining)).all(|quota| quota == (false, 0)));
        assert!(asked <= before + 2, "{before} {asked}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn whoever_uses_little_takes_nothing_in_advance() {
        let (slices, mut shared, leasing, mut asked) = (Slices::new(10), State::New, fixed(100, 160), 0);
        for n in 0..50 {
            let quota = take(&slices, &mut shared, &leasing, 60_000 + n * 1_000, &mut asked);
            assert_eq!(quota.remaining, 99 - n);
        }
        assert_eq!(asked, 50);
        assert!(slices.collect(200_000).is_empty());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_left_of_a_slice_is_handed_back() {
        let (slices, mut shared, leasing, mut asked) = (Slices::new(10), State::New, fixed(100, 160), 0);
        for n in 0..10 {
            take(&slices, &mut shared, &leasing, 60_000 + n, &mut asked);
        }
        assert_eq!(asked, 4);
        assert!(shared.remaining(&leasing.shared(), 60_010) < 250);
        for settlement in slices.collect(61_100) {
            let Settlement { draw, at, outcome, .. } = settlement;
            shared.settle(&draw.rule, draw.cost, at, outcome, 61_100);
        }
        assert_eq!(shared.remaining(&leasing.shared(), 61_100), 250);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_slice_outlasts_its_window() {
        let (slices, leasing) = (Slices::new(10), fixed(100, 1_600));
        let mut shared = State::New;
        let mut asked = 0;
        for n in 0..4 {
            take(&slices, &mut shared, &leasing, 119_990 + n, &mut asked);
        }
        assert_eq!(asked, 3);
        // The rest of the third is of the window before.
        take(&slices, &mut shared, &leasing, 120_000, &mut asked);
        assert_eq!(asked, 4);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_taken_back_is_in_the_slice_again() {
        let (slices, mut shared, leasing, mut asked) = (Slices::new(10), State::New, fixed(100, 160), 0);
        let first = take(&slices, &mut shared, &leasing, 60_000, &mut asked);
        take(&slices, &mut shared, &leasing, 60_001, &mut asked);
        let third = take(&slices, &mut shared, &leasing, 60_002, &mut asked);
        let one = Draw { key: "k".into(), rule: leasing.rule(), cost: 1 };
        assert_eq!(slices.settle(&leasing, Settlement::undo(one.clone(), &third), 60_003), None);
        let before = asked;
        take(&slices, &mut shared, &leasing, 60_004, &mut asked);
        assert_eq!(asked, before);
        // What came from a slice that is no more goes to the shared counter.
        let settlement = slices.settle(&leasing, Settlement::undo(one, &first), 60_005).unwrap();
        assert_eq!((settlement.draw.rule, settlement.at), (leasing.shared(), 60_000));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_the_limit_can_never_give_is_refused_here() {
        let (slices, leasing) = (Slices::new(10), fixed(100, 160));
        let Taken::Here(quota) = slices.take("k", &leasing, 101, 5) else { panic!("asked") };
        assert_eq!((quota.admitted, quota.retry_ms), (false, MAX));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn made_up_keys_do_not_grow_the_memory() {
        let (slices, leasing) = (Slices::new(640), fixed(100, 1_600));
        let mut shared = State::New;
        for n in 0..10_000 {
            for _ in 0..3 {
                if let Taken::Ask(wish) = slices.take(&format!("k{n}"), &leasing, 0, 5) {
                    let quota = shared.draw(&wish.draw.rule, 0, 5);
                    slices.put(&leasing, wish, &quota, 5);
                }
            }
        }
        assert!((320..=640).contains(&slices.len()), "{}", slices.len());
        assert!(slices.collect(2_000).len() <= 640);
    }
}
