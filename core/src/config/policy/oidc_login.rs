//! `OidcLogin` as written.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use super::{
    ClientAuth,
    jwt_validation::{JwtValidation, Mode, a_day},
    tokens::{RequiredClaims, TokenFrom, role, sixty},
};
use crate::{config::document::OneOrMany, verify::Secret};

/// `OidcLogin`: people at browsers, who log in at an OpenID Connect provider and hold a session from then on.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OidcLogin {
    /// The provider's name for itself, an `https:` URL. Its endpoints are found through
    /// `<issuer>/.well-known/openid-configuration`, unless they are written.
    pub issuer: String,
    /// What the gateway is called at the provider.
    pub client_id: String,
    /// What proves that to the provider. Write `${VAR}`, so that it stands in no file. Without it the client is a
    /// public one.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub client_secret: Option<Secret>,
    /// How that is shown to it: `basic`, in `Authorization` (RFC 6749 §2.3.1), or `post`, in the content of the
    /// question.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Scheme, host and port by which browsers know the gateway. When absent: `https://` and `public_domain`.
    #[serde(default)]
    pub external_url: Option<String>,
    /// Secrets that seal cookies, of 32 bytes at least: the first seals, all open. Write `${VAR}`, so that they stand
    /// in no file.
    #[cfg_attr(feature = "schema", schemars(with = "OneOrMany"))]
    pub cookie_secret: Secrets,
    /// The cookie that holds the session.
    #[serde(default = "cookie_name")]
    pub cookie_name: String,
    /// Seconds that a session lasts.
    #[serde(default = "eight_hours")]
    pub session_seconds: u64,
    /// The path to which the provider sends browsers back. No route is asked for it.
    #[serde(default = "callback_path")]
    pub callback_path: String,
    /// The path that ends the session, by GET or POST. No route is asked for it.
    #[serde(default = "logout_path")]
    pub logout_path: String,
    /// Where browsers go when they are logged out: a path, or a URL. The provider has to know it.
    #[serde(default)]
    pub after_logout: Option<String>,
    /// What is asked for; `openid` among it. When absent: `openid`, `profile` and `email`.
    #[serde(default)]
    pub scopes: OneOrMany,
    /// More that is said to the provider when a login begins, such as `prompt: login`.
    #[serde(default)]
    pub authorization_parameters: BTreeMap<String, String>,
    /// Audiences that may stand in `aud` beside the client.
    #[serde(default)]
    pub audience: OneOrMany,
    /// Claims that a person must have: names, or name → value or list of allowed values. Whoever lacks one gets 403.
    #[serde(default)]
    pub required_claims: RequiredClaims,
    /// Claims passed to the service: claim → header. Clients can't send these headers.
    #[serde(default)]
    pub forward_claims: BTreeMap<String, String>,
    /// The claim that holds the roles: a text or a list.
    #[serde(default = "role")]
    pub role_claim: String,
    /// Where browsers are sent to log in, if that is not to be found out.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// Where codes are exchanged, if that is not to be found out.
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// Where the provider's keys are, if that is not to be found out: `https:`, `http:`, or `file:` relative to the
    /// configuration.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Where browsers are sent to log out, if that is not to be found out.
    #[serde(default)]
    pub end_session_endpoint: Option<String>,
}

impl OidcLogin {
    /// The same demands, as they are written of tokens.
    pub(crate) fn id_token(&self) -> JwtValidation {
        JwtValidation {
            issuer: Some(self.issuer.clone()),
            jwks_uri: self.jwks_uri.clone(),
            audience: OneOrMany::One(self.client_id.clone()),
            required_claims: self.required_claims.clone(),
            forward_claims: self.forward_claims.clone(),
            role_claim: self.role_claim.clone(),
            jwks_max_stale_seconds: a_day(),
            leeway_seconds: sixty(),
            jwks: None,
            secret: None,
            issuers: Vec::new(),
            mode: Mode::Required,
            typ: None,
            scopes: OneOrMany::None,
            max_age_seconds: None,
            algorithms: Vec::new(),
            token_from: TokenFrom::default(),
        }
    }
}

/// One secret, or a list of them.
#[derive(Debug, Clone, Default)]
pub struct Secrets(pub Vec<Secret>);

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Secrets;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secrets, E> {
                Ok(Secrets(vec![Secret::new(text.as_bytes().to_vec())]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<Secrets, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(access)).map(Secrets)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

fn cookie_name() -> String {
    "__Host-tollgate".to_owned()
}

fn eight_hours() -> u64 {
    8 * 60 * 60
}

fn callback_path() -> String {
    "/.tollgate/callback".to_owned()
}

fn logout_path() -> String {
    "/.tollgate/logout".to_owned()
}
