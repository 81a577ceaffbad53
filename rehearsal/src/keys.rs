//! The signing keys of cases: made anew in each process, so there is none to be kept secret.
//!
//! Signing only. What a token says is the case's business.

use std::{fmt, sync::LazyLock};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256},
};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use serde_json::{Value, json};

/// A key that cases name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Ed25519, the issuer's.
    #[default]
    Main,
    /// Ed25519, the issuer's next one.
    Rotated,
    /// P-256, the issuer's.
    Ec,
    /// RSA of 2048 bits, the issuer's.
    Rsa,
    /// Ed25519, an attacker's, who says that it is `main`.
    Rogue,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    /// The name by which tokens refer to the key.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Main | Self::Rogue => "main",
            Self::Rotated => "rotated",
            Self::Ec => "ec",
            Self::Rsa => "rsa",
        }
    }

    /// What the key signs with.
    pub const fn algorithm(self) -> &'static str {
        match self {
            Self::Main | Self::Rotated | Self::Rogue => "EdDSA",
            Self::Ec => "ES256",
            Self::Rsa => "RS256",
        }
    }

    /// A signature over `message`.
    pub fn sign(self, message: &[u8]) -> Result<Vec<u8>, Unmade> {
        let random = SystemRandom::new();
        Ok(match self.pair()? {
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Ec(pair) => pair.sign(&random, message).map_err(|_| Unmade)?.as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| Unmade)?;
                signature
            }
        })
    }

    /// What an attacker makes of the public key: an HMAC over `message`, with its PEM as the secret.
    pub fn sign_with_public_half(self, message: &[u8]) -> Result<Vec<u8>, Unmade> {
        let der: PublicKeyX509Der<'_> = match self.pair()? {
            Pair::Ed25519(pair) => pair.public_key().as_der(),
            Pair::Ec(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair) => pair.public_key().as_der(),
        }
        .map_err(|_| Unmade)?;
        let text = Base64::encode_string(der.as_ref());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
        Ok(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, pem.as_bytes()), message).as_ref().to_vec())
    }

    /// The public half (RFC 7517).
    pub fn public(self) -> Result<Value, Unmade> {
        let encode = Base64UrlUnpadded::encode_string;
        let (id, algorithm) = (self.id(), self.algorithm());
        Ok(match self.pair()? {
            Pair::Ed25519(pair) => json!({
                "kid": id, "alg": algorithm, "use": "sig",
                "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()),
            }),
            Pair::Ec(pair) => {
                // 04, x, y (SEC 1 §2.3.3).
                let point = pair.public_key().as_ref().get(1..).and_then(|point| point.split_at_checked(32));
                let (x, y) = point.ok_or(Unmade)?;
                json!({
                    "kid": id, "alg": algorithm, "use": "sig",
                    "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y),
                })
            }
            Pair::Rsa(pair) => {
                let numbers = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({
                    "kid": id, "alg": algorithm, "use": "sig",
                    "kty": "RSA", "n": encode(&numbers.n), "e": encode(&numbers.e),
                })
            }
        })
    }

    fn pair(self) -> Result<&'static Pair, Unmade> {
        type Lazy = LazyLock<Option<Pair>>;
        fn ed25519() -> Option<Pair> {
            Ed25519KeyPair::generate().ok().map(Pair::Ed25519)
        }
        static MAIN: Lazy = LazyLock::new(ed25519);
        static ROTATED: Lazy = LazyLock::new(ed25519);
        static ROGUE: Lazy = LazyLock::new(ed25519);
        static EC: Lazy =
            LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok().map(Pair::Ec));
        static RSA: Lazy = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).ok().map(Pair::Rsa));
        let pair = match self {
            Self::Main => &MAIN,
            Self::Rotated => &ROTATED,
            Self::Rogue => &ROGUE,
            Self::Ec => &EC,
            Self::Rsa => &RSA,
        };
        pair.as_ref().ok_or(Unmade)
    }
}

/// A set of public keys. One that this machine can't make is not among them, and nothing can be signed with it.
pub fn set(keys: &[Key]) -> Value {
    json!({"keys": keys.iter().filter_map(|key| key.public().ok()).collect::<Vec<_>>()})
}

/// A key or a signature can't be made on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmade;

impl fmt::Display for Unmade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key can't be made here, or nothing can be signed with it")
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::verify::{Algorithm, PublicKey, pure};

    use super::*;

    #[test]
    fn every_key_signs_what_its_public_half_verifies() {
        for key in [Key::Main, Key::Rotated, Key::Ec, Key::Rsa] {
            let public = PublicKey::from_jwk(&key.public().unwrap()).unwrap();
            let algorithm = Algorithm::named(key.algorithm()).unwrap();
            assert_eq!(
                pure::verify(algorithm, &public, b"m", &key.sign(b"m").unwrap()),
                Some(true),
                "{key:?}"
            );
            assert_eq!(
                pure::verify(algorithm, &public, b"n", &key.sign(b"m").unwrap()),
                Some(false),
                "{key:?}"
            );
        }
    }
}
