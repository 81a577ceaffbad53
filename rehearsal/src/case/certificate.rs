//! A client's certificate as written in a case: what a platform would tell of it. No certificate is made.

use serde::Deserialize;
use tollgate_core::certificate::ClientCertificate;

use super::Instant;

/// A certificate that a client presents.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Certificate {
    /// Its digest, in hexadecimal.
    pub fingerprint: String,
    /// The subject's distinguished name.
    pub subject: String,
    /// The issuer's.
    pub issuer: String,
    /// The serial number.
    pub serial: String,
    /// Whether the platform could verify it.
    pub verified: bool,
    /// Whether it was revoked.
    pub revoked: bool,
    /// From when on it is valid.
    pub not_before: Instant,
    /// Until when.
    pub not_after: Instant,
}

impl Default for Certificate {
    fn default() -> Self {
        Self {
            fingerprint: "00".repeat(32),
            subject: "CN=client".to_owned(),
            issuer: "CN=Test CA".to_owned(),
            serial: "01".to_owned(),
            verified: true,
            revoked: false,
            not_before: Instant(0),
            not_after: Instant(4_102_444_800_000), // 2100-01-01T00:00:00Z
        }
    }
}

impl Certificate {
    /// What a host tells core of it.
    pub fn facts(&self) -> ClientCertificate {
        ClientCertificate {
            fingerprint: ClientCertificate::read_fingerprint(&self.fingerprint),
            subject: self.subject.clone(),
            issuer: self.issuer.clone(),
            serial: self.serial.clone(),
            not_before: Some(self.not_before.0),
            not_after: Some(self.not_after.0),
            is_verified: self.verified,
            is_revoked: self.revoked,
        }
    }
}
