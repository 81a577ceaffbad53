//! Signature checks without a platform's help, in pure Rust. Slow (0.2 ms for RSA), correct everywhere.
//!
//! Only the arithmetic: which key may be tried for a token is decided elsewhere, as for every host.

use rsa::{BigUint, RsaPublicKey, pkcs1v15, pss, signature::Verifier};
use sha2::{Sha256, Sha384, Sha512};

use super::{Algorithm, Curve, Material, PublicKey};

/// The largest modulus that core takes; the crate's own limit is 4096 bits.
const MAX_RSA_BITS: usize = 8192;

/// Whether the signature is good; `None` where the key can't be used: not on its curve, or for something else.
pub fn verify(algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<bool> {
    if !key.serves(algorithm) {
        return None;
    }
    match &key.material {
        Material::Rsa { n, e } => rsa(algorithm, n, e, message, signature),
        Material::Ec { curve: Curve::P256, point } => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            Some(check::<p256::ecdsa::Signature>(&key, message, signature))
        }
        Material::Ec { curve: Curve::P384, point } => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            Some(check::<p384::ecdsa::Signature>(&key, message, signature))
        }
        Material::Ec { curve: Curve::P521, point } => {
            let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            Some(check::<p521::ecdsa::Signature>(&key, message, signature))
        }
        // As aws-lc and WebCrypto have it: without cofactor, and what is no point is found out with the signature.
        Material::Ed25519(point) => Some(
            ed25519_dalek::VerifyingKey::from_bytes(point)
                .is_ok_and(|key| check::<ed25519_dalek::Signature>(&key, message, signature)),
        ),
    }
}

fn rsa(algorithm: Algorithm, n: &[u8], e: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let (n, e) = (BigUint::from_bytes_be(n), BigUint::from_bytes_be(e));
    let key = RsaPublicKey::new_with_max_size(n, e, MAX_RSA_BITS).ok()?;
    Some(match algorithm {
        Algorithm::RS256 => {
            check::<pkcs1v15::Signature>(&pkcs1v15::VerifyingKey::<Sha256>::new(key), message, signature)
        }
        Algorithm::RS384 => {
            check::<pkcs1v15::Signature>(&pkcs1v15::VerifyingKey::<Sha384>::new(key), message, signature)
        }
        Algorithm::RS512 => {
            check::<pkcs1v15::Signature>(&pkcs1v15::VerifyingKey::<Sha512>::new(key), message, signature)
        }
        // The salt is as long as the hash (RFC 7518 §3.5), which is what `new` asks for.
        Algorithm::PS256 => {
            check::<pss::Signature>(&pss::VerifyingKey::<Sha256>::new(key), message, signature)
        }
        Algorithm::PS384 => {
            check::<pss::Signature>(&pss::VerifyingKey::<Sha384>::new(key), message, signature)
        }
        Algorithm::PS512 => {
            check::<pss::Signature>(&pss::VerifyingKey::<Sha512>::new(key), message, signature)
        }
        _ => return None,
    })
}

/// Bytes that are no signature at all are a bad one.
fn check<'s, S: TryFrom<&'s [u8]>>(key: &impl Verifier<S>, message: &[u8], signature: &'s [u8]) -> bool {
    S::try_from(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn key(material: Material) -> PublicKey {
        PublicKey { kid: None, algorithm: None, material }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rsa_keys_of_every_size_that_core_takes_can_be_used() {
        for bytes in [256, 257, 384, 512, 768, 1024] {
            let key = key(Material::Rsa { n: vec![0xff; bytes], e: vec![1, 0, 1] });
            assert_eq!(verify(Algorithm::RS256, &key, b"m", &vec![1; bytes]), Some(false), "{bytes}");
            assert_eq!(verify(Algorithm::PS512, &key, b"m", &vec![1; bytes]), Some(false), "{bytes}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_unusable_key_is_not_a_bad_signature() {
        for (algorithm, curve, width) in [
            (Algorithm::ES256, Curve::P256, 32),
            (Algorithm::ES384, Curve::P384, 48),
            (Algorithm::ES512, Curve::P521, 66),
        ] {
            let off_the_curve = key(Material::Ec { curve, point: [vec![4], vec![1; 2 * width]].concat() });
            assert_eq!(verify(algorithm, &off_the_curve, b"m", &vec![1; 2 * width]), None);
            assert_eq!(verify(Algorithm::RS256, &off_the_curve, b"m", &[1; 256]), None);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_example_of_the_standard_is_good() {
        // RFC 8037 §A.4.
        use base64ct::{Base64UrlUnpadded, Encoding};
        let x = Base64UrlUnpadded::decode_vec("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = key(Material::Ed25519(x.try_into().unwrap()));
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = Base64UrlUnpadded::decode_vec(
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        )
        .unwrap();
        assert_eq!(verify(Algorithm::EdDSA, &key, message, &signature), Some(true));
        assert_eq!(verify(Algorithm::EdDSA, &key, &message[1..], &signature), Some(false));
    }
}
