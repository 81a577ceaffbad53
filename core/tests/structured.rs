//! Structured fields: whatever is written is read as what it was, and nothing makes the reader stumble.
#![cfg(not(target_family = "wasm"))]

use proptest::prelude::*;

use tollgate_core::policy::hmac::structured::{Bare, InnerList, Item, Member, Parameters, dictionary};

fn bare() -> impl Strategy<Value = Bare> {
    prop_oneof![
        (-999_999_999_999_999i64..=999_999_999_999_999).prop_map(Bare::Integer),
        (-999_999_999_999_999i64..=999_999_999_999_999).prop_map(Bare::Decimal),
        "[ -~]{0,12}".prop_map(Bare::Text),
        "[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]{0,8}".prop_map(Bare::Token),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Bare::Bytes),
        any::<bool>().prop_map(Bare::Flag),
    ]
}

fn parameters() -> impl Strategy<Value = Parameters> {
    proptest::collection::btree_map("[a-z*][a-z0-9_.*-]{0,5}", bare(), 0..4)
        .prop_map(|map| map.into_iter().collect())
}

fn item() -> impl Strategy<Value = Item> {
    (bare(), parameters()).prop_map(|(value, parameters)| Item { value, parameters })
}

fn member() -> impl Strategy<Value = Member> {
    let list = (proptest::collection::vec(item(), 0..4), parameters());
    prop_oneof![
        item().prop_map(Member::Item),
        list.prop_map(|(items, parameters)| Member::List(InnerList { items, parameters })),
    ]
}

proptest! {
    /// Whatever is written is read as what it was.
    #[test]
    fn writing_loses_nothing(members in proptest::collection::btree_map("[a-z][a-z0-9]{0,5}", member(), 0..5)) {
        let members: Vec<(String, Member)> = members.into_iter().collect();
        let each = |(name, member): &(String, Member)| match member {
            Member::Item(item) => format!("{name}={item}"),
            Member::List(list) => format!("{name}={list}"),
        };
        let text = members.iter().map(each).collect::<Vec<_>>().join(", ");
        prop_assert_eq!(dictionary(&text), Some(members), "{}", text);
    }

    /// Nothing makes it stumble.
    #[test]
    fn any_text_is_read_or_not(text in "\\PC{0,64}") {
        let _ = dictionary(&text);
    }

    #[test]
    fn any_near_miss_is_read_or_not(text in "[a=(\");:1?.,\\\\ -]{0,40}") {
        let _ = dictionary(&text);
    }
}
