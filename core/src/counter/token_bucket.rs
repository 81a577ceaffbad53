//! A bucket that fills again at a steady rate: the generic cell rate algorithm (ITU-T I.371), kept in whole numbers.
//! In any stretch of `t` milliseconds no more is admitted than `burst + rate × t / window`. Whoever draws as often as
//! there is something gets exactly the rate, if `burst` is at least the cost and what flows in within a millisecond,
//! `cost + rate / window`; in a smaller bucket what flows in before the next whole millisecond finds no room.
//!
//! What is missing from a full bucket is kept in parts of a token, `window_ms` of which make one: so `rate` parts flow
//! in each millisecond, and nothing is ever rounded.

use super::{MAX, Outcome, Quota, moment};
use crate::host::Timestamp;

/// What is missing from a full bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenBucket {
    /// In parts of a token.
    pub(super) missing: u64,
    pub(super) at: Timestamp,
}

impl TokenBucket {
    /// Takes from the bucket when enough is in it; otherwise leaves it as it is.
    pub fn draw(&mut self, rate: u64, window_ms: u64, burst: u64, cost: u64, now: Timestamp) -> Quota {
        let (rate, window_ms) = (rate.max(1), window_ms.max(1));
        self.fill(rate, now);
        let size = burst.saturating_mul(window_ms);
        // Of a bucket that was larger, or whose tokens had more parts, no more is missing than one can owe.
        self.missing = self.missing.min(most_missing(size));
        let wanted = cost.saturating_mul(window_ms);
        let admitted = self.missing.checked_add(wanted).is_some_and(|missing| missing <= size);
        if admitted {
            self.missing += wanted;
        }
        let retry_ms = match admitted {
            true => 0,
            false if cost > burst => MAX,
            false => (self.missing.saturating_add(wanted) - size).div_ceil(rate),
        };
        let remaining = size.saturating_sub(self.missing) / window_ms;
        Quota { admitted, remaining, reset_ms: self.missing.div_ceil(rate), retry_ms, at: self.at }
    }

    /// Puts right what was taken at a moment. What has flowed in since has made good a part of it already, so only the
    /// rest can be handed back; what was used beyond it is taken, if need be from what is yet to flow in, but never
    /// more than one whole bucket.
    #[expect(clippy::too_many_arguments, reason = "a rule's numbers and a settlement's")]
    pub fn settle(
        &mut self,
        rate: u64,
        window_ms: u64,
        burst: u64,
        taken: u64,
        taken_at: Timestamp,
        outcome: Outcome,
        now: Timestamp,
    ) {
        let Outcome::Used(used) = outcome else { return };
        let (rate, window_ms) = (rate.max(1), window_ms.max(1));
        // Only forward: whoever settles may have read the clock long ago.
        self.fill(rate, now.max(self.at));
        if used > taken {
            let more = (used - taken).saturating_mul(window_ms);
            let most = most_missing(burst.saturating_mul(window_ms));
            self.missing = self.missing.saturating_add(more).min(most.max(self.missing));
            return;
        }
        let since = self.at.saturating_sub(taken_at).saturating_mul(rate);
        let rest = (taken - used).saturating_mul(window_ms).saturating_sub(since);
        self.missing = self.missing.saturating_sub(rest);
    }

    /// When all of this can be forgotten: the bucket is full again.
    pub fn ends_at(&self, rate: u64) -> Timestamp {
        self.at.saturating_add(self.missing.div_ceil(rate.max(1)))
    }

    fn fill(&mut self, rate: u64, now: Timestamp) {
        let now = moment(self.at, now);
        // Nothing flows in while a clock goes back.
        self.missing = self.missing.saturating_sub(now.saturating_sub(self.at).saturating_mul(rate));
        self.at = now;
    }
}

/// A bucket is empty, and owes another one.
fn most_missing(size: u64) -> u64 {
    size.saturating_mul(2).min(MAX)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const NOW: Timestamp = 1_900_000_000_000;

    fn draw(state: &mut TokenBucket, cost: u64, now: Timestamp) -> Quota {
        // Ten a second, five at once.
        state.draw(10, 1_000, 5, cost, now)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_full_bucket_holds_the_burst_and_fills_at_the_rate() {
        let mut state = TokenBucket::default();
        assert_eq!((0..9).filter(|_| draw(&mut state, 1, NOW).admitted).count(), 5);
        let refused = Quota { admitted: false, remaining: 0, reset_ms: 500, retry_ms: 100, at: NOW };
        assert_eq!(draw(&mut state, 1, NOW), refused);
        assert!(!draw(&mut state, 1, NOW + 99).admitted);
        assert!(draw(&mut state, 1, NOW + 100).admitted);
        assert_eq!((0..9).filter(|_| draw(&mut state, 1, NOW + 300).admitted).count(), 2);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_can_never_be_is_said_to_be_so() {
        let mut state = TokenBucket::default();
        assert_eq!(draw(&mut state, 6, NOW).retry_ms, MAX);
        assert_eq!(draw(&mut state, u64::MAX, NOW).retry_ms, MAX);
        assert_eq!(draw(&mut state, 5, NOW).remaining, 0);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_what_has_not_flowed_in_can_be_handed_back() {
        let mut state = TokenBucket::default();
        let taken = draw(&mut state, 5, NOW);
        // After 300 ms three have flowed in; the other two are handed back, and no more.
        state.settle(10, 1_000, 5, 5, taken.at, Outcome::Used(0), NOW + 300);
        assert_eq!(draw(&mut state, 5, NOW + 300).remaining, 0);
        // The bucket was full again long ago.
        state.settle(10, 1_000, 5, 5, taken.at, Outcome::Used(0), NOW + 600);
        assert_eq!(draw(&mut state, 1, NOW + 600).remaining, 2);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_debt_is_never_more_than_a_bucket() {
        let mut state = TokenBucket::default();
        let taken = draw(&mut state, 1, NOW);
        state.settle(10, 1_000, 5, 1, taken.at, Outcome::Used(1_000_000), NOW);
        assert_eq!(draw(&mut state, 1, NOW).retry_ms, 600);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn settling_never_turns_the_counter_back() {
        let mut state = TokenBucket::default();
        let first = draw(&mut state, 1, NOW - 60_000);
        assert!(draw(&mut state, 5, NOW).admitted);
        // By a clock that was read when the request came.
        state.settle(10, 1_000, 5, 1, first.at, Outcome::Used(1), NOW - 60_000);
        assert_eq!(draw(&mut state, 1, NOW).retry_ms, 100);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_bucket_that_was_larger_owes_no_more_than_this_one_can() {
        let mut state = TokenBucket::default();
        assert!(state.draw(1_000, 3_600_000, 1_000, 1_000, NOW).admitted);
        assert_eq!(draw(&mut state, 1, NOW).retry_ms, 600);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn late_draws_and_clocks_set_back_fill_nothing() {
        let mut state = TokenBucket::default();
        assert!(draw(&mut state, 5, NOW).admitted);
        assert_eq!(draw(&mut state, 1, NOW - 5_000).retry_ms, 100);
        assert!(!draw(&mut state, 1, NOW - 3_600_000).admitted);
        assert!(draw(&mut state, 1, NOW - 3_600_000 + 100).admitted);
    }
}
