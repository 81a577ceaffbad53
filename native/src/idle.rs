//! How long a stream may stand still: one timer a stream, touched only while nothing moves.
//!
//! Not the deadline for a response's head; that is the client's.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// `milliseconds` as a span that can be added to any instant: more than a year is a year.
pub(crate) fn span(milliseconds: u64) -> Duration {
    const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1000;
    Duration::from_millis(milliseconds.min(YEAR_MS))
}

/// A limit to how long a stream may stand still.
#[derive(Debug)]
pub(crate) struct Idle {
    /// In milliseconds, for bodies carry it: seven weeks at most.
    limit_ms: u32,
    /// Made when the stream stands still for the first time: short messages never do.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the timer runs for the present stillness. If not, it is left alone, even when it fires.
    still: bool,
}

impl Idle {
    /// The stream may stand still for `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        let limit_ms = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        Self { limit_ms, timer: None, still: false }
    }

    /// The stream moved. Costs nothing.
    pub(crate) fn moved(&mut self) {
        self.still = false;
    }

    /// The stream does not move now. Ready, with the limit, when that has lasted for so long.
    pub(crate) fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<Duration> {
        let limit = Duration::from_millis(self.limit_ms.into());
        let timer = match &mut self.timer {
            Some(timer) => {
                if !self.still {
                    // Later than before, which tokio does without its lock.
                    timer.as_mut().reset(Instant::now() + limit);
                }
                timer
            }
            none => none.insert(Box::pin(tokio::time::sleep(limit))),
        };
        self.still = true;
        timer.as_mut().poll(context).map(|()| limit)
    }
}
