//! Signing keys of an issuer (RFC 7517): fetched when first needed, refreshed in the background, and kept
//! when the issuer is down. What is known is used; only when nothing was ever known is nothing possible.
//!
//! The rules are a small state machine over `(state, now)`; the fetch around it is [`KeyRing::refresh`]. Where an
//! issuer that is only named has its keys is found out in `discovery`.

mod set;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Method, StatusCode, header};

pub use self::set::{Found, KeySet};
use crate::{
    cache::Directives,
    discovery::Discovery,
    host::{Host, Timestamp},
    job::Job,
    refreshing::Refreshing,
    remote::{Answer, Question, Remote},
    upstream::Service,
    verify::Algorithm,
};

/// A set larger than this is refused: an issuer has a handful of keys.
const MAX_SET_BYTES: usize = 256 * 1024;
/// How long a set is fresh when the issuer does not say.
const DEFAULT_FRESHNESS: Duration = Duration::from_secs(600);
/// What an issuer may say is bounded to this.
const FRESHNESS_BOUNDS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(86_400));
/// Of an issuer whose keys are known no refresh begins sooner after another.
const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// How often, in the long run, a name that no key has makes an issuer be asked, whatever tokens clients make up…
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// … and how often in a row: a rotation is noticed at once even when somebody has just made up a name.
const LOOKS_IN_A_ROW: u64 = 5;
/// While no key was ever had, an issuer is asked this often.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);
/// Why no key was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// No set was ever had: nothing can be said about any token.
    Unavailable,
    /// The set holds no such key.
    Unknown,
}

/// Where an issuer's keys come from, and the last good set.
#[derive(Debug)]
pub struct KeyRing {
    source: Source,
    /// How long after it has ceased to be fresh a set serves on, while no other can be had.
    max_stale_ms: u64,
    state: Mutex<State>,
    refreshing: Refreshing,
}

/// Where keys come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// From the configuration, or from a file beside it: never fetched.
    Given,
    /// From an address.
    At(Remote),
    /// From where the issuer says that they are.
    Discovered(Discovery),
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// Where they were found, of an issuer that says so itself.
    found_at: Option<Remote>,
    fetched_at: Option<Timestamp>,
    fresh_until: Timestamp,
    attempted_at: Option<Timestamp>,
    /// When the looks for unknown names would all be spared again.
    looks_until: Timestamp,
    failure: Option<String>,
    failures: u64,
}

/// How it stands with the keys of an issuer, for those who operate the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Where they come from.
    pub source: String,
    /// How many can be used; none while nothing was ever had.
    pub keys: usize,
    /// When the last good set came.
    pub fetched_at: Option<Timestamp>,
    /// Whether it is older than the issuer said that it may be.
    pub stale: bool,
    /// Whether tokens can be judged by it still.
    pub serving: bool,
    /// Attempts that failed since the configuration was loaded.
    pub failures: u64,
    /// Why the last attempt failed, if it did.
    pub failure: Option<String>,
}

impl KeyRing {
    /// Keys that stand in the configuration or in a file beside it: never fetched.
    pub(crate) fn fixed(keys: KeySet) -> Self {
        let state = State { keys: Some(Arc::new(keys)), fresh_until: Timestamp::MAX, ..State::default() };
        Self {
            source: Source::Given,
            max_stale_ms: 0,
            state: Mutex::new(state),
            refreshing: Refreshing::default(),
        }
    }

    /// Keys to be fetched, and for how long they serve on when they can't be fetched again.
    pub(crate) fn fetched(source: Source, max_stale_ms: u64) -> Self {
        Self { source, max_stale_ms, state: Mutex::default(), refreshing: Refreshing::default() }
    }

    /// Where keys come from.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// How long after it has ceased to be fresh a set serves on.
    pub(crate) fn max_stale_ms(&self) -> u64 {
        self.max_stale_ms
    }

    /// The service that is asked first.
    pub(crate) fn service(&self) -> Option<&Arc<Service>> {
        match &self.source {
            Source::Given => None,
            Source::At(remote) => Some(&remote.service),
            Source::Discovered(discovery) => Some(discovery.service()),
        }
    }

    /// Whether the keys are known only by asking somebody.
    pub(crate) fn is_remote(&self) -> bool {
        !matches!(self.source, Source::Given)
    }

    fn shown_source(&self) -> String {
        match &self.source {
            Source::Given => "the configuration".to_owned(),
            Source::At(remote) => remote.address(),
            Source::Discovered(discovery) => discovery.issuer().to_owned(),
        }
    }

    /// How it stands.
    pub fn standing(&self, now: Timestamp) -> Standing {
        let state = self.lock();
        Standing {
            source: self.shown_source(),
            keys: state.keys.as_ref().map_or(0, |keys| keys.len()),
            fetched_at: state.fetched_at,
            stale: state.keys.is_some() && now >= state.fresh_until,
            serving: state.serving(now, self.max_stale_ms).is_some(),
            failures: state.failures,
            failure: state.failure.clone(),
        }
    }

    /// What tells the keys that are known from others: name and digest.
    pub(crate) fn fingerprints(&self) -> Vec<String> {
        self.lock().keys.as_ref().map_or_else(Vec::new, |keys| keys.fingerprints())
    }

    /// Puts a set in the place of what is known, for good.
    pub(crate) fn assume(&self, keys: KeySet) {
        let mut state = self.lock();
        state.keys = Some(Arc::new(keys));
        state.fresh_until = Timestamp::MAX;
        state.attempted_at = Some(Timestamp::MAX);
        state.looks_until = Timestamp::MAX;
        state.failure = None;
    }

    /// The set that is known now, whoever asks; starts a refresh in the background when it is due.
    pub(crate) fn current<H: Host>(self: &Arc<Self>, host: &H, now: Timestamp) -> Option<Arc<KeySet>> {
        let (keys, due) = {
            let mut state = self.lock();
            // Without a set that serves there is nothing to go on with meanwhile: then it is waited for instead.
            let serves = state.serving(now, self.max_stale_ms).is_some();
            let due = serves && now >= state.fresh_until && state.may_attempt(now);
            if due {
                state.attempted_at = Some(now);
            }
            (state.serving(now, self.max_stale_ms).cloned(), due)
        };
        if due {
            host.defer(Job::RefreshKeys(self.clone()));
        }
        keys
    }

    /// The set in which the key was found. A name that no key has may be that of a new one, so the ring looks, but
    /// only now and then. What can't be told is said to be so: an issuer that is down makes no token a bad one.
    pub(crate) async fn holding<H: Host>(
        self: &Arc<Self>,
        host: &H,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<KeySet>, NoKey> {
        let known = self.current(host, host.now());
        if let Some(keys) = &known
            && keys.find(kid, algorithm).is_some()
        {
            return Ok(keys.clone());
        }
        let due = |now| {
            let mut state = self.lock();
            let serving = state.serving(now, self.max_stale_ms);
            let found = serving.is_some_and(|keys| keys.find(kid, algorithm).is_some());
            let due = !found && self.is_remote() && state.may_look(now, self.max_stale_ms);
            if due {
                state.attempted_at = Some(now);
            }
            due
        };
        let job = || Job::RefreshKeys(self.clone());
        self.refreshing.attend(host, due, job, self.refresh(host)).await;
        let is_asked = self.refreshing.is_under_way(host.now());
        let state = self.lock();
        match state.serving(host.now(), self.max_stale_ms) {
            None => Err(NoKey::Unavailable),
            Some(keys) if keys.find(kid, algorithm).is_some() => Ok(keys.clone()),
            Some(_) if state.failure.is_some() || is_asked => Err(NoKey::Unavailable),
            Some(_) => Err(NoKey::Unknown),
        }
    }

    /// Fetches the set. A failure is remembered, and the last good set stays; what is returned says both.
    pub async fn refresh<H: Host>(&self, host: &H) -> Result<(), String> {
        // A client that leaves drops this future: the flag must fall with it.
        let Some(_raised) = self.refreshing.raise(host.now()) else { return Ok(()) };
        let fetched = match &self.source {
            Source::Given => return Ok(()),
            Source::At(remote) => fetch(remote, host).await,
            Source::Discovered(discovery) => match self.found(discovery, host).await {
                Ok(remote) => fetch(&remote, host).await,
                Err(why) => Err(why),
            },
        };
        let now = host.now();
        let mut state = self.lock();
        state.settle(fetched, now);
        let Some(why) = &state.failure else { return Ok(()) };
        let left = match state.serving(now, self.max_stale_ms) {
            Some(_) => "the last ones serve on",
            None => "no token can be judged by them",
        };
        Err(format!("the keys of `{}` can't be fetched, {left}: {why}", self.shown_source()))
    }

    /// Where the issuer says that its keys are, or said so when it last could.
    async fn found<H: Host>(&self, discovery: &Discovery, host: &H) -> Result<Remote, String> {
        let said = discovery
            .ask(host, Question::Keys)
            .await
            .and_then(|said| discovery.remote("jwks_uri", said.jwks_uri));
        let mut state = self.lock();
        if let Ok(remote) = &said {
            state.found_at = Some(remote.clone());
        }
        said.or_else(|why| state.found_at.clone().ok_or(why))
    }

    /// Why the last refresh failed, if it did.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fetch<H: Host>(remote: &Remote, host: &H) -> Result<(KeySet, Duration), String> {
    match remote.ask(host, Question::Keys, Method::GET, None, MAX_SET_BYTES).await {
        Ok(answer) => read(&answer),
        Err(error) => Err(error.to_string()),
    }
}

fn read(answer: &Answer) -> Result<(KeySet, Duration), String> {
    if answer.status() != StatusCode::OK {
        return Err(format!("the key set was answered with {}", answer.status()));
    }
    let keys = KeySet::parse(answer.body())?;
    if keys.is_empty() {
        return Err("the key set holds no usable key".to_owned());
    }
    let stated = Directives::read(answer.headers().get_all(header::CACHE_CONTROL)).max_age;
    let (least, most) = FRESHNESS_BOUNDS;
    Ok((keys, stated.map_or(DEFAULT_FRESHNESS, Duration::from_secs).clamp(least, most)))
}

impl State {
    /// The set by which tokens are judged: one that is fresh, or was not too long ago.
    fn serving(&self, now: Timestamp, max_stale_ms: u64) -> Option<&Arc<KeySet>> {
        self.keys.as_ref().filter(|_| now < self.fresh_until.saturating_add(max_stale_ms))
    }

    /// Whether the issuer may be asked for a name that no key has. It is then taken as asked.
    fn may_look(&mut self, now: Timestamp, max_stale_ms: u64) -> bool {
        if self.serving(now, max_stale_ms).is_none() {
            return self.attempted_at.is_none_or(|then| now.saturating_sub(then) >= millis(FIRST_INTERVAL));
        }
        let interval = millis(LOOK_INTERVAL);
        let may = self.looks_until <= now.saturating_add(interval * (LOOKS_IN_A_ROW - 1));
        if may {
            self.looks_until = self.looks_until.max(now).saturating_add(interval);
        }
        may
    }

    /// Whether the issuer may be asked again for what is known.
    fn may_attempt(&self, now: Timestamp) -> bool {
        self.attempted_at.is_none_or(|then| now.saturating_sub(then) >= millis(MIN_INTERVAL))
    }

    fn settle(&mut self, fetched: Result<(KeySet, Duration), String>, now: Timestamp) {
        match fetched {
            Ok((keys, freshness)) => {
                // An unchanged set keeps its address, by which verified tokens remember it.
                if self.keys.as_deref() != Some(&keys) {
                    self.keys = Some(Arc::new(keys));
                }
                self.fetched_at = Some(now);
                self.fresh_until = now.saturating_add(millis(freshness));
                self.failure = None;
            }
            Err(failure) => {
                self.failure = Some(failure);
                self.failures += 1;
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::{set::tests::set, *};

    #[wasm_bindgen_test(unsupported = test)]
    fn the_last_good_set_survives_a_failure() {
        let mut state = State::default();
        state.settle(Ok((set(&[Some("a")]), Duration::from_secs(60))), 0);
        state.settle(Err("down".to_owned()), 70_000);
        assert!(state.keys.is_some());
        assert_eq!(state.failure.as_deref(), Some("down"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_unchanged_set_keeps_its_address() {
        let mut state = State::default();
        state.settle(Ok((set(&[Some("a")]), Duration::from_secs(60))), 0);
        let before = state.keys.clone().unwrap();
        state.settle(Ok((set(&[Some("a")]), Duration::from_secs(60))), 1);
        assert!(Arc::ptr_eq(&before, state.keys.as_ref().unwrap()));
        state.settle(Ok((set(&[Some("b")]), Duration::from_secs(60))), 2);
        assert!(!Arc::ptr_eq(&before, state.keys.as_ref().unwrap()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn made_up_key_names_do_not_hammer_the_issuer() {
        let mut state = State::default();
        state.settle(Ok((set(&[Some("a")]), Duration::from_secs(600))), 0);
        let looks = |state: &mut State, now| (0..100).filter(|_| state.may_look(now, 0)).count();
        assert_eq!(looks(&mut state, 0), 5);
        assert_eq!(looks(&mut state, 9_999), 0);
        assert_eq!(looks(&mut state, 10_000), 1);
        // In the long run one in ten seconds, however many ask.
        assert_eq!((1..=30).map(|second| looks(&mut state, 10_000 + second * 1_000)).sum::<usize>(), 3);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_set_serves_on_for_as_long_as_it_may_and_no_longer() {
        let mut state = State::default();
        state.settle(Ok((set(&[Some("a")]), Duration::from_secs(60))), 0);
        state.settle(Err("down".to_owned()), 60_000);
        assert!(state.serving(60_000 + 4_999, 5_000).is_some());
        assert!(state.serving(60_000 + 5_000, 5_000).is_none());
        assert!(state.serving(59_999, 0).is_some() && state.serving(60_000, 0).is_none());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_issuer_without_keys_that_serve_is_asked_once_a_second() {
        let mut state = State::default();
        assert!(state.may_look(0, 0));
        state.attempted_at = Some(0);
        assert!(!state.may_look(999, 0) && state.may_look(1_000, 0));
    }
}
