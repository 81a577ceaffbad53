//! The keys of an issuer, as of one fetch (RFC 7517 §5): which of them may check a token.
//!
//! Where they come from is not known here.

use serde_json::Value;

use crate::verify::{self, Algorithm, PublicKey, SecretKey};

/// Keys beyond this number are not looked at.
const MAX_KEYS: usize = 128;

/// The keys of an issuer, as of one fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<PublicKey>,
    secrets: Vec<SecretKey>,
    /// Whether there is but one key, which goes by any name: a secret that is written alone has none of its own.
    goes_by_any_name: bool,
}

/// A key that may check a token.
#[derive(Debug, Clone, Copy)]
pub enum Found<'k> {
    /// By arithmetic that the host lends.
    Public(&'k PublicKey),
    /// By an HMAC, which is done here.
    Secret(&'k SecretKey),
}

impl KeySet {
    /// Reads a set. Keys that can't be used are skipped; a set that is not one is an error.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let set: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or("there is no list named `keys`")?;
        let mut found = Self::default();
        for key in keys.iter().take(MAX_KEYS) {
            match verify::key(key) {
                Ok(verify::Key::Public(key)) => found.keys.push(key),
                Ok(verify::Key::Secret(key)) => found.secrets.push(key),
                Err(_) => {}
            }
        }
        Ok(found)
    }

    /// A set of one secret.
    pub fn of_secret(secret: SecretKey) -> Self {
        Self { keys: Vec::new(), secrets: vec![secret], goes_by_any_name: true }
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len() + self.secrets.len()
    }

    /// Whether no key can be used.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a key serves one of these algorithms.
    pub fn serves(&self, algorithms: &[Algorithm]) -> bool {
        algorithms.iter().any(|&algorithm| {
            self.keys.iter().any(|key| key.serves(algorithm))
                || self.secrets.iter().any(|key| key.serves(algorithm))
        })
    }

    /// Whether an RSA key has an exponent that not every platform can use.
    pub(crate) fn has_an_unusual_exponent(&self) -> bool {
        self.keys.iter().any(PublicKey::has_an_unusual_exponent)
    }

    /// What tells the keys from others: name and digest.
    pub(crate) fn fingerprints(&self) -> Vec<String> {
        let public = self.keys.iter().map(PublicKey::fingerprint);
        public.chain(self.secrets.iter().map(SecretKey::fingerprint)).collect()
    }

    /// The key a token names. Without a name, the only key that serves the algorithm: never one of several.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Found<'_>> {
        let kid = kid.filter(|_| !self.goes_by_any_name);
        let named = |own: &Option<String>| kid.is_none_or(|wanted| own.as_deref() == Some(wanted));
        let public = self.keys.iter().filter(|key| named(&key.kid) && key.serves(algorithm));
        let secret = self.secrets.iter().filter(|key| named(&key.kid) && key.serves(algorithm));
        let mut fitting = public.map(Found::Public).chain(secret.map(Found::Secret));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    /// Keys of these names.
    pub(in crate::keys) fn set(kids: &[Option<&str>]) -> KeySet {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let keys: Vec<_> = kids
            .iter()
            .map(|kid| match kid {
                Some(kid) => json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid}),
                None => json!({"kty": "OKP", "crv": "Ed25519", "x": x}),
            })
            .collect();
        KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_without_kid_finds_a_key_only_when_there_is_one() {
        assert!(set(&[Some("a")]).find(None, Algorithm::EdDSA).is_some());
        assert!(set(&[Some("a"), Some("b")]).find(None, Algorithm::EdDSA).is_none());
        assert!(set(&[Some("a"), None]).find(Some("a"), Algorithm::EdDSA).is_some());
        assert!(set(&[None]).find(Some("a"), Algorithm::EdDSA).is_none());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_name_of_two_kinds_of_key_leads_to_the_one_of_the_algorithm() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "a"},
            {"kty": "oct", "k": "A".repeat(43), "kid": "a"},
        ]});
        let set = KeySet::parse(set.to_string().as_bytes()).unwrap();
        assert!(matches!(set.find(Some("a"), Algorithm::EdDSA), Some(Found::Public(_))));
        assert!(matches!(set.find(Some("a"), Algorithm::HS256), Some(Found::Secret(_))));
        assert!(set.find(Some("a"), Algorithm::HS384).is_none());
        assert!(set.serves(&[Algorithm::HS256]) && !set.serves(&[Algorithm::HS512, Algorithm::RS256]));
    }
}
