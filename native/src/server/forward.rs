//! Connections whose bytes go to a service as they are: chosen by the name in the client's TLS greeting or not at all, and
//! announced by a PROXY protocol header where that is wanted. Which service it is, core says.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tollgate_core::{config::document::ProxyVersion, listener::Forward, upstream::Service};

use super::{
    socket::Slot,
    stream::{Io, Stream},
};
use crate::{
    client::{dial, join},
    idle::span,
    metrics::Metrics,
    wire::{proxy_header, server_name},
};

/// Where a connection goes.
pub(super) struct Forwarding {
    service: Arc<Service>,
    header: Option<ProxyVersion>,
    idle_ms: u64,
    /// Where the client has come to.
    local: Option<SocketAddr>,
}

impl Forwarding {
    /// Finds out. `None`: nowhere.
    pub(super) async fn choose(
        forward: &Forward,
        stream: &mut Stream<Io>,
        local: Option<SocketAddr>,
    ) -> Option<Self> {
        let name = match forward.asks_for_name() {
            true => stream.look(server_name::MAX_BYTES, name).await.ok().flatten().flatten(),
            false => None,
        };
        let service = forward.service(name.as_deref())?.clone();
        Some(Self { service, header: forward.header, idle_ms: forward.idle_ms, local })
    }

    /// Carries bytes both ways, until both sides have ended or have been silent for long.
    pub(super) async fn carry(
        self,
        client: impl AsyncRead + AsyncWrite + Unpin,
        from: SocketAddr,
        metrics: &Metrics,
        slot: Slot,
    ) {
        match self.connect(from).await {
            Ok(service) => {
                metrics.forwarding.forwarded.up();
                join(client, service, span(self.idle_ms)).await;
            }
            // The service's name is the operator's, and one line a failure would be the client's to write.
            Err(_) => metrics.forwarding.failed.up(),
        }
        drop(slot);
    }

    async fn connect(&self, from: SocketAddr) -> io::Result<TcpStream> {
        let endpoint = self.service.choose().ok_or(io::ErrorKind::NotFound)?;
        let limit = span(self.service.patience.connect_ms);
        let mut stream = timeout(limit, dial(endpoint.hostname(), endpoint.port())).await??;
        stream.set_nodelay(true)?;
        let ends = self.local.map(|local| (from, local));
        match self.header {
            None => {}
            Some(ProxyVersion::V1) => stream.write_all(&proxy_header::write_v1(ends)).await?,
            Some(ProxyVersion::V2) => stream.write_all(&proxy_header::write_v2(ends)).await?,
        }
        Ok(stream)
    }
}

/// The name that a client asks for, once it is known whether it does.
fn name(begun: &[u8]) -> Option<Option<String>> {
    match server_name::read(begun) {
        server_name::Read::Incomplete => None,
        server_name::Read::Named(name) => Some(Some(name)),
        server_name::Read::None | server_name::Read::NotTls => Some(None),
    }
}
