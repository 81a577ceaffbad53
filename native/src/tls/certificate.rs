//! One certificate and its key: read from files, checked against each other, and what it says of itself. Which client
//! gets it is not decided here.

use std::{fs, sync::Arc};

use rustls::{Error, InconsistentKeys, crypto::aws_lc_rs::sign::any_supported_type, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tollgate_core::{host::Timestamp, listener_tls::CertificateFiles};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};
use zeroize::Zeroizing;

use crate::cause;

/// Larger files hold no certificate.
const MAX_BYTES: u64 = 4 << 20;

/// A certificate that can be shown to clients.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// The names in it, in lower case; `*.example.com` is one.
    pub(super) names: Vec<String>,
    /// From when on it is valid, and until when.
    pub(super) valid: (Timestamp, Timestamp),
}

impl Certificate {
    /// Reads one. What is wrong is said so that it can be mended.
    pub(super) fn read(files: &CertificateFiles) -> Result<Self, String> {
        let CertificateFiles { cert_file, key_file, place } = files;
        let fail = |file: &str, why: String| format!("{place}: `{file}` {why}");
        let pem = bytes(cert_file).map_err(|why| fail(cert_file, why))?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| fail(cert_file, format!("is no certificate in PEM form: {error}")))?;
        if chain.is_empty() {
            return Err(fail(cert_file, "holds no certificate in PEM form".to_owned()));
        }
        let pem = bytes(key_file).map_err(|why| fail(key_file, why))?;
        let key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|error| fail(key_file, format!("holds no private key in PEM form: {error}")))?;
        let key = any_supported_type(&key).map_err(|_| {
            fail(key_file, "holds a key of a kind that is not served: take ECDSA, Ed25519 or RSA".to_owned())
        })?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            // Not every kind of key can tell; a handshake will.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                let why = format!(
                    "is not the key of the first certificate in `{cert_file}`: name the two that belong together, \
                     the server's own certificate before those that vouch for it"
                );
                return Err(fail(key_file, why));
            }
            Err(error) => return Err(fail(cert_file, format!("can't be read: {}", cause::text(&error)))),
        }
        Self::of(Arc::new(certified)).map_err(|why| fail(cert_file, why))
    }

    /// What a certificate says of itself.
    pub(super) fn of(key: Arc<CertifiedKey>) -> Result<Self, String> {
        let own = key.cert.first().ok_or("holds no certificate")?;
        let (_, parsed) = parse_x509_certificate(own).map_err(|error| format!("can't be read: {error}"))?;
        let mut names = Vec::new();
        // The common name names no server (RFC 9525 §2).
        if let Ok(Some(alternative)) = parsed.subject_alternative_name() {
            for name in &alternative.value.general_names {
                if let GeneralName::DNSName(name) = name {
                    names.push(name.to_ascii_lowercase());
                }
            }
        }
        let valid = validity(parsed.validity());
        Ok(Self { key, names, valid })
    }
}

/// Milliseconds since 1970; what began before has begun.
pub(super) fn validity(validity: &x509_parser::certificate::Validity) -> (Timestamp, Timestamp) {
    let ms = |seconds: i64| u64::try_from(seconds).unwrap_or_default().saturating_mul(1000);
    (ms(validity.not_before.timestamp()), ms(validity.not_after.timestamp()))
}

/// The content of a file, which may be a key: it is wiped when it is no longer needed.
pub(super) fn bytes(file: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let why = |error: std::io::Error| format!("can't be read: {error}");
    let length = fs::metadata(file).map_err(why)?.len();
    if length > MAX_BYTES {
        return Err(format!("has {length} bytes, more than {MAX_BYTES}"));
    }
    fs::read(file).map(Zeroizing::new).map_err(why)
}
