//! Records in Redis, and a key with a time to live as the right to order. A connection is made when something is wanted,
//! which is seldom, and is closed again: whatever thread asks, nothing is left on it.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisError,
    aio::MultiplexedConnection,
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    cmd,
};
use tokio::time::{Instant, sleep, timeout};
use tollgate_core::config::document::Store;

use super::storage::MAX_BYTES;

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

/// Where records are, and how to speak to it.
pub(super) struct Redis {
    client: Kind,
    shown: String,
    /// What no text may contain.
    password: Option<String>,
    /// What the names of keys begin with.
    prefix: String,
}

enum Kind {
    One(Box<Client>),
    Cluster(Box<ClusterClient>),
}

enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Wire {
    async fn ask<T: FromRedisValue>(&mut self, question: &Cmd) -> Result<T, RedisError> {
        match self {
            Self::One(wire) => question.query_async(wire).await,
            Self::Cluster(wire) => question.query_async(wire).await,
        }
    }
}

impl Redis {
    pub(super) fn new(store: &Store, account: &str) -> Result<Self, String> {
        let url = store.url.as_ref().ok_or("certificates can't be kept in a store that has no `url`")?;
        let shown = url.shown();
        let unusable = |error: RedisError| format!("the store {shown} can't be used: {}", error.category());
        let info = url.reveal().into_connection_info().map_err(unusable)?;
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info.set_redis_settings(settings);
        let password = info.redis_settings().password().map(str::to_owned);
        let client = if store.cluster {
            let builder =
                ClusterClientBuilder::new([info]).connection_timeout(PATIENCE).response_timeout(PATIENCE);
            Kind::Cluster(Box::new(builder.retries(3).build().map_err(unusable)?))
        } else {
            Kind::One(Box::new(Client::open(info).map_err(unusable)?))
        };
        let prefix = format!("{}:acme:{account}:", store.key_prefix());
        Ok(Self { client, shown, password, prefix })
    }

    pub(super) async fn load(&self, paths: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, String> {
        let mut found = Vec::with_capacity(paths.len());
        for paths in paths.chunks(AT_A_TIME) {
            let asked = self.within(async {
                let mut wire = self.connect().await?;
                let mut found = Vec::with_capacity(paths.len());
                for path in paths {
                    let value: Option<Vec<u8>> = wire.ask(cmd("GET").arg(self.key(path))).await?;
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

    async fn connect(&self) -> Result<Wire, RedisError> {
        match &self.client {
            Kind::One(client) => {
                // Who waits says how long.
                let config =
                    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
                Ok(Wire::One(client.get_multiplexed_async_connection_with_config(&config).await?))
            }
            Kind::Cluster(client) => Ok(Wire::Cluster(client.get_async_connection().await?)),
        }
    }

    async fn ask<T: FromRedisValue>(&self, question: &Cmd) -> Result<T, String> {
        self.within(async { self.connect().await?.ask(question).await }).await
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, RedisError>>) -> Result<T, String> {
        let done = timeout(PATIENCE, work).await;
        let done = done.map_err(|_| format!("{}: no answer within {} s", self.shown, PATIENCE.as_secs()))?;
        done.map_err(|error| {
            let mut text = error.to_string();
            if let Some(password) = self.password.as_deref().filter(|password| !password.is_empty()) {
                text = text.replace(password, "…");
            }
            format!("{}: {text}", self.shown)
        })
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("at", &self.shown).finish_non_exhaustive()
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
