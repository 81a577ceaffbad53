//! `OAuthIntrospection`: who makes a request, by a token that its issuer is asked about (RFC 7662).
//!
//! What is asked and what an answer comes to is here, synchronous; the asking is the pipeline's. Nothing of a token
//! is looked at but its size: what it means is the issuer's to say.

pub mod answer;
pub(crate) mod client;
pub(crate) mod flights;
pub(crate) mod memory;
mod sample;

use std::{borrow::Cow, fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header, request};
use serde_json::{Map, Value};

use self::{
    answer::{Answer, is_meant, scopes, time},
    client::{Client, form},
    flights::Flights,
    memory::Memory,
};
use super::jwt_validation::{Required, TokenSource};
use crate::{
    host::Timestamp, identity::Identity, policy::jwt_validation::digest, refusal::Refusal, remote::Remote,
};

/// A longer token is not asked about.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Longer answers are not answers.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Proves identities by asking whoever issues the tokens.
pub struct OAuthIntrospection {
    pub(crate) remote: Remote,
    pub(crate) client: Client,
    pub(crate) source: TokenSource,
    pub(crate) issuer: Option<String>,
    /// Whose subjects they are where an answer does not say: the endpoint.
    pub(crate) asked: String,
    pub(crate) audience: Vec<String>,
    pub(crate) scopes: Vec<String>,
    /// The same in one text, for challenges.
    pub(crate) wanted: Arc<str>,
    pub(crate) required: Vec<Required>,
    pub(crate) leeway_ms: u64,
    pub(crate) forward: Vec<(String, HeaderName)>,
    pub(crate) role_claim: String,
    pub(crate) memory: Memory,
    pub(crate) flights: Flights,
}

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// Too long, or not made of visible characters.
    Malformed,
    /// The issuer says that it is none of its, or none any more.
    Inactive,
    /// `exp` has passed.
    Expired,
    /// `nbf` is still to come.
    NotYetValid,
    /// Another issuer.
    Issuer,
    /// Meant for somebody else.
    Audience,
    /// A required claim is missing or has another value, or nobody is named.
    Claims,
    /// It is good, and not for this.
    Scope,
}

impl TokenFault {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "oauth_introspection.malformed",
            Self::Inactive => "oauth_introspection.inactive",
            Self::Expired => "oauth_introspection.expired",
            Self::NotYetValid => "oauth_introspection.not_yet_valid",
            Self::Issuer => "oauth_introspection.issuer",
            Self::Audience => "oauth_introspection.audience",
            Self::Claims => "oauth_introspection.claims",
            Self::Scope => "oauth_introspection.scope",
        }
    }

    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::Malformed => "The token is malformed.",
            Self::Inactive => "The token is not active.",
            Self::Expired => "The token has expired.",
            Self::NotYetValid => "The token is not valid yet.",
            Self::Issuer => "The token comes from an unexpected issuer.",
            Self::Audience => "The token is meant for another audience.",
            Self::Claims => "The token lacks a required claim.",
            Self::Scope => "The token lacks a required scope.",
        }
    }
}

/// Who holds a token, as its issuer says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Holder {
    pub(crate) identity: Arc<Identity>,
    /// When the token ends by its own `exp`.
    pub(crate) ends_at: Timestamp,
}

/// What an answer comes to.
pub(crate) type Judged = Result<Holder, TokenFault>;

impl OAuthIntrospection {
    /// The token of a request, if there is one.
    pub(crate) fn token<'r>(&self, request: &'r request::Parts) -> Result<Option<Cow<'r, str>>, Refusal> {
        self.source.token(request).map_err(|_| Refusal::AmbiguousAccessToken)
    }

    /// The name under which a token is known here, if it may be one (RFC 6749 §A.12).
    pub(crate) fn name(token: &str) -> Result<[u8; 32], TokenFault> {
        let visible = |byte: u8| (b' '..=b'~').contains(&byte);
        if token.len() <= MAX_TOKEN_BYTES && token.bytes().all(visible) {
            Ok(digest(token))
        } else {
            Err(TokenFault::Malformed)
        }
    }

    /// The question: fields and content (RFC 7662 §2.1).
    pub(crate) fn question(&self, token: &str) -> (HeaderMap, Bytes) {
        let mut content = String::with_capacity(token.len() + 128);
        content.push_str("token=");
        form(token, &mut content);
        content.push_str("&token_type_hint=access_token");
        let mut fields = HeaderMap::with_capacity(8);
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.client.prove(&mut fields, &mut content);
        (fields, content.into())
    }

    /// What an answer comes to. `Err` says why it is none.
    pub(crate) fn judge(&self, answer: Answer, now: Timestamp) -> Result<Judged, String> {
        let Answer::Active(claims) = answer else { return Ok(Err(TokenFault::Inactive)) };
        let (ends_at, begins_at) = (time(&claims, "exp")?, time(&claims, "nbf")?);
        Ok(self.check(&claims, ends_at, begins_at, now).and_then(|()| {
            let identity = Identity::introspected(claims, &self.asked, &self.role_claim, &self.forward);
            let identity = identity.ok_or(TokenFault::Claims)?.into();
            Ok(Holder { identity, ends_at: ends_at.unwrap_or(Timestamp::MAX) })
        }))
    }

    fn check(
        &self,
        claims: &Map<String, Value>,
        ends_at: Option<Timestamp>,
        begins_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), TokenFault> {
        if ends_at.is_some_and(|end| now >= end.saturating_add(self.leeway_ms)) {
            return Err(TokenFault::Expired);
        }
        if begins_at.is_some_and(|begin| begin > now.saturating_add(self.leeway_ms)) {
            return Err(TokenFault::NotYetValid);
        }
        let issuer = claims.get("iss").and_then(Value::as_str);
        if self.issuer.is_some() && self.issuer.as_deref() != issuer {
            return Err(TokenFault::Issuer);
        }
        let meant = |wanted: &String| is_meant(claims, wanted);
        if !self.audience.is_empty() && !self.audience.iter().any(meant) {
            return Err(TokenFault::Audience);
        }
        if !self.required.iter().all(|required| required.holds(claims)) {
            return Err(TokenFault::Claims);
        }
        let granted: Vec<&str> = scopes(claims).collect();
        if self.scopes.iter().all(|wanted| granted.contains(&wanted.as_str())) {
            Ok(())
        } else {
            Err(TokenFault::Scope)
        }
    }

    /// The refusal of a token with that fault.
    pub(crate) fn refusal(&self, fault: TokenFault) -> Refusal {
        match fault {
            TokenFault::Scope => Refusal::InsufficientAccessToken(self.wanted.clone()),
            fault => Refusal::RefusedToken(fault),
        }
    }
}

/// What is remembered concerns nobody who looks at a configuration.
impl fmt::Debug for OAuthIntrospection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthIntrospection")
            .field("remote", &self.remote)
            .field("client", &self.client)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
