//! Signatures by aws-lc. What is signed, and with which key, is core's decision.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use tollgate_core::{
    host::{HostError, HostErrorKind},
    signing::PrivateKey,
    verify::{Algorithm, Material},
};

/// A signature over `message`. An unusable key is an error.
pub fn sign(key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, HostError> {
    let unusable = |why: &str| {
        let text = format!("the key `{}` can't sign by {}: {why}", key.kid, key.algorithm.name());
        HostError::new(HostErrorKind::Unavailable, text)
    };
    match (key.algorithm, &key.public().material) {
        (Algorithm::EdDSA, Material::Ed25519(public)) => {
            let pair = Ed25519KeyPair::from_seed_and_public_key(key.secret(), public);
            let pair = pair.map_err(|rejected| unusable(&rejected.to_string()))?;
            Ok(pair.sign(message).as_ref().to_vec())
        }
        (Algorithm::ES256, Material::Ec { point, .. }) => {
            let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, key.secret(), point);
            let pair = pair.map_err(|rejected| unusable(&rejected.to_string()))?;
            let signature = pair.sign(&SystemRandom::new(), message);
            Ok(signature.map_err(|_| unusable("there is no randomness"))?.as_ref().to_vec())
        }
        _ => Err(unusable("it is a key of another kind")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn key(jwk: &Value) -> PrivateKey {
        PrivateKey::from_jwk(jwk).unwrap()
    }

    /// RFC 8037, appendix A.1.
    fn ed25519(secret: &str) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "d": secret,
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        })
    }

    #[test]
    fn ed25519_signs_as_the_standard_has_it() {
        let key = key(&ed25519("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"));
        // RFC 8037, appendix A.4.
        let signature = sign(&key, b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc").unwrap();
        assert_eq!(signature[..4], [0x86, 0x0c, 0x98, 0xd2]);
        let pure = tollgate_core::signing::pure::sign(&key, b"m").unwrap();
        assert_eq!(sign(&key, b"m").unwrap(), pure);
    }

    #[test]
    fn what_is_signed_is_verified_by_the_public_half() {
        let p256 = key(&json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
        }));
        let signature = sign(&p256, b"m").unwrap();
        let verified = |message| crate::verify::verify(p256.algorithm, p256.public(), message, &signature);
        assert_eq!((verified(b"m").unwrap(), verified(b"n").unwrap()), (true, false));
    }

    #[test]
    fn halves_of_two_keys_sign_nothing_and_no_error_shows_them() {
        let secret = "AAAAne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
        let error = sign(&key(&ed25519(secret)), b"m").unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret));
    }
}
