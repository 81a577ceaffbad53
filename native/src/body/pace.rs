//! How fast a body comes, counted only while it is waited for. When it stands still altogether, that is noticed by
//! [`crate::idle`].

use std::time::Duration;

use tokio::time::Instant;

use crate::flow::Flow;

/// A body's pace.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes a second.
    least: u64,
    began: Instant,
    flow: Flow,
}

impl Pace {
    pub(super) fn new(least: u64) -> Self {
        Self { least, began: Instant::now(), flow: Flow::default() }
    }

    /// From now on more is waited for.
    pub(super) fn waits(&self) {
        self.flow.waits(|| millis(self.began.elapsed()));
    }

    /// So many bytes have come. Whether that was too slow.
    pub(super) fn moved(&self, bytes: usize) -> bool {
        self.flow.took(bytes, || millis(self.began.elapsed())) && {
            let now = millis(self.began.elapsed());
            self.flow.is_too_slow(self.least, now)
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX >> 2)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    async fn come(pace: &Pace, bytes: usize, every: u64) -> bool {
        pace.waits();
        advance(Duration::from_secs(every)).await;
        pace.moved(bytes)
    }

    #[tokio::test(start_paused = true)]
    async fn drops_are_too_slow_after_a_while() {
        let pace = Pace::new(100);
        for _ in 0..19 {
            assert!(!come(&pace, 1, 1).await);
        }
        assert!(come(&pace, 1, 1).await);
    }

    #[tokio::test(start_paused = true)]
    async fn enough_may_come_forever() {
        let pace = Pace::new(100);
        for _ in 0..1_000 {
            assert!(!come(&pace, 100, 1).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_does_not_count() {
        let pace = Pace::new(100);
        for _ in 0..100 {
            advance(Duration::from_secs(60)).await;
            assert!(!pace.moved(1));
        }
    }
}
