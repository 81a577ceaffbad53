//! Reads one JSON Web Key (RFC 7517): its numbers, and what it may be used for. Strict, because what is wrong
//! here is wrong for every token after it, and because hosts would differ in what they make of it.
//!
//! Choosing among keys is [`crate::keys`]'s business.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    Algorithm,
    secret::{Secret, SecretKey},
};

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

/// What a set may hold.
#[derive(Debug)]
pub(crate) enum Key {
    /// Anybody may know it.
    Public(PublicKey),
    /// Nobody else may.
    Secret(SecretKey),
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

/// Reads one member of a set's `keys`.
pub(crate) fn key(jwk: &Value) -> Result<Key, UnusableKey> {
    let (kid, algorithm) = named(jwk)?;
    let number = |name: &str| number(jwk, name);
    let material = match text(jwk, "kty")? {
        Some("RSA") => rsa(number("n")?, number("e")?)?,
        Some("EC") => {
            let curve = match text(jwk, "crv")? {
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
        Some("OKP") if text(jwk, "crv")? == Some("Ed25519") => ed25519(number("x")?)?,
        Some("oct") => {
            let secret = Secret::new(number("k")?);
            return SecretKey::new(kid, algorithm, secret).map(Key::Secret).ok_or(UnusableKey::Malformed);
        }
        _ => return Err(UnusableKey::Unknown),
    };
    let key = PublicKey { kid, algorithm: None, material };
    match algorithm {
        Some(algorithm) if !key.serves(algorithm) => Err(UnusableKey::Malformed),
        algorithm => Ok(Key::Public(PublicKey { algorithm, ..key })),
    }
}

/// The members that say what a key is for.
fn named(jwk: &Value) -> Result<(Option<String>, Option<Algorithm>), UnusableKey> {
    if text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(UnusableKey::Purpose);
    }
    match jwk.get("key_ops") {
        None => {}
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => {}
        Some(_) => return Err(UnusableKey::Purpose),
    }
    let algorithm = match text(jwk, "alg")? {
        None => None,
        Some(name) => Some(Algorithm::named(name).ok_or(UnusableKey::Unknown)?),
    };
    Ok((text(jwk, "kid")?.map(str::to_owned), algorithm))
}

/// A member that is a text if it is there. One that is something else says what nobody can understand.
fn text<'v>(jwk: &'v Value, name: &str) -> Result<Option<&'v str>, UnusableKey> {
    jwk.get(name).map(|value| value.as_str().ok_or(UnusableKey::Malformed)).transpose()
}

fn number(jwk: &Value, name: &str) -> Result<Vec<u8>, UnusableKey> {
    let text = text(jwk, name)?.ok_or(UnusableKey::Malformed)?;
    Base64UrlUnpadded::decode_vec(text.trim_end_matches('=')).map_err(|_| UnusableKey::Malformed)
}

/// RSA keys below 2048 bits are breakable, above 8192 bits they are a way to make a gateway work for nothing. Of
/// exponents, 1 signs nothing, and an even one has no inverse.
fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Material, UnusableKey> {
    let strip = |number: Vec<u8>| -> Vec<u8> { number.into_iter().skip_while(|&byte| byte == 0).collect() };
    let (n, e) = (strip(n), strip(e));
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    let leading = n.first().map_or(8, |byte| byte.leading_zeros() as usize);
    let bits = (n.len() * 8).saturating_sub(leading);
    if (2048..=8192).contains(&bits) && odd(&n) && e.len() <= 4 && odd(&e) && e != [1] {
        Ok(Material::Rsa { n, e })
    } else {
        Err(UnusableKey::Malformed)
    }
}

/// Points of small order sign whatever anybody likes, and libraries differ in whether they take them. These are
/// the `y` of all of them, little-endian, with those two that are written as if they were larger than the field.
const SMALL_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn ed25519(x: Vec<u8>) -> Result<Material, UnusableKey> {
    let point: [u8; 32] = x.try_into().map_err(|_| UnusableKey::Malformed)?;
    // The topmost bit is the sign of the other coordinate.
    let y: String = point
        .iter()
        .enumerate()
        .map(|(at, byte)| format!("{:02x}", if at == 31 { byte & 0x7f } else { *byte }))
        .collect();
    if SMALL_ORDER.contains(&y.as_str()) { Err(UnusableKey::Malformed) } else { Ok(Material::Ed25519(point)) }
}

impl PublicKey {
    /// Reads a JSON Web Key that is public.
    pub fn from_jwk(jwk: &Value) -> Result<Self, UnusableKey> {
        match key(jwk)? {
            Key::Public(key) => Ok(key),
            Key::Secret(_) => Err(UnusableKey::Purpose),
        }
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

    /// Whether its RSA exponent is other than those that WebCrypto has on Workers.
    pub(crate) fn has_an_unusual_exponent(&self) -> bool {
        const USUAL: [&[u8]; 4] = [&[3], &[17], &[37], &[1, 0, 1]];
        matches!(&self.material, Material::Rsa { e, .. } if !USUAL.contains(&&e[..]))
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

    /// How many bytes its signatures have. Others are no signatures, and hosts differ in what they say of them.
    pub fn signature_length(&self) -> usize {
        match &self.material {
            Material::Rsa { n, .. } => n.len(),
            Material::Ec { curve, .. } => 2 * curve.width(),
            Material::Ed25519(_) => 64,
        }
    }

    /// Whether `signature` can be one by this key at all: of its length, and for ECDSA neither number zero
    /// (CVE-2022-21449). Whoever implements the arithmetic is asked about nothing else.
    pub fn may_have_made(&self, signature: &[u8]) -> bool {
        let zero = |number: &[u8]| number.iter().all(|&byte| byte == 0);
        signature.len() == self.signature_length()
            && match (&self.material, signature.split_at_checked(signature.len() / 2)) {
                (Material::Ec { .. }, Some((r, s))) => !zero(r) && !zero(s),
                (Material::Ec { .. }, None) => false,
                _ => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
    const Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

    fn modulus(bytes: &[u8]) -> String {
        Base64UrlUnpadded::encode_string(bytes)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_serves_one_family_only() {
        let served = |jwk: Value| -> Vec<_> {
            let key = PublicKey::from_jwk(&jwk).unwrap();
            Algorithm::all().filter(|&algorithm| key.serves(algorithm)).map(Algorithm::name).collect()
        };
        let wide = |width: usize| Base64UrlUnpadded::encode_string(&vec![1; width]);
        let (p384, p521) = (wide(48), wide(66));
        assert_eq!(served(json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y})), ["ES256"]);
        assert_eq!(served(json!({"kty": "EC", "crv": "P-384", "x": p384, "y": p384})), ["ES384"]);
        assert_eq!(served(json!({"kty": "EC", "crv": "P-521", "x": p521, "y": p521})), ["ES512"]);
        assert_eq!(served(json!({"kty": "OKP", "crv": "Ed25519", "x": X})), ["EdDSA"]);
        let rsa = served(json!({"kty": "RSA", "n": modulus(&[0xff; 256]), "e": "AQAB"}));
        assert_eq!(rsa, ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_secret_serves_no_public_algorithm() {
        let jwk = json!({"kty": "oct", "k": modulus(&[7; 64])});
        assert_eq!(PublicKey::from_jwk(&jwk), Err(UnusableKey::Purpose));
        let Ok(Key::Secret(key)) = key(&jwk) else { panic!("a secret") };
        assert!(Algorithm::all().all(|algorithm| key.serves(algorithm) == algorithm.is_symmetric()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_length_of_a_signature_follows_from_the_key() {
        for (key, length) in [
            (json!({"kty": "RSA", "n": modulus(&[&[0, 0xff][..], &[1; 255]].concat()), "e": "AQAB"}), 256),
            (json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y}), 64),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": X}), 64),
        ] {
            let key = PublicKey::from_jwk(&key).unwrap();
            assert_eq!(key.signature_length(), length, "{key:?}");
            assert!(key.may_have_made(&vec![1; length]));
            assert!(!key.may_have_made(&vec![1; length - 1]) && !key.may_have_made(&vec![1; length + 1]));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_psychic_signature_is_none() {
        let key = PublicKey::from_jwk(&json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y})).unwrap();
        let (zero, one) = ([0; 32], [1; 32]);
        assert!(key.may_have_made(&[one, one].concat()));
        for (r, s) in [(zero, zero), (zero, one), (one, zero)] {
            assert!(!key.may_have_made(&[r, s].concat()));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_that_names_its_algorithm_serves_no_other() {
        let n = modulus(&[0xff; 256]);
        let key = PublicKey::from_jwk(&json!({"kty": "RSA", "alg": "PS256", "n": n, "e": "AQAB"})).unwrap();
        assert!(key.serves(Algorithm::PS256) && !key.serves(Algorithm::RS256));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rsa_keys_have_from_2048_to_8192_bits_and_an_odd_exponent() {
        let usable =
            |n: &[u8], e: &str| PublicKey::from_jwk(&json!({"kty": "RSA", "n": modulus(n), "e": e})).is_ok();
        assert!(usable(&[0xff; 256], "AQAB") && usable(&[0xff; 1024], "AQAB") && usable(&[0xff; 256], "Aw"));
        // 2047 bits, 8193 bits, an even modulus.
        assert!(!usable(&[0x7f; 256], "AQAB"));
        assert!(!usable(&[&[1], &[0xff; 1024][..]].concat(), "AQAB"));
        assert!(!usable(&[0xfe; 256], "AQAB"));
        // 0, 1, 2, 65536, and one of forty bits.
        for e in ["AA", "AQ", "Ag", "AQAA", "AQAAAAE"] {
            assert!(!usable(&[0xff; 256], e), "{e}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn points_of_small_order_are_no_keys() {
        let usable = |point: &[u8]| {
            PublicKey::from_jwk(&json!({"kty": "OKP", "crv": "Ed25519", "x": modulus(point)})).is_ok()
        };
        for y in SMALL_ORDER {
            let pairs = y.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
            let mut point: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
            assert!(!usable(&point), "{y}");
            point[31] ^= 0x80;
            assert!(!usable(&point), "{y}, the other sign");
            point[0] ^= 0x10;
            assert!(usable(&point), "{y}, another");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn keys_for_other_purposes_are_not_used() {
        let n = modulus(&[0xff; 256]);
        for jwk in [
            json!({"kty": "oct", "k": "c2VjcmV0"}),
            json!({"kty": "oct", "k": modulus(&[7; 64]), "alg": "RS256"}),
            json!({"kty": "oct", "k": modulus(&[7; 47]), "alg": "HS384"}),
            json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}),
            json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "use": "enc"}),
            json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "use": ["sig"]}),
            json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "key_ops": ["sign"]}),
            json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "key_ops": "verify"}),
            json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "alg": "RS256"}),
            json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": 7}),
            json!({"kty": "EC", "crv": "secp256k1", "x": X, "y": Y}),
            json!({"kty": "EC", "crv": "P-384", "x": X, "y": Y}),
            json!({"kty": "OKP", "crv": "X25519", "x": X}),
            json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "HS256"}),
            json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
            json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": Y}),
        ] {
            assert!(key(&jwk).is_err(), "{jwk}");
        }
    }
}
