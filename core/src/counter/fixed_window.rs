//! Windows that stand one after another. In each of them no more is admitted than the limit; in a stretch of time as
//! long as a window, which reaches over two of them, up to twice as much.

use super::{MAX, Outcome, Quota, moment, window::Window};
use crate::host::Timestamp;

/// The window that runs, and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FixedWindow {
    pub(super) begins_at: Timestamp,
    pub(super) ends_at: Timestamp,
    pub(super) used: u64,
}

impl FixedWindow {
    /// Takes from the window when enough is left; otherwise leaves it as it is.
    pub fn draw(&mut self, limit: u64, window: Window, cost: u64, now: Timestamp) -> Quota {
        let at = self.run(window, now);
        let admitted = self.used.checked_add(cost).is_some_and(|total| total <= limit);
        if admitted {
            self.used += cost;
        }
        let reset_ms = self.ends_at.saturating_sub(at);
        let retry_ms = match admitted {
            true => 0,
            false if cost > limit => MAX,
            false => reset_ms,
        };
        Quota { admitted, remaining: limit.saturating_sub(self.used), reset_ms, retry_ms, at }
    }

    /// Puts right what was taken at a moment. What is handed back goes to the window from which it came, and is lost
    /// when that is over; what was used beyond it is taken from the window that runs.
    pub fn settle(
        &mut self,
        window: Window,
        taken: u64,
        taken_at: Timestamp,
        outcome: Outcome,
        now: Timestamp,
    ) {
        let Outcome::Used(used) = outcome else { return };
        if used > taken {
            // Only forward: whoever settles may have read the clock long ago, and may know the window by a length that
            // it no longer has. Neither may make the counter forget.
            if now >= self.ends_at {
                self.run(window, now);
            }
            self.used = self.used.saturating_add(used - taken).min(MAX);
        } else if window.bounds(taken_at) == (self.begins_at, self.ends_at) {
            self.used = self.used.saturating_sub(taken - used);
        }
    }

    /// When all of this can be forgotten.
    pub fn ends_at(&self) -> Timestamp {
        self.ends_at
    }

    /// Goes to the window of a moment. Whoever read the clock just before a window ended, and comes after the next has
    /// begun, counts in the next: it must not turn the counter back and so make it forget.
    fn run(&mut self, window: Window, now: Timestamp) -> Timestamp {
        let at = moment(self.begins_at, now);
        let (begins_at, ends_at) = window.bounds(at);
        if begins_at != self.begins_at {
            self.used = 0;
        }
        (self.begins_at, self.ends_at) = (begins_at, ends_at);
        at
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const MINUTE: Window = Window::Length(60_000);
    const HOUR: Window = Window::Length(3_600_000);

    fn admits(state: &mut FixedWindow, limit: u64, now: Timestamp) -> bool {
        state.draw(limit, MINUTE, 1, now).admitted
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn admits_exactly_the_limit_in_a_window() {
        let mut state = FixedWindow::default();
        assert_eq!((0..20).filter(|n| admits(&mut state, 10, 120_000 + n)).count(), 10);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn it_says_when_to_come_again() {
        let mut state = FixedWindow::default();
        assert!(admits(&mut state, 1, 119_999));
        assert!(admits(&mut state, 1, 120_000));
        let refused =
            Quota { admitted: false, remaining: 0, reset_ms: 59_999, retry_ms: 59_999, at: 120_001 };
        assert_eq!(state.draw(1, MINUTE, 1, 120_001), refused);
        assert_eq!(state.draw(1, MINUTE, 2, 120_001), Quota { retry_ms: MAX, ..refused });
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_handed_back_can_be_drawn_again() {
        let mut state = FixedWindow::default();
        let quota = state.draw(1, MINUTE, 1, 5);
        state.settle(MINUTE, 1, quota.at, Outcome::Used(0), 6);
        assert!(admits(&mut state, 1, 7));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_handed_back_after_its_window_is_lost() {
        let mut state = FixedWindow::default();
        let quota = state.draw(1, MINUTE, 1, 59_999);
        assert!(admits(&mut state, 1, 60_000));
        state.settle(MINUTE, 1, quota.at, Outcome::Used(0), 60_001);
        assert!(!admits(&mut state, 1, 60_002));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_was_used_beyond_what_was_taken_is_taken_now() {
        let mut state = FixedWindow::default();
        let quota = state.draw(10, MINUTE, 4, 59_999);
        state.settle(MINUTE, 4, quota.at, Outcome::Used(9), 60_001);
        assert_eq!(state.draw(10, MINUTE, 1, 60_002).remaining, 4);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_late_draw_counts_in_the_window_that_has_begun() {
        let mut state = FixedWindow::default();
        assert!(admits(&mut state, 2, 60_000));
        assert!(admits(&mut state, 2, 59_000));
        assert_eq!(state.draw(2, MINUTE, 1, 59_999).reset_ms, 60_000);
        assert!(!admits(&mut state, 2, 60_001));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_late_draw_that_is_handed_back_is_handed_back_where_it_counted() {
        let mut state = FixedWindow::default();
        assert!(admits(&mut state, 2, 60_000));
        let late = state.draw(2, MINUTE, 1, 59_000);
        assert_eq!(late.at, 60_000);
        state.settle(MINUTE, 1, late.at, Outcome::Used(0), 59_001);
        assert!(admits(&mut state, 2, 60_002));
        assert!(!admits(&mut state, 2, 60_003));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn settling_never_turns_the_counter_back() {
        let mut state = FixedWindow::default();
        let first = state.draw(2, MINUTE, 1, 5);
        assert!(admits(&mut state, 2, 3_600_000) && admits(&mut state, 2, 3_600_001));
        for used in [0, 1, 2] {
            // By a clock that was read when the request came, and by the rule as it was then.
            state.settle(MINUTE, 1, first.at, Outcome::Used(used), 5);
            state.settle(HOUR, 1, 3_600_000, Outcome::Used(used), 3_600_002);
            assert!(!admits(&mut state, 2, 3_600_002));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_clock_that_was_set_back_is_believed() {
        let mut state = FixedWindow::default();
        assert!(admits(&mut state, 1, 3_600_000));
        assert!(admits(&mut state, 1, 60_000));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_window_of_another_length_is_another_window() {
        let mut state = FixedWindow::default();
        assert!(admits(&mut state, 1, 7_260_000));
        assert!(state.draw(1, HOUR, 1, 7_270_000).admitted);
        assert!(!state.draw(1, HOUR, 1, 7_280_000).admitted);
        assert!(admits(&mut state, 1, 7_290_000));
    }
}
