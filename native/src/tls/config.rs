//! How TLS is spoken at a listener: versions, ciphers, protocols, tickets, and which clients are believed. Made anew as a
//! whole when authorities or revocation lists change.

use std::{sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier, danger::ClientCertVerifier},
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime, pem::PemObject};
use tollgate_core::{
    config::document::HttpProtocol,
    listener_tls::{ClientAuth, ListenerTls, TlsProfile},
};

use super::{
    certificate::bytes,
    certificates::{ACME_TLS, Certificates},
};
use crate::{cause, clock::Clock};

const MODERN: &[&SupportedProtocolVersion] = &[&TLS13];
const INTERMEDIATE: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// For clients.
pub(super) fn serving(
    tls: &ListenerTls,
    protocols: &[HttpProtocol],
    certificates: Arc<Certificates>,
    clock: &Clock,
) -> Result<ServerConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = match tls.profile {
        TlsProfile::Modern => MODERN,
        TlsProfile::Intermediate => INTERMEDIATE,
    };
    let verifier = match &tls.client_auth {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(auth) => verifier(auth, &provider)?,
    };
    let fail = |error: rustls::Error| format!("{}: {}", tls.place, cause::text(&error));
    let builder = ServerConfig::builder_with_details(provider, Arc::new(Time(clock.clone())))
        .with_protocol_versions(versions)
        .map_err(fail)?;
    let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(certificates);
    config.alpn_protocols = protocols.iter().map(|protocol| alpn(*protocol).to_vec()).collect();
    // Sessions are kept by clients, in tickets that all threads can open, so nothing here grows with them. Keys are of
    // this configuration: what an older one let in, or another listener, is asked for its certificate again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if tls.session_tickets {
        // Its keys are for six hours, and open tickets for six more.
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(fail)?;
    } else {
        config.send_tls13_tickets = 0;
    }
    // What comes with the first flight can be sent again by anybody who has seen it.
    config.max_early_data_size = 0;
    Ok(config)
}

/// For an authority that wants to see that a name is ours.
pub(super) fn challenged(certificates: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(INTERMEDIATE)
        .map_err(|error| cause::text(&error))?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(certificates);
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The name of a protocol in the handshake (RFC 7301, RFC 9113 §3.2).
pub(super) const fn alpn(protocol: HttpProtocol) -> &'static [u8] {
    match protocol {
        HttpProtocol::Http1 => b"http/1.1",
        HttpProtocol::Http2 => b"h2",
    }
}

fn verifier(
    auth: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let place = &auth.place;
    let mut roots = RootCertStore::empty();
    for file in &auth.ca_files {
        let fail = |why: String| format!("{place}: `{file}` {why}");
        let pem = bytes(file).map_err(fail)?;
        let mut found = false;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate =
                certificate.map_err(|error| fail(format!("is no certificate in PEM form: {error}")))?;
            roots
                .add(certificate)
                .map_err(|error| fail(format!("can't be trusted: {}", cause::text(&error))))?;
            found = true;
        }
        if !found {
            return Err(fail("holds no certificate in PEM form".to_owned()));
        }
    }
    let mut lists = Vec::new();
    for file in &auth.crl_files {
        let fail = |why: String| format!("{place}: `{file}` {why}");
        let pem = bytes(file).map_err(fail)?;
        let before = lists.len();
        for list in CertificateRevocationListDer::pem_slice_iter(&pem) {
            lists.push(list.map_err(|error| fail(format!("is no revocation list in PEM form: {error}")))?);
        }
        if lists.len() == before {
            return Err(fail("holds no revocation list in PEM form".to_owned()));
        }
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .with_crls(lists)
        // A list that is out of date may lack what was revoked since.
        .enforce_revocation_expiration();
    if !auth.required {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| format!("{place}: {}", cause::text(&error)))
}

/// Certificates are judged by the clock that all else is judged by.
#[derive(Debug)]
struct Time(Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now())))
    }
}
