//! What is recorded of one request: the source of access log, metrics and, later, traces.
//!
//! The reason for a failure (`detail`) stands here and nowhere else: clients never see it.

use std::net::IpAddr;

use http::{Method, StatusCode};

use crate::host::Timestamp;

/// One request and what became of it. Borrowed from the request: a host that keeps it copies what it needs.
#[derive(Debug)]
pub struct Event<'a> {
    /// When the request's head had arrived.
    pub at: Timestamp,
    /// Milliseconds until the response's head was ready.
    pub took_ms: u64,
    /// Identifies the request in answers and logs.
    pub request_id: &'a str,
    /// Whom the request comes from, trusted proxies looked through.
    pub client: IpAddr,
    /// The request's method.
    pub method: &'a Method,
    /// The host asked for.
    pub host: &'a str,
    /// The path, normalised where that succeeded; never the query, which may hold secrets.
    pub path: &'a str,
    /// The pattern of the route that matched.
    pub route: Option<&'a str>,
    /// The service the request was meant for.
    pub service: Option<&'a str>,
    /// The authenticated subject.
    pub user: Option<&'a str>,
    /// The answer's status.
    pub status: StatusCode,
    /// Why Tollgate itself refused, as `policy.reason`.
    pub refusal: Option<&'static str>,
    /// More about a failure, for the log alone.
    pub detail: Option<&'a str>,
    /// `hit`, `miss`, `bypass`: what the cache did, where one was asked.
    pub cache: Option<&'static str>,
}
