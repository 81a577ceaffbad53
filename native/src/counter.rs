//! Counters that processes share: in Redis or Valkey, where one script counts with core's arithmetic.
//!
//! What becomes of a request when they can't be reached is core's. Here every question ends in time, one way or the
//! other, and while nobody answers it ends at once.

mod link;
mod script;

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{RedisError, Value};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tollgate_core::{
    config::document::{Store, StoreType},
    counter::{Draw, Outcome, Quota, Rule, Settlement},
    host::{HostError, HostErrorKind},
};

pub use self::script::Now;
use self::{
    link::{Failure, Line, Link, Server},
    script::{Asks, Keys},
};
use crate::{metrics::StoreMetrics, store::Wire};

/// Settlements that wait for the store at the same time, at most.
const MAX_SETTLING: usize = 4_096;
/// Settlements that are asked at the same time, at most: all that have waited for a store would be too much for it at once.
const MAX_ASKING: usize = 64;
/// How long a settlement waits for a store that can't be reached.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// Tells stores apart that came one after another.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// This thread's connection, and to which store. A thread that serves has a runtime of its own, and what a
    /// connection does it does there.
    static LINK: RefCell<Option<(u64, Arc<Link>)>> = const { RefCell::new(None) };
}

/// Counters that this process shares with others. Cheap to clone; clones share connections, one a thread.
///
/// When the last is dropped, its connections are closed.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    number: u64,
    server: Arc<Server>,
    keys: Keys,
    patience: Duration,
    metrics: Arc<StoreMetrics>,
    settling: Arc<Semaphore>,
    /// Turns of those that settle.
    turns: Semaphore,
    /// Whoever keeps a connection lets it go when this is dropped.
    open: watch::Sender<()>,
}

impl Shared {
    /// Counters where the configuration says; `None` where they stay in this process. Nobody is asked yet.
    pub fn new(store: &Store, metrics: &Arc<StoreMetrics>) -> Result<Option<Self>, String> {
        let (StoreType::Redis, Some(url)) = (store.r#type, &store.url) else { return Ok(None) };
        let patience = Duration::from_millis(store.patience_ms());
        let server = Server::new(url, store.cluster, patience, metrics.clone())?;
        metrics.is_shared();
        Ok(Some(Self(Arc::new(Inner {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            server: Arc::new(server),
            keys: Keys::new(store.key_prefix()),
            patience,
            metrics: metrics.clone(),
            settling: Arc::new(Semaphore::new(MAX_SETTLING)),
            turns: Semaphore::new(MAX_ASKING),
            open: watch::Sender::new(()),
        }))))
    }

    /// Takes from all counters or, when one refuses, from none.
    pub async fn draw(&self, draws: &[Draw], now: Now) -> Result<Vec<Quota>, HostError> {
        if draws.is_empty() {
            return Ok(Vec::new());
        }
        let mut asks = Asks::at(now);
        for draw in draws {
            asks.push(self.0.keys.of(draw), draw.numbers(asks.now()));
        }
        let begun = Instant::now();
        self.0.metrics.draws.up();
        let quotas = self.ask(asks, Again::Once).await;
        self.0.metrics.took(begun.elapsed());
        quotas.map_err(|failure| self.unavailable(&failure))
    }

    /// Puts right what was drawn.
    pub async fn settle(&self, settlements: &[Settlement], now: Now) -> Result<(), HostError> {
        self.try_settle(settlements, now).await.map_err(|failure| self.unavailable(&failure))
    }

    async fn try_settle(&self, settlements: &[Settlement], now: Now) -> Result<(), Failure> {
        if settlements.is_empty() {
            return Ok(());
        }
        let mut asks = Asks::at(now);
        for settlement in settlements {
            asks.push(self.0.keys.of(&settlement.draw), settlement.numbers(asks.now()));
        }
        // Never twice: what is handed back twice would be admitted twice.
        self.ask(asks, Again::Never).await?;
        self.0.metrics.settlements.add(settlements.len() as u64);
        Ok(())
    }

    /// Puts right what was drawn as soon as the store can be reached. What there is no room for, and what fails, is counted
    /// as dropped.
    pub(crate) fn settle_later(&self, settlements: Vec<Settlement>, now: Now) {
        if settlements.is_empty() {
            return;
        }
        let (Ok(room), Ok(runtime)) =
            (self.0.settling.clone().try_acquire_owned(), tokio::runtime::Handle::try_current())
        else {
            self.0.metrics.settlements_dropped.add(settlements.len() as u64);
            return;
        };
        let (shared, link) = (self.clone(), self.link());
        runtime.spawn(async move {
            let settled = timeout(SETTLES_WITHIN, shared.settle_when_up(&link, &settlements, now)).await;
            if settled.is_err() || settled.is_ok_and(|settled| settled.is_err()) {
                shared.0.metrics.settlements_dropped.add(settlements.len() as u64);
            }
            drop(room);
        });
    }

    async fn settle_when_up(&self, link: &Link, settlements: &[Settlement], now: Now) -> Result<(), Failure> {
        loop {
            link.is_up().await;
            // They are never closed.
            let _turn = self.0.turns.acquire().await;
            // That a connection has broken is noticed by whoever uses it next: not by what can be asked only once.
            match link.prove(self.0.patience).await {
                Ok(()) => {}
                Err(refused @ Failure::Refused(_)) => return Err(refused),
                Err(_) => continue,
            }
            match self.try_settle(settlements, now).await {
                // Nobody was asked.
                Err(Failure::Down) => {}
                // Perhaps it was carried out, and perhaps not.
                Err(Failure::Late | Failure::Dropped(_) | Failure::Away(_))
                    if settlements.iter().all(is_repeatable) => {}
                settled => return settled,
            }
        }
    }

    /// [`Failure::Down`] only where nothing was sent.
    async fn ask(&self, asks: Asks, mut again: Again) -> Result<Vec<Quota>, Failure> {
        let deadline = Instant::now() + self.0.patience;
        let asks = Arc::new(asks);
        let link = self.link();
        let mut first = None;
        let failure = loop {
            let line = match timeout_at(deadline, link.line()).await {
                Ok(Ok(line)) => line,
                Ok(Err(down)) => break first.unwrap_or(down),
                Err(_) => break Failure::late(),
            };
            let number = line.number;
            let failure = match timeout_at(deadline, self.put(line, &asks)).await {
                Ok(Ok(quotas)) => {
                    link.answered();
                    return Ok(quotas);
                }
                Ok(Err(error)) => self.0.server.failure(&error),
                Err(_) => Failure::late(),
            };
            link.failed(number, &failure);
            // A connection that was closed while nobody used it is noticed by whoever uses it next.
            if matches!((&failure, again), (Failure::Dropped(_), Again::Once)) {
                again = Again::Never;
                first = Some(failure);
                continue;
            }
            break failure;
        };
        self.0.metrics.failed(failure.counted());
        Err(failure)
    }

    fn unavailable(&self, failure: &Failure) -> HostError {
        let kind = match failure {
            Failure::Down => HostErrorKind::Connect,
            _ => HostErrorKind::Unavailable,
        };
        HostError::new(kind, format!("{}: {failure}", self.0.server.shown()))
    }

    async fn put(&self, line: Line, asks: &Arc<Asks>) -> Result<Vec<Quota>, RedisError> {
        match line.wire {
            Wire::One(mut connection) => {
                let value = script::run(&mut connection, asks, None).await?;
                script::quotas(&value, asks.len())
            }
            Wire::Cluster(_) => self.scatter(line, asks).await,
        }
    }

    /// In a cluster keys live in different places, and no call reaches two of them: each is asked for itself, all at the
    /// same time, and what was admitted is handed back when one refuses. Meanwhile too much is taken, never too little.
    async fn scatter(&self, line: Line, asks: &Arc<Asks>) -> Result<Vec<Quota>, RedisError> {
        let mut quotas = vec![None; asks.len()];
        let mut failed = None;
        for (group, answered) in each(&line, asks, asks.groups()).await {
            match answered {
                Ok(answered) => {
                    for (at, quota) in group.into_iter().zip(answered) {
                        if let Some(place) = quotas.get_mut(at) {
                            *place = Some(quota);
                        }
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        let is_refused = quotas.iter().flatten().any(|quota: &Quota| !quota.admitted);
        if failed.is_some() || is_refused {
            // Draws of one key were one call, which has handed back what it had to.
            let given = |group: &Vec<usize>| {
                group.iter().all(|at| quotas.get(*at).is_some_and(|q| q.is_some_and(|quota| quota.admitted)))
            };
            let groups: Vec<_> = asks.groups().into_iter().filter(given).collect();
            let back = Arc::new(asks.undone(&quotas));
            for (group, answered) in each(&line, &back, groups).await {
                // What can't be handed back is lost until its time has passed.
                for (at, left) in group.into_iter().zip(answered.into_iter().flatten()) {
                    if let Some(Some(quota)) = quotas.get_mut(at) {
                        (quota.remaining, quota.reset_ms) = (left.remaining, left.reset_ms);
                    }
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(quotas.into_iter().flatten().collect()),
        }
    }

    fn link(&self) -> Arc<Link> {
        LINK.with_borrow_mut(|slot| match slot {
            Some((number, link)) if *number == self.0.number && link.is_kept() => link.clone(),
            _ => {
                let link = Arc::new(Link::new(self.0.server.clone(), self.0.open.subscribe()));
                *slot = Some((self.0.number, link.clone()));
                link
            }
        })
    }
}

/// Whether it may be carried out twice: a place has a name, and is handed back once. Renewing it after it was handed back
/// would be another matter.
fn is_repeatable(settlement: &Settlement) -> bool {
    matches!((settlement.draw.rule, settlement.outcome), (Rule::Concurrency { .. }, Outcome::Used(_)))
}

/// Whether a question may be asked again on a new connection.
#[derive(Debug, Clone, Copy)]
enum Again {
    Once,
    Never,
}

type Answered = (Vec<usize>, Result<Vec<Quota>, RedisError>);

/// Asks each group for itself, all at once.
async fn each(line: &Line, asks: &Arc<Asks>, groups: Vec<Vec<usize>>) -> Vec<Answered> {
    let mut calls = JoinSet::new();
    for group in groups {
        let (wire, asks) = (line.wire.clone(), asks.clone());
        calls.spawn(async move {
            let answered = match wire {
                Wire::One(mut wire) => script::run(&mut wire, &asks, Some(&group)).await,
                Wire::Cluster(mut wire) => script::run(&mut wire, &asks, Some(&group)).await,
            };
            let answered = answered.and_then(|value: Value| script::quotas(&value, group.len()));
            (group, answered)
        });
    }
    calls.join_all().await
}
