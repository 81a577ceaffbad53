//! The compiled configuration: immutable, shared by all requests, replaced as a whole. It can't be invalid:
//! only [`crate::config::load`] makes one.

use std::sync::Arc;

use http::HeaderName;

use crate::{
    acme::Acme,
    config::document::{Admin, Limits, Store, Telemetry},
    config::{node::Span, places::Places},
    failures::Failures,
    host::Timestamp,
    https::Https,
    identity_token::IdentityToken,
    job::Job,
    keys::{KeyRing, KeySet, Standing},
    listener::Listener,
    overload::Overload,
    policy::oidc_login::OidcLogin,
    route::Router,
    trail::Guard,
    transform::{forwarded::Trusted, trailers::Trailers},
};

/// Everything that requests need to know of the configuration.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) router: Router,
    /// The host that challenges name.
    pub(crate) public_domain: Option<String>,
    /// The only host served, where that is wanted.
    pub(crate) only_host: Option<String>,
    pub(crate) trusted: Trusted,
    pub(crate) limits: Limits,
    /// How many requests may be in hand, where that is bounded.
    pub(crate) overload: Option<Overload>,
    /// Who has presented too many wrong credentials, where that is limited.
    pub(crate) failures: Option<Failures>,
    /// Encryption asked of clients.
    pub(crate) https: Https,
    /// Fields that carry identity to services and that clients therefore can't send.
    pub(crate) identity_headers: Vec<HeaderName>,
    /// Which fields may follow a body, in either direction.
    pub(crate) trailers: Trailers,
    /// Whether any policy looks at client certificates.
    pub(crate) certified: bool,
    /// Whether it has any expressions.
    pub(crate) has_expressions: bool,
    /// How services are told who makes a request.
    pub(crate) identity_token: Option<IdentityToken>,
    /// Where policies answer themselves.
    pub(crate) doors: Vec<Door>,
    /// The names of cookies that no service sees or sets.
    pub(crate) own_cookies: Vec<String>,
    pub(crate) rings: Vec<Arc<KeyRing>>,
    /// Those and the fixed ones.
    pub(crate) every_ring: Vec<Arc<KeyRing>>,
    /// Who may have a request explained while serving.
    pub(crate) guard: Option<Guard>,
    /// The names of the configuration's files, by the numbers that places have.
    pub(crate) files: Vec<String>,
    /// Where what is not written has its place: the configuration as a whole.
    pub(crate) place: Span,
    /// Where the keys at the top are.
    pub(crate) places: Places,
    /// What concerns the host alone.
    pub settings: Settings,
}

/// Paths at which a policy answers itself, before any route.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) policy: Arc<OidcLogin>,
    /// The policy's name.
    pub(crate) name: String,
    /// Where it is written.
    pub(crate) span: Span,
}

/// The parts of the configuration that hosts carry out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub listeners: Vec<Arc<Listener>>,
    /// Which certificates are ordered, if any.
    pub acme: Option<Arc<Acme>>,
    /// The admin listener.
    pub admin: Option<Admin>,
    /// Access log and metrics.
    pub telemetry: Telemetry,
    /// Where counters and responses are kept, and how many.
    pub store: Store,
}

impl Gateway {
    /// Whether it has any expressions: not every build can evaluate them.
    pub fn has_expressions(&self) -> bool {
        self.has_expressions
    }

    /// The look-up of routes.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// Whether any policy looks at client certificates, so that a host need tell of them.
    pub fn asks_for_certificates(&self) -> bool {
        self.certified
    }

    /// The public host, as written.
    pub fn public_domain(&self) -> Option<&str> {
        self.public_domain.as_deref()
    }

    /// Bounds on requests, for the parts of them that a host sees first.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The names of the configuration's files, by the numbers that places have.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// What makes and checks the passes with which requests are explained; none where the configuration has no
    /// `explain.secret`.
    pub fn guard(&self) -> Option<&Guard> {
        self.guard.as_ref()
    }

    /// Puts `keys` in the place of all keys of issuers, and never fetches others: for explanations that are
    /// made where no issuer can be asked.
    pub fn assume_keys(&self, keys: &KeySet) {
        for ring in &self.every_ring {
            ring.assume(keys.clone());
        }
    }

    /// How it stands with the keys that are fetched from issuers.
    pub fn key_standings(&self, now: Timestamp) -> impl Iterator<Item = Standing> {
        self.rings.iter().map(move |ring| ring.standing(now))
    }

    /// Work that spares the first requests a wait: fetching keys. Not needed for correctness.
    pub fn warm_up(&self) -> impl Iterator<Item = Job> {
        let providers = self.doors.iter().filter_map(|door| door.policy.provider.told.clone());
        self.rings.iter().cloned().map(Job::RefreshKeys).chain(providers.map(Job::RefreshProvider))
    }
}
