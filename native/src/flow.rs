//! How fast bytes move between a client and the gateway, counted only while it is the client that is waited for. What
//! becomes of one that is too slow is said elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};

/// How long in all a client has to have been waited for before it can be too slow.
const GRACE_MS: u64 = 20_000;

/// Bytes on their way to a client, or from it. Times are in milliseconds of the connection, so that they fit into atomics; all are
/// changed by the connection's own thread.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Since when the client has been waited for, plus one. Zero: it is not.
    since: AtomicU64,
    waited: AtomicU64,
    moved: AtomicU64,
}

impl Flow {
    /// From now on the client is waited for.
    pub(crate) fn waits(&self, now: impl FnOnce() -> u64) {
        if self.since.load(Ordering::Relaxed) == 0 {
            self.since.store(now() + 1, Ordering::Relaxed);
        }
    }

    /// The client has taken so many bytes, or sent them.
    ///
    /// Whether it was waited for.
    pub(crate) fn took(&self, bytes: usize, now: impl FnOnce() -> u64) -> bool {
        let since = self.since.load(Ordering::Relaxed);
        // One that has never kept anybody waiting costs no look at the clock.
        // Nor do bytes count that nobody had to wait for: they would pay for a long standstill afterwards.
        if since != 0 {
            self.since.store(0, Ordering::Relaxed);
            self.waited.fetch_add((now() + 1).saturating_sub(since), Ordering::Relaxed);
            self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        since != 0
    }

    /// Whether it moves less than `least` bytes a second. Looked at now and then.
    pub(crate) fn is_too_slow(&self, least: u64, now: u64) -> bool {
        let since = self.since.load(Ordering::Relaxed);
        let waiting = if since == 0 { 0 } else { (now + 1).saturating_sub(since) };
        let waited = self.waited.load(Ordering::Relaxed) + waiting;
        if waited < GRACE_MS {
            return false;
        }
        let moved = self.moved.swap(0, Ordering::Relaxed);
        self.waited.store(0, Ordering::Relaxed);
        if since != 0 {
            self.since.store(now + 1, Ordering::Relaxed);
        }
        moved.saturating_mul(1000) < least.saturating_mul(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_nothing_is_too_slow_after_a_while() {
        let flow = Flow::default();
        flow.waits(|| 0);
        assert!(!flow.is_too_slow(100, GRACE_MS - 1));
        assert!(flow.is_too_slow(100, GRACE_MS));
    }

    #[test]
    fn who_takes_enough_may_take_as_long_as_it_takes() {
        let flow = Flow::default();
        for second in 0..120 {
            flow.waits(|| second * 1000);
            flow.took(100, || second * 1000 + 1000);
            assert!(!flow.is_too_slow(100, second * 1000 + 1000));
        }
    }

    #[test]
    fn drops_do_not_make_a_flow() {
        let flow = Flow::default();
        let slow = (0..60).any(|second| {
            flow.waits(|| second * 1000);
            flow.took(1, || second * 1000 + 999);
            flow.is_too_slow(100, second * 1000 + 999)
        });
        assert!(slow);
    }

    #[test]
    fn what_was_taken_at_once_does_not_pay_for_a_standstill() {
        let flow = Flow::default();
        flow.took(1 << 30, || 0);
        flow.waits(|| 0);
        assert!(flow.is_too_slow(100, GRACE_MS));
    }

    #[test]
    fn time_in_which_nobody_waits_for_it_does_not_count() {
        let flow = Flow::default();
        flow.waits(|| 0);
        flow.took(10, || 100);
        assert!(!flow.is_too_slow(1000, 86_400_000));
    }
}
