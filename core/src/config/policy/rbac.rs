//! `RBAC` as written. Which keys may stand together, and what permissions mean, is the compiler's to say.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use super::OnError;
use crate::config::decode::mapping_or;

/// `RBAC`: whether the user may, as roles written here or a policy engine say.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "RBAC")]
pub struct Rbac {
    /// Role → what it may, as `METHOD /path`: `GET /reports/*`, `GET,POST /x`, `* /*` for any method; `GET` includes
    /// `HEAD`. Who has none of these roles may nothing. Either this or `policy_engine_endpoint`.
    #[serde(default)]
    pub roles: Option<BTreeMap<String, Role>>,
    /// Asked with `POST {"input": …}` (OPA's data API). Either this or `roles`.
    #[serde(default)]
    pub policy_engine_endpoint: Option<String>,
    /// Milliseconds the engine may take.
    #[serde(default = "second")]
    pub timeout_ms: u64,
    /// Seconds an answer, yes or no, holds for the same `cache_key`. 0: ask each time.
    #[serde(default)]
    pub cache_seconds: u64,
    /// What must be the same for an answer to hold again: `user`, `roles`, `claims`, `claim:NAME`, `method`, `path`,
    /// `route`, `service`, `client_ip`. All of the question but `request_id` when absent; a token's `iat` and `exp`
    /// are among the `claims`, so name parts to let answers outlive tokens.
    #[serde(default)]
    pub cache_key: Vec<String>,
    /// Headers that an answer may add to the request for the service (`{"result": {"allow": true, "headers": {…}}}`).
    /// Clients can't send these, and an answer with others counts as none. When absent, an answer may add any.
    #[serde(default)]
    pub headers: Option<Vec<String>>,
    /// When the engine can't be asked: `deny` (503) or `allow`.
    #[serde(default)]
    pub on_error: OnError,
    /// Ask also about requests without a user. Roles written here say no to them.
    #[serde(default)]
    pub include_anonymous: bool,
    /// Only record what would have been refused: in the log, in metrics and in explanations. Nothing is refused, and
    /// no header is added.
    #[serde(default)]
    pub shadow: bool,
}

fn second() -> u64 {
    1_000
}

/// What a role may: a list of permissions, or a mapping that says more.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub enum Role {
    /// Its permissions.
    Allow(Vec<String>),
    /// Its permissions, and whose it has besides.
    Long(LongRole),
}

/// A role that builds on others.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct LongRole {
    /// Roles whose permissions it has too.
    pub inherits: Vec<String>,
    /// Permissions of its own, as `METHOD /path`.
    pub allow: Vec<String>,
}

impl Role {
    /// Its own permissions.
    pub fn allow(&self) -> &[String] {
        match self {
            Self::Allow(allow) | Self::Long(LongRole { allow, .. }) => allow,
        }
    }

    /// The roles it builds on.
    pub fn inherits(&self) -> &[String] {
        match self {
            Self::Allow(_) => &[],
            Self::Long(LongRole { inherits, .. }) => inherits,
        }
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Role;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of permissions, or a mapping with `allow` and `inherits`")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<Role, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(access)).map(Role::Allow)
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Role, D::Error> {
                LongRole::deserialize(deserializer).map(Role::Long)
            }
        }
        mapping_or(deserializer, Either)
    }
}
