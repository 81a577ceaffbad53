//! Certificates ordered by ACME (RFC 8555), renewed when the authority suggests it (RFC 9773), and shared between
//! gateways. What a listener does with them, and handshakes, are not here: what comes is put on a [`Shelf`].
//!
//! The rooms: [`renewal`] (when: decisions alone), [`keeper`] (one task that carries them out), [`order`] (one
//! certificate), [`authority`] (HTTP), [`challenge`] (what an authority is shown), [`certificate`] (what comes of it),
//! [`storage`] with [`folder`] and [`redis`] (where all of it is kept).

mod authority;
mod certificate;
mod challenge;
mod folder;
mod keeper;
mod order;
mod redis;
mod renewal;
mod storage;

use std::{sync::Arc, time::Duration};

use rustls::sign::CertifiedKey;
use tokio::sync::{Mutex, Notify};
use tollgate_core::{acme, config::document::Store};

pub use self::challenge::Challenges;
use self::{keeper::Kept, order::Orders, storage::Storage};
use crate::{clock::Clock, metrics::AcmeMetrics};

/// Where certificates are put so that handshakes find them.
pub trait Shelf: Send + Sync + 'static {
    /// From now on this serves these names.
    fn put(&self, names: &[String], key: Arc<CertifiedKey>);

    /// From now on this is shown for a name to whoever offers `acme-tls/1` alone.
    fn challenge(&self, name: &str, key: Arc<CertifiedKey>);

    /// Nothing is shown for a name any more.
    fn withdraw(&self, name: &str);
}

/// How often things are looked at. Whoever waits for what another gateway orders looks more often.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// As a rule.
    pub look: Duration,
    /// While another orders.
    pub soon: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { look: Duration::from_secs(30), soon: Duration::from_secs(2) }
    }
}

/// What orders certificates and renews them. One for a process.
pub struct Acme {
    settings: Arc<acme::Acme>,
    storage: Arc<Storage>,
    orders: Orders,
    challenges: Arc<Challenges>,
    shelf: Arc<dyn Shelf>,
    clock: Clock,
    metrics: Arc<AcmeMetrics>,
    pace: Pace,
    kept: Mutex<Kept>,
    woken: Notify,
}

impl Acme {
    /// Nothing is looked at or ordered yet.
    pub fn new(
        settings: Arc<acme::Acme>,
        store: &Store,
        clock: Clock,
        metrics: Arc<AcmeMetrics>,
        shelf: Arc<dyn Shelf>,
    ) -> Result<Self, String> {
        let storage = Arc::new(Storage::new(&settings, store)?);
        let challenges =
            Challenges::new(settings.challenge, settings.names.clone(), storage.clone(), shelf.clone());
        let challenges = Arc::new(challenges);
        for name in &settings.names {
            metrics.serves(name, None);
        }
        let orders = Orders::new(settings.clone(), storage.clone(), challenges.clone());
        let (pace, kept, woken) = (Pace::default(), Mutex::default(), Notify::new());
        Ok(Self { settings, storage, orders, challenges, shelf, clock, metrics, pace, kept, woken })
    }

    /// The same, at another pace.
    #[must_use]
    pub fn at_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// What authorities are shown, for whoever answers them.
    pub fn challenges(&self) -> &Arc<Challenges> {
        &self.challenges
    }

    /// Looks at once, as when a clock has been set.
    pub fn wake(&self) {
        self.woken.notify_one();
    }
}
