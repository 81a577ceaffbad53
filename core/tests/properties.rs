//! Properties of what reads hostile input: whatever comes in, the result keeps its promises.
#![cfg(not(target_family = "wasm"))]

use http::HeaderValue;
use proptest::{prelude::*, strategy::ValueTree, string::string_regex};
use tollgate_core::{
    cache::Directives,
    keys::KeySet,
    path::NormalPath,
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
