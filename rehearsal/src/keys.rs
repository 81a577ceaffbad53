//! The signing keys of the suite: made anew in each process, so there is none to be kept secret.
//!
//! Signing only. What a token says is the case's business.

mod pairs;

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::KeyPair,
};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use serde_json::{Value, json};

use self::pairs::Pair;

/// A key that cases name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Ed25519, the issuer's.
    #[default]
    Main,
    /// Ed25519, the issuer's next one.
    Rotated,
    /// P-256, the issuer's.
    Ec,
    /// RSA of 2048 bits, the issuer's, for RS256.
    Rsa,
    /// Ed25519, an attacker's, who says that it is `main`.
    Rogue,
    /// RSA for RS384.
    Rs384,
    /// RSA for RS512.
    Rs512,
    /// RSA for PS256.
    Ps256,
    /// RSA for PS384.
    Ps384,
    /// RSA for PS512.
    Ps512,
    /// P-384.
    Es384,
    /// P-521.
    Es512,
    /// A secret of 32 bytes.
    Hs256,
    /// A secret of 48 bytes.
    Hs384,
    /// A secret of 64 bytes.
    Hs512,
}

/// What an attacker takes for the secret of an HMAC, of a key that has a public half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// Its PEM.
    #[default]
    Pem,
    /// Its DER.
    Der,
    /// Its JSON Web Key, as the suite writes it.
    Jwk,
    /// Its number: a modulus or a point.
    Number,
    /// Nothing at all.
    Empty,
}

impl Key {
    /// The issuer's keys with a public half, one of each algorithm.
    pub const PUBLIC: [Self; 10] = [
        Self::Main,
        Self::Ec,
        Self::Es384,
        Self::Es512,
        Self::Rsa,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// The secrets that are shared with the issuer.
    pub const SHARED: [Self; 3] = [Self::Hs256, Self::Hs384, Self::Hs512];

    /// The name by which tokens refer to the key.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Main | Self::Rogue => "main",
            Self::Rotated => "rotated",
            Self::Ec => "ec",
            Self::Rsa => "rsa",
            Self::Rs384 => "rs384",
            Self::Rs512 => "rs512",
            Self::Ps256 => "ps256",
            Self::Ps384 => "ps384",
            Self::Ps512 => "ps512",
            Self::Es384 => "es384",
            Self::Es512 => "es512",
            Self::Hs256 => "hs256",
            Self::Hs384 => "hs384",
            Self::Hs512 => "hs512",
        }
    }

    /// What the key signs with.
    pub const fn algorithm(self) -> &'static str {
        match self {
            Self::Main | Self::Rotated | Self::Rogue => "EdDSA",
            Self::Ec => "ES256",
            Self::Rsa => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// A signature over `message`.
    pub fn sign(self, message: &[u8]) -> Result<Vec<u8>, Unmade> {
        let random = SystemRandom::new();
        Ok(match self.pair()? {
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Ec(pair) => pair.sign(&random, message).map_err(|_| Unmade)?.as_ref().to_vec(),
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).map_err(|_| Unmade)?;
                signature
            }
            Pair::Secret(secret) => mac(self.algorithm(), secret.as_bytes(), message),
        })
    }

    /// What an attacker makes of the public half: an HMAC over `message`, with that as the secret.
    pub fn sign_with_public_half(
        self,
        algorithm: &str,
        half: Half,
        message: &[u8],
    ) -> Result<Vec<u8>, Unmade> {
        let secret = match half {
            Half::Pem => self.pem()?.into_bytes(),
            Half::Der => self.der()?,
            Half::Jwk => self.public()?.to_string().into_bytes(),
            Half::Number => self.number()?,
            Half::Empty => Vec::new(),
        };
        Ok(mac(algorithm, &secret, message))
    }

    /// The secret, of a key that is one.
    pub fn secret(self) -> Option<&'static str> {
        match self.pair() {
            Ok(Pair::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    fn der(self) -> Result<Vec<u8>, Unmade> {
        let der: PublicKeyX509Der<'_> = match self.pair()? {
            Pair::Ed25519(pair) => pair.public_key().as_der(),
            Pair::Ec(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair, _) => pair.public_key().as_der(),
            Pair::Secret(_) => return Err(Unmade),
        }
        .map_err(|_| Unmade)?;
        Ok(der.as_ref().to_vec())
    }

    fn pem(self) -> Result<String, Unmade> {
        let text = Base64::encode_string(&self.der()?);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
        Ok(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")))
    }

    fn number(self) -> Result<Vec<u8>, Unmade> {
        Ok(match self.pair()? {
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair, _) => PublicKeyComponents::<Vec<u8>>::from(pair.public_key()).n,
            Pair::Secret(_) => return Err(Unmade),
        })
    }

    /// The public half (RFC 7517); of a secret, which has none, itself.
    pub fn public(self) -> Result<Value, Unmade> {
        let encode = Base64UrlUnpadded::encode_string;
        let numbers = match self.pair()? {
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
            Pair::Ec(pair) => {
                // 04, x, y (SEC 1 §2.3.3).
                let point = pair.public_key().as_ref();
                let (x, y) = point.get(1..).map(|both| both.split_at(both.len() / 2)).ok_or(Unmade)?;
                let curve = match x.len() {
                    32 => "P-256",
                    48 => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Pair::Rsa(pair, _) => {
                let numbers = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": encode(&numbers.n), "e": encode(&numbers.e)})
            }
            Pair::Secret(secret) => json!({"kty": "oct", "k": encode(secret.as_bytes())}),
        };
        let mut jwk = json!({"kid": self.id(), "alg": self.algorithm(), "use": "sig"});
        for (name, value) in numbers.as_object().into_iter().flatten() {
            jwk[name] = value.clone();
        }
        Ok(jwk)
    }
}

/// An HMAC over `message`; of an algorithm that is none, one by SHA-256.
pub(crate) fn mac(algorithm: &str, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let hash = match algorithm {
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
}

/// A set of keys. One that this machine can't make is not among them, and nothing can be signed with it.
pub fn set(keys: &[Key]) -> Value {
    json!({"keys": keys.iter().filter_map(|key| key.public().ok()).collect::<Vec<_>>()})
}

/// A key or a signature can't be made on this machine, or it has no public half.
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
        for key in [Key::Rotated].into_iter().chain(Key::PUBLIC) {
            let public = PublicKey::from_jwk(&key.public().unwrap()).unwrap();
            let algorithm = Algorithm::named(key.algorithm()).unwrap();
            let signature = key.sign(b"m").unwrap();
            assert!(public.may_have_made(&signature), "{key:?}");
            assert_eq!(pure::verify(algorithm, &public, b"m", &signature), Some(true), "{key:?}");
            assert_eq!(pure::verify(algorithm, &public, b"n", &signature), Some(false), "{key:?}");
            for at in [0, signature.len() / 2, signature.len() - 1] {
                let mut flipped = signature.clone();
                flipped[at] ^= 1;
                assert_eq!(pure::verify(algorithm, &public, b"m", &flipped), Some(false), "{key:?}: {at}");
            }
            for wrong in [&signature[1..], &[&signature[..], &[0]].concat(), &[]] {
                assert_eq!(pure::verify(algorithm, &public, b"m", wrong), Some(false), "{key:?}");
            }
        }
    }

    #[test]
    fn secrets_are_as_long_as_their_algorithms_need() {
        let lengths = Key::SHARED.map(|key| key.secret().map(str::len));
        assert_eq!(lengths, [Some(32), Some(48), Some(64)]);
    }
}
