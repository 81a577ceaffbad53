//! `JWT_Validation`: who makes a request, by a JSON Web Token (RFC 7519, RFC 8725).
//!
//! Parsing and judging are here, synchronous; finding the key and checking the signature is asked for by the
//! pipeline in between.

mod credential;
mod fault;
mod judge;
mod members;
mod parse;
mod sample;

use std::{borrow::Cow, sync::Arc};

use http::{HeaderName, request};
use sha2::{Digest, Sha256};

pub(crate) use self::{credential::TokenSource, parse::Unverified};
pub use self::{fault::TokenFault, sample::Carried};
use crate::{
    host::Timestamp,
    identity::Identity,
    keys::{KeyRing, KeySet},
    recent::Recent,
    refusal::Refusal,
    verify::Algorithm,
};

/// Verified tokens remembered at most.
pub(crate) const REMEMBERED: usize = 16_384;

/// Proves identities by tokens.
#[derive(Debug)]
pub struct JwtValidation {
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) typ: Option<String>,
    pub(crate) required: Vec<Required>,
    /// All of which must have been granted.
    pub(crate) scopes: Vec<String>,
    pub(crate) max_age_ms: Option<u64>,
    pub(crate) leeway_ms: u64,
    /// Whether requests without a credential are let through, as nobody's.
    pub(crate) optional: bool,
    pub(crate) source: TokenSource,
    pub(crate) forward: Vec<(String, HeaderName)>,
    pub(crate) role_claim: String,
    pub(crate) verified: Recent<[u8; 32], Verified>,
}

/// A claim that must be there, and the values it may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Required {
    pub(crate) claim: String,
    /// Any when empty.
    pub(crate) values: Vec<String>,
}

/// A token whose signature was good.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    identity: Arc<Identity>,
    expires_at: Timestamp,
    /// The set that held its key: when that is replaced, the token is verified anew.
    keys: Arc<KeySet>,
}

impl JwtValidation {
    /// The token of a request, if there is one.
    pub(crate) fn token<'r>(&self, request: &'r request::Parts) -> Result<Option<Cow<'r, str>>, Refusal> {
        self.source.token(request)
    }

    /// Whether a request in which no token was found is let through, as nobody's.
    pub(crate) fn admits_nobody(&self, request: &request::Parts) -> bool {
        self.optional && !self.source.is_tried(request)
    }

    /// The identity of a token that was verified a moment ago with keys that are still current.
    pub(crate) fn recall(
        &self,
        digest: &[u8; 32],
        keys: &Arc<KeySet>,
        now: Timestamp,
    ) -> Option<Arc<Identity>> {
        let verified = self.verified.get(digest)?;
        (now < verified.expires_at && Arc::ptr_eq(&verified.keys, keys)).then_some(verified.identity)
    }

    /// Judges the claims of a token whose signature is good, and remembers who it was.
    pub(crate) fn admit(
        &self,
        token: &Unverified<'_>,
        digest: [u8; 32],
        keys: Arc<KeySet>,
        now: Timestamp,
    ) -> Result<Arc<Identity>, Refusal> {
        let claims = members::object(token.payload).ok_or(TokenFault::Malformed)?;
        let expires_at = self.judge(&claims, now)?;
        if !self.has_scopes(&claims) {
            return Err(Refusal::InsufficientScope(self.scopes.join(" ")));
        }
        let identity =
            Identity::from_claims(claims, &self.role_claim, &self.forward).ok_or(TokenFault::Claims)?;
        let identity = Arc::new(identity);
        self.verified.insert(digest, Verified { identity: identity.clone(), expires_at, keys });
        Ok(identity)
    }
}

/// The name under which a token is remembered: not the token itself, which is a secret.
pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the tests of the rooms below judge by.
    pub(super) fn policy() -> JwtValidation {
        JwtValidation {
            keys: Arc::new(KeyRing::fixed(KeySet::default())),
            issuer: Some("https://issuer".into()),
            audience: vec!["api".into(), "web".into()],
            algorithms: vec![Algorithm::ES256],
            typ: None,
            required: vec![Required { claim: "role".into(), values: vec!["user".into(), "7".into()] }],
            scopes: Vec::new(),
            max_age_ms: None,
            leeway_ms: 60_000,
            optional: false,
            source: TokenSource::Bearer,
            forward: Vec::new(),
            role_claim: "role".into(),
            verified: Recent::new(16),
        }
    }
}
