//! `Mtls` as written.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `Mtls`: who makes the request, by the client certificate of its TLS connection. Natively a listener asks
/// for certificates and verifies them (`tls.client_auth`), at the edge Cloudflare does. A certificate has to be verified,
/// valid and not revoked, whoever it is of. What is written under `certificates` comes before `issuers`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mtls {
    /// Certificates whose holders are known one by one.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    /// Issuers all of whose certificates are admitted.
    #[serde(default)]
    pub issuers: Vec<CertificateIssuer>,
    /// Metadata passed to the service: name → header. Clients can't send these headers. Of whom an issuer vouches for,
    /// there are also `certificate_fingerprint`, `certificate_subject` and `certificate_serial`.
    #[serde(default)]
    pub forward_metadata: BTreeMap<String, String>,
}

/// A certificate and who holds it: one `fingerprint`, or whichever certificates have this `subject`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Certificate {
    /// `sha256:` and the digest of the certificate in hexadecimal, with colons or without. A renewed certificate has
    /// another.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// The subject's distinguished name, as RFC 4514 writes it, such as `CN=billing,O=Example`. The order of attributes
    /// matters, and so does the case of values.
    #[serde(default)]
    pub subject: Option<String>,
    /// The issuer's distinguished name, beside `subject`. When absent, whoever the platform trusts may be the issuer.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Who holds it. Several certificates may be of the same identity.
    pub identity: String,
    /// The roles of the identity.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What else is known of it: policies see it like the claims of a token.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// When the entry ends, as `2030-01-01T00:00:00Z`, unless the certificate ends before.
    #[serde(default)]
    pub expires: Option<String>,
}

/// An issuer of certificates, and what is known of all who hold one of them.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CertificateIssuer {
    /// Its distinguished name, as RFC 4514 writes it, such as `CN=Agents CA,O=Example`.
    pub issuer: String,
    /// What of a certificate says who holds it.
    #[serde(default)]
    pub identity_from: IdentityFrom,
    /// The roles of all of them.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What else is known of them: policies see it like the claims of a token.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// What of a certificate says who holds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IdentityFrom {
    /// The common name in its subject, of which there has to be one.
    #[default]
    CommonName,
    /// Its whole subject.
    Subject,
    /// Its fingerprint.
    Fingerprint,
}
