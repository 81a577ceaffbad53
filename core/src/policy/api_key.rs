//! `ApiKey`: who makes a request, by a secret that was handed out beforehand.
//!
//! The configuration holds digests, never keys: a key is random and long, so one pass of SHA-256 is as good as a slow
//! hash, and whoever reads the file can't use it. A key is found by its digest, so how long that takes tells nothing
//! of any key.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use http::request;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    host::Timestamp, identity::Identity, policy::jwt_validation::TokenSource, refusal::Refusal,
    route::parameters,
};

/// A longer text is no key.
const MAX_KEY_BYTES: usize = 1024;

/// Proves identities by keys.
#[derive(Debug)]
pub struct ApiKey {
    /// A header or a query parameter.
    pub(crate) source: TokenSource,
    pub(crate) keys: HashMap<[u8; 32], Known>,
}

/// A key that was handed out.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) identity: Arc<Identity>,
    /// From then on it is no key any more.
    pub(crate) expires_at: Option<Timestamp>,
}

/// Why a key proves nothing. Clients are not told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum KeyFault {
    #[error("no such key was handed out")]
    Unknown,
    #[error("the key has expired")]
    Expired,
}

impl ApiKey {
    /// The digest under which a key is written in the configuration.
    pub fn digest(key: &str) -> [u8; 32] {
        Sha256::digest(key).into()
    }

    /// The key of a request, if there is one. Two are refused: who knows which one was meant.
    pub(crate) fn key<'r>(&self, request: &'r request::Parts) -> Result<Option<Cow<'r, str>>, Refusal> {
        let (first, second) = match &self.source {
            TokenSource::Query(name) => {
                let query = request.uri.query().unwrap_or_default();
                let mut named = parameters(query).filter(|(key, _)| key == name).map(|(_, value)| value);
                (named.next(), named.next())
            }
            source => {
                let mut fields = request.headers.get_all(source.field()).iter();
                // What is no text is no key, but it is there.
                let mut next =
                    || fields.next().map(|field| Cow::Borrowed(field.to_str().unwrap_or_default()));
                (next(), next())
            }
        };
        if second.is_some() { Err(Refusal::AmbiguousKey) } else { Ok(first) }
    }

    /// Whose key it is.
    pub(crate) fn admit(&self, key: &str, now: Timestamp) -> Result<&Known, KeyFault> {
        if key.len() > MAX_KEY_BYTES {
            return Err(KeyFault::Unknown);
        }
        let known = self.keys.get(&Self::digest(key)).ok_or(KeyFault::Unknown)?;
        match known.expires_at {
            Some(end) if now >= end => Err(KeyFault::Expired),
            _ => Ok(known),
        }
    }

    /// What a client is told that sent no key: where it is looked for.
    pub(crate) fn challenge(&self) -> String {
        match &self.source {
            TokenSource::Query(name) => format!("ApiKey query=\"{name}\""),
            source => format!("ApiKey header=\"{}\"", source.field()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn policy(expires_at: Option<Timestamp>) -> ApiKey {
        let identity = Arc::new(Identity::of_key("ci", &[], serde_json::Map::new(), &[]).unwrap());
        let known = Known { identity, expires_at };
        let source = TokenSource::Header(http::HeaderName::from_static("x-api-key"));
        ApiKey { source, keys: HashMap::from([(ApiKey::digest("right"), known)]) }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_a_key_that_was_handed_out_and_has_not_ended_is_one() {
        let policy = policy(Some(100));
        assert_eq!(policy.admit("right", 99).unwrap().identity.subject, "ci");
        assert_eq!(policy.admit("right", 100).err(), Some(KeyFault::Expired));
        for wrong in ["", "Right", "right ", "wrong"] {
            assert_eq!(policy.admit(wrong, 0).err(), Some(KeyFault::Unknown), "{wrong}");
        }
        assert_eq!(policy.admit(&"x".repeat(5_000), 0).err(), Some(KeyFault::Unknown));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn two_keys_are_none() {
        let policy = policy(None);
        let request = |fields: &[&str]| {
            let mut request = Request::get("/");
            for field in fields {
                request = request.header("X-Api-Key", *field);
            }
            request.body(()).unwrap().into_parts().0
        };
        assert_eq!(policy.key(&request(&[])), Ok(None));
        assert_eq!(policy.key(&request(&["a"])).unwrap().as_deref(), Some("a"));
        assert_eq!(policy.key(&request(&["a", "a"])), Err(Refusal::AmbiguousKey));
    }
}
