//! Bounds on what clients may use, as written.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// Bounds on requests.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Limits {
    /// Bytes of a request's header fields in all; more is answered 431.
    pub max_header_bytes: u64,
    /// Bytes of a request's target; more is answered 414.
    pub max_target_bytes: u64,
    /// Milliseconds a client may take to send a request's head.
    pub header_timeout_ms: u64,
    /// Bytes of a request's body; more is answered 413. 0: no bound, bodies stream.
    pub max_body_bytes: u64,
    /// Milliseconds a client may take for what comes before its first request: a PROXY protocol header, a TLS handshake.
    pub handshake_timeout_ms: u64,
    /// Milliseconds a connection may stay unused between two requests.
    pub idle_timeout_ms: u64,
    /// Bytes a second that a client must send of a request's body, and take of an answer that waits for it, on an
    /// average of some seconds; slower ones are cut off. What services keep waiting does not count. 0: no bound.
    pub min_bytes_per_second: u64,
    /// Open client connections in all; further ones are answered 503 and closed.
    pub max_connections: u64,
    /// Open connections from one address (of IPv6: from a /64); further ones are closed. 0: no bound.
    pub max_connections_per_address: u64,
    /// Bounds on HTTP/2 connections of clients.
    pub http2: Http2Limits,
    /// What is answered when there is more to do than can be done.
    pub overload: Overload,
    /// Wrong credentials a minute from one address (of IPv6: from a /64, by `X-Forwarded-For` where proxies are
    /// trusted). Then credentials from there, good ones too, are answered 429 until the minute ends. `off` or 0:
    /// no bound.
    #[serde(deserialize_with = "number_or_off")]
    #[cfg_attr(feature = "schema", schemars(with = "NumberOrOff"))]
    pub failed_auth_per_minute: u64,
    /// Milliseconds that requests in flight are given when the gateway stops.
    pub drain_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_header_bytes: 65_536,
            max_target_bytes: 8_192,
            header_timeout_ms: 10_000,
            handshake_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            min_bytes_per_second: 128,
            max_body_bytes: 0,
            max_connections: 20_000,
            max_connections_per_address: 0,
            http2: Http2Limits::default(),
            overload: Overload::default(),
            failed_auth_per_minute: 60,
            drain_timeout_ms: 30_000,
        }
    }
}

/// Bounds on HTTP/2 connections of clients.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Http2Limits {
    /// Requests at the same time on one connection.
    pub max_streams: u32,
    /// Requests that a client may take back on one connection within a minute, before they were answered; beyond it the
    /// connection ends. (Taking back costs a client next to nothing and the gateway a request.)
    pub max_resets_per_minute: u32,
    /// Frames without content (settings, pings, priorities, empty data) that a connection may carry within ten seconds,
    /// besides some for each request; beyond it the connection ends.
    pub max_control_frames: u32,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self { max_streams: 128, max_resets_per_minute: 400, max_control_frames: 1_000 }
    }
}

/// When requests are turned away because there is more to do than can be done (503).
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Overload {
    /// Requests that wait for an answer to begin at the same time, in this process. 0: no bound.
    pub max_requests: u64,
    /// Find out how many requests services can bear at the same time: fewer while their answers come later than they
    /// use to, more while they don't; at most `max_requests`.
    pub adaptive: bool,
}

/// A number, or `off` for none.
fn number_or_off<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Either;
    impl Visitor<'_> for Either {
        type Value = u64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number without sign, or `off`")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
            let is_number = text.starts_with(|c: char| c.is_ascii_digit());
            let number = || text.replace('_', "").parse().ok().filter(|_| is_number);
            // To tools that speak YAML 1.1, `off` is `false`, and they write it so.
            let read = if matches!(text, "off" | "false") { Some(0) } else { number() };
            read.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_any(Either)
}

/// How editors are told of it.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "only its schema is used")]
enum NumberOrOff {
    Number(u64),
    Off(Off),
}

#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "only its schema is used")]
enum Off {
    Off,
}
