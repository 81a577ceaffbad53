//! Which authorities may vouch for upstreams: TLS settings, made once for each set of authorities.
//!
//! The name that a certificate must carry is given with each connection, in `connect`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::cause;

/// More than any configuration names; those of former configurations give way.
const MAX_CONFIGS: usize = 64;

type Authorities = Option<Arc<str>>;

/// TLS settings by the authorities that they trust, oldest first. `None` are the system's.
#[derive(Default)]
pub(super) struct Trust(Mutex<Vec<(Authorities, Arc<ClientConfig>)>>);

impl Trust {
    /// The settings that trust `authorities` (PEM) alone, or those of the system.
    pub(super) async fn config(&self, authorities: Option<&Arc<str>>) -> Result<Arc<ClientConfig>, String> {
        let known =
            self.lock().iter().find(|(key, _)| key.as_ref() == authorities).map(|(_, c)| Arc::clone(c));
        if let Some(config) = known {
            return Ok(config);
        }
        let key = authorities.cloned();
        let pem = key.clone();
        // The system's authorities are in files, and parsing them takes milliseconds.
        let made = tokio::task::spawn_blocking(move || make(pem.as_deref())).await;
        let config = Arc::new(made.map_err(|error| cause::text(&error))??);
        let mut configs = self.lock();
        // Whoever else made the same meanwhile keeps theirs; both are good.
        if configs.len() >= MAX_CONFIGS {
            configs.remove(0);
        }
        configs.push((key, Arc::clone(&config)));
        Ok(config)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Authorities, Arc<ClientConfig>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make(pem: Option<&str>) -> Result<ClientConfig, String> {
    let roots = match pem {
        Some(pem) => configured(pem)?,
        None => system()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| cause::text(&error))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
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

    #[tokio::test]
    async fn settings_are_made_once_for_each_set_of_authorities() {
        let trust = Trust::default();
        let pem: Arc<str> = include_str!("testdata/authority.pem").into();
        let again: Arc<str> = pem.to_string().into();
        let (one, two) = (trust.config(Some(&pem)).await.unwrap(), trust.config(Some(&again)).await.unwrap());
        assert!(Arc::ptr_eq(&one, &two));
    }

    #[tokio::test]
    async fn settings_are_bounded() {
        let trust = Trust::default();
        for comment in 0..=MAX_CONFIGS {
            let pem = format!("{comment}\n{}", include_str!("testdata/authority.pem"));
            trust.config(Some(&pem.into())).await.unwrap();
        }
        assert_eq!(trust.lock().len(), MAX_CONFIGS);
    }

    #[test]
    fn authorities_that_are_none_are_refused() {
        assert!(configured("").is_err());
        assert!(configured("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }
}
