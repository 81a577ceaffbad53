//! `ApiKey` as written.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `ApiKey`: who makes the request, by a key that was handed out. `tollgate key` makes keys and their digests.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiKey {
    /// The keys that were handed out.
    pub keys: Vec<HandedOut>,
    /// The header that holds the key.
    #[serde(default)]
    pub header: Option<String>,
    /// The query parameter that holds the key, instead of a header; it is removed before the request is sent on.
    #[serde(default)]
    pub query: Option<String>,
    /// Metadata passed to the service: name → header. Clients can't send these headers.
    #[serde(default)]
    pub forward_metadata: BTreeMap<String, String>,
}

/// A key that was handed out, as its digest.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HandedOut {
    /// `sha256:` and the digest of the key in hexadecimal. The key itself stands nowhere.
    pub hash: String,
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
