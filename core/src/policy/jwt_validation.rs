//! `JWT_Validation`: who makes a request, by a JSON Web Token (RFC 7519, RFC 8725).
//!
//! Parsing and judging are here, synchronous; finding the key and checking the signature is asked for by the
//! pipeline in between.

mod credential;
mod fault;
#[cfg(all(test, not(target_family = "wasm")))]
mod hostile;
mod judge;
pub(crate) mod members;
mod parse;
mod sample;

use std::{borrow::Cow, sync::Arc};

use http::{HeaderName, request};
use sha2::{Digest, Sha256};

pub(crate) use self::{
    credential::{TokenSource, cookies, is_cookie},
    parse::Unverified,
};
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
    /// Those who are believed. Where there are several, each has a name.
    pub(crate) issuers: Vec<Issuer>,
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

/// Somebody who signs tokens, and what is asked of theirs.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// The `iss` of their tokens.
    pub(crate) name: Option<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) keys: Arc<KeyRing>,
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
    /// Where its keys come from, and the set that held its key: when that is replaced, the token is verified anew.
    ring: Arc<KeyRing>,
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

    /// The identity of a token that was verified a moment ago, if the set that held its key is still the `current`
    /// one of its ring.
    pub(crate) fn recall(
        &self,
        digest: &[u8; 32],
        now: Timestamp,
        current: impl FnOnce(&Arc<KeyRing>) -> Option<Arc<KeySet>>,
    ) -> Option<Arc<Identity>> {
        let verified = self.verified.get(digest).filter(|verified| now < verified.expires_at)?;
        let keys = current(&verified.ring)?;
        Arc::ptr_eq(&verified.keys, &keys).then_some(verified.identity)
    }

    /// Judges the claims of a token whose signature is good, and remembers who it was.
    pub(crate) fn admit(
        &self,
        token: &Unverified<'_>,
        digest: [u8; 32],
        issuer: &Issuer,
        keys: Arc<KeySet>,
        now: Timestamp,
    ) -> Result<Arc<Identity>, Refusal> {
        let claims = members::object(token.payload).ok_or(TokenFault::Malformed)?;
        let expires_at = self.judge(issuer, &claims, now)?;
        if !self.has_scopes(&claims) {
            return Err(Refusal::InsufficientScope(self.scopes.join(" ")));
        }
        let identity =
            Identity::from_claims(claims, &self.role_claim, &self.forward).ok_or(TokenFault::Claims)?;
        let identity = Arc::new(identity);
        let ring = issuer.keys.clone();
        self.verified.insert(digest, Verified { identity: identity.clone(), expires_at, ring, keys });
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

    pub(super) fn issuer(name: &str, algorithm: Algorithm) -> Issuer {
        Issuer {
            name: Some(name.into()),
            audience: vec!["api".into(), "web".into()],
            algorithms: vec![algorithm],
            keys: Arc::new(KeyRing::fixed(KeySet::default())),
        }
    }

    /// What the tests of the rooms below judge by.
    pub(super) fn policy() -> JwtValidation {
        JwtValidation {
            issuers: vec![issuer("https://issuer", Algorithm::ES256)],
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
