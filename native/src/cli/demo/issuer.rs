//! A pretend issuer of tokens: a key made at start, its public half as a key set, tokens on request.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::json;

const KEY_ID: &str = "demo-1";
/// How long tokens live. Long enough for an afternoon of trying.
const LIFETIME_SECONDS: u64 = 8 * 3600;

pub(super) struct Issuer {
    key: Ed25519KeyPair,
}

impl Issuer {
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self { key: Ed25519KeyPair::generate().map_err(|error| error.to_string())? })
    }

    /// The public keys (RFC 7517).
    pub(super) fn key_set(&self) -> String {
        let x = Base64UrlUnpadded::encode_string(self.key.public_key().as_ref());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": x}]})
            .to_string()
    }

    /// A token for a user (RFC 7519).
    pub(super) fn token(&self, user: &str, role: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": KEY_ID});
        let claims = json!({
            "iss": "https://auth.myagentplatform.com",
            "sub": user,
            "role": role,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        });
        let encode =
            |value: serde_json::Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = Base64UrlUnpadded::encode_string(self.key.sign(message.as_bytes()).as_ref());
        format!("{message}.{signature}")
    }
}
