//! What time it is: the system's wall clock, or one that a test turns by hand.
//!
//! It tells dates, and may be set back by whoever administers the machine. What measures a timeout is
//! the runtime's monotonic clock, not this.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use tollgate_core::host::Timestamp;

/// A clock. Cheap to clone; clones of a manual clock show the same time.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's.
    #[default]
    System,
    /// The system's on a machine whose clock is so many milliseconds fast or, below zero, slow.
    Wrong(i64),
    /// Shows what it was last set to.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that stands at `now` until it is set.
    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicU64::new(now)))
    }

    /// Milliseconds since 1970. A system that believes to be earlier gets zero.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::try_from(elapsed.as_millis()).unwrap_or(Timestamp::MAX)
            }
            Self::Wrong(by) => Self::System.now().saturating_add_signed(*by),
            Self::Manual(now) => now.load(Ordering::Relaxed),
        }
    }

    /// Sets a manual clock. The system's is not ours to set, and stays as it is.
    pub fn set(&self, now: Timestamp) {
        if let Self::Manual(time) = self {
            time.store(now, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_show_the_same_time() {
        let clock = Clock::manual(5);
        let other = clock.clone();
        clock.set(7);
        assert_eq!((clock.now(), other.now()), (7, 7));
    }

    #[test]
    fn a_wrong_clock_goes_on() {
        let (slow, right) = (Clock::Wrong(-60_000).now(), Clock::System.now());
        assert!((60_000..61_000).contains(&(right - slow)));
    }

    #[test]
    fn the_system_clock_is_past_the_year_2020() {
        assert!(Clock::System.now() > 1_577_836_800_000);
    }
}
