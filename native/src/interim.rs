//! Interim answers (1xx) on their way from a service to a client of HTTP/1.1. hyper has no way to send them, but the
//! client's socket is ours: they are written there between two of hyper's writes, when it has got rid of all it had.
//! Which of them pass, core says.

use std::{
    io::Write,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Waker},
};

use http::{HeaderMap, StatusCode};
use tollgate_core::interim::passed;

/// As much as a service may say before it answers. The rest is dropped: all of it is said again later.
const MOST: usize = 16 << 10;

/// The interim answers to the present request of one connection.
#[derive(Debug, Default)]
pub(crate) struct Interim {
    /// Whether an answer is still awaited, so that there may be some.
    open: AtomicBool,
    /// Whether something waits to be written.
    waits: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    waker: Option<Waker>,
}

impl Interim {
    /// A request's answer is awaited from now on.
    pub(crate) fn begin(&self) {
        self.open.store(true, Relaxed);
    }

    /// The answer is there. What comes now comes too late.
    pub(crate) fn end(&self) {
        self.open.store(false, Relaxed);
    }

    /// A service has said this much.
    pub(crate) fn send(&self, status: StatusCode, headers: &HeaderMap) {
        let Some(headers) = passed(status, headers) else { return };
        let mut state = self.lock();
        if !self.open.load(Relaxed) {
            return;
        }
        let before = state.bytes.len();
        // Writing to memory does not fail.
        let reason = status.canonical_reason().unwrap_or_default();
        let _ = write!(state.bytes, "HTTP/1.1 {} {reason}\r\n", status.as_str());
        for (name, value) in &headers {
            state.bytes.extend_from_slice(name.as_str().as_bytes());
            state.bytes.extend_from_slice(b": ");
            state.bytes.extend_from_slice(value.as_bytes());
            state.bytes.extend_from_slice(b"\r\n");
        }
        state.bytes.extend_from_slice(b"\r\n");
        if state.bytes.len() > MOST {
            state.bytes.truncate(before);
        }
        self.waits.store(true, Relaxed);
        if let Some(waker) = state.waker.take() {
            drop(state);
            waker.wake();
        }
    }

    /// What is to be written. While an answer is awaited, whoever asks is woken when there is something.
    pub(crate) fn take(&self, context: &Context<'_>) -> Vec<u8> {
        let is_open = self.open.load(Relaxed);
        if !is_open && !self.waits.load(Relaxed) {
            return Vec::new();
        }
        let mut state = self.lock();
        self.waits.store(false, Relaxed);
        if is_open && !state.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            state.waker = Some(context.waker().clone());
        }
        std::mem::take(&mut state.bytes)
    }

    /// What was not written by now never is.
    pub(crate) fn forget(&self) {
        if self.waits.swap(false, Relaxed) {
            self.lock().bytes.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
