//! `identity_token` as written: how services are told by a signed token who makes a request.

use std::fmt;

use serde::Deserialize;

use super::OneOrMany;

/// Tokens by which services can tell that a request came through this gateway, and who makes it. Each service that
/// says `identity_token: true` gets one with every request that has a user: a JSON Web Token with `iss`, `aud` (the
/// service's name), `sub`, `roles`, `idp` (the issuer of the user's own token), `iat` and `exp`. Requests without a
/// user carry none.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IdentityToken {
    /// The `iss` of the tokens.
    pub issuer: String,
    /// The private key, a JSON Web Key (Ed25519 or P-256) as text, best as `${NAME}`, or natively `file:` and a name
    /// relative to the configuration. Of a list the first one signs, and the public halves of all are published.
    /// `tollgate key pair` makes one.
    pub key: OneOrMany,
    /// Seconds a token is good for, 600 at most. It is used again until half of them have passed.
    #[serde(default = "ttl_seconds")]
    pub ttl_seconds: u64,
    /// The header that carries the token; `Authorization` carries it after `Bearer `. Clients can't send it.
    #[serde(default = "header")]
    pub header: String,
    /// Claims of the user, or metadata of a key, that are copied where they are there.
    #[serde(default)]
    pub claims: Vec<String>,
    /// The path at which everybody may fetch the public keys, such as `/.well-known/tollgate/jwks.json`. Nowhere
    /// unless written.
    #[serde(default)]
    pub publish_at: Option<String>,
}

fn ttl_seconds() -> u64 {
    60
}

fn header() -> String {
    "X-Tollgate-Identity".to_owned()
}

/// Without the key.
impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issuer, key: _, ttl_seconds, header, claims, publish_at } = self;
        f.debug_struct("IdentityToken")
            .field("issuer", issuer)
            .field("key", &"***")
            .field("ttl_seconds", ttl_seconds)
            .field("header", header)
            .field("claims", claims)
            .field("publish_at", publish_at)
            .finish()
    }
}
