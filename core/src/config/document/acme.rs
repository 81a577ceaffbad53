//! Where certificates are ordered (ACME, RFC 8555), as written. Which names need some say the listeners.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::OneOrMany;

/// The authority that issues certificates, and what it is told.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Acme {
    /// Its directory. Let's Encrypt when absent.
    #[serde(default)]
    pub directory_url: Option<String>,
    /// Where the authority may write to, such as `mailto:ops@example.com`.
    #[serde(default)]
    pub contact: OneOrMany,
    /// Whether you agree to the authority's terms. Nothing is ordered otherwise.
    #[serde(default)]
    pub terms_agreed: bool,
    /// How it is shown that a name is yours.
    #[serde(default)]
    pub challenge: AcmeChallenge,
    /// Where the account, certificates and keys are kept: a folder that outlives the gateway and is read by nobody else.
    /// Several gateways may share it, and then one of them orders. Either this or `in_store`.
    #[serde(default)]
    pub folder: Option<String>,
    /// Keep them in the `store` instead, which must be `Redis` and write to a disk: all gateways that share it share
    /// them.
    #[serde(default)]
    pub in_store: bool,
    /// PEM of authorities to trust when the directory is spoken to. The system's when absent.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// The account elsewhere to which the account here is bound, for authorities that ask for it.
    #[serde(default)]
    pub external_account: Option<ExternalAccount>,
}

/// How it is shown that a name is yours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AcmeChallenge {
    /// In the TLS handshake on port 443 (RFC 8737).
    #[default]
    TlsAlpn01,
    /// By an answer on port 80 without TLS (RFC 8555 §8.3).
    Http01,
}

/// An account that the authority knows already.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExternalAccount {
    /// Its name.
    pub key_id: String,
    /// Its key, base64url. Write `${VAR}`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub hmac_key: Secret,
}

/// A text that is shown to nobody.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
