//! Where requests go: services, their endpoints, and how long to wait for them.
//!
//! Choosing among endpoints is here (round robin); speaking to them is the host's.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{HeaderValue, uri::Authority};
use zeroize::Zeroizing;

pub use crate::config::document::Protocol;
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
    /// Which HTTP it is spoken to in. Hosts on which the platform chooses don't look at it.
    pub protocol: Protocol,
    /// What stands before every path: empty, or begins with `/` and does not end with one.
    pub base_path: String,
    /// The `Host` header that names this endpoint.
    pub host: HeaderValue,
    /// Names the pool of connections that may serve this endpoint: equal only where authority, protocol and TLS are.
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
    /// What is presented where the endpoint asks for a certificate.
    pub identity: Option<Arc<ClientIdentity>>,
}

/// A certificate of the gateway's own and its key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, then those that lead to its authority.
    pub chain: String,
    /// The private key.
    pub key: Zeroizing<String>,
}

/// Without the key.
impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("chain", &self.chain).finish_non_exhaustive()
    }
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
    /// Which HTTP it is spoken to in, as written; what that means for an endpoint, each of them says.
    pub protocol: Protocol,
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
        let (protocol, next) = (Protocol::default(), AtomicUsize::new(0));
        Self { name, endpoints, patience, protocol, is_told: false, span, places, next }
    }

    /// The same, written in a mapping.
    pub(crate) fn written(self, places: Places) -> Self {
        Self { places, ..self }
    }

    /// The same, spoken to in this.
    pub(crate) fn spoken(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
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
