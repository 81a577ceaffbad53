//! `OidcLogin`: who makes a request, by a session that a login at an OpenID Connect provider began (OpenID Connect
//! Core 1.0 §3.1, RFC 6749 §4.1, RFC 7636, RFC 9700).
//!
//! Nothing is kept here: a session is a sealed cookie, and so is a login that is under way. What has to be asked of
//! the provider, the pipeline asks; here is what is asked, and what the answers are worth.

pub(crate) mod begun;
pub(crate) mod callback;
pub(crate) mod cookies;
mod fault;
pub(crate) mod form;
mod logout;
mod navigation;
mod sample;
mod seal;
mod session;

use std::sync::Arc;

use http::{HeaderName, request};

pub use self::fault::LoginFault;
pub(crate) use self::{
    seal::{MAX_SECRETS, MIN_SECRET_BYTES, Purpose, Seal},
    session::{Seen, Session},
};
use crate::{
    host::Timestamp,
    identity::Identity,
    policy::jwt_validation::{JwtValidation, Required, TokenSource},
    provider::Provider,
    recent::Recent,
    refusal::Refusal,
    verify::Secret,
};

/// Opened sessions remembered at most.
pub(crate) const REMEMBERED: usize = 16_384;

/// Proves identities by sessions, and begins those.
#[derive(Debug)]
pub struct OidcLogin {
    pub(crate) provider: Provider,
    /// What proves at the provider that it is this client who asks.
    pub(crate) client_secret: Option<Secret>,
    /// Whether that goes into the content of a question, and not into its head.
    pub(crate) secret_in_content: bool,
    /// The provider's name for itself.
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// What judges the provider's word about who somebody is.
    pub(crate) id_token: JwtValidation,
    /// Audiences that may stand in it beside this client.
    pub(crate) audience: Vec<String>,
    /// What is asked for at the provider, and what else is said there: a query.
    pub(crate) request: String,
    /// Scheme, host and port by which browsers know the gateway.
    pub(crate) origin: String,
    /// The host among them, as requests are compared by it.
    pub(crate) host: String,
    pub(crate) callback_path: String,
    pub(crate) logout_path: String,
    /// Where browsers end up when they are logged out.
    pub(crate) after_logout: Option<String>,
    pub(crate) session_ms: u64,
    /// The session's cookie.
    pub(crate) source: TokenSource,
    pub(crate) cookie: String,
    pub(crate) seal: Seal,
    pub(crate) required: Vec<Required>,
    pub(crate) role_claim: String,
    pub(crate) forward: Vec<(String, HeaderName)>,
    pub(crate) sessions: Recent<[u8; 32], Session>,
}

impl OidcLogin {
    /// Whether the request carries something that calls itself a session.
    pub(crate) fn is_present(&self, request: &request::Parts) -> bool {
        cookies::values(&request.headers, &self.cookie).next().is_some()
    }

    /// Whether a person at a browser is waiting for a page, who can be sent to log in.
    pub(crate) fn is_navigation(&self, request: &request::Parts) -> bool {
        navigation::is_navigation(request)
    }

    /// Whose session the request carries.
    pub(crate) fn seen(&self, request: &request::Parts, now: Timestamp) -> Seen {
        // Several under one name: only what opens counts, so none that was slipped in shuts the owner out.
        let found = cookies::values(&request.headers, &self.cookie).take(cookies::MAX_LOOKED_AT);
        found
            .map(|value| self.open(value, now))
            .find(|seen| !matches!(seen, Seen::Nobody))
            .unwrap_or(Seen::Nobody)
    }

    /// What a client is told that has no session and can't get one by itself (RFC 9110 §11.6.1).
    pub(crate) fn challenge(&self) -> String {
        format!("Cookie cookie-name=\"{}\"", self.cookie)
    }

    /// Where the provider sends browsers back to.
    pub(crate) fn callback(&self) -> String {
        format!("{}{}", self.origin, self.callback_path)
    }

    /// Whether a path on a host is one of those at which the policy itself answers.
    pub(crate) fn answers(&self, host: &str, path: &str) -> bool {
        host == self.host && (path == self.callback_path || path == self.logout_path)
    }

    /// Whether logins that one of the two began may end at the other.
    pub(crate) fn shares_logins_with(&self, other: &Self) -> bool {
        self.issuer == other.issuer
            && self.client_id == other.client_id
            && self.origin == other.origin
            && self.callback_path == other.callback_path
            && self.logout_path == other.logout_path
            && self.after_logout == other.after_logout
            && self.cookie == other.cookie
            && self.session_ms == other.session_ms
            && self.audience == other.audience
            && self.seal.opens_what_seals(&other.seal)
            && self.client_secret == other.client_secret
            && self.secret_in_content == other.secret_in_content
            && self.request == other.request
            && self.provider.is(&other.provider)
    }

    fn identity(&self, claims: serde_json::Map<String, serde_json::Value>) -> Option<Arc<Identity>> {
        Identity::from_claims(claims, &self.role_claim, &self.forward).map(Arc::new)
    }

    /// The refusal of a request whose host is another than the one at which logins are made: what is begun there
    /// could not be ended.
    pub(crate) fn check_host(&self, host: &str) -> Result<(), Refusal> {
        if host == self.host { Ok(()) } else { Err(LoginFault::Elsewhere.into()) }
    }
}
