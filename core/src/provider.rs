//! What a provider of logins says about itself (OpenID Connect Discovery 1.0 §3): where people log in, where codes are
//! exchanged, where people log out. What the configuration says of that counts more.
//!
//! Asked when it is first needed, again in the background when it is old, and kept when the provider is down. Where its
//! keys are is no business of this room: see [`crate::keys`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode, Uri};
use serde_json::Value;

use crate::{
    config::services::Directory,
    host::{Host, Timestamp},
    job::Job,
    keys::Refreshing,
    remote::{Answer, Question, Remote},
    upstream::Service,
};

/// A document larger than this is refused: they have a few thousand bytes.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;
/// How long what a provider said is fresh. Its endpoints hardly ever move.
const FRESH_MS: u64 = 60 * 60 * 1000;
/// While it has said nothing, or nothing new, it is asked this often.
const INTERVALS_MS: (u64, u64) = (1_000, 10_000);
/// How often, and how many times, a request looks whether another's question has been answered.
const WAIT_MS: u64 = 20;
const WAITS: usize = 250;

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
    issuer: String,
    document: Remote,
    directory: Directory,
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

/// What is read of the document.
#[derive(Debug)]
struct Document {
    authorization_endpoint: String,
    token_endpoint: String,
    end_session_endpoint: Option<String>,
    authorization_response_iss_parameter_supported: bool,
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
        let told = self.told.iter().map(|told| &told.document.service);
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
    pub(crate) fn new(issuer: String, document: Remote, directory: Directory) -> Self {
        let (state, refreshing) = (Mutex::default(), Refreshing::default());
        Self { issuer, document, directory, state, refreshing }
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
        for _ in 0..WAITS {
            if self.refreshing.is_under_way(host.now()) {
                host.sleep(WAIT_MS).await;
                continue;
            }
            // Somebody else's question may just have been answered, so look again before asking.
            let ask = {
                let (mut state, now) = (self.lock(), host.now());
                let ask = state.known.is_none() && state.may_attempt(now);
                if ask {
                    state.attempted_at = Some(now);
                }
                ask
            };
            if ask {
                // Noted where it is looked for below.
                let _ = self.refresh(host).await;
            }
            break;
        }
        let state = self.lock();
        let why = || state.failure.clone().unwrap_or_else(|| "the provider has not answered yet".to_owned());
        state.known.clone().ok_or_else(why)
    }

    /// Asks. A failure is remembered for the log, and what was said last stays.
    pub(crate) async fn refresh<H: Host>(&self, host: &H) -> Result<(), String> {
        // A client that leaves drops this future: the flag must fall with it.
        let Some(_raised) = self.refreshing.raise(host.now()) else { return Ok(()) };
        let asked = self.document.ask(host, Question::Provider, Method::GET, None, MAX_DOCUMENT_BYTES).await;
        let found = match asked {
            Ok(answer) => self.read(&answer),
            Err(error) => Err(error.to_string()),
        };
        let (mut state, now) = (self.lock(), host.now());
        match found {
            Ok(endpoints) => {
                state.known = Some(Arc::new(endpoints));
                state.fresh_until = now.saturating_add(FRESH_MS);
                state.failure = None;
                Ok(())
            }
            Err(why) => {
                state.failure = Some(format!("discovery: {why}"));
                let left =
                    if state.known.is_some() { "what it said last holds on" } else { "nobody can log in" };
                Err(format!("the provider `{}` does not say where it is, {left}: {why}", self.issuer))
            }
        }
    }

    fn read(&self, answer: &Answer) -> Result<Endpoints, String> {
        if answer.status() != StatusCode::OK {
            return Err(format!("the provider's configuration was answered with {}", answer.status()));
        }
        let document = believed(answer.body(), &self.issuer)?;
        let token = self.directory.remote(&document.token_endpoint, self.document.patience.head_ms);
        Ok(Endpoints {
            authorization: document.authorization_endpoint,
            token: token.map_err(|why| format!("`token_endpoint` can't be used: {why}"))?,
            end_session: document.end_session_endpoint,
            names_itself: document.authorization_response_iss_parameter_supported,
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

/// The document, if it is the provider's own, and leads to nothing less safe than the provider is.
fn believed(document: &[u8], issuer: &str) -> Result<Document, String> {
    let document: Value = serde_json::from_slice(document).map_err(|error| error.to_string())?;
    let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
    // Character by character (OpenID Connect Discovery §4.3): another's document must not speak for this one.
    if text("issuer").as_deref() != Some(issuer) {
        return Err("the provider calls itself by another name".to_owned());
    }
    let names_itself = document.get("authorization_response_iss_parameter_supported");
    let missing = |name: &str| format!("it does not say its `{name}`");
    let document = Document {
        authorization_endpoint: text("authorization_endpoint")
            .ok_or_else(|| missing("authorization_endpoint"))?,
        token_endpoint: text("token_endpoint").ok_or_else(|| missing("token_endpoint"))?,
        end_session_endpoint: text("end_session_endpoint"),
        authorization_response_iss_parameter_supported: names_itself == Some(&Value::Bool(true)),
    };
    let places = [
        ("authorization_endpoint", Some(&document.authorization_endpoint)),
        ("token_endpoint", Some(&document.token_endpoint)),
        ("end_session_endpoint", document.end_session_endpoint.as_ref()),
    ];
    for (name, place) in places.into_iter().filter_map(|(name, place)| Some((name, place?))) {
        browsable(place).map_err(|why| format!("`{name}` can't be used: {why}"))?;
        if issuer.starts_with("https:") && !place.starts_with("https:") {
            return Err(format!("`{name}` is not encrypted, though the provider is"));
        }
    }
    Ok(document)
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
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn read(change: Value) -> Result<Document, String> {
        let mut document = json!({
            "issuer": "https://i", "authorization_endpoint": "https://i/a", "token_endpoint": "https://i/t",
        });
        for (name, value) in change.as_object().unwrap() {
            document[name] = value.clone();
        }
        believed(document.to_string().as_bytes(), "https://i")
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_a_providers_own_document_is_believed() {
        assert!(read(json!({})).is_ok_and(|document| document.end_session_endpoint.is_none()));
        assert!(read(json!({"authorization_response_iss_parameter_supported": true})).is_ok());
        for change in [
            json!({"issuer": "https://i/"}),
            json!({"token_endpoint": "http://i/t"}),
            json!({"token_endpoint": null}),
            json!({"end_session_endpoint": "http://i/e"}),
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            json!({"authorization_endpoint": "https://i/a#b"}),
            json!({"authorization_endpoint": "/a"}),
        ] {
            assert!(read(change.clone()).is_err(), "{change}");
        }
    }
}
