//! What would have to be answered about a token that a policy admits, for rehearsals that can ask nobody, and where
//! the token goes. Nothing here is asked or judged.

use std::borrow::Cow;

use http::request;
use serde_json::{Map, Value};

use super::OAuthIntrospection;
use crate::policy::jwt_validation::Carried;

impl OAuthIntrospection {
    /// Claims of `subject` that are admitted. Where one of several values is wanted, all of them stand there.
    pub fn sample_claims(&self, subject: &str) -> Map<String, Value> {
        let list = |values: &[String]| Value::from(values.to_vec());
        let mut claims = Map::new();
        for required in &self.required {
            let value = if required.values.is_empty() { "assumed".into() } else { list(&required.values) };
            claims.insert(required.claim.clone(), value);
        }
        // Whether these are there at the right time is the business of whoever makes the answer.
        for time in ["exp", "nbf", "iat"] {
            claims.remove(time);
        }
        if let Some(issuer) = &self.issuer {
            claims.insert("iss".to_owned(), issuer.as_str().into());
        }
        if !self.audience.is_empty() {
            claims.insert("aud".to_owned(), list(&self.audience));
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

    /// The token of a request, as it is.
    pub fn given_token(&self, request: &request::Parts) -> Option<String> {
        self.token(request).ok().flatten().map(Cow::into_owned)
    }

    /// The token where it is looked for.
    pub fn carry(&self, token: &str) -> Carried {
        self.source.carry(token)
    }
}
