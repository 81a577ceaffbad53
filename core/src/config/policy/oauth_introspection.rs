//! `OAuthIntrospection` as written. What its values mean is the compiler's to say.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::tokens::{RequiredClaims, TokenFrom, role, sixty};
use crate::{config::document::OneOrMany, verify::Secret};

/// `OAuthIntrospection`: who makes the request, by a token that its issuer is asked about (RFC 7662). For tokens that
/// nobody else can read, and for such that have to end soon after they are revoked. Every answer is remembered for a
/// while, under a digest of the token, and requests with the same token that come at the same time ask once. While the
/// issuer gives no answer that can be used, requests are answered 503, never 401, unless a remembered one may still
/// serve. The user is the answer's `sub`; where it has none, `username:` and the `username`, or else `client:` and
/// the `client_id`, so that neither is ever taken for somebody's `sub`. Subjects are the issuer's that the answer
/// names, or else the endpoint's.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OAuthIntrospection {
    /// Where the issuer is asked, `https:` or `http:`.
    pub introspection_endpoint: String,
    /// The name by which the issuer knows this gateway.
    pub client_id: String,
    /// What proves it. Write `"${NAME}"`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub client_secret: Secret,
    /// How it is proven: `basic`, in `Authorization` (RFC 6749 §2.3.1), or `post`, in the content of the question.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// The `iss` that answers must carry.
    #[serde(default)]
    pub issuer: Option<String>,
    /// The audiences, one of which must be in `aud`.
    #[serde(default)]
    pub audience: OneOrMany,
    /// Scopes, all of which a token must have; one that lacks any is answered 403.
    #[serde(default)]
    pub scopes: OneOrMany,
    /// Claims that an answer must carry: names, or name → value or list of allowed values.
    #[serde(default)]
    pub required_claims: RequiredClaims,
    /// Seconds by which clocks may differ.
    #[serde(default = "sixty")]
    pub leeway_seconds: u64,
    /// Where the token is: the `Authorization` header unless said otherwise.
    #[serde(default)]
    pub token_from: TokenFrom,
    /// Claims passed to the service: claim → header. Clients can't send these headers.
    #[serde(default)]
    pub forward_claims: BTreeMap<String, String>,
    /// The claim that holds the roles: a text or a list.
    #[serde(default = "role")]
    pub role_claim: String,
    /// Milliseconds the issuer may take for all of its answer.
    #[serde(default = "second")]
    pub timeout_ms: u64,
    /// Seconds a good token is known without asking again, and never beyond its `exp`. For so long one may outlive
    /// its revocation. 0: ask each time.
    #[serde(default = "sixty")]
    pub cache_ttl_seconds: u64,
    /// Seconds a token that was refused is known to be none.
    #[serde(default = "ten")]
    pub negative_ttl_seconds: u64,
    /// Seconds beyond `cache_ttl_seconds` that a good token is still taken for one, and never beyond its `exp`, while
    /// the issuer gives no answer.
    #[serde(default)]
    pub serve_stale_seconds: u64,
}

fn second() -> u64 {
    1_000
}

fn ten() -> u64 {
    10
}

/// How the gateway proves to an issuer who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// By `Authorization: Basic`, which every issuer has to understand.
    #[default]
    Basic,
    /// By `client_id` and `client_secret` in the content.
    Post,
}
