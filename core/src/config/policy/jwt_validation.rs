//! `JWT_Validation` as written. What its values mean is the compiler's to say.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::tokens::{RequiredClaims, TokenFrom, role, sixty};
use crate::{config::document::OneOrMany, verify::Secret};

/// `JWT_Validation`: who makes the request, by a JSON Web Token (RFC 7519).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "JWT_Validation")]
pub struct JwtValidation {
    /// Where the issuer's keys are: `https:`, `http:`, or `file:` relative to the configuration. Without this, `jwks` and
    /// `secret`, the `issuer` is asked at its `/.well-known/openid-configuration`.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// The keys themselves, as the text of a JSON Web Key Set.
    #[serde(default)]
    pub jwks: Option<String>,
    /// A secret shared with the issuer, who signs with HS256, HS384 or HS512: 32, 48 or 64 bytes at least. Write
    /// `${VAR}`, so that it stands in no file.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub secret: Option<Secret>,
    /// Several issuers in the place of one: the token's `iss` says whose keys have to have signed it.
    #[serde(default)]
    pub issuers: Vec<TrustedIssuer>,
    /// Seconds for which fetched keys serve on after they should have been fetched again, while the issuer is down.
    #[serde(default = "a_day")]
    pub jwks_max_stale_seconds: u64,
    /// Whether a request needs a token.
    #[serde(default)]
    pub mode: Mode,
    /// Claims that must be there: names, or name → value or list of allowed values.
    #[serde(default)]
    pub required_claims: RequiredClaims,
    /// The `iss` that tokens must carry.
    #[serde(default)]
    pub issuer: Option<String>,
    /// The audiences, one of which must be in `aud`.
    #[serde(default)]
    pub audience: OneOrMany,
    /// The `typ` that tokens must have in their header, such as `at+jwt`.
    #[serde(default)]
    pub typ: Option<String>,
    /// The scopes all of which must be in `scope` or `scp`; otherwise the answer is 403.
    #[serde(default)]
    pub scopes: OneOrMany,
    /// Seconds that a token serves from its `iat` on, however late it expires.
    #[serde(default)]
    pub max_age_seconds: Option<u64>,
    /// Allowed algorithms. When absent: those that the `secret` is long enough for, or else all asymmetric ones.
    #[serde(default)]
    pub algorithms: Vec<String>,
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
}

/// One of several issuers. What it does not say, the policy says for it.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TrustedIssuer {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// Where its keys are, as above.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Its keys, as above.
    #[serde(default)]
    pub jwks: Option<String>,
    /// A secret shared with it, as above.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub secret: Option<Secret>,
    /// The audiences, one of which must be in `aud`; the policy's when absent.
    #[serde(default)]
    pub audience: OneOrMany,
    /// Allowed algorithms; the policy's when absent.
    #[serde(default)]
    pub algorithms: Vec<String>,
}

/// Whether a request needs a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It does.
    #[default]
    Required,
    /// One without is nobody's, and goes on; one with a bad token is refused all the same.
    Optional,
}

pub(super) fn a_day() -> u64 {
    86_400
}
