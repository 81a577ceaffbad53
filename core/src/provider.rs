//! Where people log in, where codes are exchanged, where people log out: as the configuration says, or else as the
//! provider of logins says of itself (see `discovery`).
//!
//! Asked when it is first needed, again in the background when it is old, and kept when the provider is down. Where its
//! keys are is no business of this room: see [`crate::keys`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Uri;

use crate::{
    discovery::{Discovery, Metadata, missing},
    host::{Host, Timestamp},
    job::Job,
    refreshing::Refreshing,
    remote::{Question, Remote},
    upstream::Service,
};

/// How long what a provider said is fresh. Its endpoints hardly ever move.
const FRESH_MS: u64 = 60 * 60 * 1000;
/// While it has said nothing, or nothing new, it is asked this often.
const INTERVALS_MS: (u64, u64) = (1_000, 10_000);
/// Where a provider is reached, as far as that is known.
#[derive(Debug)]
pub(crate) struct Provider {
    /// What the configuration says.
    pub(crate) written: Written,
    /// What the provider says, where it is asked.
    pub(crate) told: Option<Arc<Told>>,
}

/// Endpoints that are written in the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) authorization: Option<String>,
    pub(crate) token: Option<Remote>,
    pub(crate) end_session: Option<String>,
}

/// All endpoints of a provider.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    /// Where browsers are sent to log in.
    pub(crate) authorization: String,
    /// Where codes are exchanged.
    pub(crate) token: Remote,
    /// Where browsers are sent to log out, if there is such a place.
    pub(crate) end_session: Option<String>,
    /// Whether its answers always name it (RFC 9207 §3).
    pub(crate) names_itself: bool,
}

/// What a provider says about itself, as of the last time.
#[derive(Debug)]
pub struct Told {
    discovery: Discovery,
    state: Mutex<State>,
    refreshing: Refreshing,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Arc<Endpoints>>,
    fresh_until: Timestamp,
    attempted_at: Option<Timestamp>,
    failure: Option<String>,
}

impl Provider {
    /// All endpoints; why not, where they are not known.
    pub(crate) async fn endpoints<H: Host>(&self, host: &H) -> Result<Endpoints, String> {
        let Written { authorization, token, end_session } = self.written.clone();
        match (authorization, token, &self.told) {
            (Some(authorization), Some(token), _) => {
                Ok(Endpoints { authorization, token, end_session, names_itself: false })
            }
            (_, _, None) => Err("where the provider is is not said".to_owned()),
            (authorization, token, Some(told)) => {
                let known = told.endpoints(host).await?;
                Ok(Endpoints {
                    authorization: authorization.unwrap_or_else(|| known.authorization.clone()),
                    token: token.unwrap_or_else(|| known.token.clone()),
                    end_session: end_session.or_else(|| known.end_session.clone()),
                    names_itself: known.names_itself,
                })
            }
        }
    }

    /// The services that it is reached through, as far as they are known beforehand.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        let told = self.told.iter().map(|told| told.discovery.service());
        told.chain(self.written.token.iter().map(|token| &token.service))
    }

    /// Whether it is asked for nothing elsewhere than another.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let (own, others) = (&self.written, &other.written);
        let address = |token: &Option<Remote>| token.as_ref().map(Remote::address);
        own.authorization == others.authorization
            && own.end_session == others.end_session
            && address(&own.token) == address(&others.token)
            && self.told.is_some() == other.told.is_some()
    }
}

impl Told {
    pub(crate) fn new(discovery: Discovery) -> Self {
        Self { discovery, state: Mutex::default(), refreshing: Refreshing::default() }
    }

    async fn endpoints<H: Host>(self: &Arc<Self>, host: &H) -> Result<Arc<Endpoints>, String> {
        let now = host.now();
        let (known, due) = {
            let mut state = self.lock();
            let due = state.known.is_some() && now >= state.fresh_until && state.may_attempt(now);
            if due {
                state.attempted_at = Some(now);
            }
            (state.known.clone(), due)
        };
        if due {
            host.defer(Job::RefreshProvider(self.clone()));
        }
        if let Some(known) = known {
            return Ok(known);
        }
        let due = |now| {
            let mut state = self.lock();
            let due = state.known.is_none() && state.may_attempt(now);
            if due {
                state.attempted_at = Some(now);
            }
            due
        };
        let job = || Job::RefreshProvider(self.clone());
        self.refreshing.attend(host, due, job, self.refresh(host)).await;
        let state = self.lock();
        let why = || state.failure.clone().unwrap_or_else(|| "the provider has not answered yet".to_owned());
        state.known.clone().ok_or_else(why)
    }

    /// Asks. A failure is remembered for the log, and what was said last stays.
    pub(crate) async fn refresh<H: Host>(&self, host: &H) -> Result<(), String> {
        // A client that leaves drops this future: the flag must fall with it.
        let Some(_raised) = self.refreshing.raise(host.now()) else { return Ok(()) };
        let found = self.discovery.ask(host, Question::Provider).await.and_then(|said| self.read(said));
        let (mut state, now) = (self.lock(), host.now());
        match found {
            Ok(endpoints) => {
                state.known = Some(Arc::new(endpoints));
                state.fresh_until = now.saturating_add(FRESH_MS);
                state.failure = None;
                Ok(())
            }
            Err(why) => {
                state.failure = Some(why.clone());
                let left =
                    if state.known.is_some() { "what it said last holds on" } else { "nobody can log in" };
                Err(format!(
                    "the provider `{}` does not say where it is, {left}: {why}",
                    self.discovery.issuer()
                ))
            }
        }
    }

    fn read(&self, said: Metadata) -> Result<Endpoints, String> {
        let token = self.discovery.remote("token_endpoint", said.token_endpoint)?;
        let authorization = "authorization_endpoint";
        let places = [
            (authorization, said.authorization_endpoint.as_deref()),
            ("end_session_endpoint", said.end_session_endpoint.as_deref()),
        ];
        for (name, place) in places.into_iter().filter_map(|(name, place)| Some((name, place?))) {
            browsable(place).map_err(|why| format!("discovery: `{name}` can't be used: {why}"))?;
        }
        Ok(Endpoints {
            authorization: said.authorization_endpoint.ok_or_else(|| missing(authorization))?,
            token,
            end_session: said.end_session_endpoint,
            names_itself: said.names_itself,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn may_attempt(&self, now: Timestamp) -> bool {
        let interval = if self.known.is_some() { INTERVALS_MS.1 } else { INTERVALS_MS.0 };
        self.attempted_at.is_none_or(|then| now.saturating_sub(then) >= interval)
    }
}

/// Whether a browser can be sent to an address, with a query added to it.
pub(crate) fn browsable(address: &str) -> Result<(), &'static str> {
    let uri: Uri = address.parse().map_err(|_| "it is no URL")?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) => return Err("only `http:` and `https:` are spoken"),
        None => return Err("the scheme is missing"),
    }
    let authority = uri.authority().ok_or("the host is missing")?;
    if authority.as_str().contains('@') {
        return Err("credentials don't belong into a URL");
    }
    if address.contains('#') {
        return Err("nothing can be added behind a `#`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn browsers_are_sent_to_pages_only() {
        assert!(browsable("https://i/a?b=c").is_ok() && browsable("http://i:8080").is_ok());
        for address in ["javascript:alert(1)", "https://i/a#b", "/a", "https://a@i/", "ftp://i/", ""] {
            assert!(browsable(address).is_err(), "{address}");
        }
    }
}
