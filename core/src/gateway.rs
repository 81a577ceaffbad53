//! The compiled configuration: immutable, shared by all requests, replaced as a whole. It can't be invalid:
//! only [`crate::config::load`] makes one.

use std::sync::Arc;

use http::HeaderName;

use crate::{
    config::document::{Admin, Limits, Listener, Store, Telemetry},
    job::Job,
    keys::KeyRing,
    route::Router,
    transform::forwarded::Trusted,
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
    /// Fields that carry identity to services and that clients therefore can't send.
    pub(crate) identity_headers: Vec<HeaderName>,
    pub(crate) rings: Vec<Arc<KeyRing>>,
    /// What concerns the host alone.
    pub settings: Settings,
}

/// The parts of the configuration that hosts carry out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub listeners: Vec<Listener>,
    /// The admin listener.
    pub admin: Option<Admin>,
    /// Access log and metrics.
    pub telemetry: Telemetry,
    /// Where counters and responses are kept, and how many.
    pub store: Store,
}

impl Gateway {
    /// The look-up of routes.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// Bounds on requests, for the parts of them that a host sees first.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Work that spares the first requests a wait: fetching keys. Not needed for correctness.
    pub fn warm_up(&self) -> impl Iterator<Item = Job> {
        self.rings.iter().cloned().map(Job::RefreshKeys)
    }
}
