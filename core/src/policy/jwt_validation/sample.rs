//! Tokens that a policy would admit, for rehearsals that have none: what would have to stand in them, how they
//! may be signed, and where they go. Nothing here signs.

use std::borrow::Cow;

use http::{HeaderName, header, request};
use serde_json::{Map, Value};

use super::{JwtValidation, TokenSource};
use crate::verify::Algorithm;

/// Where a token goes in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// A field.
    Header(HeaderName, String),
    /// A parameter of the query.
    Query(String),
}

impl JwtValidation {
    /// Claims of `subject` that are admitted. Where one of several values is wanted, all of them stand there.
    pub fn sample_claims(&self, subject: &str) -> Map<String, Value> {
        let list = |values: &[String]| Value::from(values.to_vec());
        let mut claims = Map::new();
        for required in &self.required {
            let value = if required.values.is_empty() { "assumed".into() } else { list(&required.values) };
            claims.insert(required.claim.clone(), value);
        }
        // Whether these are there at the right time is the business of whoever makes the token.
        for time in ["exp", "nbf", "iat"] {
            claims.remove(time);
        }
        if let Some(issuer) = self.issuers.first() {
            claims.extend(issuer.name.as_deref().map(|name| ("iss".to_owned(), name.into())));
            if !issuer.audience.is_empty() {
                claims.insert("aud".to_owned(), list(&issuer.audience));
            }
        }
        if !self.scopes.is_empty() {
            claims.insert("scope".to_owned(), self.scopes.join(" ").into());
        }
        claims.insert("sub".to_owned(), subject.into());
        claims
    }

    /// The claims without which a token is not admitted, besides those that have checks of their own.
    pub fn required_claims(&self) -> impl Iterator<Item = &str> {
        self.required.iter().map(|required| &*required.claim)
    }

    /// What its header must say about its type, if anything.
    pub fn sample_typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// Whether a token must say when it was issued.
    pub fn wants_issue_time(&self) -> bool {
        self.max_age_ms.is_some()
    }

    /// Whether the keys are elsewhere, so that they are not known without asking.
    pub fn keys_are_elsewhere(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.keys.is_remote())
    }

    /// The token of a request, as it is.
    pub fn given_token(&self, request: &request::Parts) -> Option<String> {
        self.token(request).ok().flatten().map(Cow::into_owned)
    }

    /// The algorithms by which a token with [these claims](Self::sample_claims) may be signed.
    pub fn algorithms(&self) -> &[Algorithm] {
        self.issuers.first().map_or(&[], |issuer| &issuer.algorithms)
    }

    /// The token where it is looked for.
    pub fn carry(&self, token: &str) -> Carried {
        match &self.source {
            TokenSource::Bearer => Carried::Header(header::AUTHORIZATION, format!("Bearer {token}")),
            TokenSource::Header(name) => Carried::Header(name.clone(), token.to_owned()),
            TokenSource::Cookie(name) => Carried::Header(header::COOKIE, format!("{name}={token}")),
            TokenSource::Query(name) => Carried::Query(format!("{name}={token}")),
        }
    }
}
