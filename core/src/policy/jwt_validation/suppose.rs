//! What explanations and tests suppose: a token that this policy would take, put where it looks for one.
//!
//! Nothing here is part of a decision.

use http::{HeaderName, HeaderValue, Uri, header, request};
use serde_json::{Map, Value};

use super::{JwtValidation, TokenSource};
use crate::verify::Algorithm;

impl JwtValidation {
    /// Claims of a token of `subject` with all that is required here; the values that may be chosen are marked
    /// as supposed. Times are not among them.
    pub fn supposed_claims(&self, subject: &str) -> Map<String, Value> {
        let mut claims = Map::from_iter([("sub".to_owned(), Value::from(subject))]);
        if let Some(issuer) = &self.issuer {
            claims.insert("iss".to_owned(), issuer.as_str().into());
        }
        if let Some(audience) = self.audience.first() {
            claims.insert("aud".to_owned(), audience.as_str().into());
        }
        for required in &self.required {
            let value = required.values.first().map_or("supposed", String::as_str);
            claims.entry(required.claim.clone()).or_insert_with(|| value.into());
        }
        if !self.scopes.is_empty() {
            claims.insert("scope".to_owned(), self.scopes.join(" ").into());
        }
        claims
    }

    /// What its header must say about its type, if anything.
    pub fn supposed_typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// Whether tokens must say when they were issued.
    pub fn wants_issue_time(&self) -> bool {
        self.max_age_ms.is_some()
    }

    /// The claim that holds the roles.
    pub fn role_claim(&self) -> &str {
        &self.role_claim
    }

    /// Whether tokens may be signed so.
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether the keys are elsewhere, so that they are not known without asking.
    pub fn keys_are_elsewhere(&self) -> bool {
        self.keys.is_remote()
    }

    /// The token of a request, as it is.
    pub fn given_token(&self, request: &request::Parts) -> Option<String> {
        self.source.token(request).ok().flatten().map(std::borrow::Cow::into_owned)
    }

    /// Puts a token where it is looked for, in the place of one that is there. `false` where that can't be.
    pub fn put_token(&self, token: &str, request: &mut request::Parts) -> bool {
        let field = |name: HeaderName, value: String, request: &mut request::Parts| {
            HeaderValue::try_from(value).map(|value| request.headers.insert(name, value)).is_ok()
        };
        match &self.source {
            TokenSource::Bearer => field(header::AUTHORIZATION, format!("Bearer {token}"), request),
            TokenSource::Header(name) => field(name.clone(), token.to_owned(), request),
            TokenSource::Cookie(name) => field(header::COOKIE, format!("{name}={token}"), request),
            TokenSource::Query(name) => {
                let (path, query) = (request.uri.path(), request.uri.query().unwrap_or_default());
                let is_token = |pair: &&str| pair.split('=').next() == Some(name.as_str());
                let mut pairs: Vec<&str> =
                    query.split('&').filter(|p| !p.is_empty() && !is_token(p)).collect();
                let own = format!("{name}={token}");
                pairs.push(&own);
                let uri = Uri::try_from(format!("{path}?{}", pairs.join("&")));
                uri.map(|uri| request.uri = uri).is_ok()
            }
        }
    }
}
