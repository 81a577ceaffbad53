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
        // Without cofactor and without a special rule for points of small order, as aws-lc and WebCrypto have it.
        Material::Ed25519(point) => {
            let key = ed25519_dalek::VerifyingKey::from_bytes(point).ok()?;
            Some(check::<ed25519_dalek::Signature>(&key, message, signature))
        }
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
