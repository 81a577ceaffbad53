//! Answers an authority that looks whether a name is ours. It may ask any of the gateways that share the name, so what it
//! is to find is kept where all of them look; the one that orders knows it by itself.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustls::sign::CertifiedKey;
use tokio::{sync::Semaphore, time::timeout};
use tollgate_core::acme::AcmeChallenge;

use super::{
    Shelf, certificate,
    storage::{Record, Storage},
};

/// What stands before the token in the path that an authority asks for (RFC 8555 §8.3).
const WELL_KNOWN: &str = "/.well-known/acme-challenge/";
/// Anybody can ask for what is not there: so many looks at the same time, and none for longer than this.
const LOOKS: usize = 8;
const LOOK: Duration = Duration::from_secs(3);
/// No token is longer.
const MAX_TOKEN: usize = 256;

/// What authorities are shown.
pub struct Challenges {
    kind: AcmeChallenge,
    /// For whom certificates are ordered, in order.
    names: Vec<String>,
    storage: Arc<Storage>,
    shelf: Arc<dyn Shelf>,
    /// Answers by their tokens. Whoever orders puts one there at a time.
    answers: Mutex<HashMap<String, String>>,
    looks: Semaphore,
}

impl Challenges {
    pub(super) fn new(
        kind: AcmeChallenge,
        names: Vec<String>,
        storage: Arc<Storage>,
        shelf: Arc<dyn Shelf>,
    ) -> Self {
        let answers = Mutex::default();
        Self { kind, names, storage, shelf, answers, looks: Semaphore::new(LOOKS) }
    }

    /// Whether an authority could ask without TLS at all. Cheap: for every request.
    pub fn is_pending(&self, path: &str) -> bool {
        self.kind == AcmeChallenge::Http01 && path.starts_with(WELL_KNOWN)
    }

    /// What is answered to a request without TLS for this path, with status 200. `None` where nobody has asked the
    /// authority for anything; then the request is one like others.
    pub async fn answer(&self, path: &str) -> Option<String> {
        if !self.is_pending(path) {
            return None;
        }
        let token = path.strip_prefix(WELL_KNOWN).filter(|token| is_token(token))?;
        if let Some(answer) = self.answers().get(token) {
            return Some(answer.clone());
        }
        self.look(Record::Token(token)).await
    }

    /// The certificate for a handshake that offers `acme-tls/1` and nothing else, where it is not this process that
    /// orders. `None` where nobody does.
    pub async fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        if self.kind != AcmeChallenge::TlsAlpn01
            || self.names.binary_search_by(|one| one.as_str().cmp(name)).is_err()
        {
            return None;
        }
        let authorization = self.look(Record::Shown(name)).await?;
        certificate::shown(name, &authorization).ok()
    }

    async fn look(&self, record: Record<'_>) -> Option<String> {
        // Whoever finds no room is told as much as somebody who asks for nothing: an authority comes again.
        let _room = self.looks.try_acquire().ok()?;
        let found = timeout(LOOK, self.storage.load_one(record)).await.ok()?.ok()??;
        String::from_utf8(found).ok().filter(|text| text.len() <= 2 * MAX_TOKEN && text.is_ascii())
    }

    /// From now on whoever looks finds what shows that `name` is ours.
    pub(super) async fn show(&self, name: &str, token: &str, authorization: &str) -> Result<(), String> {
        if !is_token(token) {
            return Err("the authority's token is none".to_owned());
        }
        let record = match self.kind {
            AcmeChallenge::Http01 => {
                let mut answers = self.answers();
                // One at a time: what an order has left behind that was given up is nobody's.
                answers.clear();
                answers.insert(token.to_owned(), authorization.to_owned());
                drop(answers);
                Record::Token(token)
            }
            AcmeChallenge::TlsAlpn01 => {
                self.shelf.challenge(name, certificate::shown(name, authorization)?);
                Record::Shown(name)
            }
        };
        self.storage.save(record, authorization.as_bytes().to_vec()).await
    }

    /// Nobody needs to see it any more.
    pub(super) async fn hide(&self, name: &str, token: &str) {
        let record = match self.kind {
            AcmeChallenge::Http01 => {
                self.answers().remove(token);
                Record::Token(token)
            }
            AcmeChallenge::TlsAlpn01 => {
                self.shelf.withdraw(name);
                Record::Shown(name)
            }
        };
        // What stays there is of no use to anybody, and is swept away in the end.
        let _ = self.storage.remove(record).await;
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenges").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Of the alphabet that tokens have: nothing else is looked for anywhere.
fn is_token(token: &str) -> bool {
    let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(is_of_it)
}
