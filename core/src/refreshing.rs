//! One refresh at a time of what somebody else says, whoever needs it: who comes meanwhile waits, who leaves leaves it
//! to be done in the background. No lock is held.
//!
//! What is refreshed, and how often it may be, is known to whoever has such a flag.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    host::{Host, Timestamp},
    job::Job,
};

/// A refresh that has not ended by then never will: a platform may take its context from a request and tell nobody.
/// Longer than any answer is waited for.
const GIVEN_UP_MS: u64 = 60_000;
/// How often, and how many times, a request looks whether another's refresh has ended.
const WAIT_MS: u64 = 20;
const WAITS: usize = 250;

/// Whether a refresh is under way: the millisecond after the one in which it began, or zero.
#[derive(Debug, Default)]
pub(crate) struct Refreshing(AtomicU64);

impl Refreshing {
    /// Waits while somebody refreshes, and has it done by `refresh` where it is `due` then. Whoever waits may leave:
    /// what they had begun becomes a `job`, or else clients that leave at once could use up all that others may be
    /// asked, and nobody would ever hear the answer.
    pub(crate) async fn attend<H: Host>(
        &self,
        host: &H,
        due: impl FnOnce(Timestamp) -> bool,
        job: impl FnOnce() -> Job,
        refresh: impl Future<Output = Result<(), String>>,
    ) {
        for _ in 0..WAITS {
            if self.is_under_way(host.now()) {
                host.sleep(WAIT_MS).await;
                continue;
            }
            // Somebody else's refresh may just have ended, so whether it is due is looked up only now.
            if due(host.now()) {
                let mut bequest = Bequest { host, job: Some(job()) };
                // Noted in what was refreshed.
                let _ = refresh.await;
                bequest.job = None;
            }
            return;
        }
    }

    pub(crate) fn is_under_way(&self, now: Timestamp) -> bool {
        lasts(self.0.load(Ordering::Acquire), now)
    }

    /// None when one is under way already.
    pub(crate) fn raise(&self, now: Timestamp) -> Option<Raised<'_>> {
        let (before, own) = (self.0.load(Ordering::Acquire), now.saturating_add(1));
        if lasts(before, now) {
            return None;
        }
        self.0.compare_exchange(before, own, Ordering::AcqRel, Ordering::Acquire).ok()?;
        Some(Raised { flag: self, own })
    }
}

fn lasts(began: u64, now: Timestamp) -> bool {
    began > 0 && now.saturating_sub(began) < GIVEN_UP_MS
}

/// The flag of one refresh. Of another's, who has taken over, it leaves off.
pub(crate) struct Raised<'a> {
    flag: &'a Refreshing,
    own: u64,
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        let _ = self.flag.0.compare_exchange(self.own, 0, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// Has a refresh done in the background when the request that began it is dropped.
struct Bequest<'b, H: Host> {
    host: &'b H,
    job: Option<Job>,
}

impl<H: Host> Drop for Bequest<'_, H> {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            self.host.defer(job);
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn one_refresh_at_a_time_and_a_lost_one_is_taken_over() {
        let refreshing = Refreshing::default();
        let first = refreshing.raise(0).unwrap();
        assert!(refreshing.raise(0).is_none());
        assert!(refreshing.is_under_way(59_999) && refreshing.raise(59_999).is_none());
        let second = refreshing.raise(60_001).unwrap();
        // Whoever was given up may come back; the one that took over is still at it.
        drop(first);
        assert!(refreshing.is_under_way(60_002));
        drop(second);
        assert!(!refreshing.is_under_way(60_002));
    }
}
