//! So many at the same time. Whoever is let in holds a lease: it is handed back at the end, renewed while it goes on,
//! and expires when its holder has died. So never more than the limit hold one that has not expired.
//!
//! When it expires its holder's clock said when it began, and others' clocks say when that moment has come: whose clock
//! is late has a lease that is as much shorter. So leases are long, and renewed early, against what clocks differ by.

use super::{MAX, Outcome, Quota};
use crate::host::Timestamp;

/// Of leases nobody knows when they are handed back: look again after so long.
const LOOK_AGAIN_MS: u64 = 1_000;

/// The leases that are held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Concurrency {
    /// When each expires, and its name; no more of them than the limit, but for holders who came back from the dead.
    pub(super) leases: Vec<(Timestamp, u64)>,
}

impl Concurrency {
    /// Lets one more in, where there is room.
    pub fn draw(&mut self, limit: u64, lease_ms: u64, lease: u64, now: Timestamp) -> Quota {
        self.forget(now);
        let held = self.leases.len() as u64;
        let admitted = held < limit;
        if admitted {
            self.leases.push((now.saturating_add(lease_ms), lease));
        }
        let retry_ms = match admitted {
            true => 0,
            false if limit == 0 => MAX,
            false => self.expiries().min().map_or(0, |first| (first - now).min(LOOK_AGAIN_MS)),
        };
        let reset_ms = self.expiries().max().map_or(0, |last| last - now);
        let remaining = limit.saturating_sub(self.leases.len() as u64);
        Quota { admitted, remaining, reset_ms, retry_ms, at: now }
    }

    /// Ends a lease, or lets it begin anew. A holder who was taken for dead and goes on holds one all the same.
    pub fn settle(&mut self, lease_ms: u64, lease: u64, outcome: Outcome, now: Timestamp) {
        self.forget(now);
        self.leases.retain(|(_, name)| *name != lease);
        if outcome == Outcome::Held {
            self.leases.push((now.saturating_add(lease_ms), lease));
        }
    }

    /// When all of this can be forgotten.
    pub fn ends_at(&self) -> Timestamp {
        self.expiries().max().unwrap_or_default()
    }

    /// How many are held.
    pub fn held(&self, now: Timestamp) -> u64 {
        self.expiries().filter(|expiry| *expiry > now).count() as u64
    }

    fn expiries(&self) -> impl Iterator<Item = Timestamp> {
        self.leases.iter().map(|(expiry, _)| *expiry)
    }

    fn forget(&mut self, now: Timestamp) {
        self.leases.retain(|(expiry, _)| *expiry > now);
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn admits(state: &mut Concurrency, lease: u64, now: Timestamp) -> bool {
        state.draw(2, 10_000, lease, now).admitted
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn whoever_leaves_makes_room() {
        let mut state = Concurrency::default();
        assert!(admits(&mut state, 1, 0) && admits(&mut state, 2, 0));
        let refused = state.draw(2, 10_000, 3, 5);
        assert_eq!(refused, Quota { admitted: false, remaining: 0, reset_ms: 9_995, retry_ms: 1_000, at: 5 });
        state.settle(10_000, 1, Outcome::Used(1), 6);
        assert!(admits(&mut state, 3, 7));
        // Handed back twice is handed back once.
        state.settle(10_000, 1, Outcome::Used(1), 8);
        assert!(!admits(&mut state, 4, 9));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn whoever_dies_makes_room_when_the_lease_expires() {
        let mut state = Concurrency::default();
        assert!(admits(&mut state, 1, 0) && admits(&mut state, 2, 5_000));
        assert!(!admits(&mut state, 3, 9_999));
        assert!(admits(&mut state, 3, 10_000));
        assert_eq!(state.ends_at(), 20_000);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn whoever_goes_on_keeps_the_place() {
        let mut state = Concurrency::default();
        assert!(admits(&mut state, 1, 0) && admits(&mut state, 2, 0));
        state.settle(10_000, 1, Outcome::Held, 9_000);
        assert!(admits(&mut state, 3, 11_000));
        assert!(!admits(&mut state, 4, 12_000));
        // Taken for dead at 19,000, and still there: one more than the limit, and nobody else comes in.
        state.settle(10_000, 1, Outcome::Held, 19_500);
        assert_eq!(state.held(19_500), 2);
    }
}
