//! `BasicAuth` as written.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `BasicAuth`: who makes the request, by a name and a password (RFC 7617). `tollgate key password` makes the hashes.
/// On the native host only: one check takes more computing than a request has on Workers. A user's first request waits
/// for that check; a good password is remembered for five minutes. When too many checks are waiting, further ones are
/// answered 503.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BasicAuth {
    /// The users.
    pub users: Vec<User>,
    /// What browsers show when they ask for the password.
    #[serde(default = "tollgate")]
    pub realm: String,
    /// Metadata passed to the service: name → header. Clients can't send these headers.
    #[serde(default)]
    pub forward_metadata: BTreeMap<String, String>,
}

fn tollgate() -> String {
    "Tollgate".to_owned()
}

/// A user and the hash of the password.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct User {
    /// The name, which is the subject too. Without a colon, as that ends it (RFC 7617 §2).
    pub name: String,
    /// The password's hash, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`: `m` × `t` from 35840 to 524288, `m` from 7168 to
    /// 131072. The password itself stands nowhere.
    pub hash: String,
    /// The roles of the user.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What else is known of the user: policies see it like the claims of a token.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// When the password ends, as `2030-01-01T00:00:00Z`.
    #[serde(default)]
    pub expires: Option<String>,
}
