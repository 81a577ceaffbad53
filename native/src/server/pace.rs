//! How long a client may take: to send a request's head, and between two requests.
//!
//! One timer a connection, which looks now and then; a request costs no timer. How long an upstream may
//! take is the HTTP client's business, and how long a client may read nothing the system's ([`super::bind`]).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::Limits;
use crate::idle::span;

/// What a connection does, and since when.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    /// Milliseconds since it began, and in the lowest bits what it does. Together, so that they fit.
    state: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// A request is being answered.
    Answering = 0,
    /// A head has begun to arrive.
    Head = 1,
    /// The last answer is complete, and nothing has arrived since.
    Idle = 2,
    /// Nothing has ever arrived.
    Fresh = 3,
}

/// What a client took too long for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    /// It has not sent a head in time.
    Head,
    /// It has not made another request.
    Idle,
}

/// How long a connection may do what it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    head: Duration,
    idle: Duration,
}

impl Allowance {
    pub(super) fn of(limits: &Limits) -> Self {
        Self { head: span(limits.header_timeout_ms), idle: span(limits.idle_timeout_ms) }
    }

    /// At the end of the server: for a client that has not yet sent all of a head.
    pub(super) fn at_the_end(self) -> Self {
        Self { head: self.head.min(Duration::from_secs(1)), ..self }
    }
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), state: AtomicU64::new(Doing::Fresh as u64) }
    }

    /// Bytes have arrived.
    pub(super) fn arrived(&self) {
        match self.doing() {
            Doing::Answering | Doing::Head => {}
            Doing::Idle => self.set(Doing::Head),
            // Since the connection's beginning: a first head is awaited from then on.
            Doing::Fresh => self.state.store(Doing::Head as u64, Ordering::Relaxed),
        }
    }

    /// Bytes have left. The end of an answer may be long under way to a slow client.
    pub(super) fn left(&self) {
        if self.doing() == Doing::Idle {
            self.set(Doing::Idle);
        }
    }

    /// A head has arrived as a whole.
    pub(super) fn answering(&self) {
        self.state.store(Doing::Answering as u64, Ordering::Relaxed);
    }

    /// An answer is complete.
    pub(super) fn answered(&self) {
        self.set(Doing::Idle);
    }

    /// Whether a request may be on its way: its head has begun to arrive, or nothing has ever arrived.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self.doing(), Doing::Head | Doing::Fresh)
    }

    /// Ends when the client has taken longer than allowed, or half as long again.
    pub(super) async fn exceeded(&self, allowance: Allowance) -> Exceeded {
        // A head that begins is noticed at the next look.
        let look = (allowance.head / 2).max(Duration::from_millis(1));
        loop {
            let now = Instant::now();
            let state = self.state.load(Ordering::Relaxed);
            let since = self.began + Duration::from_millis(state >> 2);
            let next = match Doing::from(state) {
                Doing::Answering => now + look,
                Doing::Fresh | Doing::Head if since + allowance.head <= now => return Exceeded::Head,
                Doing::Fresh | Doing::Head => since + allowance.head,
                Doing::Idle if since + allowance.idle <= now => return Exceeded::Idle,
                Doing::Idle => (since + allowance.idle).min(now + look),
            };
            sleep_until(next).await;
        }
    }

    fn doing(&self) -> Doing {
        self.state.load(Ordering::Relaxed).into()
    }

    fn set(&self, doing: Doing) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        self.state.store(millis << 2 | doing as u64, Ordering::Relaxed);
    }
}

impl From<u64> for Doing {
    fn from(state: u64) -> Self {
        match state & 3 {
            0 => Self::Answering,
            1 => Self::Head,
            2 => Self::Idle,
            _ => Self::Fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const ALLOWANCE: Allowance = Allowance { head: Duration::from_secs(10), idle: Duration::from_secs(60) };

    async fn exceeded(pace: &Pace) -> Option<Exceeded> {
        timeout(Duration::ZERO, pace.exceeded(ALLOWANCE)).await.ok()
    }

    async fn pass(seconds: u64) {
        advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_may_not_come_in_drops() {
        let pace = Pace::new();
        assert_eq!(pace.doing(), Doing::Fresh);
        for _ in 0..9 {
            pass(1).await;
            pace.arrived();
        }
        assert_eq!(pace.doing(), Doing::Head);
        assert!(pace.is_awaited());
        assert_eq!(exceeded(&pace).await, None);
        pass(1).await;
        assert_eq!(exceeded(&pace).await, Some(Exceeded::Head));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_take_as_long_as_it_takes() {
        let pace = Pace::new();
        pace.answering();
        pass(86_400).await;
        assert_eq!(exceeded(&pace).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_a_client_may_wait_longer_than_within_one() {
        let pace = Pace::new();
        pace.answering();
        pace.answered();
        pass(59).await;
        assert_eq!(exceeded(&pace).await, None);
        pace.arrived();
        pass(9).await;
        assert_eq!(exceeded(&pace).await, None);
        pass(1).await;
        assert_eq!(exceeded(&pace).await, Some(Exceeded::Head));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_still_reads_the_answer_is_not_idle() {
        let pace = Pace::new();
        pace.answered();
        pass(59).await;
        pace.left();
        pass(59).await;
        assert_eq!(exceeded(&pace).await, None);
        pass(1).await;
        assert_eq!(exceeded(&pace).await, Some(Exceeded::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn who_exceeds_is_noticed_though_nothing_happens() {
        let pace = Pace::new();
        pace.answering();
        pace.answered();
        let began = Instant::now();
        assert_eq!(pace.exceeded(ALLOWANCE).await, Exceeded::Idle);
        assert!(began.elapsed() < Duration::from_secs(61));
    }
}
