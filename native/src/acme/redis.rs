//! Records in Redis, and a key with a time to live as the right to order. A connection is made when something is wanted,
//! which is seldom, and is closed again: whatever thread asks, nothing is left on it.

use std::{fmt, time::Duration};

use redis::{Cmd, FromRedisValue, RedisError, cmd};
use tokio::time::{Instant, sleep, timeout};
use tollgate_core::config::document::Store;

use super::storage::MAX_BYTES;
use crate::store::{Patience, Server, Wire};

/// For whatever is asked in one go, the connection included.
const PATIENCE: Duration = Duration::from_secs(5);
/// Keys that are read in one go.
const AT_A_TIME: usize = 256;
/// How long the right to order lasts when whoever has it says nothing more.
const LEASE: Duration = Duration::from_secs(60);
/// How often it says so.
const RENEWED: Duration = Duration::from_secs(15);
/// What an authority was to find is of no use to anybody after this time.
const PASSING_MS: u64 = 3_600_000;

/// Gives another lifetime to a key that has this value, or takes it away.
const EXTEND: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0";
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// Where records are.
pub(super) struct Redis {
    server: Server,
    /// What the names of keys begin with.
    prefix: String,
}

async fn ask<T: FromRedisValue>(wire: &mut Wire, question: &Cmd) -> Result<T, RedisError> {
    match wire {
        Wire::One(wire) => question.query_async(wire).await,
        Wire::Cluster(wire) => question.query_async(wire).await,
    }
}

impl Redis {
    pub(super) fn new(store: &Store, account: &str) -> Result<Self, String> {
        let url = store.url.as_ref().ok_or("certificates can't be kept in a store that has no `url`")?;
        let patience = Patience { connect: PATIENCE, answer: PATIENCE };
        let server = Server::new(url, store.cluster, patience)?;
        let prefix = format!("{}:acme:{account}:", store.key_prefix());
        Ok(Self { server, prefix })
    }

    pub(super) async fn load(&self, paths: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, String> {
        let mut found = Vec::with_capacity(paths.len());
        for paths in paths.chunks(AT_A_TIME) {
            let asked = self.within(async {
                let mut wire = self.server.connect().await?;
                let mut found = Vec::with_capacity(paths.len());
                for path in paths {
                    let value: Option<Vec<u8>> = ask(&mut wire, cmd("GET").arg(self.key(path))).await?;
                    found.push(value.filter(|value| value.len() <= MAX_BYTES));
                }
                Ok(found)
            });
            found.extend(asked.await?);
        }
        Ok(found)
    }

    pub(super) async fn save(&self, path: String, bytes: Vec<u8>, is_passing: bool) -> Result<(), String> {
        let mut question = cmd("SET");
        question.arg(self.key(&path)).arg(bytes);
        if is_passing {
            question.arg("PX").arg(PASSING_MS);
        }
        self.ask(&question).await
    }

    pub(super) async fn remove(&self, path: String) -> Result<(), String> {
        self.ask::<u64>(cmd("DEL").arg(self.key(&path))).await.map(|_| ())
    }

    pub(super) async fn lease(&self) -> Result<Option<Lease<'_>>, String> {
        let mut token = [0; 16];
        getrandom::fill(&mut token).map_err(|error| format!("random numbers: {error}"))?;
        let token: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
        let key = self.key("lock");
        let mut question = cmd("SET");
        question.arg(&key).arg(&token).arg("NX").arg("PX").arg(milliseconds(LEASE));
        let taken: Option<String> = self.ask(&question).await?;
        Ok(taken.map(|_| Lease { redis: self, key, token, since: Instant::now() }))
    }

    fn key(&self, path: &str) -> String {
        format!("{}{}", self.prefix, path.replace('/', ":"))
    }

    async fn ask<T: FromRedisValue>(&self, question: &Cmd) -> Result<T, String> {
        self.within(async { ask(&mut self.server.connect().await?, question).await }).await
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, RedisError>>) -> Result<T, String> {
        let (server, at) = (&self.server, self.server.shown());
        let done = timeout(PATIENCE, work).await;
        let done = done.map_err(|_| format!("{at}: no answer within {} s", PATIENCE.as_secs()))?;
        done.map_err(|error| format!("{at}: {}", server.text(&error)))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}

/// The right to order, for as long as the key has this token.
#[derive(Debug)]
pub(super) struct Lease<'r> {
    redis: &'r Redis,
    key: String,
    token: String,
    since: Instant,
}

impl Lease<'_> {
    /// Renews it, and ends when it is another's or nobody can tell any more whether it is.
    pub(super) async fn lost(&self) {
        let mut sure_until = self.since + LEASE;
        loop {
            sleep(RENEWED).await;
            let asked = Instant::now();
            let mut question = cmd("EVAL");
            question.arg(EXTEND).arg(1).arg(&self.key).arg(&self.token).arg(milliseconds(LEASE));
            match self.redis.ask::<u64>(&question).await {
                Ok(0) => return,
                Ok(_) => sure_until = asked + LEASE,
                // The next question would come too late.
                Err(_) if Instant::now() + RENEWED + PATIENCE >= sure_until => return,
                Err(_) => {}
            }
        }
    }

    pub(super) async fn release(self) {
        let mut question = cmd("EVAL");
        question.arg(RELEASE).arg(1).arg(&self.key).arg(&self.token);
        // Otherwise it ends by itself.
        let _ = self.redis.ask::<u64>(&question).await;
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
