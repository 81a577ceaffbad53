//! How long a client may take: to send a request's head, between two requests, and to take what it is sent.
//!
//! One timer a connection, which looks now and then; a request costs no timer. How long an upstream may
//! take is the HTTP client's business, and how fast a request's body has to come that body's ([`crate::body`]).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::Limits;
use crate::{flow::Flow, idle::span};

/// How often is looked, at least, whether a client is too slow.
const LOOK: Duration = Duration::from_secs(5);

/// What a connection does, and since when.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    /// Milliseconds since it began, and in the lowest bits what it does. Together, so that they fit.
    state: AtomicU64,
    /// Requests whose answers are not complete. In HTTP/1.1 there is one at most.
    answering: AtomicUsize,
    /// Since when the head of a further request has been arriving, in milliseconds plus one; HTTP/2 only, where that
    /// happens beside answers. Zero: there is none.
    head: AtomicU64,
    /// All that is written.
    written: Flow,
    /// Answers whose client may keep them waiting by itself: HTTP/2's.
    streams: Mutex<Vec<Arc<Flow>>>,
    flooded: AtomicBool,
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
    /// It takes what it is sent too slowly.
    Slow,
}

/// How long a connection may do what it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    head: Duration,
    idle: Duration,
    /// Bytes a second.
    least: u64,
}

impl Allowance {
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            head: span(limits.header_timeout_ms),
            idle: span(limits.idle_timeout_ms),
            least: limits.min_bytes_per_second,
        }
    }

    /// At the end of the server: for a client that has not yet sent all of a head.
    pub(super) fn at_the_end(self) -> Self {
        Self { head: self.head.min(Duration::from_secs(1)), ..self }
    }
}

impl Pace {
    /// Of a connection whose first request's head is awaited.
    pub(super) fn new() -> Self {
        Self::beginning(Doing::Fresh)
    }

    /// Of a connection that may wait before its first request.
    pub(super) fn idle() -> Self {
        Self::beginning(Doing::Idle)
    }

    fn beginning(doing: Doing) -> Self {
        Self {
            began: Instant::now(),
            state: AtomicU64::new(doing as u64),
            answering: AtomicUsize::new(0),
            head: AtomicU64::new(0),
            written: Flow::default(),
            streams: Mutex::default(),
            flooded: AtomicBool::new(false),
        }
    }

    /// Milliseconds since the connection began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX >> 2)
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
    pub(super) fn left(&self, bytes: usize) {
        self.written.took(bytes, || self.now());
        if self.doing() == Doing::Idle {
            self.set(Doing::Idle);
        }
    }

    /// Bytes can't leave, for the client takes none.
    pub(super) fn stuck(&self) {
        self.written.waits(|| self.now());
    }

    /// All bytes have left.
    pub(super) fn unstuck(&self) {
        self.written.took(0, || self.now());
    }

    /// Whether the head of a further request is arriving, beside whatever else goes on.
    pub(super) fn head(&self, arrives: bool) {
        match (arrives, self.head.load(Ordering::Relaxed)) {
            (true, 0) => self.head.store(self.now() + 1, Ordering::Relaxed),
            (false, 1..) => self.head.store(0, Ordering::Relaxed),
            _ => {}
        }
    }

    /// The client asks for more than it may.
    pub(super) fn flooded(&self) {
        self.flooded.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub(super) fn was_flooded(&self) -> bool {
        self.flooded.load(Ordering::Relaxed)
    }

    /// A head has arrived as a whole.
    pub(super) fn answering(&self) {
        self.answering.fetch_add(1, Ordering::Relaxed);
        self.state.store(Doing::Answering as u64, Ordering::Relaxed);
    }

    /// An answer is complete.
    pub(super) fn answered(&self) {
        if self.answering.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.set(Doing::Idle);
        }
    }

    /// An answer begins that its client may keep waiting by itself.
    pub(super) fn stream_begins(&self) -> Arc<Flow> {
        let flow = Arc::new(Flow::default());
        self.streams().push(flow.clone());
        flow
    }

    /// It has ended.
    pub(super) fn stream_ended(&self, flow: &Arc<Flow>) {
        let mut streams = self.streams();
        if let Some(at) = streams.iter().position(|one| Arc::ptr_eq(one, flow)) {
            streams.swap_remove(at);
        }
    }

    fn streams(&self) -> MutexGuard<'_, Vec<Arc<Flow>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_slow(&self, least: u64) -> bool {
        let now = self.now();
        least > 0
            && (self.written.is_too_slow(least, now)
                || self.streams().iter().any(|flow| flow.is_too_slow(least, now)))
    }

    /// Whether a request may be on its way: its head has begun to arrive, or nothing has ever arrived.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self.doing(), Doing::Head | Doing::Fresh)
    }

    /// Ends when the client has taken longer than allowed, or half as long again.
    pub(super) async fn exceeded(&self, allowance: Allowance) -> Exceeded {
        // A head that begins is noticed at the next look.
        let look = (allowance.head / 2).clamp(Duration::from_millis(1), LOOK);
        loop {
            let now = Instant::now();
            if self.is_slow(allowance.least) {
                return Exceeded::Slow;
            }
            let head = self.head.load(Ordering::Relaxed);
            if head != 0 && self.began + Duration::from_millis(head) + allowance.head <= now {
                return Exceeded::Head;
            }
            let state = self.state.load(Ordering::Relaxed);
            let since = self.began + Duration::from_millis(state >> 2);
            let next = match Doing::from(state) {
                Doing::Answering => now + look,
                Doing::Fresh | Doing::Head if since + allowance.head <= now => return Exceeded::Head,
                Doing::Fresh | Doing::Head => (since + allowance.head).min(now + LOOK),
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
        self.state.store(self.now() << 2 | doing as u64, Ordering::Relaxed);
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

    const ALLOWANCE: Allowance =
        Allowance { head: Duration::from_secs(10), idle: Duration::from_secs(60), least: 100 };

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
        pace.answering();
        pace.answered();
        pass(59).await;
        pace.left(1);
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

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_an_answer_is_cut_off() {
        let pace = Pace::new();
        pace.answering();
        pace.stuck();
        pass(19).await;
        assert_eq!(exceeded(&pace).await, None);
        pass(1).await;
        assert_eq!(exceeded(&pace).await, Some(Exceeded::Slow));
    }

    #[tokio::test(start_paused = true)]
    async fn one_stream_that_is_not_taken_is_noticed_beside_others() {
        let pace = Pace::idle();
        let (one, other) = (pace.stream_begins(), pace.stream_begins());
        one.waits(|| pace.now());
        for _ in 0..19 {
            other.waits(|| pace.now());
            pass(1).await;
            other.took(1000, || pace.now());
            assert_eq!(exceeded(&pace).await, None);
        }
        pass(1).await;
        assert_eq!(exceeded(&pace).await, Some(Exceeded::Slow));
        pace.stream_ended(&one);
        assert_eq!(exceeded(&pace).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_beside_answers_may_not_come_in_drops_either() {
        let pace = Pace::idle();
        pace.answering();
        pace.head(true);
        pass(9).await;
        pace.head(true);
        assert_eq!(exceeded(&pace).await, None);
        pass(2).await;
        assert_eq!(exceeded(&pace).await, Some(Exceeded::Head));
        pace.head(false);
        assert_eq!(exceeded(&pace).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_answers_under_way_is_not_idle() {
        let pace = Pace::idle();
        pace.answering();
        pace.answering();
        pace.answered();
        pass(600).await;
        assert_eq!(exceeded(&pace).await, None);
        pace.answered();
        pass(60).await;
        assert_eq!(exceeded(&pace).await, Some(Exceeded::Idle));
    }
}
