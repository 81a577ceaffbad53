//! What the tests here put around a gateway: a server, and an upstream that does what a test tells it to, byte by
//! byte.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tollgate::{host::Settings, server::Running};
use tollgate_core::config::{self, Host, NoFiles};
use tollgate_rehearsal::play::Sent;
use tollgate_tests::stage::native::{
    client::{self, Reader, Writer},
    start,
};

/// Longer than anything here may take, and shorter than anybody's patience.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// Waits, but not forever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.unwrap_or_else(|_| panic!("this does not happen: {what}"))
}

/// An upstream without a mind of its own.
pub(crate) struct Upstream(TcpListener);

impl Upstream {
    pub(crate) async fn open() -> Self {
        Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// A gateway that passes everything on to this upstream, with more configuration besides.
    pub(crate) fn gateway(&self, more: &str) -> Running {
        let address = self.0.local_addr().unwrap();
        let text = format!(
            "services: {{app: {{endpoints: ['http://{address}']}}}}\nroutes: [{{path: '/app/*', target_service: app}}]\n{more}"
        );
        let none = |_: &str| None;
        let loaded = config::load("test", text, &NoFiles, &none, Host::Native);
        let gateway = loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()));
        start(gateway, Settings::default()).unwrap().0
    }

    /// The next connection, whenever it comes.
    pub(crate) async fn next(&self) -> Option<Connection> {
        self.0.accept().await.ok().map(|(stream, _)| Connection(stream))
    }

    /// The next connection of the gateway's.
    pub(crate) async fn accept(&self) -> Connection {
        Connection(soon("the gateway connects", self.0.accept()).await.unwrap().0)
    }
}

/// An upstream that answers everything at once.
pub(crate) async fn answering() -> SocketAddr {
    serve(|_| async { Response::new(Full::new(Bytes::from_static(b"ok")).boxed()) }).await
}

pub(crate) type Content = BoxBody<Bytes, Infallible>;

pub(crate) async fn serve<F>(
    answer: impl Fn(Request<Incoming>) -> F + Copy + Send + Sync + 'static,
) -> SocketAddr
where
    F: Future<Output = Response<Content>> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service =
                service_fn(move |request| async move { Ok::<_, Infallible>(answer(request).await) });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// A connection of the gateway's to an upstream.
pub(crate) struct Connection(TcpStream);

impl Connection {
    /// All that comes up to and with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut came = Vec::new();
        let reading = async {
            while !came.ends_with(end.as_bytes()) {
                came.push(self.0.read_u8().await.unwrap());
            }
        };
        soon(&format!("the upstream is sent {end:?}"), reading).await;
        String::from_utf8_lossy(&came).into_owned()
    }

    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.send(text.as_bytes()).await;
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Whether the gateway ends the connection within a second.
    pub(crate) async fn is_cut(&mut self) -> bool {
        let mut rest = [0; 1024];
        let reading = async { while let Ok(1..) = self.0.read(&mut rest).await {} };
        timeout(Duration::from_secs(1), reading).await.is_ok()
    }
}

/// A client's connection.
pub(crate) async fn connect(server: &Running) -> (Reader, Writer) {
    let address: SocketAddr = server.addresses()[0];
    client::connect(IpAddr::from(Ipv4Addr::LOCALHOST), address).await.unwrap()
}

/// A request, fields given as `name: value`.
pub(crate) fn request(line: &str, fields: &[&str], body: &'static str) -> Arc<Sent> {
    let (method, target) = line.split_once(' ').unwrap();
    let mut headers = vec![("host".to_owned(), "gateway.test".to_owned())];
    headers.extend(fields.iter().map(|field| {
        let (name, value) = field.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    }));
    let pieces = if body.is_empty() { Vec::new() } else { vec![Bytes::from_static(body.as_bytes())] };
    Arc::new(Sent {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        pieces,
        peer: Ipv4Addr::LOCALHOST.into(),
        certificate: None,
        trailers: Vec::new(),
        over: Default::default(),
    })
}
