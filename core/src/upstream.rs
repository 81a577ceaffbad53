//! Where requests go: services, their endpoints, and how long to wait for them.
//!
//! Choosing among endpoints is here (round robin); speaking to them is the host's.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::{HeaderValue, uri::Authority};

use crate::config::{node::Span, places::Places};

/// How long to wait, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a connection, TLS included.
    pub connect_ms: u64,
    /// For the response's head, from the moment the request is handed over.
    pub head_ms: u64,
    /// Between two pieces of a stream that has begun, in either direction.
    pub idle_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect_ms: 1_000, head_ms: 30_000, idle_ms: 60_000 }
    }
}

/// One address that answers for a service.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The name of the service that it answers for.
    pub service: Arc<str>,
    /// Host and port, as written in the configuration.
    pub authority: Authority,
    /// Present when the endpoint is spoken to over TLS.
    pub tls: Option<Tls>,
    /// What stands before every path: empty, or begins with `/` and does not end with one.
    pub base_path: String,
    /// The `Host` header that names this endpoint.
    pub host: HeaderValue,
    /// Names the pool of connections that may serve this endpoint: equal only where authority and TLS are.
    pub pool: Arc<str>,
    /// Whether it takes bytes and no requests (`tcp:`).
    pub is_raw: bool,
}

impl Endpoint {
    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 })
    }

    /// The host to connect to, without the brackets of an IPv6 literal.
    pub fn hostname(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }
}

/// How to trust an endpoint over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM of the authorities to trust instead of the system's.
    pub authorities: Option<Arc<str>>,
    /// The name that the certificate must carry, where it is not the endpoint's host.
    pub server_name: Option<String>,
}

/// A named group of endpoints that answer alike.
#[derive(Debug)]
pub struct Service {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// How long to wait for it, unless a route says otherwise.
    pub patience: Patience,
    /// Whether it is told by a token who makes a request.
    pub is_told: bool,
    /// Where it is written, or where the name stands by which it is implied.
    pub span: Span,
    /// Where its keys are.
    pub(crate) places: Places,
    next: AtomicUsize,
}

impl Service {
    pub(crate) fn new(name: Arc<str>, mut endpoints: Vec<Endpoint>, patience: Patience, span: Span) -> Self {
        for endpoint in &mut endpoints {
            endpoint.service = name.clone();
        }
        let places = Places::implied(span);
        Self { name, endpoints, patience, is_told: false, span, places, next: AtomicUsize::new(0) }
    }

    /// The same, written in a mapping.
    pub(crate) fn written(self, places: Places) -> Self {
        Self { places, ..self }
    }

    /// The same, told who makes a request or not.
    pub(crate) fn told(self, is_told: bool) -> Self {
        Self { is_told, ..self }
    }

    /// The endpoint whose turn it is. `None` only where there is none, which the check refuses.
    pub fn choose(&self) -> Option<&Endpoint> {
        match self.endpoints.as_slice() {
            [only] => Some(only),
            many => many.get(self.next.fetch_add(1, Ordering::Relaxed).checked_rem(many.len())?),
        }
    }
}
