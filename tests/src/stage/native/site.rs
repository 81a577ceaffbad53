//! Where upstreams are on this stage: a listening socket each, or one that refuses. What they answer is decided
//! elsewhere; here it is put on the wire, faults included.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream as StdStream},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    task::JoinSet,
};

use tollgate_core::trail::TRAIL_HEADER;
use tollgate_rehearsal::{
    case::request::Over,
    observed::Raw,
    setting::authority,
    upstream::{Message, Reply, Seen, Upstreams},
};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 64;

/// How long what was written may be on its way before its end is given up: to reset a stream of HTTP/2 takes back what is
/// still there.
const FLUSHED_WITHIN: Duration = Duration::from_millis(20);

/// The upstreams of a case.
#[derive(Debug)]
pub struct Sites {
    upstreams: Arc<Upstreams>,
    names: Arc<Names>,
    sites: BTreeMap<String, Site>,
}

/// From addresses to the names by which upstreams are known on every stage.
#[derive(Debug, Default)]
struct Names(Vec<(String, String)>);

#[derive(Debug)]
struct Site {
    address: SocketAddr,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The port is ours and nobody listens, so that connections are refused.
    Closed(TcpSocket),
    Open(JoinSet<()>),
}

impl Sites {
    /// Takes a port for each upstream that has a script.
    pub async fn open(upstreams: Arc<Upstreams>) -> io::Result<Self> {
        let mut sites = BTreeMap::new();
        let mut names = Names::default();
        for name in upstreams.names() {
            let socket = bind_somewhere()?;
            let address = socket.local_addr()?;
            names.0.push((address.to_string(), authority(&name)));
            sites.insert(name, Site { address, state: State::Closed(socket) });
        }
        let mut sites = Self { upstreams, names: Arc::new(names), sites };
        sites.follow().await?;
        Ok(sites)
    }

    /// Where each upstream is.
    pub fn urls(&self) -> BTreeMap<String, String> {
        self.sites.iter().map(|(name, site)| (name.clone(), format!("http://{}", site.address))).collect()
    }

    /// Puts the names of upstreams in the place of their addresses where the gateway explains itself.
    pub fn name_in_trail(&self, raw: &mut Raw) {
        for (_, value) in raw.headers.iter_mut().filter(|(name, _)| name == TRAIL_HEADER.as_str()) {
            *value = self.names.plain(value);
        }
    }

    /// Opens and closes ports as the scripts of the moment want it.
    pub async fn follow(&mut self) -> io::Result<()> {
        for (name, site) in &mut self.sites {
            match (&mut site.state, self.upstreams.refuses(name)) {
                (State::Closed(_), true) | (State::Open(_), false) => {}
                (State::Open(tasks), true) => {
                    tasks.shutdown().await;
                    site.state = State::Closed(bind_again(site.address).await?);
                }
                (State::Closed(_), false) => {
                    let State::Closed(socket) =
                        std::mem::replace(&mut site.state, State::Open(JoinSet::new()))
                    else {
                        continue;
                    };
                    let listener = socket.listen(BACKLOG)?;
                    if let State::Open(tasks) = &mut site.state {
                        tasks.spawn(accept(
                            listener,
                            name.clone(),
                            self.upstreams.clone(),
                            self.names.clone(),
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

/// A port below those that the system gives to outgoing connections: one of these could take ours in the moment
/// in which it is closed and opened again.
fn bind_somewhere() -> io::Result<TcpSocket> {
    const PORTS: std::ops::Range<u32> = 16_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    let mut last = io::Error::other("no port was tried");
    for _ in 0..1_000 {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + number % (PORTS.end - PORTS.start);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap_or_default()));
        match bind(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A port that was ours a moment ago. Processes that are just being started (workerd, for other cases) hold copies
/// of all sockets until they have become what they will be, so the port may not be free at once.
async fn bind_again(address: SocketAddr) -> io::Result<TcpSocket> {
    for _ in 0..200 {
        match bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            bound => return bound,
        }
    }
    bind(address)
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections that have just ended don't keep a port from being opened again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(listener: TcpListener, name: String, upstreams: Arc<Upstreams>, names: Arc<Names>) {
    // All connections end with this.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, name.clone(), upstreams.clone(), names.clone()));
    }
}

/// How a connection ends otherwise than HTTP wants it.
enum Ending {
    Reset,
    Garbage,
}

async fn serve(
    stream: TcpStream,
    name: String,
    upstreams: Arc<Upstreams>,
    names: Arc<Names>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let begins_in_http2 = begins_in_http2(&stream).await?;
    let stream = stream.into_std()?;
    // A second handle, for what can't be said in HTTP.
    let mut twin: StdStream = stream.try_clone()?;
    let stream = TcpStream::from_std(stream)?;
    let (endings, mut ending) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<Incoming>| {
        let (name, upstreams, names, endings) =
            (name.clone(), upstreams.clone(), names.clone(), endings.clone());
        async move {
            let end = match see(request, &names).await {
                // The request broke off: nobody is there to be answered.
                Err(_) => None,
                Ok(seen) => match upstreams.ask(&name, seen) {
                    Reply::Answer(message) => return Ok::<_, Infallible>(response(message)),
                    Reply::Stall => None,
                    Reply::Reset => Some(Ending::Reset),
                    Reply::Garbage => Some(Ending::Garbage),
                },
            };
            if let Some(end) = end {
                let _ = endings.send(end);
            }
            std::future::pending().await
        }
    });
    let connection = async {
        let stream = TokioIo::new(stream);
        // Whatever went wrong shows on the other side.
        let _ = if begins_in_http2 {
            let protocol = http2::Builder::new(TokioExecutor::new()).auto_date_header(false).clone();
            protocol.serve_connection(stream, service).await
        } else {
            http1::Builder::new().auto_date_header(false).serve_connection(stream, service).await
        };
    };
    tokio::select! {
        () = connection => Ok(()),
        Some(end) = ending.recv() => match end {
            Ending::Reset => SockRef::from(&twin).set_linger(Some(std::time::Duration::ZERO)),
            Ending::Garbage => twin.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n"),
        },
    }
}

/// Whether the client speaks HTTP/2 without asking first: no request in HTTP/1.1 begins like its preface.
async fn begins_in_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 3];
    loop {
        match stream.peek(&mut first).await? {
            3 => return Ok(&first == b"PRI"),
            0 => return Ok(false),
            // The rest is on its way, and to wait for it is to look again.
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

async fn see(request: Request<Incoming>, names: &Names) -> Result<Seen, hyper::Error> {
    let (head, mut body) = request.into_parts();
    let mut pieces = Vec::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => pieces.push(data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    let over = if head.version == Version::HTTP_2 { Over::Http2 } else { Over::Http1 };
    let mut headers = head.headers;
    // The same on every stage, wherever it has stood.
    if let Some(authority) = head.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        headers.insert(header::HOST, host);
    }
    let lines = |fields: &HeaderMap| {
        let text = |value: &HeaderValue| names.plain(&String::from_utf8_lossy(value.as_bytes()));
        fields.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
    };
    Ok(Seen {
        method: head.method.to_string(),
        path: head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string),
        headers: lines(&headers),
        body: pieces.concat().into(),
        pieces,
        trailers: lines(&trailers),
        over: Some(over),
    })
}

impl Names {
    fn plain(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (address, name)| text.replace(address.as_str(), name))
    }
}

fn response(message: Message) -> Response<Pieces> {
    let mut trailers = HeaderMap::new();
    for (name, value) in message.trailers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            trailers.append(name, value);
        }
    }
    let mut response = Response::new(Pieces {
        pieces: message.pieces.into(),
        trailers: Some(trailers).filter(|trailers| !trailers.is_empty()),
        length: message.length,
        breaks_off: message.breaks_off,
        flushing: None,
    });
    *response.status_mut() = StatusCode::from_u16(message.status).unwrap_or(StatusCode::NOT_IMPLEMENTED);
    for (name, value) in message.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// Content in pieces, of which the last may be the news that no more will come.
struct Pieces {
    pieces: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    length: Option<u64>,
    breaks_off: bool,
    /// Runs while what was written before is on its way.
    flushing: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.pieces.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if !self.breaks_off => {
                Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
            // What was written before has to be on its way before the connection is given up.
            None => {
                let flushing =
                    self.flushing.get_or_insert_with(|| Box::pin(tokio::time::sleep(FLUSHED_WITHIN)));
                ready!(flushing.as_mut().poll(context));
                Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && !self.breaks_off && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
