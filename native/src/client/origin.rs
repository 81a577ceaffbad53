//! The shared connections of one endpoint on one thread, and who is opening another: requests that come meanwhile
//! wait for it, as far as it will have room for them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;

use super::shared::{MAX_STREAMS, Shared, Slot};

/// Connections that are kept. Further ones serve the request for which they were opened.
const MAX_KEPT: usize = 256;

/// An endpoint that may speak HTTP/2.
pub(super) struct Origin {
    state: Mutex<State>,
    /// Somebody has opened a connection, or failed to.
    opened: Notify,
}

struct State {
    connections: Vec<Arc<Shared>>,
    opening: usize,
    waiting: usize,
    /// How many streams the last connection had room for.
    room: usize,
    /// Whether it has last chosen HTTP/1.1.
    is_http1: bool,
}

impl Default for Origin {
    fn default() -> Self {
        let state =
            State { connections: Vec::new(), opening: 0, waiting: 0, room: MAX_STREAMS, is_http1: false };
        Self { state: Mutex::new(state), opened: Notify::new() }
    }
}

/// What somebody is to do who needs a connection.
pub(super) enum Turn {
    /// Use this.
    Use(Arc<Slot>),
    /// Open one.
    Open(Opening),
}

impl Origin {
    /// A place on a connection that is there, and is not `but`.
    pub(super) fn claim(&self, but: Option<&Arc<Shared>>) -> Option<Arc<Slot>> {
        self.lock().claim(but)
    }

    /// Whether it has last chosen HTTP/1.1.
    pub(super) fn is_http1(&self) -> bool {
        self.lock().is_http1
    }

    /// Waits for a place on a connection that others open, or else for the turn to open one.
    pub(super) async fn turn(self: &Arc<Self>, but: Option<&Arc<Shared>>) -> Turn {
        loop {
            let (opened, _waiting) = {
                let mut state = self.lock();
                if let Some(slot) = state.claim(but) {
                    return Turn::Use(slot);
                }
                // Each that is opened has one stream for who opens it.
                if state.is_http1 || state.waiting >= state.opening * state.room.saturating_sub(1) {
                    state.opening += 1;
                    return Turn::Open(Opening(Arc::clone(self)));
                }
                state.waiting += 1;
                // Made before the lock is let go of, so that it can't miss what it waits for.
                (self.opened.notified(), Waiting(self))
            };
            opened.await;
        }
    }

    /// Notes that the endpoint has chosen HTTP/1.1.
    pub(super) fn chose_http1(&self) {
        self.lock().is_http1 = true;
    }

    /// Keeps a connection, and gives a place on it.
    pub(super) fn keep(&self, connection: Shared) -> Option<Arc<Slot>> {
        let connection = Arc::new(connection);
        let slot = connection.claim();
        let mut state = self.lock();
        state.is_http1 = false;
        state.room = connection.allowed();
        if state.connections.len() < MAX_KEPT {
            state.connections.push(connection);
        }
        slot
    }

    /// Lets go of connections that are over. Whether there is nothing left to remember.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        // Outlives the lock, for letting go of a connection may wake its task.
        let over: Vec<_> = {
            let mut state = self.lock();
            state.connections.extract_if(.., |connection| connection.is_over(now)).collect()
        };
        drop(over);
        let state = self.lock();
        state.connections.is_empty() && state.opening == 0 && state.waiting == 0 && !state.is_http1
    }

    /// How many connections are kept, dead ones not counted.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        let now = Instant::now();
        self.lock().connections.iter().filter(|connection| !connection.is_over(now)).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn claim(&mut self, but: Option<&Arc<Shared>>) -> Option<Arc<Slot>> {
        let now = Instant::now();
        // The first that has room: those behind it come to rest when there is less to do. What is over is swept.
        let fit = |connection: &&Arc<Shared>| {
            !connection.is_over(now) && but.is_none_or(|but| !Arc::ptr_eq(but, connection))
        };
        self.connections.iter().filter(fit).find_map(Shared::claim)
    }
}

struct Waiting<'o>(&'o Origin);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

/// The turn to open a connection. Dropped, others have it.
pub(super) struct Opening(Arc<Origin>);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.lock().opening -= 1;
        self.0.opened.notify_waiters();
    }
}
