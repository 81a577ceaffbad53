//! Tokens by which services can tell who makes a request and that this gateway says so: what stands in them, and
//! those that were made a moment ago. Signing is the host's.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use base64ct::{Base64UrlUnpadded, Encoding};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use serde_json::{Map, Value, json};

use crate::{
    host::Timestamp,
    identity::Identity,
    recent::Recent,
    signing::{PrivateKey, public_set},
    upstream::Service,
};

/// Tokens that are kept to be used again.
const REMEMBERED: usize = 4_096;

/// Claims that the gateway says itself, so that none of a user's can stand in their place.
pub(crate) const OWN_CLAIMS: [&str; 9] = ["iss", "aud", "sub", "roles", "idp", "iat", "exp", "nbf", "jti"];

/// How tokens are made.
#[derive(Debug)]
pub(crate) struct IdentityToken {
    pub(crate) issuer: String,
    /// The first one signs.
    pub(crate) keys: Vec<PrivateKey>,
    pub(crate) ttl_ms: u64,
    /// Carries the token; `Authorization` after `Bearer `.
    pub(crate) header: HeaderName,
    pub(crate) claims: Vec<String>,
    pub(crate) published: Option<Published>,
    /// The head of every token, encoded.
    head: String,
    made: Recent<(usize, usize), Made>,
    /// Whether the signing key was seen to make what its public half verifies.
    is_proven: AtomicBool,
}

/// The public keys, where everybody may have them.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) path: String,
    pub(crate) set: Bytes,
}

/// A token that was made. It holds what it was made for, so that no other comes to be at the same address.
#[derive(Debug, Clone)]
struct Made {
    identity: Arc<Identity>,
    service: Arc<Service>,
    value: HeaderValue,
    at: Timestamp,
}

impl IdentityToken {
    /// `None` without a key.
    pub(crate) fn new(
        issuer: String,
        keys: Vec<PrivateKey>,
        ttl_ms: u64,
        header: HeaderName,
        claims: Vec<String>,
        publish_at: Option<String>,
    ) -> Option<Self> {
        let key = keys.first()?;
        let head = json!({"alg": key.algorithm.name(), "kid": key.kid, "typ": "JWT"}).to_string();
        let head = Base64UrlUnpadded::encode_string(head.as_bytes());
        let set = Bytes::from(public_set(&keys).to_string());
        let published = publish_at.map(|path| Published { path, set });
        let (made, is_proven) = (Recent::new(REMEMBERED), AtomicBool::default());
        Some(Self { issuer, keys, ttl_ms, header, claims, published, head, made, is_proven })
    }

    /// The key that signs.
    pub(crate) fn key(&self) -> Option<&PrivateKey> {
        self.keys.first()
    }

    /// A token that was made for the same and is still young, with what is left of its life.
    pub(crate) fn recall(
        &self,
        identity: &Arc<Identity>,
        service: &Arc<Service>,
        now: Timestamp,
    ) -> Option<(HeaderValue, u64)> {
        let made = self.made.get(&addresses(identity, service))?;
        let age = now.checked_sub(made.at).filter(|age| *age < self.ttl_ms / 2)?;
        let is_same = Arc::ptr_eq(&made.identity, identity) && Arc::ptr_eq(&made.service, service);
        is_same.then_some((made.value, self.ttl_ms - age))
    }

    /// What is signed.
    pub(crate) fn message(&self, identity: &Identity, service: &Service, now: Timestamp) -> String {
        let copied = self.claims.iter().filter_map(|name| {
            let value = identity.claims.get(name).filter(|value| !value.is_null())?;
            Some((name.clone(), value.clone()))
        });
        let mut claims: Map<String, Value> = copied.collect();
        // A subject means something beside its issuer only.
        if let Some(issuer) = identity.claims.get("iss") {
            claims.insert("idp".to_owned(), issuer.clone());
        }
        let issued_at = now / 1000;
        claims.insert("iss".to_owned(), self.issuer.as_str().into());
        claims.insert("aud".to_owned(), (*service.name).into());
        claims.insert("sub".to_owned(), identity.subject.as_str().into());
        claims.insert("roles".to_owned(), identity.roles.as_slice().into());
        claims.insert("iat".to_owned(), issued_at.into());
        claims.insert("exp".to_owned(), (issued_at + self.ttl_ms / 1000).into());
        let claims = Base64UrlUnpadded::encode_string(Value::Object(claims).to_string().as_bytes());
        format!("{}.{claims}", self.head)
    }

    /// The token as it is sent, which is remembered.
    pub(crate) fn keep(
        &self,
        identity: &Arc<Identity>,
        service: &Arc<Service>,
        message: &str,
        signature: &[u8],
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let scheme = if self.header == header::AUTHORIZATION { "Bearer " } else { "" };
        let text = format!("{scheme}{message}.{}", Base64UrlUnpadded::encode_string(signature));
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        let made =
            Made { identity: identity.clone(), service: service.clone(), value: value.clone(), at: now };
        self.made.insert(addresses(identity, service), made);
        Some(value)
    }

    /// Whether the key is known to be whole.
    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven.load(Ordering::Relaxed)
    }

    /// Notes that it is.
    pub(crate) fn prove(&self) {
        self.is_proven.store(true, Ordering::Relaxed);
    }
}

/// Identities that are remembered stay where they are, so where they are tells them apart without a look at them.
fn addresses(identity: &Arc<Identity>, service: &Arc<Service>) -> (usize, usize) {
    (Arc::as_ptr(identity).addr(), Arc::as_ptr(service).addr())
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::{config::node::Span, upstream::Patience};

    fn maker(header: HeaderName) -> IdentityToken {
        let key = json!({
            "kty": "OKP", "crv": "Ed25519", "kid": "k",
            "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        let keys = vec![PrivateKey::from_jwk(&key).unwrap()];
        let claims = vec!["tenant".to_owned(), "absent".to_owned()];
        IdentityToken::new("gw".to_owned(), keys, 60_000, header, claims, None).unwrap()
    }

    fn identity(subject: &str) -> Arc<Identity> {
        let claims = json!({"sub": subject, "iss": "https://i", "role": ["a", "b"], "tenant": 7});
        let claims = claims.as_object().unwrap().clone();
        Arc::new(Identity::from_claims(claims, "role", &[]).unwrap())
    }

    fn service(name: &str) -> Arc<Service> {
        Arc::new(Service::new(name.into(), Vec::new(), Patience::default(), Span::default()))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_says_who_for_whom_and_for_how_long() {
        let message = maker(header::FROM).message(&identity("ada"), &service("app"), 1_000_999);
        let (head, claims) = message.split_once('.').unwrap();
        let read = |part: &str| {
            serde_json::from_slice::<Value>(&Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap()
        };
        assert_eq!(read(head), json!({"alg": "EdDSA", "kid": "k", "typ": "JWT"}));
        let wanted = json!({
            "iss": "gw", "aud": "app", "sub": "ada", "roles": ["a", "b"], "idp": "https://i", "tenant": 7,
            "iat": 1_000, "exp": 1_060,
        });
        assert_eq!(read(claims), wanted);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_is_used_again_for_half_of_its_life_by_the_same_and_for_the_same() {
        let maker = maker(header::FROM);
        let (ada, app) = (identity("ada"), service("app"));
        let token = maker.keep(&ada, &app, "m", b"s", 10_000).unwrap();
        assert_eq!(maker.recall(&ada, &app, 10_000), Some((token.clone(), 60_000)));
        assert_eq!(maker.recall(&ada, &app, 39_999), Some((token, 30_001)));
        assert_eq!(maker.recall(&ada, &app, 40_000), None);
        // A clock that was set back makes another.
        assert_eq!(maker.recall(&ada, &app, 9_999), None);
        assert_eq!(maker.recall(&identity("ada"), &app, 10_000), None);
        assert_eq!(maker.recall(&ada, &service("app"), 10_000), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn authorization_carries_a_bearer_token_and_nothing_shows_it() {
        let value = maker(header::AUTHORIZATION).keep(&identity("a"), &service("s"), "h.c", b"s", 0).unwrap();
        assert_eq!((value.to_str().unwrap(), format!("{value:?}").as_str()), ("Bearer h.c.cw", "Sensitive"));
    }
}
