//! The store that processes share (Redis, Valkey, or a cluster of them): where it is, and how a connection to it is made.
//! What is asked there, and what becomes of a failure, is said elsewhere; nothing here waits for longer than who asks does.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError,
    aio::MultiplexedConnection,
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
};
use tollgate_core::config::document::StoreUrl;

/// Where the store is, and how to speak to it.
pub(crate) struct Server {
    client: Kind,
    shown: String,
    /// What no text may contain.
    password: Option<String>,
}

enum Kind {
    One(Box<Client>),
    Cluster(Box<ClusterClient>),
}

/// A connection. Clones are the same.
#[derive(Clone)]
pub(crate) enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// How long a cluster's nodes may take: of one server, whoever asks bounds that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) connect: Duration,
    pub(crate) answer: Duration,
}

impl Server {
    /// The server at `url`, or the cluster that it belongs to.
    pub(crate) fn new(url: &StoreUrl, cluster: bool, patience: Patience) -> Result<Self, String> {
        let shown = url.shown();
        let unusable = |error: RedisError| format!("the store {shown} can't be used: {}", error.category());
        let info = url.reveal().into_connection_info().map_err(unusable)?;
        // What library this is is nobody's business, and asks for one more permission.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info.set_redis_settings(settings);
        let password = info.redis_settings().password().map(str::to_owned);
        let client = match cluster {
            false => Kind::One(Box::new(Client::open(info).map_err(unusable)?)),
            true => Kind::Cluster(Box::new(
                ClusterClientBuilder::new([info])
                    .connection_timeout(patience.connect)
                    .response_timeout(patience.answer)
                    .retries(3)
                    .min_retry_wait(1)
                    .max_retry_wait(20)
                    .build()
                    .map_err(unusable)?,
            )),
        };
        Ok(Self { client, shown, password })
    }

    /// Where it is, as may be shown.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// What it says, as may be shown.
    pub(crate) fn text(&self, error: &RedisError) -> String {
        let text = error.to_string();
        match self.password.as_deref().filter(|password| !password.is_empty()) {
            Some(password) => text.replace(password, "…"),
            None => text,
        }
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Result<Wire, RedisError> {
        Ok(match &self.client {
            Kind::One(client) => {
                // Who waits says how long; a second clock for the same would be one too many.
                let config =
                    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
                Wire::One(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Kind::Cluster(client) => Wire::Cluster(client.get_async_connection().await?),
        })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("at", &self.shown).finish_non_exhaustive()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}
