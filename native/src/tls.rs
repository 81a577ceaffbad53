//! TLS that ends here: certificates by the name that clients ask for, replaced while connections live. Who may do what
//! over a connection is core's to say, and what is spoken over it the server's.
//!
//! The rooms: [`certificate`] (one, read and checked), [`certificates`] (which of them a client gets), [`config`] (what
//! is spoken), [`handshake`] (from a connection to an encrypted one), [`client`] (what a client's certificate says),
//! [`stamp`] (whether files have changed).

mod certificate;
mod certificates;
mod client;
mod config;
mod handshake;
mod stamp;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::{ServerConfig, sign::CertifiedKey};
use tollgate_core::{config::document::HttpProtocol, listener as core, listener_tls::ListenerTls};

pub use self::handshake::{Accepted, Acceptor, NotAccepted};
use self::{
    certificate::Certificate,
    certificates::{Certificates, Ordered},
    stamp::Stamp,
};
use crate::{
    acme::{Challenges, Shelf},
    clock::Clock,
    metrics::Metrics,
};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A certificate is said to expire soon in the last sixth of its life, but not earlier than this before its end.
const SOON_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// TLS of all listeners of a process.
#[derive(Debug)]
pub struct Tls {
    listeners: Vec<Option<Arc<Listener>>>,
    ordered: Arc<Ordered>,
    watched: Mutex<Vec<Watched>>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

/// TLS of one listener.
#[derive(Debug)]
struct Listener {
    written: Arc<ListenerTls>,
    protocols: Vec<HttpProtocol>,
    certificates: Arc<Certificates>,
    serving: ArcSwap<ServerConfig>,
    challenged: Arc<ServerConfig>,
}

/// What is known of a listener's files.
#[derive(Debug)]
struct Watched {
    listener: Arc<Listener>,
    certificates: Vec<(Certificate, State)>,
    authorities: State,
}

/// How it stands with files that belong together.
#[derive(Debug)]
struct State {
    stamp: Stamp,
    /// Why they can't be used as they are, and whether that was said.
    fault: Option<(String, bool)>,
    told: Expiry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Far,
    Soon,
    Over,
}

impl State {
    fn new(stamp: Stamp) -> Self {
        Self { stamp, fault: None, told: Expiry::Far }
    }

    /// Reads again with `read` what has changed. While files are exchanged one after the other they do not fit
    /// together, so a fault is only said when it is still there at the next look.
    fn follow<T>(
        &mut self,
        stamp: Stamp,
        metrics: &Metrics,
        notices: &mut Vec<String>,
        read: impl FnOnce() -> Result<T, String>,
    ) -> Option<T> {
        if stamp == self.stamp {
            if let Some((why, said @ false)) = &mut self.fault {
                *said = true;
                notices.push(format!("{why} (what was read before goes on serving)"));
            }
            return None;
        }
        self.stamp = stamp;
        match read() {
            Ok(new) => {
                self.fault = None;
                Some(new)
            }
            Err(why) => {
                metrics.tls.reload_failures.up();
                self.fault = Some((why, false));
                None
            }
        }
    }
}

impl Tls {
    /// Reads all files of these listeners. The error lists everything that is wrong.
    pub fn new(
        listeners: &[Arc<core::Listener>],
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let ordered = Arc::new(Ordered::default());
        let (mut all, mut watched, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for listener in listeners {
            let Some(written) = &listener.tls else {
                all.push(None);
                continue;
            };
            match Watched::new(written, &protocols(listener), &ordered, &clock) {
                Ok(one) => {
                    all.push(Some(one.listener.clone()));
                    watched.push(one);
                }
                Err(why) => faults.extend(why),
            }
        }
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
        let tls = Self { listeners: all, ordered, watched: Mutex::new(watched), clock, metrics };
        tls.tell_metrics(&tls.watched.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(tls)
    }

    /// Whether any listener has TLS.
    pub fn is_used(&self) -> bool {
        self.listeners.iter().any(Option::is_some)
    }

    /// What makes connections of the listener with that number encrypted; none where they stay plain.
    pub fn acceptor(&self, listener: usize) -> Option<Acceptor> {
        let listener = self.listeners.get(listener)?.clone()?;
        let (clock, metrics) = (self.clock.clone(), self.metrics.clone());
        Some(Acceptor { listener, clock, metrics })
    }

    /// Names for which certificates are to be ordered, each once.
    pub fn names_to_order(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.listeners.iter().flatten().flat_map(|one| one.written.acme.iter().cloned()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// From now on an authority that asks here for what another gateway orders is shown what these know of it.
    pub fn look_at(&self, challenges: Arc<Challenges>) {
        self.ordered.look_at(challenges);
    }

    /// Looks at files now and then, for ever.
    pub async fn watch(self: Arc<Self>) {
        loop {
            let tls = self.clone();
            match tokio::task::spawn_blocking(move || tls.look()).await {
                Ok(notices) => notices.iter().for_each(crate::notice::say),
                Err(error) => crate::notice::say(format_args!("certificates can't be looked at: {error}")),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Looks at all files once. Those that have changed are read, and serve from the next handshake on; where they can't
    /// be used, what was read before does. What is to be told.
    pub fn look(&self) -> Vec<String> {
        let mut notices = Vec::new();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        for one in &mut *watched {
            one.look(&self.clock, &self.metrics, &mut notices);
        }
        self.tell_metrics(&watched);
        notices
    }

    fn tell_metrics(&self, watched: &[Watched]) {
        let mut all: Vec<(String, u64)> = watched
            .iter()
            .flat_map(|one| one.listener.written.certificates.iter().zip(&one.certificates))
            .map(|(files, (certificate, _))| (files.cert_file.clone(), certificate.valid.1))
            .collect();
        all.sort();
        all.dedup();
        self.metrics.tls.serve(all);
    }
}

impl Shelf for Tls {
    fn put(&self, names: &[String], key: Arc<CertifiedKey>) {
        self.ordered.put(names, &key);
    }

    fn challenge(&self, name: &str, key: Arc<CertifiedKey>) {
        self.ordered.put_challenge(name, &key);
    }

    fn withdraw(&self, name: &str) {
        self.ordered.withdraw(name);
    }
}

impl Watched {
    fn new(
        written: &Arc<ListenerTls>,
        protocols: &[HttpProtocol],
        ordered: &Arc<Ordered>,
        clock: &Clock,
    ) -> Result<Self, Vec<String>> {
        let (mut read, mut faults) = (Vec::new(), Vec::new());
        for files in &written.certificates {
            let state = State::new(Stamp::of([&files.cert_file, &files.key_file]));
            match Certificate::read(files) {
                Ok(certificate) => read.push((certificate, state)),
                Err(why) => faults.push(why),
            }
        }
        let authorities = State::new(authorities(written));
        let table = Certificates::new(&own(&read), &written.acme, written.strict_sni, ordered.clone());
        let certificates = Arc::new(table);
        let challenged = config::challenged(certificates.clone());
        match (config::serving(written, protocols, certificates.clone(), clock), challenged) {
            (Ok(serving), Ok(challenged)) if faults.is_empty() => {
                let listener = Listener {
                    written: written.clone(),
                    protocols: protocols.to_vec(),
                    certificates,
                    serving: ArcSwap::from_pointee(serving),
                    challenged: Arc::new(challenged),
                };
                Ok(Self { listener: Arc::new(listener), certificates: read, authorities })
            }
            (serving, challenged) => {
                faults.extend(serving.err().into_iter().chain(challenged.err()));
                Err(faults)
            }
        }
    }

    fn look(&mut self, clock: &Clock, metrics: &Metrics, notices: &mut Vec<String>) {
        let Self { listener, certificates, authorities: believed } = self;
        let mut changed = false;
        for (files, (certificate, state)) in listener.written.certificates.iter().zip(&mut *certificates) {
            let stamp = Stamp::of([&files.cert_file, &files.key_file]);
            if let Some(new) = state.follow(stamp, metrics, notices, || Certificate::read(files)) {
                if new.key.cert != certificate.key.cert {
                    notices.push(format!("`{}` was read again and serves from now on", files.cert_file));
                    state.told = Expiry::Far;
                }
                *certificate = new;
                changed = true;
            }
            let expiry = certificate.expiry(clock.now());
            if expiry != state.told {
                state.told = expiry;
                let (place, file) = (&files.place, &files.cert_file);
                match expiry {
                    Expiry::Far => {}
                    Expiry::Soon => notices.push(format!(
                        "{place}: the certificate in `{file}` expires in {} hours: put a new one there",
                        certificate.valid.1.saturating_sub(clock.now()) / 3_600_000
                    )),
                    Expiry::Over => notices.push(format!(
                        "{place}: the certificate in `{file}` has expired, clients will refuse it: put a new one there"
                    )),
                }
            }
        }
        if changed {
            listener.certificates.replace(&own(certificates));
        }
        let read =
            || config::serving(&listener.written, &listener.protocols, listener.certificates.clone(), clock);
        if let Some(config) = believed.follow(authorities(&listener.written), metrics, notices, read) {
            // Also sessions of those who are believed no longer end: their tickets are of the former configuration.
            listener.serving.store(Arc::new(config));
            if let Some(auth) = &listener.written.client_auth {
                notices.push(format!("{}: who vouches for clients was read again", auth.place));
            }
        }
    }
}

impl Certificate {
    fn expiry(&self, now: u64) -> Expiry {
        let (begin, end) = self.valid;
        let soon = SOON_MS.min(end.saturating_sub(begin) / 6);
        match now {
            _ if now > end => Expiry::Over,
            _ if end.saturating_sub(now) < soon => Expiry::Soon,
            _ => Expiry::Far,
        }
    }
}

/// Those that clients can choose from, the preferred one first. Where bytes are forwarded it is the service that speaks.
fn protocols(listener: &core::Listener) -> Vec<HttpProtocol> {
    let spoken = [(HttpProtocol::Http2, listener.speaks.http2), (HttpProtocol::Http1, listener.speaks.http1)];
    spoken
        .into_iter()
        .filter(|(_, speaks)| *speaks && listener.forward.is_none())
        .map(|(protocol, _)| protocol)
        .collect()
}

fn own(certificates: &[(Certificate, State)]) -> Vec<Certificate> {
    certificates.iter().map(|(certificate, _)| certificate.clone()).collect()
}

fn authorities(written: &ListenerTls) -> Stamp {
    let files = written.client_auth.iter().flat_map(|auth| auth.ca_files.iter().chain(&auth.crl_files));
    Stamp::of(files)
}
