//! Properties of what reads hostile input: whatever comes in, the result keeps its promises.
#![cfg(not(target_family = "wasm"))]

use base64ct::{Base64UrlUnpadded, Encoding};
use http::{HeaderValue, StatusCode};
use proptest::{prelude::*, strategy::ValueTree, string::string_regex};
use serde_json::{Map, Value, json};
use tollgate_core::{
    cache::Directives,
    keys::{Found, KeySet},
    path::NormalPath,
    policy::oauth_introspection::answer::Answer,
    verify::{Algorithm, pure},
};

/// Paths rich in what spellings are made of.
fn tricky_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/".to_owned()),
        Just(".".to_owned()),
        Just("..".to_owned()),
        Just("%2e".to_owned()),
        Just("%2E%2e".to_owned()),
        Just("%2f".to_owned()),
        Just("%5C".to_owned()),
        Just("%25".to_owned()),
        Just("%61".to_owned()),
        string_regex("[a-c%\\\\;{} \u{e9}]{1,3}").expect("a pattern"),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// A JSON Web Key, or what might be taken for one.
fn key() -> impl Strategy<Value = Value> {
    let text = |texts: &'static [&'static str]| prop::sample::select(texts).prop_map(Value::from);
    let number = prop_oneof![
        prop::sample::select(vec![0, 1, 31, 32, 33, 48, 64, 66, 255, 256, 257, 512, 1024, 1025])
            .prop_flat_map(|length| {
                let bytes = prop::collection::vec(any::<u8>(), length);
                prop_oneof![bytes, Just(vec![0xff; length]), Just(vec![0; length])]
            })
            .prop_map(|bytes| Value::from(Base64UrlUnpadded::encode_string(&bytes))),
        text(&["AQAB", "Aw", "AQ", "AA", "", "====", "not base64!"]),
        Just(Value::Null),
        Just(Value::from(65537)),
    ];
    let members =
        prop::collection::vec((prop::sample::select(vec!["n", "e", "x", "y", "k", "d"]), number), 0..5);
    let kinds = text(&["RSA", "EC", "OKP", "oct", "AKP", "rsa", ""]);
    let curves = text(&["P-256", "P-384", "P-521", "Ed25519", "Ed448", "secp256k1", "X25519"]);
    let algorithms = text(&["RS256", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "none", "A256KW"]);
    let uses = text(&["sig", "enc", ""]);
    (members, kinds, curves, prop::option::of(algorithms), prop::option::of(uses)).prop_map(
        |(members, kind, curve, algorithm, purpose)| {
            let mut key: Map<String, Value> =
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            key.insert("kty".to_owned(), kind);
            key.insert("crv".to_owned(), curve);
            key.extend(algorithm.map(|algorithm| ("alg".to_owned(), algorithm)));
            key.extend(purpose.map(|purpose| ("use".to_owned(), purpose)));
            Value::Object(key)
        },
    )
}

/// What an issuer might answer, and mostly should not.
fn about_a_token() -> impl Strategy<Value = serde_json::Value> {
    let single = prop_oneof![
        Just(json!(true)),
        Just(json!(false)),
        Just(json!(null)),
        Just(json!("true")),
        any::<i64>().prop_map(Value::from),
        (-1_000_i32..1_000).prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        "[ -~]{0,8}".prop_map(Value::from),
    ];
    let name = prop_oneof![Just("active".to_owned()), Just("Active".to_owned()), "[a-z]{1,4}".boxed()];
    let value = single.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,4}", inner), 0..3).prop_map(|all| all.into_iter().collect()),
        ]
    });
    prop_oneof![
        4 => prop::collection::vec((name, value.clone()), 0..5).prop_map(|all| all.into_iter().collect()),
        1 => value,
    ]
}

fn statuses() -> impl Strategy<Value = StatusCode> {
    prop_oneof![
        3 => Just(StatusCode::OK),
        1 => prop::sample::select(vec![201, 204, 302, 400, 401, 403, 500, 503])
            .prop_map(|code| StatusCode::from_u16(code).expect("a status")),
    ]
}

proptest! {
    #[test]
    fn hostile_bytes_may_come_as_a_key_set(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = KeySet::parse(&bytes);
    }

    #[test]
    fn hostile_keys_verify_nothing(keys in prop::collection::vec(key(), 0..4), signature in prop::collection::vec(any::<u8>(), 0..140)) {
        let set = KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).expect("it is a set");
        for algorithm in Algorithm::all() {
            let Some(Found::Public(key)) = set.find(None, algorithm) else { continue };
            prop_assert!(key.serves(algorithm));
            let mut signature = signature.clone();
            signature.resize(key.signature_length(), 1);
            prop_assert_ne!(pure::verify(algorithm, key, b"message", &signature), Some(true));
        }
    }

    #[test]
    fn a_normal_path_is_its_own_normal_form(raw in tricky_path()) {
        if let Ok(normal) = NormalPath::new(&raw) {
            let again = NormalPath::new(&normal.text).expect("a normal path is a path");
            prop_assert_eq!(&again.text, &normal.text);
            // One that a later `..` took away was still sent, and is still refused.
            prop_assert!(normal.has_encoded_slash || !again.has_encoded_slash);
        }
    }

    #[test]
    fn hostile_spellings_of_a_normal_path_come_to_it(
        raw in tricky_path(), choices in prop::collection::vec(0..7u8, 1..40),
    ) {
        let Ok(normal) = NormalPath::new(&raw) else { return Ok(()) };
        let mut choices = choices.iter().cycle();
        let mut spelled = String::new();
        let mut rest = normal.text.chars();
        while let Some(char) = rest.next() {
            let plain = char.is_ascii_alphanumeric() || "-._~".contains(char);
            match (char, choices.next().copied().unwrap_or(0)) {
                ('/', 1) => spelled.push_str("//"),
                ('/', 2) => spelled.push_str("/./"),
                ('/', 3) => spelled.push_str("/x/../"),
                ('/', 4) => spelled.push_str("/%2e/"),
                ('/', 5) => spelled.push_str("/%78/%2E%2e/"),
                // The digits of an encoding stay what they are.
                ('%', choice) => {
                    spelled.push('%');
                    for digit in rest.by_ref().take(2) {
                        spelled.push(if choice % 2 == 1 { digit.to_ascii_lowercase() } else { digit });
                    }
                }
                (char, 1..=3) if plain => spelled.push_str(&format!("%{:02X}", u32::from(char))),
                (char, 4) if plain => spelled.push_str(&format!("%{:02x}", u32::from(char))),
                _ => spelled.push(char),
            }
        }
        let again = NormalPath::new(&spelled).map(|path| path.text.into_owned());
        prop_assert_eq!(again.as_deref(), Ok(&*normal.text), "{}", spelled);
    }

    #[test]
    fn a_normal_path_holds_no_dot_segment_and_no_empty_one(raw in tricky_path()) {
        if let Ok(normal) = NormalPath::new(&raw) {
            let text = normal.text.strip_suffix('/').unwrap_or(&normal.text);
            for segment in text.split('/').skip(1) {
                prop_assert!(!matches!(segment, "" | "." | ".."), "{} in {}", segment, normal.text);
            }
            prop_assert!(normal.text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'));
        }
    }

    #[test]
    fn anything_may_be_given_as_a_path(raw in ".{0,64}") {
        let _ = NormalPath::new(&raw);
    }

    #[test]
    fn any_cache_control_can_be_read(lines in prop::collection::vec("[ -~]{0,40}", 0..4)) {
        let values: Vec<HeaderValue> = lines.iter().filter_map(|line| line.parse().ok()).collect();
        let found = Directives::read(&values);
        if !lines.iter().any(|line| line.to_ascii_lowercase().contains("no-store")) {
            prop_assert!(!found.no_store);
        }
    }

    #[test]
    fn hostile_bytes_may_come_as_an_answer_about_a_token(
        status in 100u16..600, bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = Answer::read(StatusCode::from_u16(status).expect("a status"), &bytes);
    }

    #[test]
    fn a_token_that_hostile_answers_are_about_is_active_only_where_just_that_is_said(status in statuses(), answer in about_a_token()) {
        let read = Answer::read(status, answer.to_string().as_bytes());
        let said = answer.get("active").filter(|_| answer.is_object() && status == StatusCode::OK);
        match said.and_then(serde_json::Value::as_bool) {
            Some(true) => prop_assert_eq!(read, Ok(Answer::Active(answer.as_object().cloned().unwrap_or_default()))),
            Some(false) => prop_assert_eq!(read, Ok(Answer::Inactive)),
            None => prop_assert!(read.is_err()),
        }
    }

    #[test]
    fn a_hostile_change_to_an_answer_never_makes_it_more_than_it_was(
        answer in about_a_token(), cut in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let whole = answer.to_string().into_bytes();
        let at = cut.index(whole.len());
        // What is left of an object is none.
        if answer.is_object() {
            prop_assert!(Answer::read(StatusCode::OK, &whole[..at]).is_err());
        }
        let mut changed = whole;
        changed[at] = byte;
        if let Ok(Answer::Active(claims)) = Answer::read(StatusCode::OK, &changed) {
            prop_assert_eq!(claims.get("active"), Some(&serde_json::Value::Bool(true)));
        }
    }
}

#[test]
fn strategies_reach_both_outcomes() {
    // A property that only ever sees refusals shows nothing.
    let runner = &mut proptest::test_runner::TestRunner::deterministic();
    let good = (0..500)
        .filter(|_| {
            let raw = tricky_path().new_tree(runner).expect("a value").current();
            NormalPath::new(&raw).is_ok()
        })
        .count();
    assert!((50..480).contains(&good), "{good}");
}
