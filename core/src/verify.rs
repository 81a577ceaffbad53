//! Algorithms and public keys of JSON Web Signatures (RFC 7518, RFC 8037): which key may serve which
//! algorithm. A key serves one family, so no token can talk a public RSA key into being an HMAC secret.
//!
//! The check of a signature itself is [`crate::host::Host::verify`]; with the feature `verify` this room
//! also has one in pure Rust, for hosts that have nothing better.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// A signature algorithm. `none` and HMAC are not among them, on purpose.
#[expect(missing_docs, reason = "the names are those of RFC 7518 §3.1 and RFC 8037 §3.1")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
}

impl Algorithm {
    /// All of them, in the order of their names' definition.
    pub const ALL: [Self; 10] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
    ];

    /// The `alg` value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The algorithm of that `alg` value; case matters (RFC 7515 §4.1.1).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// An elliptic curve.
#[expect(missing_docs, reason = "the names are those of RFC 7518 §6.2.1.1")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// Length of a coordinate in bytes.
    const fn width(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// The numbers of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa {
        /// Modulus.
        n: Vec<u8>,
        /// Exponent.
        e: Vec<u8>,
    },
    /// A point, uncompressed: `04`, x, y (SEC 1 §2.3.3).
    Ec {
        /// The curve the point is on.
        curve: Curve,
        /// The point.
        point: Vec<u8>,
    },
    /// An Ed25519 public key (RFC 8032).
    Ed25519([u8; 32]),
}

/// A public key from a JSON Web Key (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The key's identifier.
    pub kid: Option<String>,
    /// The only algorithm it may serve, where it says so.
    pub algorithm: Option<Algorithm>,
    /// Its numbers.
    pub material: Material,
}

/// Why a JSON Web Key can't be used to verify. Such keys are skipped: a set may hold keys for others.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnusableKey {
    /// Meant for something else than signatures.
    #[error("the key is not for signatures")]
    Purpose,
    /// A type, curve or algorithm unknown here.
    #[error("unknown key type, curve or algorithm")]
    Unknown,
    /// A number is missing or not what its type asks for.
    #[error("the key's numbers are missing or malformed")]
    Malformed,
}

impl PublicKey {
    /// Reads one member of a set's `keys`.
    pub fn from_jwk(jwk: &Value) -> Result<Self, UnusableKey> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return Err(UnusableKey::Purpose);
        }
        if let Some(operations) = jwk.get("key_ops").and_then(Value::as_array)
            && !operations.iter().any(|operation| operation == "verify")
        {
            return Err(UnusableKey::Purpose);
        }
        let number = |name: &str| {
            let text = text(name).ok_or(UnusableKey::Malformed)?;
            Base64UrlUnpadded::decode_vec(text.trim_end_matches('=')).map_err(|_| UnusableKey::Malformed)
        };
        let material = match text("kty") {
            Some("RSA") => rsa(number("n")?, number("e")?)?,
            Some("EC") => {
                let curve = match text("crv") {
                    Some("P-256") => Curve::P256,
                    Some("P-384") => Curve::P384,
                    Some("P-521") => Curve::P521,
                    _ => return Err(UnusableKey::Unknown),
                };
                let (x, y) = (number("x")?, number("y")?);
                if x.len() != curve.width() || y.len() != curve.width() {
                    return Err(UnusableKey::Malformed);
                }
                Material::Ec { curve, point: [&[4], x.as_slice(), y.as_slice()].concat() }
            }
            Some("OKP") if text("crv") == Some("Ed25519") => {
                Material::Ed25519(number("x")?.try_into().map_err(|_| UnusableKey::Malformed)?)
            }
            _ => return Err(UnusableKey::Unknown),
        };
        let algorithm = match text("alg") {
            None => None,
            // RFC 9864 gives EdDSA over Ed25519 a name of its own.
            Some("Ed25519") => Some(Algorithm::EdDSA),
            Some(name) => Some(Algorithm::named(name).ok_or(UnusableKey::Unknown)?),
        };
        let key = Self { kid: text("kid").map(str::to_owned), algorithm: None, material };
        match algorithm {
            Some(algorithm) if !key.serves(algorithm) => Err(UnusableKey::Malformed),
            algorithm => Ok(Self { algorithm, ..key }),
        }
    }

    /// What tells it from others: its name and a digest of its numbers.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = match &self.material {
            Material::Rsa { n, e } => Sha256::new_with_prefix(n).chain_update(e).finalize(),
            Material::Ec { point, .. } => Sha256::digest(point),
            Material::Ed25519(x) => Sha256::digest(x),
        };
        let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let algorithm = self.algorithm.map_or("any", Algorithm::name);
        format!("{} {algorithm} {digits}", self.kid.as_deref().unwrap_or("unnamed"))
    }

    /// Whether this key may verify signatures of `algorithm`.
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let family = match &self.material {
            Material::Rsa { .. } => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Material::Ec { curve: Curve::P256, .. } => algorithm == ES256,
            Material::Ec { curve: Curve::P384, .. } => algorithm == ES384,
            Material::Ec { curve: Curve::P521, .. } => algorithm == ES512,
            Material::Ed25519(_) => algorithm == EdDSA,
        };
        family && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// How many bytes its signatures have. Others are no signatures, and hosts differ in what they say of them.
    pub fn signature_length(&self) -> usize {
        match &self.material {
            Material::Rsa { n, .. } => n.len(),
            Material::Ec { curve, .. } => 2 * curve.width(),
            Material::Ed25519(_) => 64,
        }
    }
}

/// RSA keys below 2048 bits are breakable, above 8192 bits they are a way to make a gateway work for nothing.
fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Material, UnusableKey> {
    let strip = |number: Vec<u8>| -> Vec<u8> { number.into_iter().skip_while(|&byte| byte == 0).collect() };
    let (n, e) = (strip(n), strip(e));
    if !(256..=1024).contains(&n.len()) || e.is_empty() || e.len() > 4 {
        return Err(UnusableKey::Malformed);
    }
    Ok(Material::Rsa { n, e })
}

/// Signature checks without a platform's help, through jwt-compact. Slow (0.2 ms for RSA), correct everywhere.
#[cfg(feature = "verify")]
pub mod pure {
    use jwt_compact::{
        Algorithm as Verify, AlgorithmSignature,
        alg::{Ed25519, Es256, Rsa},
        jwk::JsonWebKey,
    };
    use serde_json::json;

    use super::{Algorithm, Base64UrlUnpadded, Encoding, Material, PublicKey};

    /// Whether the signature is good; `None` where this build can't tell (P-384, P-521, odd RSA sizes).
    pub fn verify(algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<bool> {
        let encode = Base64UrlUnpadded::encode_string;
        let jwk = match &key.material {
            Material::Rsa { n, e } => json!({"kty": "RSA", "n": encode(n), "e": encode(e)}),
            Material::Ec { point, .. } if point.len() == 65 => {
                let (x, y) = point.get(1..)?.split_at_checked(32)?;
                json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
            }
            Material::Ed25519(x) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(x)}),
            Material::Ec { .. } => return None,
        };
        let jwk: JsonWebKey<'_> = serde_json::from_value(jwk).ok()?;
        match algorithm {
            Algorithm::RS256 => check(&Rsa::rs256(), &jwk, message, signature),
            Algorithm::RS384 => check(&Rsa::rs384(), &jwk, message, signature),
            Algorithm::RS512 => check(&Rsa::rs512(), &jwk, message, signature),
            Algorithm::PS256 => check(&Rsa::ps256(), &jwk, message, signature),
            Algorithm::PS384 => check(&Rsa::ps384(), &jwk, message, signature),
            Algorithm::PS512 => check(&Rsa::ps512(), &jwk, message, signature),
            Algorithm::ES256 => check(&Es256, &jwk, message, signature),
            Algorithm::EdDSA => check(&Ed25519, &jwk, message, signature),
            Algorithm::ES384 | Algorithm::ES512 => None,
        }
    }

    fn check<'k, A>(algorithm: &A, jwk: &'k JsonWebKey<'_>, message: &[u8], signature: &[u8]) -> Option<bool>
    where
        A: Verify,
        A::VerifyingKey: TryFrom<&'k JsonWebKey<'k>>,
    {
        let key = A::VerifyingKey::try_from(jwk).ok()?;
        let Ok(signature) = A::Signature::try_from_slice(signature) else { return Some(false) };
        Some(algorithm.verify_signature(&signature, &key, message))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
    const Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_serves_one_family_only() {
        let key = PublicKey::from_jwk(&json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y})).unwrap();
        let served: Vec<_> = Algorithm::ALL.into_iter().filter(|&algorithm| key.serves(algorithm)).collect();
        assert_eq!(served, [Algorithm::ES256]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_length_of_a_signature_follows_from_the_key() {
        let n = Base64UrlUnpadded::encode_string(&[&[0, 0xff][..], &[1; 255]].concat());
        for (key, length) in [
            (json!({"kty": "RSA", "n": n, "e": "AQAB"}), 256),
            (json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y}), 64),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": X}), 64),
        ] {
            assert_eq!(PublicKey::from_jwk(&key).unwrap().signature_length(), length, "{key}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_that_names_its_algorithm_serves_no_other() {
        let n = Base64UrlUnpadded::encode_string(&[0xff; 256]);
        let key = PublicKey::from_jwk(&json!({"kty": "RSA", "alg": "PS256", "n": n, "e": "AQAB"})).unwrap();
        assert!(key.serves(Algorithm::PS256) && !key.serves(Algorithm::RS256));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn keys_for_other_purposes_are_not_used() {
        for key in [
            json!({"kty": "oct", "k": "c2VjcmV0"}),
            json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}),
            json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "use": "enc"}),
            json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "alg": "RS256"}),
            json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
            json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": Y}),
        ] {
            assert!(PublicKey::from_jwk(&key).is_err(), "{key}");
        }
    }
}
