//! A window that ends now, wherever that is. No stretch of time as long as the window sees more than the limit.
//!
//! It is a counter and no log: the window is counted in tenths, and a tenth counts until all of it has left the
//! window. So what was taken is there again after one window at the earliest, and after 1.1 windows at the latest.

use super::{LATE_MS, MAX, Outcome, Quota};
use crate::host::Timestamp;

/// Parts of a window that are counted for themselves.
pub(super) const PARTS: u64 = 10;
/// Parts that a window can touch: the first and the last of them in part.
pub(super) const KEPT: usize = PARTS as usize + 1;

/// What was taken in each part of time, lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SlidingWindow {
    /// The number of the latest part, counted from the epoch.
    pub(super) latest: u64,
    /// The length of a part; no state is of two lengths.
    pub(super) part_ms: u64,
    /// What was taken in a part stands at its number, modulo how many there are.
    pub(super) taken: [u64; KEPT],
}

impl SlidingWindow {
    /// Takes from the window when enough is left; otherwise leaves it as it is.
    pub fn draw(&mut self, limit: u64, window_ms: u64, cost: u64, now: Timestamp) -> Quota {
        let at = self.slide(window_ms, now);
        let used = self.used(window_ms, at);
        let admitted = used.checked_add(cost).is_some_and(|total| total <= limit);
        if admitted {
            *self.part(self.latest) += cost;
        }
        let retry_ms = match admitted {
            true => 0,
            false if cost > limit => MAX,
            false => self.wait(window_ms, at, used.saturating_add(cost) - limit),
        };
        let used = if admitted { used + cost } else { used };
        let remaining = limit.saturating_sub(used);
        Quota { admitted, remaining, reset_ms: self.wait(window_ms, at, used), retry_ms, at }
    }

    /// Puts right what was taken at a moment. What is handed back goes to the part from which it came; what was used
    /// beyond it is taken now.
    pub fn settle(
        &mut self,
        window_ms: u64,
        taken: u64,
        taken_at: Timestamp,
        outcome: Outcome,
        now: Timestamp,
    ) {
        let Outcome::Used(used) = outcome else { return };
        // Whoever settles may know the window by a length that it no longer has: parts of that length are gone, and
        // those there are must not be forgotten for it.
        let same = self.part_ms == part_of(window_ms) || self.part_ms == 0;
        if same {
            // Only forward: the clock may have been read long ago.
            self.slide(window_ms, now.max(self.latest.saturating_mul(self.part_ms)));
        }
        if used > taken {
            let latest = self.part(self.latest);
            *latest = latest.saturating_add(used - taken).min(MAX);
            return;
        }
        if !same {
            return;
        }
        let number = taken_at / self.part_ms.max(1);
        if self.numbers().any(|kept| kept == number) {
            let part = self.part(number);
            *part = part.saturating_sub(taken - used);
        }
    }

    /// When all of this can be forgotten.
    pub fn ends_at(&self) -> Timestamp {
        self.leaves_at(self.latest, self.part_ms.saturating_mul(PARTS))
    }

    /// Goes to the part of a moment, and forgets what is too old to be in any window.
    fn slide(&mut self, window_ms: u64, now: Timestamp) -> Timestamp {
        let part_ms = part_of(window_ms);
        if part_ms != self.part_ms {
            *self = Self { latest: now / part_ms, part_ms, taken: [0; KEPT] };
            return now;
        }
        let begins = self.latest.saturating_mul(part_ms);
        if now < begins {
            if begins - now <= LATE_MS {
                return begins;
            }
            *self = Self { latest: now / part_ms, part_ms, taken: [0; KEPT] };
            return now;
        }
        let number = now / part_ms;
        let passed = number - self.latest;
        for new in 1..=passed.min(KEPT as u64) {
            *self.part(self.latest + new) = 0;
        }
        self.latest = number;
        now
    }

    #[allow(clippy::indexing_slicing, reason = "a number modulo the length is an index")]
    fn part(&mut self, number: u64) -> &mut u64 {
        &mut self.taken[(number % KEPT as u64) as usize]
    }

    /// The numbers of all parts that are kept, the oldest first.
    fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        self.latest.saturating_sub(PARTS)..=self.latest
    }

    /// When a part has left the window altogether.
    fn leaves_at(&self, number: u64, window_ms: u64) -> Timestamp {
        (number + 1).saturating_mul(self.part_ms).saturating_add(window_ms).saturating_sub(1)
    }

    /// The parts that a window touches which ends at a moment: when they leave, and what was taken in them.
    fn within(&self, window_ms: u64, at: Timestamp) -> impl Iterator<Item = (Timestamp, u64)> {
        self.numbers()
            .map(move |number| {
                let taken = self.taken.get((number % KEPT as u64) as usize).copied().unwrap_or_default();
                (self.leaves_at(number, window_ms), taken)
            })
            .filter(move |(leaves, _)| *leaves > at)
    }

    fn used(&self, window_ms: u64, at: Timestamp) -> u64 {
        self.within(window_ms, at).fold(0, |used, (_, taken)| used.saturating_add(taken))
    }

    /// Milliseconds until so much has left the window.
    fn wait(&self, window_ms: u64, at: Timestamp, mut amount: u64) -> u64 {
        if amount == 0 {
            return 0;
        }
        for (leaves, taken) in self.within(window_ms, at) {
            amount = amount.saturating_sub(taken);
            if amount == 0 {
                return leaves - at;
            }
        }
        window_ms
    }
}

/// The length of a window's parts.
fn part_of(window_ms: u64) -> u64 {
    window_ms.div_ceil(PARTS).max(1)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn admits(state: &mut SlidingWindow, limit: u64, now: Timestamp) -> bool {
        state.draw(limit, 60_000, 1, now).admitted
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_new_minute_of_the_clock_is_no_new_window() {
        let mut state = SlidingWindow::default();
        assert_eq!((0..20).filter(|n| admits(&mut state, 10, 119_900 + n)).count(), 10);
        assert!(!admits(&mut state, 10, 120_000));
        assert!(!admits(&mut state, 10, 179_998));
        assert!(admits(&mut state, 10, 179_999));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_was_taken_is_there_again_after_one_window_and_a_tenth() {
        let mut state = SlidingWindow::default();
        assert!(admits(&mut state, 1, 60_000));
        let refused = state.draw(1, 60_000, 1, 60_001);
        assert_eq!((refused.retry_ms, refused.reset_ms), (65_998, 65_998));
        assert!(!admits(&mut state, 1, 60_001 + 65_997));
        assert!(admits(&mut state, 1, 60_001 + 65_998));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_oldest_leave_first() {
        let mut state = SlidingWindow::default();
        assert!(state.draw(10, 60_000, 4, 0).admitted);
        assert!(state.draw(10, 60_000, 4, 30_000).admitted);
        let refused = state.draw(10, 60_000, 5, 40_000);
        assert_eq!((refused.remaining, refused.retry_ms), (2, 25_999));
        assert_eq!(state.draw(10, 60_000, 7, 40_000).retry_ms, 55_999);
        assert_eq!(state.draw(10, 60_000, 11, 40_000).retry_ms, MAX);
        assert!(state.draw(10, 60_000, 5, 65_999).admitted);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_handed_back_goes_where_it_came_from() {
        let mut state = SlidingWindow::default();
        let first = state.draw(10, 60_000, 6, 0);
        assert!(state.draw(10, 60_000, 4, 30_000).admitted);
        state.settle(60_000, 6, first.at, Outcome::Used(1), 40_000);
        assert_eq!(state.draw(10, 60_000, 0, 40_000).remaining, 5);
        assert_eq!(state.draw(10, 60_000, 0, 66_000).remaining, 6);
        state.settle(60_000, 6, first.at, Outcome::Used(0), 66_000);
        assert_eq!(state.draw(10, 60_000, 0, 66_000).remaining, 6);
        state.settle(60_000, 4, 66_000, Outcome::Used(7), 66_000);
        assert_eq!(state.draw(10, 60_000, 0, 66_000).remaining, 3);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn settling_never_turns_the_counter_back() {
        let mut state = SlidingWindow::default();
        let first = state.draw(2, 60_000, 1, 60_000);
        assert!(admits(&mut state, 2, 3_600_000) && admits(&mut state, 2, 3_600_001));
        for used in [0, 1, 2] {
            // By a clock that was read when the request came, and by the rule as it was then.
            state.settle(60_000, 1, first.at, Outcome::Used(used), 60_000);
            state.settle(30_000, 1, 3_600_000, Outcome::Used(used), 3_600_002);
            assert!(!admits(&mut state, 2, 3_600_002));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_late_draw_counts_in_the_latest_part() {
        let mut state = SlidingWindow::default();
        assert!(admits(&mut state, 1, 60_000));
        assert!(!admits(&mut state, 1, 55_000));
        // A clock that was set back is believed.
        assert!(admits(&mut state, 1, 40_000));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_short_window_has_short_parts() {
        let mut state = SlidingWindow::default();
        assert!(state.draw(1, 3, 1, 100).admitted);
        assert!(!state.draw(1, 3, 1, 102).admitted);
        assert!(state.draw(1, 3, 1, 103).admitted);
    }
}
