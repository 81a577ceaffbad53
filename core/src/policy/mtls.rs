//! `Mtls`: who makes a request, by the client certificate of its TLS connection.
//!
//! The platform that ended TLS has seen the client prove that it holds the certificate's key, and says whether a
//! certificate authority vouches for it. What is judged here is whether that certificate is somebody's, and whose.
//! Nothing is parsed of a certificate that was seen a moment ago.

pub mod name;

use std::{collections::HashMap, sync::Arc};

use http::HeaderName;
use serde_json::{Map, Value};
use thiserror::Error;

use self::name::DistinguishedName;
use crate::{certificate::ClientCertificate, host::Timestamp, identity::Identity, recent::Recent};

/// Certificates remembered at most.
const REMEMBERED: usize = 16_384;
/// The scheme of challenges. None is registered; it tells people what was missing (RFC 9110 §15.5.2 asks for one).
pub(crate) const SCHEME: &str = "ClientCertificate";

/// Proves identities by certificates.
#[derive(Debug)]
pub struct Mtls {
    pub(crate) by_fingerprint: HashMap<[u8; 32], Known>,
    /// Looked through once a certificate, those of a certain issuer first.
    pub(crate) named: Vec<Named>,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) forward: Vec<(String, HeaderName)>,
    /// Whose a certificate is, by its fingerprint.
    pub(crate) recent: Recent<[u8; 32], Known>,
}

/// Somebody who holds a certificate.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) identity: Arc<Identity>,
    /// From then on they are not known any more, however long the certificate is valid.
    pub(crate) expires_at: Option<Timestamp>,
    /// Whether an issuer vouches for them, and no entry of their own.
    pub(crate) by_issuer: bool,
}

/// Somebody who is known by the name in their certificate.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) subject: DistinguishedName,
    /// Whoever has to have issued the certificate; none for anybody who is trusted by the platform.
    pub(crate) issuer: Option<DistinguishedName>,
    pub(crate) known: Known,
}

/// An issuer all of whose certificates are somebody's.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) name: DistinguishedName,
    pub(crate) identity_from: IdentityFrom,
    pub(crate) roles: Vec<String>,
    pub(crate) metadata: Map<String, Value>,
}

/// What of a certificate says who holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdentityFrom {
    CommonName,
    Subject,
    Fingerprint,
}

impl IdentityFrom {
    /// As written in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CommonName => "common_name",
            Self::Subject => "subject",
            Self::Fingerprint => "fingerprint",
        }
    }
}

/// Why a certificate proves nothing. Clients are not told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum CertificateFault {
    #[error("the platform has not verified the certificate")]
    Unverified,
    #[error("the certificate was revoked")]
    Revoked,
    #[error("what the platform tells of the certificate can't be read")]
    Unreadable,
    #[error("the certificate is not valid yet")]
    NotYetValid,
    #[error("the certificate has expired")]
    Expired,
    #[error("the certificate is nobody's who is known here")]
    Unknown,
    #[error("whoever holds the certificate is not known any more")]
    Ended,
    #[error("the certificate does not name its holder as the issuer's certificates are to")]
    Nameless,
}

impl Mtls {
    pub(crate) fn new(
        by_fingerprint: HashMap<[u8; 32], Known>,
        named: Vec<Named>,
        issuers: Vec<Issuer>,
        forward: Vec<(String, HeaderName)>,
    ) -> Self {
        Self { by_fingerprint, named, issuers, forward, recent: Recent::new(REMEMBERED) }
    }

    /// Whose certificate it is, and until when that holds.
    pub(crate) fn admit(
        &self,
        certificate: &ClientCertificate,
        now: Timestamp,
    ) -> Result<(Known, Timestamp), CertificateFault> {
        if !certificate.is_verified {
            return Err(CertificateFault::Unverified);
        }
        if certificate.is_revoked {
            return Err(CertificateFault::Revoked);
        }
        let ClientCertificate {
            fingerprint: Some(fingerprint),
            not_before: Some(begin),
            not_after: Some(end),
            ..
        } = certificate
        else {
            return Err(CertificateFault::Unreadable);
        };
        if now < *begin {
            return Err(CertificateFault::NotYetValid);
        }
        // RFC 5280 §4.1.2.5: the last moment is within.
        if now > *end {
            return Err(CertificateFault::Expired);
        }
        let known = match self.recent.get(fingerprint) {
            Some(known) => known,
            None => {
                let known = self.find(fingerprint, certificate)?;
                self.recent.insert(*fingerprint, known.clone());
                known
            }
        };
        match known.expires_at {
            Some(own) if now >= own => Err(CertificateFault::Ended),
            Some(own) => Ok((known, own.min(*end))),
            None => Ok((known, *end)),
        }
    }

    /// What says most about a certificate decides: its fingerprint, then subject and issuer, then the subject, then
    /// the issuer.
    fn find(
        &self,
        fingerprint: &[u8; 32],
        certificate: &ClientCertificate,
    ) -> Result<Known, CertificateFault> {
        if let Some(known) = self.by_fingerprint.get(fingerprint) {
            return Ok(known.clone());
        }
        if self.named.is_empty() && self.issuers.is_empty() {
            return Err(CertificateFault::Unknown);
        }
        let read = |text: &str| DistinguishedName::parse(text).map_err(|_| CertificateFault::Unreadable);
        let (subject, issuer) = (read(&certificate.subject)?, read(&certificate.issuer)?);
        let fits = |named: &&Named| {
            named.subject == subject && named.issuer.as_ref().is_none_or(|wanted| *wanted == issuer)
        };
        if let Some(named) = self.named.iter().find(fits) {
            return Ok(named.known.clone());
        }
        let own = self.issuers.iter().find(|own| own.name == issuer).ok_or(CertificateFault::Unknown)?;
        let fingerprint = shown(fingerprint);
        let whole = subject.to_string();
        let name = match own.identity_from {
            IdentityFrom::CommonName => subject.common_name().unwrap_or_default(),
            IdentityFrom::Subject => &whole,
            IdentityFrom::Fingerprint => &fingerprint,
        };
        let mut claims = own.metadata.clone();
        // What the configuration says of the issuer's clients stands above what their certificates say.
        for (key, value) in [
            ("certificate_fingerprint", &fingerprint),
            ("certificate_subject", &whole),
            ("certificate_serial", &certificate.serial),
        ] {
            claims.entry(key).or_insert_with(|| value.as_str().into());
        }
        let identity = Identity::of_certificate(name, &issuer.to_string(), &own.roles, claims, &self.forward)
            .ok_or(CertificateFault::Nameless)?;
        Ok(Known { identity: identity.into(), expires_at: None, by_issuer: true })
    }
}

/// A fingerprint as it is written.
pub(crate) fn shown(fingerprint: &[u8; 32]) -> String {
    let digits: String = fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

#[cfg(test)]
mod tests;
