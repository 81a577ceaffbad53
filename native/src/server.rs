//! The listening side: sockets, threads and connections; what a request gets for an answer is core's.
//!
//! One thread a core, each with a runtime and listeners of its own, so that a connection lives and dies on
//! one thread. The system spreads connections over the listeners (`SO_REUSEPORT`).
//!
//! The rooms: [`bind`] (sockets), [`worker`] (a thread), [`accept`] (from a listener to a connection), [`crowd`] and
//! [`shed`] (who may not come in), [`connection`] (what comes before requests), [`forward`] (bytes that
//! are none), [`http1`] and [`http2`] (requests),
//! [`websocket`] (tunnels in HTTP/2), [`flight`] (one request), [`pace`] (how long a client may take),
//! [`frames`] (what it may ask for), [`stream`] and [`socket`] (its bytes), [`handler`] (what answers).

mod accept;
mod bind;
mod connection;
mod crowd;
mod flight;
mod forward;
mod frames;
mod handler;
mod http1;
mod http2;
mod pace;
mod shed;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod websocket;
mod worker;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use arc_swap::ArcSwap;
use http::{Method, Request, Response, request};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::sync::{mpsc as channel, watch};
use tollgate_core::{
    body::Body as _,
    config::document::{self, Http2Limits},
    gateway::Gateway,
    host::Peer,
    listener::{Address, Listener},
    pipeline,
};

use self::{
    bind::All,
    handler::{Both, Handler},
    worker::{Life, Phase, Worker},
};
use crate::{acme::Challenges, body::NativeBody, host::NativeHost, metrics::Metrics, tls::Tls};

/// The configuration in force. It is replaced as a whole; a request keeps the one it began with.
pub type Snapshot = Arc<ArcSwap<Gateway>>;

/// Where to listen, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where. Port 0 stands for one that the system chooses.
    pub listeners: Vec<Arc<Listener>>,
    /// Threads that serve. Zero for as many as there are cores.
    pub threads: usize,
    /// What clients may use of this process.
    pub limits: Limits,
    /// TLS of these listeners; needed where one of them has any.
    pub tls: Option<Arc<Tls>>,
}

/// What clients may use of this process before core has seen a request.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a client may take to send a request's head: from the connection's beginning or, on a
    /// connection that was used before, from the head's first byte.
    pub header_timeout_ms: u64,
    /// How long a client may take for what comes before its first request.
    pub handshake_timeout_ms: u64,
    /// How long a connection may stay unused between two requests.
    pub idle_timeout_ms: u64,
    /// How long a client may accept no byte of what it is sent. (Linux only.)
    pub stall_timeout_ms: u64,
    /// Bytes a second that a client must take of what it is sent, and send of a request's body. Zero: no bound.
    pub min_bytes_per_second: u64,
    /// Core's limit for a request's head. The server's own is above it, as core's refusal says more.
    pub max_header_bytes: usize,
    /// Connections at the same time, tunnels included. Further ones are turned away.
    pub max_connections: usize,
    /// The same of one address. Zero: no bound.
    pub max_connections_per_address: usize,
    /// Bounds on connections of HTTP/2.
    pub http2: Http2Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self::from(&document::Limits::default())
    }
}

impl From<&document::Limits> for Limits {
    fn from(written: &document::Limits) -> Self {
        let bounded = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            header_timeout_ms: written.header_timeout_ms,
            handshake_timeout_ms: written.handshake_timeout_ms,
            idle_timeout_ms: written.idle_timeout_ms,
            min_bytes_per_second: written.min_bytes_per_second,
            stall_timeout_ms: 60_000,
            max_header_bytes: bounded(written.max_header_bytes),
            max_connections: bounded(written.max_connections),
            max_connections_per_address: bounded(written.max_connections_per_address),
            http2: written.http2.clone(),
        }
    }
}

/// Why no server could be started.
#[derive(Debug, Error)]
pub enum ServerError {
    /// An address can't be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// A listener has TLS, and nobody has read its certificates.
    #[error("cannot listen on {address}: there is no TLS for it")]
    NoTls {
        /// The address.
        address: Address,
    },
    /// There is no address.
    #[error("no address to listen on")]
    NoAddress,
    /// The system gives no thread or no runtime.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}

/// A server that listens and does not yet answer.
#[derive(Debug)]
pub struct Server {
    bound: All,
    limits: Limits,
    challenges: Option<Arc<Challenges>>,
}

impl Server {
    /// Takes all addresses, or none.
    pub fn bind(settings: &Settings) -> Result<Self, ServerError> {
        if settings.listeners.is_empty() {
            return Err(ServerError::NoAddress);
        }
        let threads = match settings.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let bound = bind::all(&settings.listeners, settings.tls.as_deref(), threads, &settings.limits)?;
        Ok(Self { bound, limits: settings.limits.clone(), challenges: None })
    }

    /// The IP addresses, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.bound.addresses
    }

    /// The same, which answers authorities that ask whether a name is ours (HTTP-01).
    #[must_use]
    pub fn with_challenges(self, challenges: Arc<Challenges>) -> Self {
        Self { challenges: Some(challenges), ..self }
    }

    /// Answers from now on, each request with the configuration that is in force when it arrives.
    pub fn start(self, gateway: Snapshot, host: NativeHost) -> Result<Running, ServerError> {
        let metrics = host.metrics().clone();
        let least = self.limits.min_bytes_per_second;
        let refuse = {
            let (gateway, host) = (gateway.clone(), host.clone());
            move |peer: &Peer, head: &request::Parts, fault| {
                pipeline::refuse(&gateway.load(), &host, peer, head, fault)
            }
        };
        let challenges = self.challenges.clone();
        let answer = move |peer: Arc<Peer>, request: Request<Incoming>| {
            let (gateway, host) = (gateway.load_full(), host.clone());
            let asked = challenges.as_ref().filter(|challenges| challenges.is_pending(request.uri().path()));
            let asked = asked.filter(|_| request.method() == Method::GET).cloned();
            let request = request.map(|body| NativeBody::from(body).at_least(least));
            async move {
                // Before any redirect and any policy. Boxed: every request would carry room for it.
                if let Some(challenges) = asked
                    && let Some(text) = Box::pin(challenges.answer(request.uri().path())).await
                {
                    return Response::new(NativeBody::full(text.into()));
                }
                pipeline::handle(&gateway, &host, &peer, request).await
            }
        };
        self.start_with(metrics, Both { answer, refuse })
    }

    /// Answers with `handler`.
    fn start_with<H: Handler>(self, metrics: Arc<Metrics>, handler: H) -> Result<Running, ServerError> {
        let worker = Arc::new(Worker::new(handler, self.limits, metrics));
        let (alive, ended) = channel::channel(1);
        let (ready, started) = mpsc::channel();
        let All { addresses, shown, paths, sockets } = self.bound;
        let mut threads = Vec::with_capacity(sockets.len());
        for (number, listeners) in sockets.into_iter().enumerate() {
            let (worker, alive, ready) = (worker.clone(), alive.clone(), ready.clone());
            // Each has its own: connections look at it often, and threads are not to meet there.
            let (phase, phases) = watch::channel(Phase::Serving);
            let thread = thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || worker::run(&worker, listeners, Life { phases, alive }, &ready))
                .map_err(ServerError::Thread)?;
            threads.push((phase, thread));
        }
        // Every thread says once whether it could begin. One that panicked says nothing.
        drop(ready);
        for _ in &threads {
            started
                .recv()
                .unwrap_or_else(|_| Err(io::Error::other("a thread ended before it began")))
                .map_err(ServerError::Thread)?;
        }
        let open = Box::new(move || worker.open());
        Ok(Running { addresses, shown, paths, threads, ended, open })
    }
}

/// A server at work. It ends when this is dropped, without regard for its clients.
pub struct Running {
    addresses: Vec<SocketAddr>,
    shown: Vec<String>,
    paths: Vec<String>,
    /// Each with what tells it to end. A thread takes a lost sender for an order to stop.
    threads: Vec<(watch::Sender<Phase>, JoinHandle<()>)>,
    /// Ends when nobody accepts or is connected any more.
    ended: channel::Receiver<Infallible>,
    open: Box<dyn Fn() -> usize + Send + Sync>,
}

impl Running {
    /// The IP addresses, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where it listens, as people are told of it.
    pub fn places(&self) -> &[String] {
        &self.shown
    }

    /// Accepts no more, lets requests and tunnels go on until `deadline` has passed, and ends.
    /// How many connections were cut off.
    pub async fn shutdown(mut self, deadline: Duration) -> usize {
        self.tell(Phase::Draining);
        for path in &self.paths {
            // Who comes now is to find nobody. If it is gone already, so much the better.
            let _ = std::fs::remove_file(path);
        }
        let drained = tokio::time::timeout(deadline, self.ended.recv()).await.is_ok();
        let cut = if drained { 0 } else { (self.open)() };
        self.tell(Phase::Stopped);
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().filter_map(|(_, thread)| thread.join().err()).count()
        });
        match joined.await {
            Ok(0) => {}
            Ok(panicked) => crate::notice::say(format_args!("{panicked} threads had panicked")),
            Err(error) => crate::notice::say(format_args!("threads may be left behind: {error}")),
        }
        cut
    }

    fn tell(&self, phase: Phase) {
        for (sender, _) in &self.threads {
            sender.send_replace(phase);
        }
    }
}
