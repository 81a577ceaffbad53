//! The signing keys of the suite: made anew in each process, so there is none to be kept secret.
//!
//! Signing only. What a token says is the case's business.

use std::sync::LazyLock;

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
    pub fn sign(self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self.pair() {
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Ec(pair) => pair.sign(&random, message).expect("a P-256 key signs").as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("an RSA key signs");
                signature
            }
        }
    }

    /// What an attacker makes of the public key: an HMAC over `message`, with its PEM as the secret.
    pub fn sign_with_public_half(self, message: &[u8]) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self.pair() {
            Pair::Ed25519(pair) => pair.public_key().as_der(),
            Pair::Ec(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair) => pair.public_key().as_der(),
        }
        .expect("a public key can be written");
        let text = Base64::encode_string(der.as_ref());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, pem.as_bytes()), message).as_ref().to_vec()
    }

    /// The public half (RFC 7517).
    pub fn public(self) -> Value {
        let encode = Base64UrlUnpadded::encode_string;
        let numbers = match self.pair() {
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
            Pair::Ec(pair) => {
                // 04, x, y (SEC 1 §2.3.3).
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
            }
            Pair::Rsa(pair) => {
                let numbers = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": encode(&numbers.n), "e": encode(&numbers.e)})
            }
        };
        let mut jwk = json!({"kid": self.id(), "alg": self.algorithm(), "use": "sig"});
        for (name, value) in numbers.as_object().into_iter().flatten() {
            jwk[name] = value.clone();
        }
        jwk
    }

    fn pair(self) -> &'static Pair {
        static ED25519: LazyLock<[Pair; 3]> = LazyLock::new(|| {
            std::array::from_fn(|_| Pair::Ed25519(Ed25519KeyPair::generate().expect("keys can be made")))
        });
        static EC: LazyLock<Pair> = LazyLock::new(|| {
            Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("keys can be made"))
        });
        static RSA: LazyLock<Pair> =
            LazyLock::new(|| Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("keys can be made")));
        match self {
            Self::Main => &ED25519[0],
            Self::Rotated => &ED25519[1],
            Self::Rogue => &ED25519[2],
            Self::Ec => &EC,
            Self::Rsa => &RSA,
        }
    }
}

/// A set of public keys.
pub fn set(keys: &[Key]) -> Value {
    json!({"keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use tollgate_core::verify::{Algorithm, PublicKey, pure};

    use super::*;

    #[test]
    fn every_key_signs_what_its_public_half_verifies() {
        for key in [Key::Main, Key::Rotated, Key::Ec, Key::Rsa] {
            let public = PublicKey::from_jwk(&key.public()).unwrap();
            let algorithm = Algorithm::named(key.algorithm()).unwrap();
            assert_eq!(pure::verify(algorithm, &public, b"m", &key.sign(b"m")), Some(true), "{key:?}");
            assert_eq!(pure::verify(algorithm, &public, b"n", &key.sign(b"m")), Some(false), "{key:?}");
        }
    }
}
