//! What stands around a gateway in a replay: services that answer 200, a policy engine that says what it said, and
//! an issuer whose signatures are known by their look. The replay makes all tokens itself, so nobody can forge one,
//! and any algorithm will do.

use std::sync::{Mutex, PoisonError};

use base64ct::{Base64UrlUnpadded, Encoding};
use http::{Request, Response};
use serde_json::{Map, Value, json};
use tollgate_core::{
    body::Body,
    host::HostError,
    keys::KeySet,
    remote::Question,
    signing::PrivateKey,
    upstream::{Endpoint, Patience},
    verify::{Algorithm, PublicKey},
};

use crate::{
    fake::{
        body::FakeBody,
        world::{Engine, Issuer, World, down},
    },
    keys, opaque,
};

/// Every byte of a good signature, of every number of a key, and of every secret. Odd and large, as moduli are.
const GOOD: u8 = 0xdb;
/// As many bytes as the longest secret needs.
const SECRET_BYTES: usize = 64;

/// All that a gateway can ask.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    engine: Mutex<Engine>,
}

impl Surroundings {
    pub(super) fn set_engine(&self, engine: Engine) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = engine;
    }
}

impl World for Surroundings {
    fn answer(
        &self,
        endpoint: &Endpoint,
        request: Request<FakeBody>,
        _: Patience,
    ) -> Result<Response<FakeBody>, HostError> {
        match request.extensions().get::<Question>() {
            None => Ok(Response::new(FakeBody::empty())),
            Some(Question::Decision) => {
                self.engine.lock().unwrap_or_else(PoisonError::into_inner).answer(endpoint)
            }
            // Whoever made a token has put into it what is said of it.
            Some(Question::Introspection) => {
                let (question, _) = request.into_body().collect();
                let said = opaque::asked_about(&question).and_then(|token| opaque::answer(&token));
                let inactive = || Map::from_iter([("active".to_owned(), false.into())]);
                Issuer::Admits.answer(endpoint, said.unwrap_or_else(inactive))
            }
            // All keys are assumed, so none are asked for.
            Some(Question::Keys | Question::Provider | Question::Login) => Err(down(endpoint)),
        }
    }

    fn verify(&self, _: Algorithm, _: &PublicKey, _: &[u8], signature: &[u8]) -> Option<bool> {
        Some(signature.iter().all(|byte| *byte == GOOD))
    }

    fn sign(&self, _: &PrivateKey, _: &[u8]) -> Option<Vec<u8>> {
        Some(vec![GOOD; 64])
    }
}

/// A key for each algorithm, named like it. Nobody has their private halves: there are none.
pub(super) fn keys() -> KeySet {
    let keys: Vec<Value> = Algorithm::all().map(key).collect();
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap_or_default()
}

fn key(algorithm: Algorithm) -> Value {
    let number = |length: usize| Base64UrlUnpadded::encode_string(&vec![GOOD; length]);
    let (kind, length) = kind(algorithm);
    let mut key = match kind {
        "RSA" => json!({"kty": kind, "n": number(length), "e": "AQAB"}),
        "oct" => json!({"kty": kind, "k": number(SECRET_BYTES)}),
        "Ed25519" => json!({"kty": "OKP", "crv": kind, "x": number(32)}),
        curve => json!({"kty": "EC", "crv": curve, "x": number(length / 2), "y": number(length / 2)}),
    };
    if let Some(key) = key.as_object_mut() {
        key.insert("kid".to_owned(), algorithm.name().into());
        key.insert("alg".to_owned(), algorithm.name().into());
    }
    key
}

/// Key type or curve, and how many bytes signatures have.
fn kind(algorithm: Algorithm) -> (&'static str, usize) {
    match algorithm {
        Algorithm::ES256 => ("P-256", 64),
        Algorithm::ES384 => ("P-384", 96),
        Algorithm::ES512 => ("P-521", 132),
        Algorithm::EdDSA => ("Ed25519", 64),
        Algorithm::HS256 => ("oct", 32),
        Algorithm::HS384 => ("oct", 48),
        Algorithm::HS512 => ("oct", 64),
        _ => ("RSA", 256),
    }
}

/// A token with these claims.
pub(super) fn token(
    algorithm: Algorithm,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    good: bool,
) -> String {
    let encode = |part: Map<String, Value>| {
        Base64UrlUnpadded::encode_string(Value::Object(part).to_string().as_bytes())
    };
    let mut head = Map::from_iter([
        ("alg".to_owned(), Value::from(algorithm.name())),
        ("kid".to_owned(), Value::from(algorithm.name())),
    ]);
    head.extend(header);
    let message = format!("{}.{}", encode(head), encode(claims));
    let (kind, length) = kind(algorithm);
    let signature = match (good, kind) {
        // Secrets are tried in core, so their signatures are real.
        (true, "oct") => keys::mac(algorithm.name(), &[GOOD; SECRET_BYTES], message.as_bytes()),
        (true, _) => vec![GOOD; length],
        (false, _) => vec![0; length],
    };
    format!("{message}.{}", Base64UrlUnpadded::encode_string(&signature))
}

#[cfg(test)]
mod tests {
    use tollgate_core::keys::Found;

    use super::*;

    #[test]
    fn there_is_a_key_for_every_algorithm_and_only_its_own_signatures_are_good() {
        let keys = super::keys();
        assert_eq!(keys.len(), Algorithm::all().count());
        for algorithm in Algorithm::all() {
            for good in [true, false] {
                let token = token(algorithm, Map::new(), Map::new(), good);
                let (message, signature) = token.rsplit_once('.').unwrap();
                let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
                match keys.find(Some(algorithm.name()), algorithm).unwrap() {
                    Found::Public(key) => {
                        assert_eq!(signature.len(), key.signature_length(), "{algorithm:?}");
                        let verified = Surroundings::default().verify(algorithm, key, b"", &signature);
                        assert_eq!(verified, Some(good));
                    }
                    Found::Secret(_) => {
                        let made = keys::mac(algorithm.name(), &[GOOD; SECRET_BYTES], message.as_bytes());
                        assert_eq!(made == signature, good, "{algorithm:?}");
                    }
                }
            }
        }
    }
}
