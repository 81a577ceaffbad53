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

/// The state of one counter: a fixed window (epoch-aligned).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FixedWindow {
    /// Number of the window since the epoch.
    index: u64,
    used: u64,
}

impl FixedWindow {
    /// Takes from the counter when enough is left; otherwise leaves it as it is.
    pub fn draw(&mut self, draw: &Draw, now: Timestamp) -> Quota {
        let window = draw.window_ms.max(1);
        let index = now / window;
        if self.index != index {
            *self = Self { index, used: 0 };
        }
        let admitted = self.used.checked_add(draw.cost).is_some_and(|total| total <= draw.limit);
        if admitted {
            self.used += draw.cost;
        }
        Quota { admitted, remaining: draw.limit.saturating_sub(self.used), reset_ms: window - now % window }
    }

    /// Hands back what a draw of the same window took: another limit has refused the request.
    pub fn give_back(&mut self, draw: &Draw, now: Timestamp) {
        if self.index == now / draw.window_ms.max(1) {
            self.used = self.used.saturating_sub(draw.cost);
        }
    }

    /// When this state can be forgotten.
    pub fn ends_at(&self, window_ms: u64) -> Timestamp {
        self.index.saturating_add(1).saturating_mul(window_ms.max(1))
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
    fn a_late_give_back_leaves_the_next_window_alone() {
        let mut state = FixedWindow::default();
        assert!(state.draw(&draw(1, 1), 59_999).admitted);
        assert!(state.draw(&draw(1, 1), 60_000).admitted);
        state.give_back(&Draw { window_ms: 60_000, ..draw(1, 1) }, 59_999);
        assert!(!state.draw(&draw(1, 1), 60_001).admitted);
    }
}
