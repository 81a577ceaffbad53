//! Where counters live, as it is written; and the address of a store that processes share, whose password is shown to
//! nobody.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// Where counters live, and how many are kept.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Store {
    /// `Memory`: in this process. `Redis`: in a Redis or Valkey server, shared by all processes that use it. On Workers
    /// counters always live in Durable Objects.
    pub r#type: StoreType,
    /// Only for `Redis`: where it is, as `redis://host:6379` or, over TLS, `rediss://user:password@host:6379/0`. Write
    /// `${VAR}`, so that a password stands in no file.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub url: Option<StoreUrl>,
    /// Only for `Redis`: how long a request waits for it at most, 1 to 10000. What then becomes of the request says
    /// `on_error` of the limit. `50` when absent.
    pub timeout_ms: Option<u64>,
    /// Only for `Redis`: what the names of all keys begin with. Gateways that count for themselves on one server need
    /// different ones. `tollgate` when absent.
    pub prefix: Option<String>,
    /// Only for `Redis`: whether `url` is a node of a cluster.
    pub cluster: bool,
    /// Counters kept in this process at most; beyond it those that end soonest are forgotten.
    pub max_counters: u64,
    /// Bytes of cached responses kept at most.
    pub max_cache_bytes: u64,
}

impl Store {
    /// How long a request waits for a shared store.
    pub fn patience_ms(&self) -> u64 {
        self.timeout_ms.unwrap_or(50)
    }

    /// What the names of keys in a shared store begin with.
    pub fn key_prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or("tollgate")
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            r#type: StoreType::Memory,
            url: None,
            timeout_ms: None,
            prefix: None,
            cluster: false,
            max_counters: 1_000_000,
            max_cache_bytes: 64 * 1024 * 1024,
        }
    }
}

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StoreType {
    /// In this process.
    Memory,
    /// Shared through Redis or Valkey.
    Redis,
}

/// Where a shared store is. What stands before the `@` is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(Zeroizing<String>);

impl StoreUrl {
    /// All of it, with the password: for whoever connects.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What may be shown.
    pub fn shown(&self) -> String {
        match (self.0.split_once("://"), self.0.rsplit_once('@')) {
            (_, None) => self.0.to_string(),
            (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
            // Who knows what this is.
            (None, Some((_, rest))) => rest.to_owned(),
        }
    }

    /// What is wrong with it, and what to write.
    pub(crate) fn fault(&self, cluster: bool) -> Option<(&'static str, &'static str)> {
        const FORM: &str = "write `redis://host:6379`, or `rediss://` for TLS";
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return Some(("the `url` of a store must begin with `redis://` or `rediss://`", FORM));
        };
        if !matches!(scheme, "redis" | "rediss") {
            return Some(("the `url` of a store must begin with `redis://` or `rediss://`", FORM));
        }
        // `#insecure` would be understood, and is not wanted.
        if rest.contains(['?', '#']) || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            let cure = "leave them out; in a password write `?` as `%3F`, `#` as `%23` and a blank as `%20`";
            return Some(("the `url` of a store has no `?`, `#` or blanks", cure));
        }
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.parse::<http::uri::Authority>().ok().filter(|host| {
            let has_port = host.as_str().len() > host.host().len();
            !host.host().is_empty() && (!has_port || host.port_u16().is_some())
        });
        if host.is_none() {
            return Some(("the `url` of a store has no host, or a port that is none", FORM));
        }
        if !database.is_empty() && database.parse::<u32>().is_err() {
            let cure = "write `redis://host:6379/0`, or leave the path out";
            return Some(("the path in the `url` of a store must be the number of a database", cure));
        }
        if cluster && !matches!(database, "" | "0") {
            return Some(("a cluster has no database but 0", "leave the path in the `url` out"));
        }
        None
    }
}

impl<'de> Deserialize<'de> for StoreUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({})", self.shown())
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn url(text: &str) -> StoreUrl {
        StoreUrl(Zeroizing::new(text.to_owned()))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_stands_before_the_at_is_not_shown() {
        for (text, shown) in [
            ("redis://h:6379/1", "redis://h:6379/1"),
            ("rediss://u:hush@h", "rediss://h"),
            ("rediss://:hu@sh@h", "rediss://h"),
            ("redis:/u:hush@h", "h"),
            ("redis://u:hu/sh@h", "redis://h"),
        ] {
            assert_eq!(url(text).shown(), shown);
            assert_eq!(format!("{:?}", url(text)), format!("StoreUrl({shown})"));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn urls_of_stores_are_told_from_others() {
        for good in ["redis://h", "rediss://u:p@h:1/15", "redis://[::1]:6379", "redis://:p%40@10.0.0.1/"] {
            assert_eq!(url(good).fault(false), None, "{good}");
        }
        for bad in [
            "",
            "h",
            "redis://",
            "redis://:6379",
            "http://h",
            "redis://h/x",
            "redis://h#insecure",
            "redis://h:x",
        ] {
            assert!(url(bad).fault(false).is_some(), "{bad}");
        }
        assert!(url("redis://h/1").fault(true).is_some() && url("redis://h/0").fault(true).is_none());
    }
}
