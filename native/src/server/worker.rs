//! A thread that serves: its runtime and its listeners, and what all threads have in common.

use std::{
    convert::Infallible,
    io,
    net::TcpListener as StdListener,
    sync::{Arc, mpsc},
};

use hyper::server::conn::http1;
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
    sync::{Semaphore, mpsc as channel, watch},
};

use super::{Limits, accept, connection, handler::Handler, pace::Allowance};
use crate::metrics::Metrics;

/// Where in its life the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// Nothing new; what has begun goes on.
    Draining,
    Stopped,
}

impl Phase {
    /// Ends when this phase or a later one has begun.
    pub(super) async fn reached(self, phases: &mut watch::Receiver<Self>) {
        // An error says that the server was dropped, which is the last phase of all.
        let _ = phases.wait_for(|&phase| phase >= self).await;
    }
}

/// Held by all that a server waits for at its end. Nothing is ever sent: it's over when none is left.
pub(super) type Alive = channel::Sender<Infallible>;

/// A thread's part in its server's life: what tells it to end, and what it tells by ending.
#[derive(Clone)]
pub(super) struct Life {
    pub(super) phases: watch::Receiver<Phase>,
    pub(super) alive: Alive,
}

/// What all threads have in common.
pub(super) struct Worker<H> {
    pub(super) handler: H,
    pub(super) protocol: http1::Builder,
    pub(super) max_head: usize,
    pub(super) allowance: Allowance,
    pub(super) metrics: Arc<Metrics>,
    pub(super) slots: Arc<Semaphore>,
    max_connections: usize,
}

impl<H: Handler> Worker<H> {
    pub(super) fn new(handler: H, limits: Limits, metrics: Arc<Metrics>) -> Self {
        let max_connections = limits.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            handler,
            protocol: connection::protocol(&limits),
            max_head: connection::max_head(&limits),
            allowance: Allowance::of(&limits),
            metrics,
            slots: Arc::new(Semaphore::new(max_connections)),
            max_connections,
        }
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.max_connections.saturating_sub(self.slots.available_permits())
    }
}

/// The life of one thread. It says once whether it could begin.
pub(super) fn run<H: Handler>(
    worker: &Arc<Worker<H>>,
    listeners: Vec<StdListener>,
    life: Life,
    ready: &mpsc::Sender<io::Result<()>>,
) {
    // Whom it is told may have given the server up meanwhile, which comes to the same.
    let (runtime, listeners) = match begin(listeners) {
        Ok(begun) => {
            let _ = ready.send(Ok(()));
            begun
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let mut phases = life.phases.clone();
        for listener in listeners {
            tokio::spawn(accept::run(worker.clone(), listener, life.clone()));
        }
        // From here on alive is who accepts or is connected.
        drop(life);
        Phase::Stopped.reached(&mut phases).await;
    });
    // Drops all connections and tunnels, and does not wait for a name to be resolved.
    runtime.shutdown_background();
}

fn begin(listeners: Vec<StdListener>) -> io::Result<(Runtime, Vec<TcpListener>)> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let listeners = listeners.into_iter().map(TcpListener::from_std).collect::<io::Result<_>>()?;
    drop(entered);
    Ok((runtime, listeners))
}
