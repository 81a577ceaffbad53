//! Which authorities may vouch for upstreams, and who this gateway is to them: TLS settings, made once for each set of
//! authorities, certificate of its own and offer of protocols.
//!
//! The name that a certificate must carry is given with each connection, in `connect`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tollgate_core::upstream::{ClientIdentity, Tls};

use crate::cause;

/// More than any configuration names; those of former configurations give way.
const MAX_CONFIGS: usize = 64;

/// Which HTTP an endpoint may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    Http1,
    Http2,
    Both,
}

/// What settings are made of. Without authorities the system's are trusted.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    authorities: Option<Arc<str>>,
    identity: Option<Arc<ClientIdentity>>,
    offer: Offer,
}

/// TLS settings, oldest first.
#[derive(Default)]
pub(super) struct Trust(Mutex<Vec<(Key, Arc<ClientConfig>)>>);

impl Trust {
    /// The settings by which an endpoint is trusted.
    pub(super) async fn config(&self, tls: &Tls, offer: Offer) -> Result<Arc<ClientConfig>, String> {
        let key = Key { authorities: tls.authorities.clone(), identity: tls.identity.clone(), offer };
        let known = self.lock().iter().find(|(own, _)| *own == key).map(|(_, config)| Arc::clone(config));
        if let Some(config) = known {
            return Ok(config);
        }
        let from = key.clone();
        // The system's authorities are in files, and parsing them takes milliseconds.
        let made = tokio::task::spawn_blocking(move || make(&from)).await;
        let config = Arc::new(made.map_err(|error| cause::text(&error))??);
        let mut configs = self.lock();
        // Whoever else made the same meanwhile keeps theirs; both are good.
        if configs.len() >= MAX_CONFIGS {
            configs.remove(0);
        }
        configs.push((key, Arc::clone(&config)));
        Ok(config)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Key, Arc<ClientConfig>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make(key: &Key) -> Result<ClientConfig, String> {
    let roots = match &key.authorities {
        Some(pem) => configured(pem)?,
        None => system()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| cause::text(&error))?;
    let builder = builder.with_root_certificates(roots);
    let mut config = match &key.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = presented(identity)?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|error| format!("the client certificate: {}", cause::text(&error)))?
        }
    };
    let offered: &[&[u8]] = match key.offer {
        Offer::Http1 => &[b"http/1.1"],
        Offer::Http2 => &[b"h2"],
        Offer::Both => &[b"h2", b"http/1.1"],
    };
    config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// The certificates and the key that a file each holds. What is wrong with a key is told without a byte of it.
fn presented(
    identity: &ClientIdentity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| format!("the client certificate: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
    Ok((chain, key.map_err(|_| "the client certificate's key: it can't be read".to_owned())?))
}

fn configured(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("configured authorities: {error}"))?;
        roots.add(certificate).map_err(|error| format!("configured authorities: {}", cause::text(&error)))?;
    }
    if roots.is_empty() {
        return Err("configured authorities: no certificate".to_owned());
    }
    Ok(roots)
}

fn system() -> Result<RootCertStore, String> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems carry certificates that can't be read; those that can suffice.
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        let reasons: Vec<_> = loaded.errors.iter().map(|error| cause::text(error)).collect();
        return Err(format!("the system's authorities: none can be loaded: {}", reasons.join("; ")));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusting(authorities: String) -> Tls {
        Tls { authorities: Some(authorities.into()), server_name: None, identity: None }
    }

    fn authority() -> Tls {
        trusting(include_str!("testdata/authority.pem").to_owned())
    }

    #[tokio::test]
    async fn settings_are_made_once_for_each_set_of_authorities_and_offer() {
        let trust = Trust::default();
        let (one, two) = (authority(), authority());
        let (one, two) =
            (trust.config(&one, Offer::Both).await.unwrap(), trust.config(&two, Offer::Both).await.unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        let other = trust.config(&authority(), Offer::Http2).await.unwrap();
        assert_eq!(other.alpn_protocols, [b"h2"]);
    }

    #[tokio::test]
    async fn settings_are_bounded() {
        let trust = Trust::default();
        for comment in 0..=MAX_CONFIGS {
            let pem = format!("{comment}\n{}", include_str!("testdata/authority.pem"));
            trust.config(&trusting(pem), Offer::Http1).await.unwrap();
        }
        assert_eq!(trust.lock().len(), MAX_CONFIGS);
    }

    #[tokio::test]
    async fn a_key_that_is_none_is_told_without_a_byte_of_it() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n".to_owned();
        let chain = include_str!("testdata/upstream.pem").to_owned();
        let identity = ClientIdentity { chain, key: key.into() };
        assert!(!format!("{identity:?}").contains("c2VjcmV0"));
        let tls = Tls { identity: Some(identity.into()), ..authority() };
        let error = Trust::default().config(&tls, Offer::Both).await.unwrap_err();
        assert!(error.contains("client certificate") && !error.contains("c2VjcmV0"), "{error}");
    }

    #[test]
    fn authorities_that_are_none_are_refused() {
        assert!(configured("").is_err());
        assert!(configured("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }
}
