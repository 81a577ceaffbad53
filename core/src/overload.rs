//! How many requests may be waited for at the same time, fixed or found out, so that one too many is turned away at once
//! instead of making all others late. Whose request it is does not matter here; that is what limits are for.
//!
//! Found out by the delay gradient, as TCP Vegas and Netflix' `concurrency-limits` do: while answers come about as fast as
//! they use to, the bound grows by its square root; when they come later, it shrinks in proportion.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::{config::document::Overload as Written, host::Timestamp};

/// The bound, where nothing was found out yet and none is written.
const BEGIN: u64 = 256;
/// It never becomes smaller: a service that nobody asks can't show that it is well again.
const FLOOR: u64 = 8;
/// Nor larger, where none is written.
const CEILING: u64 = 65_536;
/// How long answers are gathered before the bound is looked at again.
const WINDOW_MS: u64 = 500;
/// How many have to have come.
const ENOUGH: u64 = 10;
/// How much later than usual answers may come.
const TOLERANCE: f64 = 1.5;

/// The requests in hand, and how many there may be.
#[derive(Debug)]
pub(crate) struct Overload {
    waiting: AtomicU64,
    bound: AtomicU64,
    adaptive: Option<Mutex<Adaptive>>,
}

/// One of the requests in hand.
#[derive(Debug)]
pub(crate) struct Place<'o>(&'o Overload);

impl Overload {
    /// `None` where everything is taken on.
    pub(crate) fn new(written: &Written) -> Option<Self> {
        let ceiling = if written.max_requests == 0 { CEILING } else { written.max_requests };
        let adaptive = written.adaptive.then(|| Mutex::new(Adaptive::new(ceiling)));
        if adaptive.is_none() && written.max_requests == 0 {
            return None;
        }
        let begin = if written.adaptive { ceiling.min(BEGIN) } else { ceiling };
        Some(Self { waiting: AtomicU64::new(0), bound: AtomicU64::new(begin), adaptive })
    }

    /// A place for one more request, if there is one.
    pub(crate) fn enter(&self) -> Option<Place<'_>> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        // Leaves again by being dropped.
        let place = Place(self);
        (before < self.bound.load(Ordering::Relaxed)).then_some(place)
    }

    /// A service has answered after `took_ms`.
    pub(crate) fn answered(&self, took_ms: u64, now: Timestamp) {
        let Some(adaptive) = &self.adaptive else { return };
        let waiting = self.waiting.load(Ordering::Relaxed);
        if let Some(bound) = lock(adaptive).answered(took_ms, waiting, now) {
            self.bound.store(bound, Ordering::Relaxed);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock(adaptive: &Mutex<Adaptive>) -> MutexGuard<'_, Adaptive> {
    // Numbers of a window at worst.
    adaptive.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of how fast answers come.
#[derive(Debug)]
struct Adaptive {
    ceiling: f64,
    bound: f64,
    /// How long answers usually take, in milliseconds. Zero: not known.
    usual: f64,
    window: Window,
}

#[derive(Debug, Default)]
struct Window {
    began: Timestamp,
    total_ms: u64,
    answers: u64,
    /// The most that were waited for at the same time.
    peak: u64,
}

impl Adaptive {
    #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
    fn new(ceiling: u64) -> Self {
        Self {
            ceiling: ceiling as f64,
            bound: ceiling.min(BEGIN) as f64,
            usual: 0.0,
            window: Window::default(),
        }
    }

    /// The new bound, when a window has ended.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is measured is small, and what comes out is between floor and ceiling"
    )]
    fn answered(&mut self, took_ms: u64, waiting: u64, now: Timestamp) -> Option<u64> {
        let window = &mut self.window;
        if window.answers == 0 {
            window.began = now;
        }
        window.answers += 1;
        window.total_ms = window.total_ms.saturating_add(took_ms);
        window.peak = window.peak.max(waiting);
        if window.answers < ENOUGH || now.saturating_sub(window.began) < WINDOW_MS {
            return None;
        }
        let window = std::mem::take(&mut self.window);
        // Clocks count whole milliseconds: an answer within one has taken half of one, on average.
        let took = window.total_ms as f64 / window.answers as f64 + 0.5;
        // What is usual follows good news fast and bad news slowly, lest an overload become what is usual.
        let pace = if took < self.usual { 0.1 } else { 0.01 };
        self.usual = if self.usual == 0.0 { took } else { self.usual + (took - self.usual) * pace };
        let gradient = (TOLERANCE * self.usual / took).clamp(0.5, 1.0);
        let is_used = window.peak as f64 >= self.bound / 2.0;
        // A bound that nobody has come near tells nothing of whether a larger one would do.
        if gradient < 1.0 || is_used {
            let wanted = self.bound * gradient + self.bound.sqrt();
            self.bound =
                (self.bound * 0.8 + wanted * 0.2).clamp(self.ceiling.min(FLOOR as f64), self.ceiling);
        }
        Some(self.bound as u64)
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn overload(max_requests: u64, adaptive: bool) -> Option<Overload> {
        Overload::new(&Written { max_requests, adaptive })
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn nothing_written_takes_everything_on() {
        assert!(overload(0, false).is_none());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn one_too_many_is_turned_away_until_another_has_left() {
        let overload = overload(2, false).unwrap();
        let (first, _second) = (overload.enter().unwrap(), overload.enter().unwrap());
        assert!(overload.enter().is_none());
        assert!(overload.enter().is_none());
        drop(first);
        assert!(overload.enter().is_some());
    }

    /// A service that answers within `quick_ms` up to `bears` requests at once, and beyond that in proportion later.
    fn play(overload: &Overload, bears: u64, quick_ms: u64, asked: u64, windows: u64, now: &mut u64) {
        for _ in 0..windows {
            let places: Vec<_> = (0..asked).map_while(|_| overload.enter()).collect();
            let at_once = places.len() as u64;
            let took = quick_ms * at_once.max(bears) / bears;
            for _ in 0..at_once {
                *now += WINDOW_MS.div_ceil(at_once);
                overload.answered(took, *now);
            }
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_bound_shrinks_when_answers_come_later_than_usual_and_recovers() {
        let (overload, mut now) = (overload(0, true).unwrap(), 0);
        play(&overload, 300, 20, 200, 20, &mut now);
        let well = overload.bound.load(Ordering::Relaxed);
        play(&overload, 20, 20, 1_000, 30, &mut now);
        let ill = overload.bound.load(Ordering::Relaxed);
        assert!(ill < well / 2, "{well} {ill}");
        assert!(ill >= FLOOR);
        play(&overload, 300, 20, 1_000, 60, &mut now);
        let again = overload.bound.load(Ordering::Relaxed);
        assert!(again > ill * 2, "{ill} {again}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn it_never_exceeds_what_is_written() {
        let (overload, mut now) = (overload(50, true).unwrap(), 0);
        play(&overload, 1_000, 5, 1_000, 100, &mut now);
        assert_eq!(overload.bound.load(Ordering::Relaxed), 50);
    }
}
