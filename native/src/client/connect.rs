//! Makes a connection to an endpoint: name, TCP, TLS, and the HTTP that both speak.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tollgate_core::{
    host::{HostError, HostErrorKind},
    upstream::{Endpoint, Patience, Tls},
};

use super::{
    pool::Connection,
    shared::Shared,
    trust::{Offer, Trust},
};
use crate::{cause, idle::span};

/// The largest head of a response, and the most that is buffered for a slow reader of its body.
/// The number of its fields is bounded by hyper: 100, for which it needs no allocation.
const MAX_BUFFER: usize = 64 * 1024;

/// How long one address may keep the next from being tried (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection that was made.
pub(super) enum Made {
    /// For one exchange after the other, in HTTP/1.1.
    Own(Connection),
    /// For many at once, in HTTP/2.
    Shared(Shared),
}

/// A new connection to `endpoint`, made within `patience.connect_ms`. Every failure is [`HostErrorKind::Connect`].
pub(super) async fn connect(
    endpoint: &Endpoint,
    trust: &Trust,
    offer: Offer,
    patience: Patience,
) -> Result<Made, HostError> {
    let limit_ms = patience.connect_ms;
    let made = timeout(span(limit_ms), open(endpoint, trust, offer, span(patience.idle_ms))).await;
    made.unwrap_or_else(|_| Err(format!("no connection within {limit_ms} ms")))
        .map_err(|detail| HostError::new(HostErrorKind::Connect, format!("{}: {detail}", endpoint.authority)))
}

async fn open(endpoint: &Endpoint, trust: &Trust, offer: Offer, idle: Duration) -> Result<Made, String> {
    let stream = dial(endpoint.hostname(), endpoint.port()).await.map_err(|error| cause::text(&error))?;
    // Heads and events are small, and must not wait for more.
    stream.set_nodelay(true).map_err(|error| cause::text(&error))?;
    let Some(tls) = &endpoint.tls else {
        return match offer {
            Offer::Http2 => Shared::start(stream, idle).await.map(Made::Shared),
            Offer::Http1 | Offer::Both => start(stream).await.map(Made::Own),
        };
    };
    let config = trust.config(tls, offer).await?;
    let name = server_name(endpoint, tls)?;
    let stream = TlsConnector::from(config).connect(name, stream).await;
    let stream = stream.map_err(|error| format!("TLS: {}", cause::text(&error)))?;
    let chose_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    match offer {
        Offer::Http2 if !chose_http2 => Err("TLS: HTTP/2 was not agreed on".to_owned()),
        _ if chose_http2 => Shared::start(stream, idle).await.map(Made::Shared),
        _ => start(stream).await.map(Made::Own),
    }
}

fn server_name(endpoint: &Endpoint, tls: &Tls) -> Result<ServerName<'static>, String> {
    let name = tls.server_name.as_deref().unwrap_or(endpoint.hostname());
    ServerName::try_from(name.to_owned()).map_err(|error| format!("TLS: `{name}`: {error}"))
}

async fn start(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Connection, String> {
    let handshake = http1::Builder::new().max_buf_size(MAX_BUFFER).handshake(TokioIo::new(io)).await;
    let (sender, connection) = handshake.map_err(|error| cause::text(&error))?;
    let task = tokio::spawn(async move {
        // What fails during an exchange is told to that exchange; what fails at rest concerns nobody.
        let _ = connection.with_upgrades().await;
    });
    Ok(Connection::new(sender, task.abort_handle()))
}

/// Connects to the first address of `host` that answers. Each gets a head start before the next.
pub(crate) async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return TcpStream::connect((address, port)).await;
    }
    race(alternate(tokio::net::lookup_host((host, port)).await?)).await
}

async fn race(mut addresses: VecDeque<SocketAddr>) -> io::Result<TcpStream> {
    // Dropped, it ends the attempts that are still under way.
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let more = addresses.pop_front();
        let wait = if more.is_some() { HEAD_START } else { Duration::MAX };
        if let Some(address) = more {
            attempts.spawn(TcpStream::connect(address));
        }
        match timeout(wait, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => failure = error,
            Ok(Some(Err(error))) => failure = error.into(),
            Ok(None) => return Err(failure),
            Err(_) => {}
        }
    }
}

/// The addresses with their families taking turns (RFC 8305 §4), the first one staying first.
fn alternate(addresses: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut addresses = addresses.peekable();
    let first_is_v6 = addresses.peek().is_some_and(SocketAddr::is_ipv6);
    let (same, other): (VecDeque<_>, VecDeque<_>) =
        addresses.partition(|address| address.is_ipv6() == first_is_v6);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut turns = VecDeque::new();
    loop {
        let pair = (same.next(), other.next());
        if pair == (None, None) {
            return turns;
        }
        turns.extend(pair.0.into_iter().chain(pair.1));
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn families_take_turns() {
        let of = |text: &[&str]| text.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let turns = alternate(of(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]).into_iter());
        assert_eq!(turns, of(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
    }

    #[tokio::test]
    async fn an_address_that_refuses_gives_way_to_the_next() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = race([gone, there.local_addr().unwrap()].into()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there.local_addr().unwrap());
    }

    #[tokio::test]
    async fn the_last_refusal_is_the_error() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(race([gone, gone].into()).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(race([].into()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
