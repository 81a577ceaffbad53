//! A certificate with its chain and key, as it is kept and as TLS uses it; and the one that answers a challenge in the
//! handshake (RFC 8737). Nothing is ordered here.

use std::{fmt, sync::Arc};

use ::aws_lc_rs::digest::{SHA256, digest as sha};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use super::renewal::{self, Validity};
use crate::cause;

/// A certificate that can be put into service.
#[derive(Clone)]
pub(super) struct Certificate {
    /// Of all that is kept, key included: whether two are the same.
    pub(super) digest: String,
    pub(super) validity: Validity,
    /// Scatters what would otherwise happen to many at the same time.
    pub(super) place: u64,
    pub(super) key: Arc<CertifiedKey>,
}

impl Certificate {
    /// What is kept for `name`. `Err` says what is wrong with it.
    pub(super) fn read(pem: &[u8], name: &str) -> Result<Self, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("it can't be read: {error}"))?;
        let key =
            PrivateKeyDer::from_pem_slice(pem).map_err(|error| format!("its key can't be read: {error}"))?;
        let first = chain.first().ok_or("there is no certificate in it")?;
        let place = renewal::place(first);
        let validity = validity(first, name)?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(|error| format!("certificate and key can't be used: {}", cause::text(&error)))?;
        Ok(Self { digest: digest(pem), validity, place, key: Arc::new(key) })
    }

    /// The certificate itself.
    pub(super) fn first(&self) -> Option<&CertificateDer<'static>> {
        self.key.cert.first()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("validity", &self.validity).finish_non_exhaustive()
    }
}

pub(super) fn digest(bytes: &[u8]) -> String {
    sha(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn validity(certificate: &CertificateDer<'_>, name: &str) -> Result<Validity, String> {
    let (_, parsed) =
        parse_x509_certificate(certificate).map_err(|error| format!("it is no certificate: {error}"))?;
    let names = parsed.subject_alternative_name().ok().flatten();
    let is_for =
        |of: &GeneralName<'_>| matches!(of, GeneralName::DNSName(of) if of.eq_ignore_ascii_case(name));
    if !names.is_some_and(|names| names.value.general_names.iter().any(is_for)) {
        return Err("it is not for this name".to_owned());
    }
    let time = |seconds: i64| u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000);
    let of = parsed.validity();
    Ok(Validity { from: time(of.not_before.timestamp()), until: time(of.not_after.timestamp()) })
}

/// What an authority is shown that asks for `name` in the handshake.
pub(super) fn shown(name: &str, key_authorization: &str) -> Result<Arc<CertifiedKey>, String> {
    let make = || -> Result<_, rcgen::Error> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        let digest = sha(&SHA256, key_authorization.as_bytes());
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
        let key = KeyPair::generate()?;
        Ok((params.self_signed(&key)?.der().clone(), key.serialize_der()))
    };
    let (certificate, key) = make().map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::try_from(key)?;
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key);
    // Whether they belong together is not looked at: that would refuse the extension, which it does not know.
    key.map(|key| Arc::new(CertifiedKey::new(vec![certificate], key))).map_err(|error| cause::text(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(names: &[&str]) -> String {
        let params =
            CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        let key = KeyPair::generate().unwrap();
        format!("{}{}", params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn what_is_kept_is_for_its_name_and_whole() {
        let good = pem(&["a.test"]);
        let read = Certificate::read(good.as_bytes(), "a.test").unwrap();
        assert!(read.validity.from < read.validity.until);
        let error = |pem: &str, name: &str| Certificate::read(pem.as_bytes(), name).unwrap_err();
        assert_eq!(error(&good, "b.test"), "it is not for this name");
        assert!(error(good.split_once("-----BEGIN PRIVATE").unwrap().0, "a.test").contains("its key"));
        assert!(error("", "a.test").contains("its key"));
        assert!(error(&good[100..], "a.test").contains("no certificate"));
        let (one, other) = (pem(&["a.test"]), pem(&["a.test"]));
        let (certificate, _) = one.split_once("-----BEGIN PRIVATE").unwrap();
        let (_, key) = other.split_once("-----BEGIN PRIVATE").unwrap();
        assert!(error(&format!("{certificate}-----BEGIN PRIVATE{key}"), "a.test").contains("can't be used"));
    }

    #[test]
    fn what_is_wrong_with_a_key_is_told_without_it() {
        let broken = pem(&["a.test"]).replace("PRIVATE KEY-----\nM", "PRIVATE KEY-----\nN");
        let error = Certificate::read(broken.as_bytes(), "a.test").unwrap_err();
        let key = broken.split_once("BEGIN PRIVATE KEY-----\n").unwrap().1;
        assert!(!error.contains(&key[..20]), "{error}");
    }

    #[test]
    fn a_challenge_is_answered_by_the_digest_of_what_is_asked_for() {
        let shown = shown("a.test", "token.thumbprint").unwrap();
        let (_, parsed) = parse_x509_certificate(&shown.cert[0]).unwrap();
        let extension =
            parsed.extensions().iter().find(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
        assert!(extension.critical);
        assert_eq!(extension.value[2..], *sha(&SHA256, b"token.thumbprint").as_ref());
    }
}
