//! Pairs of keys that sign identity tokens, and what services are given of them.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    encoding::{AsBigEndian, EcPrivateKeyBin},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use clap::ValueEnum;
use serde_json::{Map, Value, json};
use tollgate_core::signing::{self, PrivateKey};

/// How a pair signs.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Signing {
    /// Ed25519: fast, and the same token each time.
    Eddsa,
    /// ECDSA on P-256: what services understand that know no Ed25519.
    Es256,
}

/// A private JSON Web Key.
pub(super) fn generate(algorithm: Signing, kid: Option<String>) -> Result<Value, String> {
    let encode = Base64UrlUnpadded::encode_string;
    let mut jwk = match algorithm {
        Signing::Eddsa => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(|error| format!("no randomness: {error}"))?;
            let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|error| error.to_string())?;
            json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()), "d": encode(&seed)})
        }
        Signing::Es256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
            let pair = pair.map_err(|_| "no randomness")?;
            let secret: EcPrivateKeyBin<'_> =
                pair.private_key().as_be_bytes().map_err(|error| error.to_string())?;
            // 04, x, y (SEC 1 §2.3.3).
            let point = pair.public_key().as_ref().get(1..).and_then(|point| point.split_at_checked(32));
            let (x, y) = point.ok_or("an odd key")?;
            json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "d": encode(secret.as_ref())})
        }
    };
    let kid = match kid {
        Some(kid) => kid,
        None => PrivateKey::from_jwk(&jwk).map_err(|error| error.to_string())?.kid,
    };
    if let Value::Object(members) = &mut jwk {
        members.extend(Map::from_iter([("kid".to_owned(), kid.into())]));
    }
    Ok(jwk)
}

/// The public halves of the keys in these files, or of the one on standard input.
pub(super) fn public_set(files: &[PathBuf]) -> Result<Value, String> {
    let keys: Vec<PrivateKey> = if files.is_empty() {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|error| format!("the key can't be read: {error}"))?;
        vec![key(&text, Path::new("standard input"))?]
    } else {
        let read = |file: &PathBuf| {
            let text = std::fs::read_to_string(file);
            key(&text.map_err(|error| format!("`{}` can't be read: {error}", file.display()))?, file)
        };
        files.iter().map(read).collect::<Result<_, String>>()?
    };
    Ok(signing::public_set(&keys))
}

/// No error quotes what was read: it may be a key all the same.
fn key(text: &str, from: &Path) -> Result<PrivateKey, String> {
    let no_key =
        |why: &str| format!("`{}` holds no private JSON Web Key of Ed25519 or P-256: {why}", from.display());
    let jwk: Value = serde_json::from_str(text).map_err(|_| no_key("it is no JSON"))?;
    let key = PrivateKey::from_jwk(&jwk).map_err(|why| no_key(&why.to_string()))?;
    if signing::pure::sign(&key, b"").is_none() {
        return Err(no_key("its halves don't belong together"));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_signs_and_its_public_half_verifies() {
        for algorithm in [Signing::Eddsa, Signing::Es256] {
            let jwk = generate(algorithm, None).unwrap();
            let key = key(&jwk.to_string(), Path::new("x")).unwrap();
            assert_eq!(jwk["kid"], key.kid);
            let signature = crate::sign::sign(&key, b"m").unwrap();
            assert!(crate::verify::verify(key.algorithm, key.public(), b"m", &signature).unwrap());
        }
        assert_eq!(generate(Signing::Eddsa, Some("next".to_owned())).unwrap()["kid"], "next");
    }

    #[test]
    fn no_error_quotes_a_key() {
        let text = r#"{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "d": "hunter2"}"#;
        for text in [text, "hunter2"] {
            assert!(!key(text, Path::new("x")).unwrap_err().contains("hunter2"));
        }
    }
}
