//! The server over real sockets, with handlers that need no gateway.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, Semaphore},
    time::{sleep, timeout},
};

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn start<H: Handler>(threads: usize, limits: Limits, handler: H) -> Running {
    start_counting(threads, limits, &Arc::default(), handler)
}

fn start_counting<H: Handler>(threads: usize, limits: Limits, metrics: &Arc<Metrics>, handler: H) -> Running {
    let listeners = vec![Arc::new(Listener::plain(([127, 0, 0, 1], 0).into()))];
    let server = Server::bind(&Settings { listeners, threads, limits, tls: None }).unwrap();
    server.start_with(metrics.clone(), handler).unwrap()
}

fn limits() -> Limits {
    Limits::default()
}

type Answer = Response<Full<Bytes>>;

fn text(text: &'static str) -> Answer {
    Response::new(Full::from(text))
}

async fn hello(_: Arc<Peer>, _: Request<Incoming>) -> Answer {
    text("hello")
}

/// A handler whose requests take until they are given up, and what tells of them.
struct Endless {
    begun: Arc<Notify>,
    dropped: Arc<AtomicUsize>,
}

impl Endless {
    fn new() -> Self {
        Self { begun: Arc::default(), dropped: Arc::default() }
    }

    fn handler(&self) -> impl Handler {
        let (begun, dropped) = (self.begun.clone(), self.dropped.clone());
        move |_: Arc<Peer>, _: Request<Incoming>| {
            let dropped = Dropped(dropped.clone());
            begun.notify_one();
            async move {
                std::future::pending::<()>().await;
                drop(dropped);
                text("never")
            }
        }
    }
}

/// Adds to a count when it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(server.addresses()[0]).await.unwrap()
}

async fn send(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: example.org\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// Reads until the answer ends with `end`.
async fn receive(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    let reading = async {
        while !answer.ends_with(end.as_bytes()) {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "ended early: {answer:?}");
        }
    };
    timeout(LONG, reading).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Tries again until a connection is taken on.
async fn until_answered(server: &Running) {
    let trying = async {
        loop {
            let mut client = connect(server).await;
            send(&mut client, "/").await;
            let mut begin = [0; 12];
            if client.read_exact(&mut begin).await.is_ok() && !begin.ends_with(b"503") {
                return;
            }
        }
    };
    timeout(LONG, trying).await.unwrap();
}

/// Whether the connection ends within `limit`.
async fn ends_within(stream: &mut TcpStream, limit: Duration) -> bool {
    timeout(limit, stream.read_to_end(&mut Vec::new())).await.is_ok()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_turn() {
    let server = start(2, limits(), hello);
    let mut client = connect(&server).await;
    for _ in 0..3 {
        send(&mut client, "/").await;
        assert!(receive(&mut client, "hello").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    assert_eq!(server.shutdown(LONG).await, 0);
}

#[tokio::test]
async fn every_thread_serves() {
    let names = Arc::new(Mutex::new(HashSet::new()));
    let seen = names.clone();
    let server = start(3, limits(), move |_: Arc<Peer>, _: Request<Incoming>| {
        seen.lock().unwrap().insert(thread::current().name().map(str::to_owned));
        async { text("hello") }
    });
    for _ in 0..200 {
        let mut client = connect(&server).await;
        send(&mut client, "/").await;
        receive(&mut client, "hello").await;
    }
    assert_eq!(names.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn the_peer_is_the_client() {
    let server = start(1, limits(), async |peer: Arc<Peer>, _: Request<Incoming>| {
        Response::new(Full::from(format!("<{} {}>", peer.address, peer.encrypted)))
    });
    let mut client = connect(&server).await;
    send(&mut client, "/").await;
    assert!(receive(&mut client, ">").await.ends_with("<127.0.0.1 false>"));
}

#[tokio::test]
async fn a_head_that_comes_in_drops_is_cut_off() {
    let metrics = Arc::default();
    let server = start_counting(1, Limits { header_timeout_ms: 200, ..limits() }, &metrics, hello);
    let mut client = connect(&server).await;
    let began = Instant::now();
    for byte in b"GET / HTTP/1.1\r\nx: ".iter().cycle() {
        if client.write_all(&[*byte]).await.is_err()
            || ends_within(&mut client, Duration::from_millis(20)).await
        {
            break;
        }
        assert!(began.elapsed() < LONG);
    }
    let took = began.elapsed();
    assert!((Duration::from_millis(190)..Duration::from_secs(5)).contains(&took), "{took:?}");
    assert_eq!(metrics.late.get(), 1);
}

#[tokio::test]
async fn a_later_head_that_comes_in_drops_is_cut_off_too() {
    let server = start(1, Limits { header_timeout_ms: 200, ..limits() }, hello);
    let mut client = connect(&server).await;
    send(&mut client, "/").await;
    receive(&mut client, "hello").await;
    client.write_all(b"GET /").await.unwrap();
    assert!(ends_within(&mut client, Duration::from_secs(5)).await);
}

#[tokio::test]
async fn between_requests_there_is_more_time_than_within_one() {
    let limits = Limits { header_timeout_ms: 100, idle_timeout_ms: 1_500, ..limits() };
    let server = start(1, limits, hello);
    let mut client = connect(&server).await;
    for _ in 0..2 {
        send(&mut client, "/").await;
        receive(&mut client, "hello").await;
        sleep(Duration::from_millis(400)).await;
    }
    assert!(ends_within(&mut client, Duration::from_secs(5)).await);
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_head() {
    let limits = Limits { header_timeout_ms: 50, idle_timeout_ms: 50, ..limits() };
    let server = start(1, limits, async |_: Arc<Peer>, _: Request<Incoming>| {
        sleep(Duration::from_millis(400)).await;
        text("hello")
    });
    let mut client = connect(&server).await;
    send(&mut client, "/").await;
    receive(&mut client, "hello").await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let metrics: Arc<Metrics> = Arc::default();
    let endless = Endless::new();
    let server = start_counting(1, limits(), &metrics, endless.handler());
    let mut client = connect(&server).await;
    send(&mut client, "/").await;
    endless.begun.notified().await;
    assert!(metrics.render(&[]).contains("tollgate_requests_in_flight 1\n"));
    drop(client);
    eventually("the handler is dropped", || endless.dropped.load(Ordering::SeqCst) == 1).await;
    eventually("no request", || metrics.render(&[]).contains("tollgate_requests_in_flight 0\n")).await;
    eventually("no connection", || metrics.render(&[]).contains("tollgate_connections 0\n")).await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    struct Flood(#[expect(dead_code, reason = "it is there to be dropped")] Dropped);
    impl http_body::Body for Flood {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(&[b'x'; 16_384])))))
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = dropped.clone();
    let limits = Limits { stall_timeout_ms: 500, ..limits() };
    let server = start(1, limits, move |_: Arc<Peer>, _: Request<Incoming>| {
        let body = Flood(Dropped(counted.clone()));
        async { Response::new(body) }
    });
    let mut client = connect(&server).await;
    send(&mut client, "/").await;
    if cfg!(target_os = "linux") {
        eventually("the answer is given up", || dropped.load(Ordering::SeqCst) == 1).await;
    }
    drop(client);
}

#[tokio::test]
async fn a_large_head_is_for_core_to_refuse_and_a_huge_one_is_not() {
    let server = start(1, Limits { max_header_bytes: 10_000, ..limits() }, hello);
    for (length, status) in [(9_000, "200"), (19_000, "200"), (30_000, "431"), (200_000, "431")] {
        let mut client = connect(&server).await;
        let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(length));
        // The server may have closed the connection before all is written.
        let _ = client.write_all(head.as_bytes()).await;
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, *format!("HTTP/1.1 {status}").as_bytes(), "{length}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_counted() {
    let metrics = Arc::default();
    let server = start_counting(1, limits(), &metrics, hello);
    let mut client = connect(&server).await;
    client.write_all(b"\x16\x03\x01 what?\r\n\r\n").await.unwrap();
    assert!(receive(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    eventually("it is counted", || metrics.malformed.get() == 1).await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_until_another_ends() {
    let server = start(2, Limits { max_connections: 1, ..limits() }, hello);
    let mut first = connect(&server).await;
    send(&mut first, "/").await;
    receive(&mut first, "hello").await;
    let mut second = connect(&server).await;
    send(&mut second, "/").await;
    let refusal = receive(&mut second, "}").await;
    assert!(refusal.starts_with("HTTP/1.1 503 ") && refusal.contains("retry-after: 1"), "{refusal}");
    assert!(ends_within(&mut second, LONG).await);
    drop(first);
    until_answered(&server).await;
}

#[tokio::test]
async fn at_the_end_a_request_in_flight_is_answered() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let handler = {
        let (gate, begun) = (gate.clone(), begun.clone());
        move |_: Arc<Peer>, _: Request<Incoming>| {
            let gate = gate.clone();
            begun.notify_one();
            async move {
                let _open = gate.acquire().await.unwrap();
                text("hello")
            }
        }
    };
    let server = start(2, limits(), handler);
    let address = server.addresses()[0];
    let mut client = connect(&server).await;
    send(&mut client, "/").await;
    begun.notified().await;
    let ending = tokio::spawn(server.shutdown(LONG));
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, refused).await.unwrap();
    assert!(!ending.is_finished());
    gate.add_permits(1);
    let answer = receive(&mut client, "hello").await;
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert_eq!(ending.await.unwrap(), 0);
}

#[tokio::test]
async fn at_the_end_an_idle_connection_closes_at_once() {
    let server = start(1, limits(), hello);
    let mut client = connect(&server).await;
    send(&mut client, "/").await;
    receive(&mut client, "hello").await;
    let began = Instant::now();
    assert_eq!(server.shutdown(LONG).await, 0);
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(ends_within(&mut client, Duration::from_secs(2)).await);
}

#[tokio::test]
async fn at_the_end_a_connection_that_was_never_used_holds_nobody_up() {
    let server = start(1, limits(), hello);
    let client = connect(&server).await;
    sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    assert_eq!(server.shutdown(LONG).await, 0);
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(client);
}

#[tokio::test]
async fn at_the_end_a_connection_in_the_queue_is_answered() {
    let server = start(1, limits(), async |_: Arc<Peer>, request: Request<Incoming>| {
        if request.uri().path() == "/block" {
            // Not how to wait: it keeps the thread from accepting.
            thread::sleep(Duration::from_millis(400));
        }
        text("hello")
    });
    let mut blocker = connect(&server).await;
    send(&mut blocker, "/block").await;
    sleep(Duration::from_millis(100)).await;
    let mut queued = connect(&server).await;
    send(&mut queued, "/").await;
    let ending = tokio::spawn(server.shutdown(LONG));
    receive(&mut blocker, "hello").await;
    receive(&mut queued, "hello").await;
    assert_eq!(ending.await.unwrap(), 0);
}

#[tokio::test]
async fn after_the_deadline_what_is_left_is_cut_off_and_counted() {
    let endless = Endless::new();
    let server = start(1, limits(), endless.handler());
    let mut client = connect(&server).await;
    send(&mut client, "/").await;
    endless.begun.notified().await;
    assert_eq!(server.shutdown(Duration::from_millis(100)).await, 1);
    assert_eq!(endless.dropped.load(Ordering::SeqCst), 1);
    assert!(ends_within(&mut client, Duration::from_secs(1)).await);
}

/// Leaves HTTP, and echoes.
async fn upgrade(_: Arc<Peer>, mut request: Request<Incoming>) -> Answer {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded.await.unwrap()));
        tokio::io::copy(&mut reader, &mut writer).await
    });
    let mut response = text("");
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("echo"));
    response
}

async fn tunnel(server: &Running) -> TcpStream {
    let mut client = connect(server).await;
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    client.write_all(request).await.unwrap();
    assert!(receive(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 101 "));
    client
}

async fn echoes(client: &mut TcpStream) -> bool {
    client.write_all(b"ping").await.unwrap();
    receive(client, "ping").await == "ping"
}

#[tokio::test]
async fn a_tunnel_outlives_the_timeouts_of_http() {
    let limits = Limits { header_timeout_ms: 50, idle_timeout_ms: 50, ..limits() };
    let server = start(1, limits, upgrade);
    let mut client = tunnel(&server).await;
    sleep(Duration::from_millis(300)).await;
    assert!(echoes(&mut client).await);
}

#[tokio::test]
async fn a_tunnel_has_until_the_deadline() {
    let server = start(1, limits(), upgrade);
    let (mut client, mut other) = (tunnel(&server).await, tunnel(&server).await);
    let ending = tokio::spawn(server.shutdown(Duration::from_millis(1_500)));
    sleep(Duration::from_millis(100)).await;
    assert!(echoes(&mut client).await);
    // One ends by itself in time, so one is cut.
    drop(client);
    assert_eq!(ending.await.unwrap(), 1);
    assert!(ends_within(&mut other, Duration::from_secs(1)).await);
}

#[tokio::test]
async fn a_tunnel_counts_as_a_connection() {
    let server = start(1, Limits { max_connections: 1, ..limits() }, upgrade);
    let first = tunnel(&server).await;
    let mut second = connect(&server).await;
    send(&mut second, "/").await;
    assert!(receive(&mut second, "}").await.starts_with("HTTP/1.1 503 "));
    drop(first);
    until_answered(&server).await;
}

#[tokio::test]
async fn a_server_that_is_dropped_listens_no_more() {
    let server = start(2, limits(), hello);
    let address = server.addresses()[0];
    drop(server);
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, refused).await.unwrap();
}

#[test]
fn without_an_address_there_is_no_server() {
    let settings = Settings { listeners: vec![], threads: 1, limits: limits(), tls: None };
    assert!(matches!(Server::bind(&settings), Err(ServerError::NoAddress)));
}
