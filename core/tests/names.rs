//! Distinguished names: whatever is written is read as what it was, and nothing makes the reader stumble.
#![cfg(not(target_family = "wasm"))]

use proptest::prelude::*;

use tollgate_core::policy::mtls::name::DistinguishedName;

/// A value in one of the spellings that it has: each character as it is, escaped, or as its bytes.
fn value() -> impl Strategy<Value = String> {
    let one = ("[ -~éč]", any::<bool>()).prop_map(|(text, as_bytes)| {
        let special = text.contains([' ', '"', '#', '+', ',', ';', '<', '=', '>', '\\']);
        match (as_bytes, special) {
            (true, _) => text.bytes().map(|byte| format!("\\{byte:02X}")).collect(),
            (false, true) => format!("\\{text}"),
            (false, false) => text,
        }
    });
    prop_oneof![
        4 => proptest::collection::vec(one, 0..8).prop_map(|all| all.concat()),
        1 => "#([0-9a-fA-F]{2}){1,6}",
    ]
}

fn attributes() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::vec(("([A-Za-z][A-Za-z0-9-]{0,3}|[0-2]\\.[1-9][0-9]?)", value()), 1..6)
}

fn written(attributes: &[(String, String)]) -> String {
    attributes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

proptest! {
    /// All spellings of a name have one in common, which is read as the same name.
    #[test]
    fn the_common_spelling_loses_nothing(attributes in attributes()) {
        let name = DistinguishedName::parse(&written(&attributes)).unwrap();
        let common = name.to_string();
        prop_assert_eq!(&DistinguishedName::parse(&common).unwrap(), &name, "{}", common);
        prop_assert!(!common.contains(['\0', '\n', '\r']));
    }

    /// Names that are spelt alike in common are the same, and no others.
    #[test]
    fn two_names_are_one_where_their_common_spelling_is(one in attributes(), other in attributes()) {
        let read = |attributes: &[(String, String)]| DistinguishedName::parse(&written(attributes)).unwrap();
        let (one, other) = (read(&one), read(&other));
        prop_assert_eq!(one == other, one.to_string() == other.to_string());
    }

    /// Nothing makes it stumble.
    #[test]
    fn any_text_is_read_or_not(text in "\\PC{0,64}") {
        let _ = DistinguishedName::parse(&text);
    }

    #[test]
    fn any_near_miss_is_one_name_or_none(text in "[CNo1.=,+#;<\"\\\\ 0aF\\x00é]{0,24}") {
        if let Ok(name) = DistinguishedName::parse(&text) {
            prop_assert_eq!(DistinguishedName::parse(&name.to_string()), Ok(name));
        }
    }
}
