//! Signature checks through aws-lc: every algorithm and key that core knows.
//!
//! Which keys may be tried for a token is core's decision; here is only the arithmetic.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use tollgate_core::{
    host::{HostError, HostErrorKind},
    verify::{Algorithm, Material, PublicKey},
};

/// Whether `signature` over `message` was made by the owner of `key`. An unusable key is an error.
pub fn verify(
    algorithm: Algorithm,
    key: &PublicKey,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, HostError> {
    if !key.serves(algorithm) {
        return Err(unusable(algorithm, "the key is for something else"));
    }
    match &key.material {
        Material::Rsa { n, e } => rsa(algorithm, RsaPublicKeyComponents { n, e }, message, signature),
        Material::Ec { point, .. } => raw(algorithm, point, message, signature),
        Material::Ed25519(point) => raw(algorithm, point, message, signature),
    }
}

fn rsa(
    algorithm: Algorithm,
    key: RsaPublicKeyComponents<&Vec<u8>>,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, HostError> {
    let parameters: &'static RsaParameters = match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &RSA_PSS_2048_8192_SHA512,
        _ => return Err(unusable(algorithm, "the key is an RSA key")),
    };
    if key.verify(parameters, message, signature).is_ok() {
        return Ok(true);
    }
    // A failed check does not say which of the two was bad, so the key is asked alone.
    match key.to_parsed_public_key(parameters) {
        Ok(_) => Ok(false),
        Err(rejected) => Err(unusable(algorithm, rejected)),
    }
}

fn raw(algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> Result<bool, HostError> {
    let verification: &'static dyn VerificationAlgorithm = match algorithm {
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::ES512 => &ECDSA_P521_SHA512_FIXED,
        Algorithm::EdDSA => &ED25519,
        _ => return Err(unusable(algorithm, "the key is not an RSA key")),
    };
    let key = UnparsedPublicKey::new(verification, key);
    if key.verify(message, signature).is_ok() {
        return Ok(true);
    }
    match key.parse() {
        Ok(_) => Ok(false),
        Err(rejected) => Err(unusable(algorithm, rejected)),
    }
}

fn unusable(algorithm: Algorithm, why: impl std::fmt::Display) -> HostError {
    HostError::new(HostErrorKind::Unavailable, format!("unusable key for {}: {why}", algorithm.name()))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        rsa::KeySize,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
            ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
            RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
            RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
        },
    };
    use tollgate_core::verify::Curve;

    use super::*;

    const MESSAGE: &[u8] = b"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ";

    fn key(material: Material) -> PublicKey {
        PublicKey { kid: None, algorithm: None, material }
    }

    /// Good as it is; bad with any of some bits flipped, with a byte more or less, or over another message.
    fn holds(algorithm: Algorithm, key: &PublicKey, signature: &[u8]) {
        let name = algorithm.name();
        let good = |message: &[u8], signature: &[u8]| verify(algorithm, key, message, signature).unwrap();
        assert!(good(MESSAGE, signature), "{name}");
        for position in [0, signature.len() / 2, signature.len() - 1] {
            let mut flipped = signature.to_vec();
            flipped[position] ^= 1;
            assert!(!good(MESSAGE, &flipped), "{name}: bit flipped in byte {position}");
        }
        assert!(!good(MESSAGE, &signature[1..]), "{name}: too short");
        assert!(!good(MESSAGE, &[signature, &[0]].concat()), "{name}: too long");
        assert!(!good(MESSAGE, &[]), "{name}: empty");
        assert!(!good(&MESSAGE[1..], signature), "{name}: another message");
    }

    #[test]
    fn every_rsa_algorithm_tells_good_from_bad() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let key = key(Material::Rsa { n: parts.n, e: parts.e });
        let encodings: [(Algorithm, &'static dyn RsaEncoding); 6] = [
            (Algorithm::RS256, &RSA_PKCS1_SHA256),
            (Algorithm::RS384, &RSA_PKCS1_SHA384),
            (Algorithm::RS512, &RSA_PKCS1_SHA512),
            (Algorithm::PS256, &RSA_PSS_SHA256),
            (Algorithm::PS384, &RSA_PSS_SHA384),
            (Algorithm::PS512, &RSA_PSS_SHA512),
        ];
        for (algorithm, encoding) in encodings {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), MESSAGE, &mut signature).unwrap();
            holds(algorithm, &key, &signature);
            // Padding and digest are part of what was signed.
            for (other, _) in encodings.iter().filter(|(other, _)| *other != algorithm) {
                assert!(!verify(*other, &key, MESSAGE, &signature).unwrap(), "{}", other.name());
            }
        }
    }

    #[test]
    fn large_rsa_keys_are_served() {
        let pair = RsaKeyPair::generate(KeySize::Rsa4096).unwrap();
        let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PSS_SHA512, &SystemRandom::new(), MESSAGE, &mut signature).unwrap();
        holds(Algorithm::PS512, &key(Material::Rsa { n: parts.n, e: parts.e }), &signature);
    }

    #[test]
    fn every_curve_tells_good_from_bad() {
        let curves: [(Algorithm, Curve, &'static EcdsaSigningAlgorithm); 3] = [
            (Algorithm::ES256, Curve::P256, &ECDSA_P256_SHA256_FIXED_SIGNING),
            (Algorithm::ES384, Curve::P384, &ECDSA_P384_SHA384_FIXED_SIGNING),
            (Algorithm::ES512, Curve::P521, &ECDSA_P521_SHA512_FIXED_SIGNING),
        ];
        for (algorithm, curve, signing) in curves {
            let pair = EcdsaKeyPair::generate(signing).unwrap();
            let key = key(Material::Ec { curve, point: pair.public_key().as_ref().to_vec() });
            let signature = pair.sign(&SystemRandom::new(), MESSAGE).unwrap();
            holds(algorithm, &key, signature.as_ref());
            // CVE-2022-21449: with a zero in it, whatever was signed would be good.
            let (r, s) = signature.as_ref().split_at(signature.as_ref().len() / 2);
            let zero = vec![0; r.len()];
            for psychic in [[&zero, &zero[..]], [&zero, s], [r, &zero]] {
                assert!(
                    !verify(algorithm, &key, MESSAGE, &psychic.concat()).unwrap(),
                    "{}",
                    algorithm.name()
                );
            }
        }
    }

    #[test]
    fn secrets_are_not_checked_here() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = key(Material::Ed25519(pair.public_key().as_ref().try_into().unwrap()));
        for algorithm in Algorithm::SYMMETRIC {
            assert!(verify(algorithm, &key, MESSAGE, &[0; 32]).is_err());
        }
    }

    #[test]
    fn ed25519_tells_good_from_bad() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = key(Material::Ed25519(pair.public_key().as_ref().try_into().unwrap()));
        holds(Algorithm::EdDSA, &key, pair.sign(MESSAGE).as_ref());
    }

    #[test]
    fn an_unusable_key_is_an_error_and_not_a_bad_signature() {
        let off_the_curve = key(Material::Ec { curve: Curve::P256, point: [&[4][..], &[1; 64]].concat() });
        let ed25519 = key(Material::Ed25519([1; 32]));
        assert!(verify(Algorithm::ES256, &off_the_curve, MESSAGE, &[0; 64]).is_err());
        assert!(verify(Algorithm::RS256, &ed25519, MESSAGE, &[0; 256]).is_err());
        assert!(verify(Algorithm::ES256, &ed25519, MESSAGE, &[0; 64]).is_err());
    }
}
