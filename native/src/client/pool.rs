//! Connections at rest, kept for the next request to the same endpoint: last in, first out. Those that are shared are
//! `origin`'s; here is only where it finds them.
//!
//! One shard a thread, so that a connection is reused where its task runs and locks are not contended. No
//! timer: whoever returns a connection, or looks for one that is shared, sweeps all shards, every few seconds. Making
//! connections is `connect`'s.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1::SendRequest},
};
use tokio::task::AbortHandle;

use super::{origin::Origin, shared::Stream};
use crate::body::NativeBody;

/// Less than the 60 seconds after which many servers close, lest a request meet the closing.
pub(super) const MAX_REST: Duration = Duration::from_secs(55);

/// However busy, a connection is given up after this time, so that changes of DNS are noticed.
pub(super) const MAX_AGE: Duration = Duration::from_secs(600);

/// Per endpoint and shard.
const MAX_RESTING: usize = 256;

/// Per shard.
const MAX_RESTING_IN_ALL: usize = 2048;

/// Endpoints that may speak HTTP/2, per shard: more than any configuration names, so that what is remembered of those of
/// former ones is bounded.
const MAX_ORIGINS: usize = 1024;

const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// A connection to an upstream, driven by a task of its own.
pub(crate) struct Connection {
    sender: SendRequest<NativeBody>,
    task: AbortHandle,
    opened: Instant,
}

impl Connection {
    /// The connection that `task` drives and `sender` feeds.
    pub(super) fn new(sender: SendRequest<NativeBody>, task: AbortHandle) -> Self {
        Self { sender, task, opened: Instant::now() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // At rest, hyper closes it in good order. Amid an exchange it might wait for a peer that is not wanted
        // any more: cut it.
        if !self.sender.is_ready() {
            self.task.abort();
        }
    }
}

/// What one exchange needs of a connection. Given back by [`Lease::release`]; dropped, the exchange is cut.
pub(crate) enum Lease {
    /// A connection.
    Whole(Whole),
    /// A stream of one.
    Stream(Stream),
}

impl Lease {
    /// The exchange has ended well.
    pub(crate) fn release(self) {
        match self {
            Self::Whole(Whole { connection, pools, name }) => pools.put(name, connection, Instant::now()),
            Self::Stream(stream) => stream.release(),
        }
    }
}

/// A connection in use by one exchange.
pub(crate) struct Whole {
    connection: Connection,
    pools: Arc<Pools>,
    name: Arc<str>,
}

impl Whole {
    /// `connection`, to be returned to the pool `name`.
    pub(super) fn new(connection: Connection, pools: &Arc<Pools>, name: &Arc<str>) -> Self {
        Self { connection, pools: Arc::clone(pools), name: Arc::clone(name) }
    }

    /// Sends `request`. The error holds it when nothing of it was written.
    pub(super) async fn send(
        &mut self,
        request: Request<NativeBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<NativeBody>>> {
        self.connection.sender.try_send_request(request).await
    }
}

/// All connections at rest.
pub(crate) struct Pools {
    shards: Box<[Shard]>,
    born: Instant,
    /// When the last sweep was, in milliseconds since `born`.
    swept: AtomicU64,
}

/// Apart from its neighbours by more than any cache line.
#[repr(align(128))]
#[derive(Default)]
struct Shard {
    resting: Mutex<Resting>,
    origins: Mutex<HashMap<Arc<str>, Arc<Origin>>>,
}

#[derive(Default)]
struct Resting {
    /// Each list in the order in which its connections came to rest.
    lists: HashMap<Arc<str>, Vec<Rest>>,
    total: usize,
}

struct Rest {
    connection: Connection,
    since: Instant,
}

impl Rest {
    fn is_over(&self, now: Instant) -> bool {
        self.connection.sender.is_closed() || now.duration_since(self.since) >= MAX_REST
    }
}

impl Default for Pools {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let shards = (0..threads).map(|_| Shard::default()).collect();
        Self { shards, born: Instant::now(), swept: AtomicU64::new(0) }
    }
}

impl Pools {
    /// A connection that can be used at once. Dead ones found on the way are dropped.
    pub(super) fn take(&self, name: &str) -> Option<Connection> {
        // Outlives the lock, for dropping a connection may wake its task.
        let mut dead = Vec::new();
        self.shard().lock().take(name, Instant::now(), &mut dead)
    }

    /// The endpoint of that name, which may speak HTTP/2.
    pub(super) fn origin(&self, name: &Arc<str>) -> Arc<Origin> {
        self.sweep(Instant::now());
        let mut origins = self.shard().origins();
        if let Some(origin) = origins.get(name) {
            return Arc::clone(origin);
        }
        if origins.len() >= MAX_ORIGINS {
            origins.clear();
        }
        Arc::clone(origins.entry(Arc::clone(name)).or_default())
    }

    fn put(&self, name: Arc<str>, connection: Connection, now: Instant) {
        if now.duration_since(connection.opened) >= MAX_AGE {
            return;
        }
        let refused = self.shard().lock().put(name, Rest { connection, since: now });
        drop(refused);
        self.sweep(now);
    }

    /// Drops what has rested for too long, everywhere, if the last sweep was long enough ago.
    fn sweep(&self, now: Instant) {
        let now_ms = u64::try_from(now.duration_since(self.born).as_millis()).unwrap_or(u64::MAX);
        let last_ms = self.swept.load(Ordering::Relaxed);
        if u128::from(now_ms.saturating_sub(last_ms)) < SWEEP_EVERY.as_millis()
            || self.swept.compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        for shard in &self.shards {
            let mut dead = Vec::new();
            shard.lock().sweep(now, &mut dead);
            shard.origins().retain(|_, origin| !origin.sweep(now));
        }
    }

    /// The shard of this thread.
    fn shard(&self) -> &Shard {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static SEAT: usize = NEXT.fetch_add(1, Ordering::Relaxed));
        // There is at least one: parallelism is not zero.
        &self.shards[SEAT.with(|seat| seat % self.shards.len())]
    }

    /// How many shared connections are kept.
    #[cfg(test)]
    pub(super) fn shared(&self) -> usize {
        self.shards
            .iter()
            .flat_map(|shard| shard.origins().values().cloned().collect::<Vec<_>>())
            .map(|origin| origin.kept())
            .sum()
    }

    /// How many connections rest, dead ones not counted.
    #[cfg(test)]
    pub(super) fn resting(&self) -> usize {
        let count = |shard: &Shard| {
            shard.lock().lists.values().flatten().filter(|rest| !rest.connection.sender.is_closed()).count()
        };
        self.shards.iter().map(count).sum()
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pools").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Resting> {
        // A panic elsewhere leaves the lists whole: at worst `total` is off by one.
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn origins(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Origin>>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resting {
    fn take(&mut self, name: &str, now: Instant, dead: &mut Vec<Rest>) -> Option<Connection> {
        let list = self.lists.get_mut(name)?;
        let before = list.len();
        let mut found = None;
        for index in (0..before).rev() {
            if list[index].is_over(now) {
                dead.push(list.remove(index));
            } else if list[index].connection.sender.is_ready() {
                found = Some(list.remove(index).connection);
                break;
            }
            // Otherwise it still sends the body of a request that was answered early: not now.
        }
        self.total = self.total.saturating_sub(before - list.len());
        found
    }

    /// Gives `rest` back when there is no room for it.
    fn put(&mut self, name: Arc<str>, rest: Rest) -> Option<Rest> {
        if self.total >= MAX_RESTING_IN_ALL {
            return Some(rest);
        }
        let list = self.lists.entry(name).or_default();
        if list.len() >= MAX_RESTING {
            return Some(rest);
        }
        list.push(rest);
        self.total += 1;
        None
    }

    fn sweep(&mut self, now: Instant, dead: &mut Vec<Rest>) {
        self.lists.retain(|_, list| {
            dead.extend(list.extract_if(.., |rest| rest.is_over(now)));
            !list.is_empty()
        });
        self.total = self.lists.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection to nobody, whose task lives as long as the returned stream.
    async fn connection() -> (tokio::io::DuplexStream, Connection) {
        let (ours, theirs) = tokio::io::duplex(64);
        let io = hyper_util::rt::TokioIo::new(ours);
        let (mut sender, driver) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let task = tokio::spawn(async move { driver.await.unwrap_or_default() }).abort_handle();
        sender.ready().await.unwrap();
        (theirs, Connection::new(sender, task))
    }

    fn name() -> Arc<str> {
        "a".into()
    }

    #[tokio::test]
    async fn the_last_in_is_the_first_out() {
        let pools = Pools::default();
        let now = Instant::now();
        let ((_a, older), (_b, newer)) = (connection().await, connection().await);
        let newer_task = newer.task.id();
        pools.put(name(), older, now);
        pools.put(name(), newer, now);
        assert_eq!(pools.take("a").unwrap().task.id(), newer_task);
        assert!(pools.take("b").is_none());
    }

    #[tokio::test]
    async fn a_long_rest_ends_a_connection() {
        let mut resting = Resting::default();
        let now = Instant::now();
        let (_peer, connection) = connection().await;
        resting.put(name(), Rest { connection, since: now });
        let mut dead = Vec::new();
        assert!(resting.take("a", now + MAX_REST, &mut dead).is_none());
        assert_eq!((dead.len(), resting.total), (1, 0));
    }

    #[tokio::test]
    async fn a_sweep_leaves_nothing_old_and_no_empty_list() {
        let pools = Pools::default();
        let now = Instant::now();
        let ((_a, old), (_b, young)) = (connection().await, connection().await);
        pools.put(name(), old, now);
        pools.put("b".into(), young, now + MAX_REST);
        assert_eq!(pools.resting(), 1);
        assert_eq!(pools.shard().lock().lists.len(), 1);
    }

    #[tokio::test]
    async fn an_old_connection_is_not_kept_however_busy() {
        let pools = Pools::default();
        let (_peer, connection) = connection().await;
        pools.put(name(), connection, Instant::now() + MAX_AGE);
        assert_eq!(pools.resting(), 0);
    }

    #[tokio::test]
    async fn no_more_rest_than_there_is_room_for() {
        let mut resting = Resting { total: MAX_RESTING_IN_ALL, ..Resting::default() };
        let (_peer, connection) = connection().await;
        assert!(resting.put(name(), Rest { connection, since: Instant::now() }).is_some());
    }

    #[tokio::test]
    async fn a_closed_connection_is_not_taken() {
        let pools = Pools::default();
        let (peer, connection) = connection().await;
        pools.put(name(), connection, Instant::now());
        drop(peer);
        while pools.resting() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(pools.take("a").is_none());
    }
}
