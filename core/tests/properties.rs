//! Properties of what reads hostile input: whatever comes in, the result keeps its promises.
#![cfg(not(target_family = "wasm"))]

use http::{HeaderValue, StatusCode};
use proptest::{prelude::*, strategy::ValueTree, string::string_regex};
use tollgate_core::{
    cache::Directives,
    keys::KeySet,
    path::NormalPath,
    policy::oauth_introspection::answer::Answer,
    window::{Draw, FixedWindow},
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

/// What an issuer might answer, and mostly should not.
fn about_a_token() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let single = prop_oneof![
        Just(json!(true)),
        Just(json!(false)),
        Just(json!(null)),
        Just(json!("true")),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
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
    fn a_normal_path_is_its_own_normal_form(raw in tricky_path()) {
        if let Ok(normal) = NormalPath::new(&raw) {
            let again = NormalPath::new(&normal.text).expect("a normal path is a path");
            prop_assert_eq!(&again.text, &normal.text);
            // One that a later `..` took away was still sent, and is still refused.
            prop_assert!(normal.has_encoded_slash || !again.has_encoded_slash);
        }
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
    fn any_bytes_may_come_as_a_key_set(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = KeySet::parse(&bytes);
    }

    #[test]
    fn any_bytes_may_come_as_an_answer_about_a_token(
        status in 100u16..600, bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = Answer::read(StatusCode::from_u16(status).expect("a status"), &bytes);
    }

    #[test]
    fn a_token_is_active_only_where_just_that_is_said(status in statuses(), answer in about_a_token()) {
        let read = Answer::read(status, answer.to_string().as_bytes());
        let said = answer.get("active").filter(|_| answer.is_object() && status == StatusCode::OK);
        match said.and_then(serde_json::Value::as_bool) {
            Some(true) => prop_assert_eq!(read, Ok(Answer::Active(answer.as_object().cloned().unwrap_or_default()))),
            Some(false) => prop_assert_eq!(read, Ok(Answer::Inactive)),
            None => prop_assert!(read.is_err()),
        }
    }

    #[test]
    fn an_answer_that_is_cut_off_or_changed_is_never_more_than_it_was(
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

    #[test]
    fn no_window_admits_more_than_its_limit(
        limit in 0u64..20, window_ms in 1u64..5_000, steps in prop::collection::vec((0u64..400, 1u64..4), 1..200),
    ) {
        let mut state = FixedWindow::default();
        let mut now = 1_900_000_000_000;
        let mut admitted = std::collections::HashMap::<u64, u64>::new();
        for (wait, cost) in steps {
            now += wait;
            let quota = state.draw(&Draw { key: String::new(), limit, window_ms, cost }, now);
            if quota.admitted {
                *admitted.entry(now / window_ms).or_default() += cost;
            }
            prop_assert!(quota.reset_ms >= 1 && quota.reset_ms <= window_ms);
        }
        prop_assert!(admitted.values().all(|count| *count <= limit));
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
