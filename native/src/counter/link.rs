//! A connection to the store that is kept: made anew in the background when it fails, and looked after while nobody
//! uses it. While there is none, whoever asks is told so at once.
//!
//! So a store that hangs costs those who were asking it when it began to, and nobody after them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tollgate_core::config::document::StoreUrl;

use super::script::{self, Asks};
use crate::{
    metrics::{Failed, StoreMetrics},
    notice,
    store::{self, Patience, Wire},
};

/// A connection that held so long is made anew at once.
const STEADY: Duration = Duration::from_secs(1);
/// How long to wait between attempts, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(200));
/// A connection that has answered is one for so long, as far as anybody can tell.
const PROVEN_MS: u64 = 10;
/// How often a connection is looked after.
const LOOKS: Duration = Duration::from_secs(1);

/// The store, as far as it counts limits.
pub(super) struct Server {
    at: store::Server,
    /// For one question.
    patience: Duration,
    metrics: Arc<StoreMetrics>,
    /// So that an outage is told once, and not by every thread.
    is_down: AtomicBool,
}

impl Server {
    pub(super) fn new(
        url: &StoreUrl,
        cluster: bool,
        patience: Duration,
        metrics: Arc<StoreMetrics>,
    ) -> Result<Self, String> {
        let nodes = Patience { connect: patience_to_connect(patience), answer: patience };
        let at = store::Server::new(url, cluster, nodes)?;
        Ok(Self { at, patience, metrics, is_down: AtomicBool::new(false) })
    }

    /// Where it is, as may be shown.
    pub(super) fn shown(&self) -> &str {
        self.at.shown()
    }

    /// What came of a question that was not answered.
    pub(super) fn failure(&self, error: &RedisError) -> Failure {
        let text = self.at.text(error);
        match error.kind() {
            _ if error.is_timeout() => Failure::Late,
            ErrorKind::Io | ErrorKind::Client => Failure::Dropped(text),
            // It will say the same for a while, or it is another now than it was.
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown,
            )
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::AuthenticationFailed => Failure::Away(text),
            _ => Failure::Refused(text),
        }
    }

    /// A connection over which the script runs.
    async fn connect(&self) -> Result<Wire, Failure> {
        let patience = patience_to_connect(self.patience);
        let connected = async {
            let wire = self.at.connect().await?;
            look(&wire).await?;
            Ok(wire)
        };
        match timeout(patience, connected).await {
            Ok(connected) => connected.map_err(|error| self.failure(&error)),
            Err(_) => Err(Failure::Late),
        }
    }

    /// Says that there is an outage, or that it is over.
    fn tell(&self, failure: Option<&Failure>) {
        let was_down = self.is_down.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(failure) if !was_down => {
                self.metrics.outages.up();
                notice::say(format_args!("limits can't be shared: {}: {failure}", self.shown()));
            }
            None if was_down => notice::say(format_args!("limits are shared again: {}", self.shown())),
            _ => {}
        }
    }
}

/// Making a connection takes several ways there and back, and nobody waits for it.
fn patience_to_connect(patience: Duration) -> Duration {
    (patience * 5).clamp(Duration::from_millis(250), Duration::from_secs(2))
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

/// Runs the script about nothing, which proves all that a question needs.
async fn look(wire: &Wire) -> Result<(), RedisError> {
    let nothing = Asks::default();
    match wire.clone() {
        Wire::One(mut wire) => script::run(&mut wire, &nothing, None).await.map(|_| ()),
        Wire::Cluster(mut wire) => script::run(&mut wire, &nothing, None).await.map(|_| ()),
    }
}

/// Why a question was not answered.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// Not in time.
    Late,
    /// The connection has ended, or there could be none.
    Dropped(String),
    /// The server does not serve for now.
    Away(String),
    /// The server serves, and said no.
    Refused(String),
    /// Nobody was asked: there is no connection.
    Down,
}

impl Failure {
    pub(super) const fn late() -> Self {
        Self::Late
    }

    /// How it counts.
    pub(super) const fn counted(&self) -> Failed {
        match self {
            Self::Late => Failed::Late,
            Self::Dropped(_) => Failed::Connection,
            Self::Away(_) | Self::Refused(_) => Failed::Refused,
            Self::Down => Failed::Down,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("no answer in time"),
            Self::Dropped(text) | Self::Away(text) | Self::Refused(text) => f.write_str(text),
            Self::Down => f.write_str("not reached lately"),
        }
    }
}

/// A connection and which one it is, so that nobody reports one as broken that was made since.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) wire: Wire,
    pub(super) number: u64,
}

#[derive(Debug)]
enum State {
    /// It is being made, and will be there in a moment or not at all.
    Making,
    Up(Line),
    Down,
}

/// The connection of one thread.
#[derive(Debug)]
pub(super) struct Link {
    server: Arc<Server>,
    state: watch::Sender<State>,
    keeper: JoinHandle<()>,
    /// When a question was answered last, in milliseconds since the link was made.
    answered_ms: AtomicU64,
    made: Instant,
}

impl Link {
    /// A connection that is kept by this thread's runtime, until `open` says that nobody wants it any more.
    pub(super) fn new(server: Arc<Server>, mut open: watch::Receiver<()>) -> Self {
        let state = watch::Sender::new(State::Making);
        let (kept, keeping) = (state.clone(), server.clone());
        let keeper = tokio::spawn(async move {
            tokio::select! {
                // Nothing is ever sent: this is the end of the sender.
                _ = open.changed() => {}
                () = keep(&keeping, &kept) => {}
            }
            kept.send_replace(State::Down);
        });
        Self { server, state, keeper, answered_ms: AtomicU64::new(0), made: Instant::now() }
    }

    /// Whether somebody still sees to it. A runtime may end before its thread does.
    pub(super) fn is_kept(&self) -> bool {
        !self.keeper.is_finished()
    }

    /// The connection. One that is being made is waited for.
    pub(super) async fn line(&self) -> Result<Line, Failure> {
        if let State::Up(line) = &*self.state.borrow() {
            return Ok(line.clone());
        }
        let mut states = self.state.subscribe();
        match states.wait_for(|state| !matches!(state, State::Making)).await.as_deref() {
            Ok(State::Up(line)) => Ok(line.clone()),
            _ => Err(Failure::Down),
        }
    }

    /// Ends when there is a connection.
    pub(super) async fn is_up(&self) {
        let mut states = self.state.subscribe();
        // The sender is here, so it does not end.
        let _ = states.wait_for(|state| matches!(state, State::Up(_))).await;
    }

    /// A question was answered.
    pub(super) fn answered(&self) {
        self.answered_ms.store(self.age_ms(), Ordering::Relaxed);
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Makes sure that the connection is still one, unless it was just now.
    pub(super) async fn prove(&self, patience: Duration) -> Result<(), Failure> {
        let line = self.line().await?;
        if self.age_ms().saturating_sub(self.answered_ms.load(Ordering::Relaxed)) < PROVEN_MS {
            return Ok(());
        }
        let failure = match timeout(patience, look(&line.wire)).await {
            Ok(Ok(())) => {
                self.answered();
                return Ok(());
            }
            Ok(Err(error)) => self.server.failure(&error),
            Err(_) => Failure::Late,
        };
        self.failed(line.number, &failure);
        Err(failure)
    }

    /// Reports what came of a question over a connection.
    pub(super) fn failed(&self, number: u64, failure: &Failure) {
        if let Failure::Away(_) = failure {
            // Whoever keeps the connection may find nothing wrong with it.
            self.server.tell(Some(failure));
        }
        let next = match failure {
            // Perhaps it was only this connection: a new one will tell, in no time.
            Failure::Dropped(_) => State::Making,
            Failure::Late | Failure::Away(_) => State::Down,
            Failure::Refused(_) | Failure::Down => return,
        };
        self.state.send_if_modified(|state| {
            let is_it = matches!(state, State::Up(line) if line.number == number);
            if is_it {
                *state = next;
            }
            is_it
        });
    }
}

/// Sees to it that there is a connection, for ever.
async fn keep(server: &Server, state: &watch::Sender<State>) {
    let (first, most) = PAUSES;
    let (mut number, mut pause) = (0, first);
    loop {
        match server.connect().await {
            Ok(wire) => {
                number += 1;
                let since = Instant::now();
                let connection = server.metrics.connection();
                state.send_replace(State::Up(Line { wire: wire.clone(), number }));
                let failure = look_after(server, state, &wire).await;
                drop((connection, wire));
                if let Some(failure) = failure {
                    server.tell(Some(&failure));
                }
                if since.elapsed() >= STEADY {
                    pause = first;
                    continue;
                }
            }
            Err(failure) => server.tell(Some(&failure)),
        }
        state.send_replace(State::Down);
        sleep(pause).await;
        pause = (pause * 2).min(most);
    }
}

/// Ends when the connection has failed those who use it or, while nobody does, its keeper.
async fn look_after(server: &Server, state: &watch::Sender<State>, wire: &Wire) -> Option<Failure> {
    let mut states = state.subscribe();
    loop {
        tokio::select! {
            _ = states.wait_for(|state| !matches!(state, State::Up(_))) => return None,
            () = sleep(LOOKS) => {}
        }
        let failure = match timeout(patience_to_connect(server.patience), look(wire)).await {
            // Only now is it said that all is well: what fails again at once would fill the log.
            Ok(Ok(())) => {
                server.tell(None);
                continue;
            }
            Ok(Err(error)) => server.failure(&error),
            Err(_) => Failure::Late,
        };
        state.send_replace(match failure {
            Failure::Dropped(_) => State::Making,
            _ => State::Down,
        });
        return Some(failure);
    }
}
