//! Secrets that are shared with an issuer, and the HMAC by which they prove tokens (RFC 7518 §3.2).
//!
//! Unlike checks by public keys this needs no platform: it is done here, so that no host ever sees a secret.

use std::fmt;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::Algorithm;

/// A shorter secret serves nothing: it has to be as long as the hash (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Bytes that are shown to nobody, and overwritten when they are given up.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Keeps these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// What is in it, for those who derive something of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What was written, to be sent to whom it is shared with; nothing where it is no text.
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_blank(&self) -> bool {
        self.0.trim_ascii().is_empty()
    }

    /// Whether it is the PEM of what everybody may know.
    pub(crate) fn is_public(&self) -> bool {
        let text = self.0.trim_ascii_start();
        [&b"-----BEGIN PUBLIC KEY"[..], b"-----BEGIN RSA PUBLIC KEY", b"-----BEGIN CERTIFICATE"]
            .into_iter()
            .any(|label| text.starts_with(label))
    }
}

/// The bytes of a text, as it is written.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::new(text.into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret with what it may be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKey {
    pub(crate) kid: Option<String>,
    algorithm: Option<Algorithm>,
    secret: Secret,
}

impl SecretKey {
    /// A key that serves this algorithm only, or all that its length allows. `None` where that is none.
    pub fn new(kid: Option<String>, algorithm: Option<Algorithm>, secret: Secret) -> Option<Self> {
        let key = Self { kid, algorithm, secret };
        Algorithm::SYMMETRIC.into_iter().any(|algorithm| key.serves(algorithm)).then_some(key)
    }

    /// Whether this key may check signatures of `algorithm`.
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        least(algorithm).is_some_and(|least| self.secret.0.len() >= least)
            && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// What tells it from others, most likely, and helps nobody to guess it: sixteen bits of a digest.
    pub(crate) fn fingerprint(&self) -> String {
        let [first, second, ..] = <[u8; 32]>::from(Sha256::digest(self.secret.0.as_slice()));
        let algorithm = self.algorithm.map_or("any", Algorithm::name);
        format!("{} {algorithm} secret {first:02x}{second:02x}", self.kid.as_deref().unwrap_or("unnamed"))
    }

    /// Whether the signature was made with this secret. Takes as long for a wrong one as for the right one.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let secret = self.secret.0.as_slice();
        self.serves(algorithm)
            && match algorithm {
                Algorithm::HS256 => is_mac(Hmac::<Sha256>::new_from_slice(secret), message, signature),
                Algorithm::HS384 => is_mac(Hmac::<Sha384>::new_from_slice(secret), message, signature),
                Algorithm::HS512 => is_mac(Hmac::<Sha512>::new_from_slice(secret), message, signature),
                _ => false,
            }
    }
}

/// The comparison is the crate's own, which is constant in time.
fn is_mac<M: Mac, E>(keyed: Result<M, E>, message: &[u8], signature: &[u8]) -> bool {
    keyed.is_ok_and(|keyed| keyed.chain_update(message).verify_slice(signature).is_ok())
}

/// How many bytes a secret needs at least to serve `algorithm`.
const fn least(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::HS256 => Some(MIN_SECRET_BYTES),
        Algorithm::HS384 => Some(48),
        Algorithm::HS512 => Some(64),
        _ => None,
    }
}

/// How many bytes a secret needs to serve all of `algorithms` that go by secrets.
pub(crate) fn longest_served(algorithms: &[Algorithm]) -> usize {
    algorithms.iter().filter_map(|&algorithm| least(algorithm)).max().unwrap_or(MIN_SECRET_BYTES)
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn key(bytes: Vec<u8>) -> SecretKey {
        SecretKey::new(None, None, Secret::new(bytes)).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_secret_serves_what_its_length_allows() {
        let served = |length: usize| -> Vec<_> {
            let key = SecretKey::new(None, None, Secret::new(vec![7; length]));
            let serves = |&algorithm: &Algorithm| key.as_ref().is_some_and(|key| key.serves(algorithm));
            Algorithm::all().filter(serves).map(Algorithm::name).collect()
        };
        assert!(served(0).is_empty() && served(31).is_empty());
        assert_eq!(served(32), ["HS256"]);
        assert_eq!(served(48), ["HS256", "HS384"]);
        assert_eq!(served(64), ["HS256", "HS384", "HS512"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_example_of_the_standard_is_good() {
        // RFC 7515 §A.1.
        let decode = |text: &str| Base64UrlUnpadded::decode_vec(text).unwrap();
        let key = key(decode(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        ));
        let message = b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert!(key.verify(Algorithm::HS256, message, &signature));
        assert!(!key.verify(Algorithm::HS512, message, &signature));
        assert!(!key.verify(Algorithm::HS256, &message[1..], &signature));
        assert!(!key.verify(Algorithm::HS256, message, &signature[..31]));
        assert!(!key.verify(Algorithm::HS256, message, &[]));
        assert!(!key.verify(Algorithm::RS256, message, &signature));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_secret_is_shown_to_nobody() {
        let shown = format!("{:?}", key(b"correct horse battery staple, and more".to_vec()));
        assert!(!shown.contains("horse") && !shown.contains("104"), "{shown}");
    }
}
