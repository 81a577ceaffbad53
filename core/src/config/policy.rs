//! Policies as written: what all have in common, and one type for each kind's own keys.

mod api_key;
mod basic_auth;
mod cel;
mod hmac;
mod jwt_validation;
mod limit;
mod mtls;
mod oauth_introspection;
mod oidc_login;
mod rbac;
mod tokens;

use serde::Deserialize;

pub use self::{
    api_key::{ApiKey, HandedOut},
    basic_auth::{BasicAuth, User},
    cel::Cel,
    hmac::{Hmac, SharedKey},
    jwt_validation::{JwtValidation, Mode, TrustedIssuer},
    limit::{
        Accuracy, Budget, Common, Concurrency, Cost, CostText, Exempt, FixedWindow, LongCost, LongTierRate,
        OnCancel, OnStoreError, Scope, SlidingWindow, TierRate, Tiers, TokenBucket,
    },
    mtls::{Certificate, CertificateIssuer, IdentityFrom, Mtls},
    oauth_introspection::{ClientAuth, OAuthIntrospection},
    oidc_login::{OidcLogin, Secrets},
    rbac::{LongRole, Rbac, Role},
    tokens::{RequiredClaims, TokenFrom},
};
use super::{
    decode::decode,
    document::{Item, members},
    findings::Findings,
    node::{Key, Node, Value},
    planned,
    problem::{Problem, nearest},
};
use crate::policy::Stage;

/// A policy.
#[derive(Debug)]
pub struct Policy {
    /// What every policy has.
    pub head: Head,
    /// What its type adds.
    pub body: Body,
}

/// What a policy is.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "made a few times, when a configuration is loaded")]
pub enum Body {
    /// A policy, by the keys of its type.
    Kind(Kind),
    /// The removal of the policy of this name.
    Removal,
    /// Nothing that can be read; of the stage, where its type at least is known.
    Unreadable(Option<Stage>),
}

/// The keys of every policy.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Head {
    /// Identifies the policy: a later one of the same name replaces the earlier one whole.
    pub name: String,
    /// Decides the kind.
    #[serde(default)]
    pub r#type: Option<String>,
    /// For people; shown by explain and the admin API.
    #[serde(default)]
    pub description: Option<String>,
    /// Paths, written as in routes, for which the policy does not hold.
    #[serde(default)]
    pub exclude_paths: Vec<String>,
    /// Removes the policy of this name; then nothing but `name` and `description` stands beside it.
    #[serde(default)]
    pub disabled: bool,
}

const HEAD: &[&str] = &["name", "type", "description", "exclude_paths", "disabled"];

macro_rules! kinds {
    ($($variant:ident($keys:ident) = $name:literal, $stage:ident;)*) => {
        /// The keys that a type adds.
        #[derive(Debug)]
        #[allow(clippy::large_enum_variant, reason = "made a few times, when a configuration is loaded")]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`")] $variant($keys),)*
        }

        impl Kind {
            /// The types that can be written.
            pub const TYPES: &'static [&'static str] = &[$($name),*];

            /// The type, as written.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            /// When the policy is asked.
            pub fn stage(&self) -> Stage {
                match self { $(Self::$variant(_) => Stage::$stage,)* }
            }

            /// The stage of a type.
            fn stage_of(name: &str) -> Option<Stage> {
                match name { $($name => Some(Stage::$stage),)* _ => None }
            }

            fn read(name: &str, node: &Node, elsewhere: &[&str], findings: &Findings) -> Option<Self> {
                match name {
                    $($name => decode::<$keys>(node, elsewhere, findings).map(Self::$variant),)*
                    _ => None,
                }
            }

            /// The JSON Schemas of the kinds: type name and schema of its own keys.
            #[cfg(feature = "schema")]
            pub(crate) fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
                use schemars::JsonSchema;
                vec![$(($name, $keys::json_schema(generator)),)*]
            }
        }
    };
}

kinds! {
    JwtValidation(JwtValidation) = "JWT_Validation", Authentication;
    ApiKey(ApiKey) = "ApiKey", Authentication;
    BasicAuth(BasicAuth) = "BasicAuth", Authentication;
    Hmac(Hmac) = "Hmac", Authentication;
    Mtls(Mtls) = "Mtls", Authentication;
    OAuthIntrospection(OAuthIntrospection) = "OAuthIntrospection", Authentication;
    OidcLogin(OidcLogin) = "OidcLogin", Authentication;
    AnyOf(AnyOf) = "AnyOf", Authentication;
    FixedWindow(FixedWindow) = "FixedWindow", RateLimiting;
    SlidingWindow(SlidingWindow) = "SlidingWindow", RateLimiting;
    TokenBucket(TokenBucket) = "TokenBucket", RateLimiting;
    Concurrency(Concurrency) = "Concurrency", RateLimiting;
    Budget(Budget) = "Budget", RateLimiting;
    Rbac(Rbac) = "RBAC", Authorization;
    Cel(Cel) = "Cel", Authorization;
    Ttl(Ttl) = "TTL", Caching;
    Compression(Compression) = "Compression", Compression;
}

/// `AnyOf`: several types of credentials; the first that a request carries decides.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnyOf {}

/// What to do when a dependency of a policy fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Refuse: with 503, unless the policy says otherwise.
    #[default]
    Deny,
    /// Go on as if the policy were not there.
    Allow,
}

/// `TTL`: keep answers for a fixed time.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "TTL")]
pub struct Ttl {
    /// Seconds an answer is kept.
    pub ttl_seconds: u64,
    /// One answer for all users. Otherwise each user has its own, unless the response says `public` or `s-maxage`.
    #[serde(default)]
    pub shared: bool,
    /// Keep also answers that say `private` or `no-store`, or set cookies.
    #[serde(default)]
    pub force: bool,
    /// Request headers by which answers are told apart, besides those the response names in `Vary`.
    #[serde(default)]
    pub vary_by: Vec<String>,
    /// Larger answers are not kept.
    #[serde(default = "mebibyte")]
    pub max_bytes: u64,
}

fn mebibyte() -> u64 {
    1024 * 1024
}

/// `Compression`: compress responses while they stream.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Compression {
    /// `zstd`, `br`, `gzip`, in the order of preference; the client's own preference comes first.
    pub algorithms: Vec<String>,
    /// Smaller responses are left alone, where their length is known.
    pub min_bytes: u64,
    /// Media types that are compressed; `text/*` means all texts.
    pub content_types: Vec<String>,
}

impl Default for Compression {
    fn default() -> Self {
        let types = [
            "text/*",
            "application/json",
            "application/problem+json",
            "application/ld+json",
            "application/javascript",
            "application/xml",
            "application/xhtml+xml",
            "application/graphql-response+json",
            "application/x-ndjson",
            "application/wasm",
            "image/svg+xml",
        ];
        Self {
            algorithms: vec!["br".to_owned(), "zstd".to_owned(), "gzip".to_owned()],
            min_bytes: 1_024,
            content_types: types.map(str::to_owned).to_vec(),
        }
    }
}

/// Reads a list of policies. Those that can't be read are noted, and keep their place.
pub(crate) fn policies<'n>(list: Option<&'n Node>, findings: &Findings) -> Vec<Item<'n, Policy>> {
    let members = members(list, "a list of policies", findings);
    if let Some(node) = list.filter(|list| !matches!(list.value, Value::List(_))) {
        // Whatever policies were meant there.
        let value = Policy { head: Head::default(), body: Body::Unreadable(None) };
        return vec![Item { value, node }];
    }
    members.iter().map(|node| Item { value: policy(node, findings), node }).collect()
}

fn policy(node: &Node, findings: &Findings) -> Policy {
    let Value::Map(entries) = &node.value else {
        let problem = Problem::error(node.span, format!("expected a policy, found {}", node.kind()));
        findings.unreadable(node.span, problem);
        return Policy { head: Head::default(), body: Body::Unreadable(None) };
    };
    // The head knows all keys of the mapping: which are unknown, its kind finds out.
    let every: Vec<&str> =
        entries.iter().map(|(key, _)| key.name.as_str()).filter(|name| *name != "when").collect();
    let head: Head = decode(node, &every, findings).unwrap_or_default();
    let body = if head.disabled { removal(entries, findings) } else { body(node, findings) };
    Policy { head, body }
}

/// A removal says which policy goes; whatever else it said would be carried out nowhere.
fn removal(entries: &[(Key, Node)], findings: &Findings) -> Body {
    let others: Vec<&Key> = entries
        .iter()
        .map(|(key, _)| key)
        .filter(|key| !["name", "disabled", "description"].contains(&key.name.as_str()))
        .collect();
    let Some(first) = others.first() else { return Body::Removal };
    let names: Vec<String> = others.iter().map(|key| format!("`{}`", key.name)).collect();
    let message = format!("{} can't stand beside `disabled: true`", names.join(", "));
    let cure =
        "leave the rest out to remove the policy of this name, or the whole policy if it is not wanted";
    findings.push(Problem::error(first.span, message).cure(cure));
    Body::Unreadable(None)
}

fn body(node: &Node, findings: &Findings) -> Body {
    // Where it can't be told whether the policy is removed, it may need no type.
    let removed = |disabled: &Node| !matches!(disabled.text(), Some("false" | "False" | "FALSE"));
    if node.get("type").is_none() && node.get("disabled").is_some_and(removed) {
        return Body::Unreadable(None);
    }
    let Some(written) = node.get("type") else {
        let problem = Problem::error(node.span, "the key `type` is missing");
        findings.lacking(node.span, problem.cure(format!("known types are: {}", Kind::TYPES.join(", "))));
        misspelt(node, findings);
        return Body::Unreadable(None);
    };
    // Anything but a text was noted when the head was read.
    let Some(name) = written.text() else { return Body::Unreadable(None) };
    if !Kind::TYPES.contains(&name) {
        findings.push(unknown_type(written, name));
        return Body::Unreadable(None);
    }
    let when: &[&str] = if node.get("when").is_some() { &["when"] } else { &[] };
    let kind = Kind::read(name, node, &[HEAD, when].concat(), findings);
    kind.map_or(Body::Unreadable(Kind::stage_of(name)), Body::Kind)
}

/// Reads one of the ways of [`AnyOf`]: a policy for authentication.
pub(crate) fn way(node: &Node, findings: &Findings) -> Option<Kind> {
    match body(node, findings) {
        Body::Kind(kind) if kind.stage() == Stage::Authentication && !matches!(kind, Kind::AnyOf(_)) => {
            Some(kind)
        }
        Body::Kind(_) => {
            let span = node.span_of("type");
            let cure = "ways are policies for authentication, such as `JWT_Validation` and `ApiKey`";
            findings.push(Problem::error(span, "this is no way to prove an identity").cure(cure));
            None
        }
        Body::Removal | Body::Unreadable(_) => None,
    }
}

/// Without a type it is not known which keys are unknown, but some look much like those of every policy.
fn misspelt(node: &Node, findings: &Findings) {
    let Value::Map(entries) = &node.value else { return };
    for (key, _) in entries.iter().filter(|(key, _)| !HEAD.contains(&key.name.as_str())) {
        if let Some(near) = nearest(&key.name, HEAD.iter().copied()) {
            let problem = Problem::error(key.span, format!("unknown key `{}`", key.name));
            findings.push(problem.cure(format!("did you mean `{near}`?")));
        }
    }
}

fn unknown_type(node: &Node, name: &str) -> Problem {
    let shown = node.shown();
    if planned::POLICY_TYPES.contains(&name) {
        return Problem::error(
            node.span,
            format!("the policy type `{shown}` is not carried out by this version"),
        )
        .cure(format!("this version has: {}", Kind::TYPES.join(", ")));
    }
    let problem = Problem::error(node.span, format!("unknown policy type `{shown}`"));
    match nearest(name, Kind::TYPES.iter().chain(planned::POLICY_TYPES).copied()) {
        Some(near) => problem.cure(format!("did you mean `{near}`?")),
        None => problem.cure(format!("known types are: {}", Kind::TYPES.join(", "))),
    }
}
