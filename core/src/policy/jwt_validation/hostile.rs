//! Tokens by people who mean harm, made up by the thousand or, by `cargo xtask fuzz`, by the million: whatever comes,
//! nothing panics, and nothing is admitted but what the issuer signed and the rules allow.

use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, Mac};
use proptest::{prelude::*, sample::Index};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::{JwtValidation, TokenFault, digest, tests};
use crate::{
    host::Timestamp,
    keys::{Found, KeyRing, KeySet},
    recent::Recent,
    refusal::Refusal,
    verify::{Algorithm, Secret, SecretKey},
};

const NOW: Timestamp = 1_700_000_000_000;
const SECRET: &[u8; 32] = b"known to the issuer and nobody's";

fn keys() -> KeySet {
    KeySet::of_secret(SecretKey::new(None, None, Secret::new(SECRET.to_vec())).expect("a secret"))
}

fn policy() -> JwtValidation {
    let mut policy = tests::policy();
    policy.required.clear();
    for issuer in &mut policy.issuers {
        issuer.algorithms = vec![Algorithm::HS256];
        issuer.keys = Arc::new(KeyRing::fixed(keys()));
    }
    policy.verified = Recent::new(1);
    policy
}

/// What the pipeline does with a token, but for the waiting.
fn verdict(policy: &JwtValidation, token: &str) -> Result<(), Refusal> {
    let (unverified, issuer) = policy.parse(token)?;
    let keys = Arc::new(keys());
    match keys.find(unverified.kid.as_deref(), unverified.algorithm).ok_or(TokenFault::UnknownKey)? {
        Found::Secret(key) if key.verify(unverified.algorithm, unverified.message, &unverified.signature) => {
        }
        Found::Secret(_) | Found::Public(_) => return Err(TokenFault::Signature.into()),
    }
    policy.admit(&unverified, digest(token), issuer, keys.clone(), NOW).map(drop)
}

fn signed(header: &str, claims: &str) -> String {
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let message = format!("{}.{}", encode(header), encode(claims));
    let mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("any length will do");
    let signature = mac.chain_update(message.as_bytes()).finalize().into_bytes();
    format!("{message}.{}", Base64UrlUnpadded::encode_string(&signature))
}

fn good_claims() -> Map<String, Value> {
    let claims = json!({"iss": "https://issuer", "aud": "api", "sub": "a", "exp": NOW / 1000 + 10});
    claims.as_object().cloned().unwrap_or_default()
}

fn good() -> String {
    signed(r#"{"alg":"HS256"}"#, &Value::Object(good_claims()).to_string())
}

/// Values that readers trip over.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        (0..4_000_000_000_u64).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "HS256",
            "none",
            "RS256",
            "JWT",
            "https://issuer",
            "api",
            "read write",
            ""
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,4}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn members(names: &'static [&'static str]) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((prop::sample::select(names), value()), 0..4)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// One thing done to a text of ASCII.
#[derive(Debug, Clone)]
enum Change {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Swap(Index, Index),
    Repeat(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let byte = || prop_oneof![Just(b'.'), Just(b'='), Just(b'-'), Just(b'_'), 0x20_u8..0x7f];
    prop_oneof![
        (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        any::<Index>().prop_map(Change::Remove),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Change::Swap(one, other)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ]
}

impl Change {
    fn make(&self, text: &mut Vec<u8>) {
        let length = text.len().max(1);
        match self {
            _ if text.is_empty() => {}
            Self::Replace(at, byte) => text[at.index(length)] = *byte,
            Self::Insert(at, byte) => text.insert(at.index(length), *byte),
            Self::Remove(at) => drop(text.remove(at.index(length))),
            Self::Cut(at) => text.truncate(at.index(length)),
            Self::Swap(one, other) => text.swap(one.index(length), other.index(length)),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let piece = text[from.min(to)..from.max(to)].to_vec();
                text.extend(piece);
            }
        }
    }
}

/// The rules once more, as plainly as they can be said.
fn may_be_admitted(claims: &Map<String, Value>) -> bool {
    let second = |name: &str| claims.get(name).map(Value::as_f64);
    let now = NOW as f64 / 1000.0;
    let in_time = match second("exp") {
        None => true,
        Some(Some(exp)) => exp + 60.0 > now - 0.001,
        Some(None) => false,
    };
    let begun = ["nbf", "iat"].into_iter().all(|name| match second(name) {
        None => true,
        Some(Some(at)) => (0.0..=now + 60.001).contains(&at),
        Some(None) => false,
    });
    let meant = |value: &Value| matches!(value.as_str(), Some("api" | "web"));
    let audience = match claims.get("aud") {
        Some(Value::Array(many)) => many.iter().any(meant),
        Some(one) => meant(one),
        None => false,
    };
    in_time && begun && audience && claims.get("iss").and_then(Value::as_str) == Some("https://issuer")
}

#[test]
fn the_good_one_is_admitted() {
    assert_eq!(verdict(&policy(), &good()), Ok(()));
}

proptest! {
    #[test]
    fn anything_may_come_as_a_token_and_proves_nothing(text in prop_oneof![
        ".{0,64}",
        "[A-Za-z0-9_.=-]{0,200}",
        "(e30|eyJhbGciOiJIUzI1NiJ9)\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,48}",
    ]) {
        prop_assert!(verdict(&policy(), &text).is_err());
    }

    #[test]
    fn a_good_token_that_was_changed_is_a_bad_one(changes in prop::collection::vec(change(), 1..4)) {
        let good = good();
        let mut changed = good.clone().into_bytes();
        changes.iter().for_each(|change| change.make(&mut changed));
        let changed = String::from_utf8(changed).expect("ASCII");
        prop_assert_eq!(verdict(&policy(), &changed).is_ok(), changed == good, "{}", changed);
    }

    #[test]
    fn whatever_an_issuer_signs_is_admitted_by_the_rules_alone(
        changed in members(&["iss", "aud", "sub", "exp", "nbf", "iat", "scope", "role", "x"]),
    ) {
        let mut claims = good_claims();
        claims.extend(changed);
        let token = signed(r#"{"alg":"HS256"}"#, &Value::Object(claims.clone()).to_string());
        if verdict(&policy(), &token).is_ok() {
            prop_assert!(may_be_admitted(&claims), "{}", Value::Object(claims));
        }
    }

    #[test]
    fn no_header_opens_another_way_in(changed in members(&["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "x5c", "zip"])) {
        let mut header = Map::from_iter([("alg".to_owned(), Value::from("HS256"))]);
        header.extend(changed);
        let token = signed(&Value::Object(header.clone()).to_string(), &Value::Object(good_claims()).to_string());
        if verdict(&policy(), &token).is_ok() {
            prop_assert_eq!(header.get("alg"), Some(&Value::from("HS256")));
            prop_assert!(!header.contains_key("crit"));
            prop_assert!(header.get("b64").is_none_or(|encoded| *encoded == Value::Bool(true)));
        }
    }
}
