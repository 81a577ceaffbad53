//! From a connection to an encrypted one; how it fails is counted.

use std::{io, sync::Arc};

use rustls::{
    Error, HandshakeKind, ServerConfig,
    server::{Acceptor as FirstFlight, ClientHello, ServerConnection},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use tollgate_core::{certificate::ClientCertificate, config::document::HttpProtocol};

use super::{
    Listener,
    certificates::is_challenge,
    client,
    config::{self, alpn},
};
use crate::{
    clock::Clock,
    metrics::{Metrics, TlsFailed as Failed},
};

/// Makes connections of one listener encrypted. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Acceptor {
    pub(super) listener: Arc<Listener>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
}

/// A connection that is encrypted.
#[derive(Debug)]
pub struct Accepted<S> {
    /// Its plain side.
    pub stream: TlsStream<S>,
    /// The certificate that the client has shown it holds; those who vouch for it are believed.
    pub client: Option<Arc<ClientCertificate>>,
    /// The protocol that both agreed on; none where the client has named none.
    pub protocol: Option<HttpProtocol>,
}

/// Why there is no encrypted connection. It is counted; nobody need be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAccepted {
    /// The handshake failed.
    Failed,
    /// An authority has seen what it wanted to see, which is all that such a connection is for.
    Challenged,
}

impl Acceptor {
    /// Does the handshake. How long it may take is the caller's to bound, with whatever else comes before requests.
    pub async fn accept<S>(&self, io: S) -> Result<Accepted<S>, NotAccepted>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.shake(io).await {
            Ok(Some(accepted)) => Ok(accepted),
            Ok(None) => Err(NotAccepted::Challenged),
            Err(how) => {
                self.metrics.tls.failed(how);
                Err(NotAccepted::Failed)
            }
        }
    }

    async fn shake<S>(&self, io: S) -> Result<Option<Accepted<S>>, Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let started =
            LazyConfigAcceptor::new(FirstFlight::default(), io).await.map_err(|error| kind(&error))?;
        if let Some(name) = challenged_name(&started.client_hello()) {
            let config = self.challenged(name.as_deref()).await;
            let challenged = started.into_stream(config).await;
            challenged.map_err(|error| kind(&error))?;
            return Ok(None);
        }
        let config = self.listener.serving.load_full();
        let stream = started.into_stream(config).await.map_err(|error| kind(&error))?;
        let (_, connection) = stream.get_ref();
        let client = self.client(connection)?;
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        if resumed {
            self.metrics.tls.resumed.up()
        } else {
            self.metrics.tls.full.up()
        }
        let protocol = connection.alpn_protocol().and_then(|name| {
            [HttpProtocol::Http2, HttpProtocol::Http1].into_iter().find(|own| alpn(*own) == name)
        });
        Ok(Some(Accepted { stream, client, protocol }))
    }

    /// What an authority is shown. It may have asked here for what another gateway orders.
    async fn challenged(&self, name: Option<&str>) -> Arc<ServerConfig> {
        let own = self.listener.challenged.clone();
        let Some(name) = name else { return own };
        let Some(key) = self.listener.certificates.challenge_elsewhere(name).await else { return own };
        let key = SingleCertAndKey::from(CertifiedKey::clone(&key));
        config::challenged(Arc::new(key)).map_or(own, Arc::new)
    }

    /// A session that is resumed brings the certificate with which it began, and that may have expired since.
    fn client(&self, connection: &ServerConnection) -> Result<Option<Arc<ClientCertificate>>, Failed> {
        let Some([own, ..]) = connection.peer_certificates() else { return Ok(None) };
        let facts = client::facts(own);
        if facts.not_after.is_some_and(|end| self.clock.now() > end) {
            return Err(Failed::BadCertificate);
        }
        Ok(Some(Arc::new(facts)))
    }
}

/// The name that an authority asks for which wants to see that it is ours, if this is one.
fn challenged_name(hello: &ClientHello<'_>) -> Option<Option<String>> {
    is_challenge(hello).then(|| hello.server_name().map(str::to_owned))
}

fn kind(error: &io::Error) -> Failed {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return Failed::Closed;
    };
    match error {
        Error::NoCertificatesPresented => Failed::NoCertificate,
        Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => Failed::BadCertificate,
        Error::AlertReceived(_) => Failed::Rejected,
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Failed::Incompatible,
        // Said where no certificate was found for the name.
        Error::General(_) => Failed::Name,
        _ => Failed::Malformed,
    }
}
