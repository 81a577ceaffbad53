//! Private keys and their public halves, as JSON Web Keys (RFC 7517). What is made of them is a signature by
//! [`crate::host::Host::sign`]; with the feature `verify` there is one in pure Rust, for hosts that have nothing
//! better. No text and no `Debug` of this room shows the secret half.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::verify::{Algorithm, Curve, Material, PublicKey, UnusableKey};

/// A key that signs, by Ed25519 (RFC 8037) or ECDSA on P-256.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey {
    /// The key's identifier: its `kid`, or else its thumbprint (RFC 7638).
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    public: PublicKey,
    secret: [u8; 32],
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, {}, ***)", self.kid, self.algorithm.name())
    }
}

impl PrivateKey {
    /// Reads a private JSON Web Key. Whether its halves belong together is not known yet.
    pub fn from_jwk(jwk: &Value) -> Result<Self, UnusableKey> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return Err(UnusableKey::Purpose);
        }
        if let Some(operations) = jwk.get("key_ops").and_then(Value::as_array)
            && !operations.iter().any(|operation| operation == "sign")
        {
            return Err(UnusableKey::Purpose);
        }
        // Its operations are those of the private half.
        let mut public = jwk.clone();
        if let Value::Object(members) = &mut public {
            members.remove("key_ops");
            members.remove("d");
        }
        let mut public = PublicKey::from_jwk(&public)?;
        let algorithm = match &public.material {
            Material::Ed25519(_) => Algorithm::EdDSA,
            Material::Ec { curve: Curve::P256, .. } => Algorithm::ES256,
            Material::Ec { .. } | Material::Rsa { .. } => return Err(UnusableKey::Unknown),
        };
        if !public.serves(algorithm) {
            return Err(UnusableKey::Unknown);
        }
        let secret = text("d").ok_or(UnusableKey::Malformed)?;
        let secret = Base64UrlUnpadded::decode_vec(secret.trim_end_matches('='));
        let secret = secret.ok().and_then(|bytes| bytes.try_into().ok()).ok_or(UnusableKey::Malformed)?;
        let kid = public.kid.take().filter(|kid| !kid.is_empty());
        let kid = kid.unwrap_or_else(|| thumbprint(&public.material));
        public.kid = Some(kid.clone());
        Ok(Self { kid, algorithm, public, secret })
    }

    /// The half that everybody may know.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The other one: an Ed25519 seed, or a scalar.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The public half as a member of a key set.
    pub fn public_jwk(&self) -> Value {
        let mut jwk = members(&self.public.material);
        jwk.insert("kid".to_owned(), self.kid.as_str().into());
        jwk.insert("alg".to_owned(), self.algorithm.name().into());
        jwk.insert("use".to_owned(), "sig".into());
        Value::Object(jwk)
    }

    /// Both halves, and nothing else of the key.
    pub fn private_jwk(&self) -> Value {
        let mut jwk = members(&self.public.material);
        jwk.insert("d".to_owned(), Base64UrlUnpadded::encode_string(&self.secret).into());
        Value::Object(jwk)
    }
}

/// A set of the public halves (RFC 7517 §5).
pub fn public_set<'k>(keys: impl IntoIterator<Item = &'k PrivateKey>) -> Value {
    json!({"keys": keys.into_iter().map(PrivateKey::public_jwk).collect::<Vec<_>>()})
}

/// The required members of a public key, in alphabetical order, as maps here have it.
fn members(material: &Material) -> Map<String, Value> {
    let encode = Base64UrlUnpadded::encode_string;
    let members = match material {
        Material::Ed25519(x) => json!({"crv": "Ed25519", "kty": "OKP", "x": encode(x)}),
        Material::Ec { point, .. } => {
            let (x, y) = point.get(1..).and_then(|point| point.split_at_checked(32)).unwrap_or_default();
            json!({"crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y)})
        }
        // No private key here is an RSA key.
        Material::Rsa { n, e } => json!({"e": encode(e), "kty": "RSA", "n": encode(n)}),
    };
    match members {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The name of a key that has none (RFC 7638).
fn thumbprint(material: &Material) -> String {
    Base64UrlUnpadded::encode_string(&Sha256::digest(Value::Object(members(material)).to_string()))
}

/// Signatures in pure Rust.
#[cfg(feature = "verify")]
pub mod pure {
    use rsa::signature::Signer;

    use super::{Material, PrivateKey};

    /// A signature over `message`; `None` where the halves of the key don't belong together.
    pub fn sign(key: &PrivateKey, message: &[u8]) -> Option<Vec<u8>> {
        match &key.public.material {
            Material::Ed25519(public) => {
                let pair = ed25519_dalek::SigningKey::from_bytes(&key.secret);
                let is_whole = pair.verifying_key().as_bytes() == public;
                is_whole.then(|| pair.sign(message).to_bytes().to_vec())
            }
            Material::Ec { point, .. } => {
                let pair = p256::ecdsa::SigningKey::from_slice(&key.secret).ok()?;
                let is_whole = pair.verifying_key().to_encoded_point(false).as_bytes() == point;
                let sign = || -> p256::ecdsa::Signature { pair.sign(message) };
                is_whole.then(|| sign().to_bytes().to_vec())
            }
            Material::Rsa { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    /// RFC 8037, appendix A.1.
    fn ed25519() -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519",
            "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        })
    }

    fn p256() -> Value {
        json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
        })
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_without_a_name_is_named_by_its_thumbprint() {
        // RFC 8037, appendix A.3.
        let key = PrivateKey::from_jwk(&ed25519()).unwrap();
        assert_eq!(key.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(PrivateKey::from_jwk(&with(ed25519(), "kid", "k1".into())).unwrap().kid, "k1");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_secret_half_is_shown_nowhere() {
        for jwk in [ed25519(), p256()] {
            let key = PrivateKey::from_jwk(&jwk).unwrap();
            let secret = jwk["d"].as_str().unwrap();
            for shown in [format!("{key:?}"), key.public_jwk().to_string(), public_set([&key]).to_string()] {
                assert!(!shown.contains(secret) && !shown.contains("\"d\""), "{shown}");
            }
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_can_not_sign_is_no_private_key() {
        let mut public = ed25519();
        public.as_object_mut().unwrap().remove("d");
        for jwk in [
            public,
            with(ed25519(), "d", "AAAA".into()),
            with(ed25519(), "alg", "ES256".into()),
            with(ed25519(), "use", "enc".into()),
            with(ed25519(), "key_ops", json!(["verify"])),
            with(ed25519(), "crv", "X25519".into()),
            json!("text"),
            json!({"kty": "RSA"}),
        ] {
            assert!(PrivateKey::from_jwk(&jwk).is_err(), "{jwk}");
        }
        assert!(PrivateKey::from_jwk(&with(ed25519(), "key_ops", json!(["sign"]))).is_ok());
    }

    #[cfg(feature = "verify")]
    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_signed_is_verified_by_the_public_half() {
        for jwk in [ed25519(), p256()] {
            let key = PrivateKey::from_jwk(&jwk).unwrap();
            let public = PublicKey::from_jwk(&key.public_jwk()).unwrap();
            let signature = pure::sign(&key, b"m").unwrap();
            let verified = |message| crate::verify::pure::verify(key.algorithm, &public, message, &signature);
            assert_eq!((verified(b"m"), verified(b"n")), (Some(true), Some(false)), "{jwk}");
        }
    }

    #[cfg(feature = "verify")]
    #[wasm_bindgen_test(unsupported = test)]
    fn halves_of_two_keys_sign_nothing() {
        let other = with(ed25519(), "d", "AAAAne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".into());
        assert_eq!(pure::sign(&PrivateKey::from_jwk(&other).unwrap(), b"m"), None);
    }
}
