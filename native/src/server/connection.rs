//! One client's connection, from the first byte until it is known what is spoken: what comes before requests. The
//! requests themselves are [`super::http1`]'s and [`super::http2`]'s.

use std::{
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use hyper::{Request, body::Incoming};
use ipnet::IpNet;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    select,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::server::TlsStream;
use tollgate_core::{
    certificate::ClientCertificate, config::document::HttpProtocol, host::Peer, listener::Speaks,
};

use super::{
    bind::Place,
    crowd::Guest,
    forward::Forwarding,
    frames::PREFACE,
    handler::Handler,
    http1, http2,
    pace::{Exceeded, Pace},
    socket::Slot,
    stream::{Io, Stream},
    worker::{Life, Phase, Worker},
};
use crate::{idle::span, metrics::Metrics, tls::Accepted, wire::proxy_header};

/// How long a request may be on its way, when the server ends: the first on a new connection, and one whose head has begun
/// to arrive.
const REQUEST: Duration = Duration::from_millis(500);

/// Whom all requests of a connection come from.
pub(super) struct Client {
    pub(super) peer: Arc<Peer>,
    /// What it has shown in TLS, where somebody wants to know.
    pub(super) certificate: Option<Arc<ClientCertificate>>,
}

impl Client {
    /// Puts what is known of the connection beside a request.
    pub(super) fn introduce(&self, request: &mut Request<Incoming>) {
        if let Some(certificate) = &self.certificate {
            certificate.clone().attach(request.extensions_mut());
        }
    }
}

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Well,
    /// What came was no HTTP.
    Malformed,
    /// In the middle of something.
    Broken,
    /// The client asked for more than it may.
    Flooded,
    Exceeded(Exceeded),
}

impl Ending {
    fn of(ended: Result<(), hyper::Error>, pace: &Pace) -> Self {
        match ended {
            Ok(()) => Self::Well,
            Err(_) if pace.was_flooded() => Self::Flooded,
            Err(error) if error.is_parse() => Self::Malformed,
            Err(_) => Self::Broken,
        }
    }

    /// A connection that fails is the client's doing, or the upstream's, whose failure core has seen. None is
    /// worth a line in a log: clients could fill it.
    pub(super) fn note(self, metrics: &Metrics) {
        match self {
            Self::Well | Self::Exceeded(Exceeded::Idle) => {}
            Self::Malformed => metrics.malformed.up(),
            Self::Broken => metrics.broken.up(),
            Self::Flooded => metrics.flooded.up(),
            Self::Exceeded(Exceeded::Head) => metrics.late.up(),
            Self::Exceeded(Exceeded::Slow) => metrics.slow.up(),
        }
    }
}

/// Takes a new connection on: finds out whose it is and what is spoken, and has it served.
pub(super) async fn serve<H: Handler>(
    worker: Arc<Worker<H>>,
    at: Arc<Place>,
    io: Io,
    from: SocketAddr,
    mut slot: Slot,
    life: Life,
) {
    let mut phases = life.phases.clone();
    let opening = timeout(span(worker.limits.handshake_timeout_ms), open(&worker, &at, io, from));
    let opened = select! {
        opened = opening => opened,
        () = leave(&mut phases) => return,
    };
    let Opened { bytes, speaks, from, guest, certificate } = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(reason)) => return reason.note(&worker.metrics),
        Err(_) => return worker.metrics.late.up(),
    };
    slot.guest = guest.or(slot.guest);
    let peer = Peer::new(from.ip(), at.tls.is_some()).asking(at.listener.hosts.clone());
    let client = Client { peer: Arc::new(peer), certificate };
    match bytes {
        Bytes::Plain(stream) => speak(worker, stream, speaks, from, client, slot, &life).await,
        Bytes::Tls(stream) => speak(worker, *stream, speaks, from, client, slot, &life).await,
    }
}

async fn speak<H: Handler>(
    worker: Arc<Worker<H>>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    speaks: Spoken,
    from: SocketAddr,
    client: Client,
    slot: Slot,
    life: &Life,
) {
    match speaks {
        Spoken::Http1 => http1::serve(worker, stream, client, slot, life).await,
        Spoken::Http2 => http2::serve(worker, stream, client, slot, life).await,
        Spoken::Anything(to) => to.carry(stream, from, &worker.metrics, slot).await,
    }
}

/// Has hyper speak with the client until one of both wants no more, the client takes too long, or the server ends: then
/// `say_goodbye` has hyper finish what has begun.
pub(super) async fn converse<H, C>(
    mut connection: Pin<&mut C>,
    say_goodbye: impl Fn(Pin<&mut C>),
    pace: &Pace,
    worker: &Worker<H>,
    life: &Life,
) -> Ending
where
    H: Handler,
    C: Future<Output = Result<(), hyper::Error>>,
{
    let mut exceeded = pin!(pace.exceeded(worker.allowance));
    let mut phases = life.phases.clone();
    let mut draining = false;
    loop {
        select! {
            biased;
            ended = &mut connection => return Ending::of(ended, pace),
            what = &mut exceeded => return Ending::Exceeded(what),
            () = time_to_leave(&mut phases, pace), if !draining => {
                draining = true;
                say_goodbye(connection.as_mut());
                exceeded.set(pace.exceeded(worker.allowance.at_the_end()));
            }
        }
    }
}

/// A connection that can be served.
struct Opened {
    bytes: Bytes,
    speaks: Spoken,
    from: SocketAddr,
    /// Where whose it is has only now been said.
    guest: Option<Guest>,
    certificate: Option<Arc<ClientCertificate>>,
}

enum Bytes {
    Plain(Stream<Io>),
    Tls(Box<TlsStream<Stream<Io>>>),
}

/// What is spoken on it.
enum Spoken {
    Http1,
    Http2,
    /// Nobody here knows; it goes there as it is.
    Anything(Forwarding),
}

/// Why a connection ends before its first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// Nothing came.
    Silent,
    /// It comes from where no proxy is, or does not say whose it is.
    Unannounced,
    /// Its client has as many as it may.
    Crowded,
    /// There is no encrypted connection, which was counted.
    Unencrypted,
    /// It names nothing that its bytes could be forwarded to.
    Nowhere,
}

impl Reason {
    fn note(self, metrics: &Metrics) {
        match self {
            Self::Silent | Self::Unencrypted => {}
            Self::Unannounced => metrics.unannounced.up(),
            Self::Crowded => metrics.crowded.up(),
            Self::Nowhere => metrics.forwarding.nowhere.up(),
        }
    }
}

/// What comes before requests: a PROXY protocol header, TLS, a preface.
async fn open<H: Handler>(
    worker: &Worker<H>,
    at: &Place,
    io: Io,
    mut from: SocketAddr,
) -> Result<Opened, Reason> {
    let local = io.local();
    let mut stream = Stream::new(io);
    let mut guest = None;
    if let Some(proxies) = &at.listener.proxies {
        from = announced(&mut stream, proxies, from).await?;
        guest = worker.crowd.enter(from.ip()).map_err(|()| Reason::Crowded)?;
    }
    let to = match &at.listener.forward {
        None => None,
        Some(forward) => Some(Forwarding::choose(forward, &mut stream, local).await.ok_or(Reason::Nowhere)?),
    };
    let Some(tls) = &at.tls else {
        let speaks = match to {
            Some(to) => Spoken::Anything(to),
            None => spoken(&mut stream, at.listener.speaks).await.ok_or(Reason::Silent)?,
        };
        return Ok(Opened { bytes: Bytes::Plain(stream), speaks, from, guest, certificate: None });
    };
    let Accepted { stream, client, protocol } = tls.accept(stream).await.map_err(|_| Reason::Unencrypted)?;
    let speaks = match (to, protocol) {
        (Some(to), _) => Spoken::Anything(to),
        (None, Some(HttpProtocol::Http2)) => Spoken::Http2,
        (None, Some(HttpProtocol::Http1)) => Spoken::Http1,
        // Over TLS, HTTP/2 has to be agreed on (RFC 9113 §3.2).
        (None, None) if at.listener.speaks.http1 => Spoken::Http1,
        (None, None) => return Err(Reason::Silent),
    };
    Ok(Opened { bytes: Bytes::Tls(Box::new(stream)), speaks, from, guest, certificate: client })
}

/// Whose a connection is, by its PROXY protocol header.
async fn announced(
    stream: &mut Stream<Io>,
    proxies: &[IpNet],
    from: SocketAddr,
) -> Result<SocketAddr, Reason> {
    let ip = from.ip().to_canonical();
    if !proxies.iter().any(|network| network.contains(&ip)) {
        return Err(Reason::Unannounced);
    }
    let read = |bytes: &[u8]| match proxy_header::read(bytes) {
        proxy_header::Read::Incomplete => None,
        proxy_header::Read::Header { source, length } => Some(Ok((source, length))),
        proxy_header::Read::Malformed => Some(Err(Reason::Unannounced)),
    };
    let header = stream.look(proxy_header::MAX_BYTES, read).await.ok().flatten();
    let (source, length) = header.unwrap_or(Err(Reason::Unannounced))?;
    stream.skip(length);
    // A proxy that speaks for itself (a health check) is who it is.
    Ok(source.unwrap_or(from))
}

/// What is spoken on a connection without TLS. `None` when nothing comes.
async fn spoken<T: AsyncRead + AsyncWrite + Unpin>(stream: &mut Stream<T>, speaks: Speaks) -> Option<Spoken> {
    let is_http2 = match speaks {
        Speaks { http2: false, .. } => false,
        Speaks { http1: false, .. } => true,
        Speaks { .. } => stream.look(PREFACE.len(), begins_with_preface).await.ok().flatten()?,
    };
    Some(if is_http2 { Spoken::Http2 } else { Spoken::Http1 })
}

/// By prior knowledge a client begins with the preface, which is no request of HTTP/1.1.
fn begins_with_preface(begun: &[u8]) -> Option<bool> {
    let length = begun.len().min(PREFACE.len());
    match begun.get(..length) == PREFACE.get(..length) {
        true if length == PREFACE.len() => Some(true),
        true => None,
        false => Some(false),
    }
}

/// Ends when a connection that has not come to a request is in the way of the server's end.
async fn leave(phases: &mut watch::Receiver<Phase>) {
    Phase::Draining.reached(phases).await;
    sleep(REQUEST).await;
}

/// Ends when the client is to be told that the server ends. hyper would close a connection at once to which
/// a request may be on its way, and of a head that is not complete it knows nothing. So such a one gets a moment.
async fn time_to_leave(phases: &mut watch::Receiver<Phase>, pace: &Pace) {
    Phase::Draining.reached(phases).await;
    if pace.is_awaited() {
        sleep(REQUEST).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_tells_what_is_spoken() {
        assert_eq!(begins_with_preface(b""), None);
        assert_eq!(begins_with_preface(b"PRI * HTTP/2.0\r\n"), None);
        assert_eq!(begins_with_preface(PREFACE), Some(true));
        assert_eq!(begins_with_preface(b"POST / HTTP/1.1\r\n"), Some(false));
        assert_eq!(begins_with_preface(b"PRI * HTTP/1.1\r\n"), Some(false));
        assert_eq!(begins_with_preface(&[PREFACE, b"more"].concat()), Some(true));
    }
}
