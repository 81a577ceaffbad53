//! `Hmac` as written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::tokens::sixty;
use crate::verify::Secret;

/// `Hmac`: who makes the request, by a signature over the request itself (HTTP message signatures, RFC 9421) with a
/// shared secret, algorithm `hmac-sha256`. Nobody on the way can read the secret or change what is signed. Whoever
/// has seen a request can send it again, as it is, until it is older than `max_age_seconds`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hmac {
    /// The keys that were agreed on.
    pub keys: Vec<SharedKey>,
    /// What every signature must cover: `@method`, `@authority`, `@scheme`, `@path`, `@query`, `@target-uri`, or names
    /// of header fields. `@target-uri` covers scheme, authority, path and query at once. `content-digest` (RFC 9530),
    /// which proves the body, is needed by every request that has one, and by all if it stands here.
    #[serde(default = "components")]
    pub required_components: Vec<String>,
    /// Let requests pass whose body is not signed.
    #[serde(default)]
    pub allow_unsigned_body: bool,
    /// Seconds a signature is good, counted from its `created`.
    #[serde(default = "five_minutes")]
    pub max_age_seconds: u64,
    /// Seconds by which clocks may differ.
    #[serde(default = "sixty")]
    pub leeway_seconds: u64,
    /// The signature's label, where requests may carry others too.
    #[serde(default)]
    pub label: Option<String>,
    /// The `tag` that signatures must carry: what they are made for.
    #[serde(default)]
    pub tag: Option<String>,
    /// Metadata passed to the service: name → header. Clients can't send these headers.
    #[serde(default)]
    pub forward_metadata: BTreeMap<String, String>,
}

/// All that decides what a request does and to whom it goes. The scheme is left out: who ends TLS in front of the
/// gateway would break it.
fn components() -> Vec<String> {
    ["@method", "@authority", "@path", "@query"].map(str::to_owned).to_vec()
}

fn five_minutes() -> u64 {
    300
}

/// A secret that was agreed on.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SharedKey {
    /// The `keyid` of signatures.
    pub id: String,
    /// At least 32 bytes: the text as it is, or after `base64:` what it decodes to. Write `${NAME}`, so that it does
    /// not stand in the file.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub secret: Secret,
    /// Who holds it. Several keys may have the same subject.
    pub subject: String,
    /// The roles of the subject.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What else is known of it: policies see it like the claims of a token.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// When the key ends, as `2030-01-01T00:00:00Z`.
    #[serde(default)]
    pub expires: Option<String>,
}
