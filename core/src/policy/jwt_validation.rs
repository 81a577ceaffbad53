//! `JWT_Validation`: who makes a request, by a JSON Web Token (RFC 7519, RFC 8725).
//!
//! Parsing and judging are here, synchronous; finding the key and checking the signature is asked for by the
//! pipeline in between.

mod credential;
mod fault;
mod judge;
mod members;
mod parse;
mod suppose;

use std::{borrow::Cow, sync::Arc};

use http::{HeaderName, request};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use self::fault::TokenFault;
pub(crate) use self::{credential::TokenSource, parse::Unverified};
use crate::{
    host::Timestamp,
    identity::Identity,
    keys::{KeyRing, KeySet},
    recent::Recent,
    refusal::Refusal,
    trail::{Said, Verdict},
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

/// How an identity was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The token was verified a moment ago.
    Remembered,
    /// The token was verified now.
    Verified(Algorithm),
}

/// What explanations say of a request without a credential, where it needs none.
pub(crate) fn anonymous() -> Said {
    Said::new(Verdict::Pass, "nobody: there is no token, and none is required")
}

/// What explanations say of a refusal.
pub(crate) fn refused(refusal: &Refusal) -> Said {
    Said::new(Verdict::Refuse, refusal.detail()).fact("refusal", refusal.code())
}

impl JwtValidation {
    /// What explanations say of an identity: who, by which claims, for how long; never the token.
    pub(crate) fn said(&self, identity: &Identity, source: Source, now: Timestamp) -> Said {
        let how = match source {
            Source::Remembered => "its token was verified before".to_owned(),
            Source::Verified(algorithm) => format!("its {} signature is good", algorithm.name()),
        };
        let roles = identity.roles.join(", ");
        let mut said = Said::new(Verdict::Pass, format!("`{}`: {how}", identity.subject))
            .fact("user", identity.subject.as_str())
            .fact("roles", roles);
        if let Some(issuer) = identity.claims.get("iss") {
            said = said.fact("issuer", issuer.clone());
        }
        if let Some(end) = identity.claims.get("exp").and_then(Value::as_u64) {
            said = said.fact("ends_in_seconds", end.saturating_sub(now / 1000));
        }
        said
    }

    /// The token of a request; `None` where there is none and none is needed.
    pub(crate) fn token<'r>(&self, request: &'r request::Parts) -> Result<Option<Cow<'r, str>>, Refusal> {
        match self.source.token(request)? {
            Some(token) => Ok(Some(token)),
            None if self.optional && !self.source.is_tried(request) => Ok(None),
            None => Err(Refusal::MissingToken),
        }
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
