//! What types of tokens have in common, as written: where a token is, and what must be said of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::document::OneOrMany;

/// Where a token is looked for. One place; the default is `Authorization: Bearer`.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TokenFrom {
    /// A header that holds the bare token, or the token after `Bearer `.
    pub header: Option<String>,
    /// A cookie.
    pub cookie: Option<String>,
    /// A query parameter; it is removed before the request is sent on.
    pub query: Option<String>,
}

/// Claims that a token must carry.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub enum RequiredClaims {
    /// None.
    #[default]
    #[cfg_attr(feature = "schema", schemars(skip))]
    None,
    /// Claims that must be present.
    Present(Vec<String>),
    /// Claims that must have one of these values.
    OneOf(BTreeMap<String, OneOrMany>),
}

impl<'de> Deserialize<'de> for RequiredClaims {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::{MapAccess, SeqAccess, Visitor, value};
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RequiredClaims;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of claims or a mapping from claim to value")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<RequiredClaims, A::Error> {
                Vec::deserialize(value::SeqAccessDeserializer::new(access)).map(RequiredClaims::Present)
            }
            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<RequiredClaims, A::Error> {
                BTreeMap::deserialize(value::MapAccessDeserializer::new(access)).map(RequiredClaims::OneOf)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

pub(super) fn sixty() -> u64 {
    60
}

pub(super) fn role() -> String {
    "role".to_owned()
}
