//! How fast a body comes, counted only while it is waited for. When it stands still altogether, that is noticed by
//! [`crate::idle`].

use std::time::Duration;

use tokio::time::Instant;

/// How long in all it has to have been waited for before it can be too slow.
const GRACE: Duration = Duration::from_secs(20);

/// A body's pace.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes a second.
    least: u64,
    since: Option<Instant>,
    waited: Duration,
    moved: u64,
}

impl Pace {
    pub(super) fn new(least: u64) -> Self {
        Self { least, since: None, waited: Duration::ZERO, moved: 0 }
    }

    /// From now on more is waited for.
    pub(super) fn waits(&mut self) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
        }
    }

    /// So many bytes have come. Whether that was too slow.
    pub(super) fn moved(&mut self, bytes: usize) -> bool {
        // What nobody had to wait for does not pay for a standstill afterwards.
        let Some(since) = self.since.take() else { return false };
        self.moved += bytes as u64;
        self.waited += since.elapsed();
        if self.waited < GRACE {
            return false;
        }
        let waited = u64::try_from(self.waited.as_millis()).unwrap_or(u64::MAX);
        let is_slow = self.moved.saturating_mul(1000) < self.least.saturating_mul(waited);
        (self.waited, self.moved) = (Duration::ZERO, 0);
        is_slow
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    async fn come(pace: &mut Pace, bytes: usize, every: u64) -> bool {
        pace.waits();
        advance(Duration::from_secs(every)).await;
        pace.moved(bytes)
    }

    #[tokio::test(start_paused = true)]
    async fn drops_are_too_slow_after_a_while() {
        let mut pace = Pace::new(100);
        for _ in 0..19 {
            assert!(!come(&mut pace, 1, 1).await);
        }
        assert!(come(&mut pace, 1, 1).await);
    }

    #[tokio::test(start_paused = true)]
    async fn enough_may_come_forever() {
        let mut pace = Pace::new(100);
        for _ in 0..1_000 {
            assert!(!come(&mut pace, 100, 1).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_does_not_count() {
        let mut pace = Pace::new(100);
        for _ in 0..100 {
            advance(Duration::from_secs(60)).await;
            assert!(!pace.moved(1));
        }
    }
}
