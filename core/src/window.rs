//! The arithmetic of counted limits: `(state, draw, now) → (state, quota)`.
//!
//! Pure, so that native memory and a Durable Object count the same. Where states live is the host's.

use crate::host::Timestamp;

/// One wish to take from one counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draw {
    /// Names the counter: the limit's identity and whom it counts.
    pub key: String,
    /// How much a window holds.
    pub limit: u64,
    /// Length of the window in milliseconds; windows are aligned to the epoch.
    pub window_ms: u64,
    /// How much to take.
    pub cost: u64,
}

/// What became of a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Whether there was enough left.
    pub admitted: bool,
    /// What is left after this draw.
    pub remaining: u64,
    /// Milliseconds until the window ends.
    pub reset_ms: u64,
}

/// How late a draw may come, its clock read before the running window began, and still count in that window.
/// A clock that is further behind was set back, and is believed.
const LATE_MS: u64 = 10_000;

/// The state of one counter: a fixed window (epoch-aligned).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FixedWindow {
    begins_at: Timestamp,
    used: u64,
}

impl FixedWindow {
    /// A window of which so much is used: one that was kept somewhere in the meantime.
    pub const fn resume(begins_at: Timestamp, used: u64) -> Self {
        Self { begins_at, used }
    }

    /// When the window began.
    pub const fn begins_at(&self) -> Timestamp {
        self.begins_at
    }

    /// How much of it is used.
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// Takes from the counter when enough is left; otherwise leaves it as it is.
    pub fn draw(&mut self, draw: &Draw, now: Timestamp) -> Quota {
        let window = draw.window_ms.max(1);
        let now = self.moment(now);
        let begins_at = now - now % window;
        if self.begins_at != begins_at {
            *self = Self { begins_at, used: 0 };
        }
        let admitted = self.used.checked_add(draw.cost).is_some_and(|total| total <= draw.limit);
        if admitted {
            self.used += draw.cost;
        }
        Quota { admitted, remaining: draw.limit.saturating_sub(self.used), reset_ms: window - now % window }
    }

    /// Hands back what a draw of the same window took: another limit has refused the request.
    pub fn give_back(&mut self, draw: &Draw, now: Timestamp) {
        let now = self.moment(now);
        if self.begins_at == now - now % draw.window_ms.max(1) {
            self.used = self.used.saturating_sub(draw.cost);
        }
    }

    /// When this state can be forgotten.
    pub fn ends_at(&self, window_ms: u64) -> Timestamp {
        self.begins_at.saturating_add(window_ms.max(1))
    }

    /// Whoever read the clock just before a window ended, and comes after the next has begun, counts in the
    /// next: it must not turn the counter back and so make it forget.
    fn moment(&self, now: Timestamp) -> Timestamp {
        let is_late = now < self.begins_at && self.begins_at - now <= LATE_MS;
        if is_late { self.begins_at } else { now }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn draw(limit: u64, cost: u64) -> Draw {
        Draw { key: "k".into(), limit, window_ms: 60_000, cost }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn admits_exactly_the_limit_in_a_window() {
        let mut state = FixedWindow::default();
        let admitted = (0..20).filter(|n| state.draw(&draw(10, 1), 120_000 + n).admitted).count();
        assert_eq!(admitted, 10);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn windows_are_aligned_to_the_epoch() {
        let mut state = FixedWindow::default();
        assert!(state.draw(&draw(1, 1), 119_999).admitted);
        assert!(state.draw(&draw(1, 1), 120_000).admitted);
        let refused = state.draw(&draw(1, 1), 120_001);
        assert_eq!(refused, Quota { admitted: false, remaining: 0, reset_ms: 59_999 });
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_given_back_can_be_drawn_again() {
        let mut state = FixedWindow::default();
        assert!(state.draw(&draw(1, 1), 5).admitted);
        state.give_back(&draw(1, 1), 6);
        assert!(state.draw(&draw(1, 1), 7).admitted);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_late_draw_counts_in_the_window_that_has_begun() {
        let mut state = FixedWindow::default();
        assert!(state.draw(&draw(2, 1), 60_000).admitted);
        assert!(state.draw(&draw(2, 1), 59_000).admitted);
        let refused = Quota { admitted: false, remaining: 0, reset_ms: 60_000 };
        assert_eq!(state.draw(&draw(2, 1), 59_999), refused);
        assert!(!state.draw(&draw(2, 1), 60_001).admitted);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_clock_that_was_set_back_is_believed() {
        let mut state = FixedWindow::default();
        assert!(state.draw(&draw(1, 1), 3_600_000).admitted);
        assert!(state.draw(&draw(1, 1), 60_000).admitted);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_window_of_another_length_is_another_window() {
        let mut state = FixedWindow::default();
        let hour = Draw { window_ms: 3_600_000, ..draw(1, 1) };
        assert!(state.draw(&draw(1, 1), 7_260_000).admitted);
        assert!(state.draw(&hour, 7_270_000).admitted);
        assert!(!state.draw(&hour, 7_280_000).admitted);
        assert!(state.draw(&draw(1, 1), 7_290_000).admitted);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_was_kept_goes_on() {
        let mut state = FixedWindow::default();
        assert!(state.draw(&draw(2, 1), 60_001).admitted);
        let mut kept = FixedWindow::resume(state.begins_at(), state.used());
        assert_eq!(kept, state);
        assert!(kept.draw(&draw(2, 1), 60_002).admitted);
        assert!(!kept.draw(&draw(2, 1), 60_003).admitted);
    }
}
