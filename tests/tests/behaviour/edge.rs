//! The Worker, in workerd: what is a matter of many requests at once, of when, or of how much.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use socket2::SockRef;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::timeout};
use tollgate_rehearsal::play::Sent;
use tollgate_tests::stage::{
    native::client::{self, Reader, Writer},
    workers::{self, process::Process},
};

use crate::around::{Connection, Content, Upstream, answering, request, serve, soon};

/// A Worker that passes everything on to `upstream`; none where there is no workerd, which is said loudly and is a
/// failure in CI.
pub(crate) async fn worker(upstream: SocketAddr, more: &str) -> Option<Process> {
    if let Some(why) = workers::unavailable() {
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("SKIPPED: {why}");
        return None;
    }
    let text = format!(
        "services: {{app: {{endpoints: ['http://{upstream}']}}}}\nroutes: [{{path: '/app/*', target_service: app}}]\n{more}"
    );
    Some(workers::start(&text).await.unwrap())
}

pub(crate) async fn connect(worker: &Process) -> (Reader, Writer) {
    client::connect(Ipv4Addr::LOCALHOST.into(), worker.address()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_with_the_same_token_that_come_at_once_ask_its_issuer_once() {
    let issuer = Upstream::open().await;
    let policy = format!(
        "policies: [{{name: x, type: OAuthIntrospection, introspection_endpoint: 'http://{}/', client_id: c, \
         client_secret: s, timeout_ms: 5000}}]",
        issuer.address()
    );
    let Some(worker) = worker(answering().await, &policy).await else { return };
    let address = worker.address();
    let sent = request("GET /app/x", &["authorization: Bearer good"], "");
    let mut clients = JoinSet::new();
    for _ in 0..10 {
        let sent: Arc<Sent> = sent.clone();
        clients.spawn(async move { client::exchange(address, &sent).await.unwrap().status });
    }
    let mut asked = issuer.accept().await;
    asked.until("token_type_hint=access_token").await;
    // The others have come meanwhile, and wait.
    assert!(timeout(Duration::from_millis(500), issuer.accept()).await.is_err(), "it is asked again");
    let content = r#"{"active": true, "sub": "alice"}"#;
    asked.say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{content}", content.len())).await;
    let statuses = timeout(Duration::from_secs(60), clients.join_all()).await.unwrap();
    assert_eq!(statuses, [200; 10]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_about_a_token_that_does_not_end_is_none() {
    let issuer = Upstream::open().await;
    let policy = format!(
        "policies: [{{name: x, type: OAuthIntrospection, introspection_endpoint: 'http://{}/', client_id: c, \
         client_secret: s, timeout_ms: 300}}]",
        issuer.address()
    );
    let Some(worker) = worker(answering().await, &policy).await else { return };
    let trickle = async {
        let mut asked = issuer.accept().await;
        asked.until("token_type_hint=access_token").await;
        asked.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"active\": true").await;
        asked
    };
    let sent = request("GET /app/x", &["authorization: Bearer good"], "");
    let (raw, _asked) =
        tokio::join!(soon("it is answered", client::exchange(worker.address(), &sent)), trickle);
    assert_eq!(raw.unwrap().status, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_replaces_what_was_deployed_unless_it_is_bad() {
    if let Some(why) = workers::unavailable() {
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("SKIPPED: {why}");
        return;
    }
    let upstream = answering().await;
    let routes = |path: &str| {
        format!(
            "services: {{app: {{endpoints: ['http://{upstream}']}}}}\nroutes: [{{path: {path}, target_service: app}}]"
        )
    };
    let good = workers::bundle(&routes("/published")).unwrap();
    for (published, deployed_serves) in [(good.as_str(), false), ("{}", true), ("nonsense", true)] {
        let worker =
            workers::start_with(&routes("/deployed"), Some(published), BTreeMap::new()).await.unwrap();
        for (path, served) in [("/deployed", deployed_serves), ("/published", !deployed_serves)] {
            let sent = request(&format!("GET {path}"), &[], "");
            let answer = client::exchange(worker.address(), &sent).await.unwrap();
            assert_eq!(answer.status, if served { 200 } else { 404 }, "{path} with {published:.20}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_says_where_a_service_is_that_the_file_does_not_declare() {
    if let Some(why) = workers::unavailable() {
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("SKIPPED: {why}");
        return;
    }
    let upstream = answering().await;
    let variables = BTreeMap::from([("SERVICE_CODE_AGENT".to_owned(), format!("http://{upstream}"))]);
    let text = "routes: [{path: '/*', target_service: code-agent}]";
    let worker = workers::start_with(text, None, variables).await.unwrap();
    let answer = client::exchange(worker.address(), &request("GET /x", &[], "")).await.unwrap();
    assert_eq!((answer.status, &*answer.body), (200, &b"ok"[..]));
}

/// No input is known that leads to a panic. Were there one, it would cost the requests of that moment, not the isolate;
/// and what is counted is not in the instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_lost_is_replaced() {
    let policy = "policies: [{name: limit, type: FixedWindow, rate: 3, per: ip, window: 1d}]";
    let Some(worker) = worker(answering().await, policy).await else { return };
    let from = "cf-connecting-ip: 192.0.2.1";
    let mut statuses = Vec::new();
    for panics in [false, true, false, false, false] {
        let fields = if panics { vec![from, "x-tollgate-test-panic: 1"] } else { vec![from] };
        let sent = request("GET /app/x", &fields, "");
        statuses.push(client::exchange(worker.address(), &sent).await.unwrap().status);
    }
    assert_eq!(statuses, [200, 500, 200, 200, 429]);
}

/// Requests that mean harm, or nothing: none may cost the instance, which would answer 500.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_by_the_thousand_break_nothing() {
    let more = "policies: [{name: authentication, type: JWT_Validation, jwks: '{\"keys\": [{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}'}, \
        {name: caching, type: TTL, ttl_seconds: 60}, {name: limit, type: FixedWindow, rate: 1000000, per: [user_id, 'header:X-Key']}]\nenforce_domain: false\nlimits: {max_body_bytes: 100}";
    let Some(worker) = worker(answering().await, more).await else { return };
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = |sides: usize| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        (dice % sides as u64) as usize
    };
    const PIECES: [&str; 24] = [
        "/", "..", "%2e", "%2f", "%00", "%", "%zz", ";", "?", "&", "=", "app", "a", "\u{e9}", "%ff%fe", "#",
        "{x}", "*", "%5c", "%25", "//", "'", "\"", "~",
    ];
    const METHODS: [&str; 8] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"];
    let tokens = [
        "",
        "Bearer",
        "Bearer .",
        "Bearer ..",
        "Bearer a.b.c",
        "bearer eyJhbGciOiJub25lIn0.e30.",
        "Basic a",
        "Bearer eyJhbGciOiJFZERTQSJ9.eyJleHAiOjFlMzA4fQ.AA",
        "Bearer eyJhbGciOiJFZERTQSIsImNyaXQiOlsiYSJdfQ.e30.AA",
    ];
    for round in 0..3_000 {
        let target: String = (0..roll(12)).map(|_| PIECES[roll(PIECES.len())]).collect();
        let mut headers = vec![(
            "host".to_owned(),
            ["gateway.test", "a..b", "[::1]", "x:99999", "A.B:1"][roll(5)].to_owned(),
        )];
        for name in
            ["cookie", "x-key", "traceparent", "accept-encoding", "vary", "cache-control", "cf-connecting-ip"]
        {
            if roll(3) == 0 {
                let value: String =
                    (0..roll(30)).map(|_| PIECES[roll(PIECES.len())].replace('\u{e9}', "e")).collect();
                headers.push((name.to_owned(), value));
            }
        }
        headers.push(("authorization".to_owned(), tokens[roll(tokens.len())].to_owned()));
        let sent = Sent {
            method: METHODS[roll(METHODS.len())].to_owned(),
            target: format!("/{target}"),
            headers,
            pieces: Vec::new(),
            peer: Ipv4Addr::LOCALHOST.into(),
            certificate: None,
            trailers: Vec::new(),
            over: Default::default(),
        };
        let what = format!("round {round}: an answer to {sent:?}");
        let answer = soon(&what, client::exchange(worker.address(), &sent)).await;
        let answer = answer.unwrap_or_else(|error| panic!("round {round}: {error}: {sent:?}"));
        assert!(answer.status < 500, "round {round}: {}: {sent:?}", answer.status);
    }
}

#[tokio::test]
async fn events_arrive_one_by_one_at_the_edge() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), "policies: [{name: compression, type: Compression}]").await
    else {
        return;
    };
    let (mut reader, mut writer) = connect(&worker).await;
    writer.send(&request("GET /app/events", &["accept-encoding: gzip"], "")).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    connection.say(head).await;
    for number in 1..4 {
        // Sent only when the client has what came before.
        connection.say(&format!("9\r\ndata: {number}\n\n\r\n")).await;
        if number == 1 {
            assert_eq!(soon("the head comes", reader.head()).await.unwrap().status, 200);
        }
        let event = soon("the event comes", reader.chunk()).await.unwrap().unwrap();
        assert_eq!(event, format!("data: {number}\n\n"));
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_upstream_call_at_the_edge() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), "").await else { return };
    let mut client = TcpStream::connect(worker.address()).await.unwrap();
    client.write_all(b"GET /app/x HTTP/1.1\r\nhost: gateway.test\r\n\r\n").await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    // Reset, not only finished: workerd alone takes the latter for a client that has said all it had to say.
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert!(connection.is_cut().await);
}

/// The fields of a client that wants to open a WebSocket.
pub(crate) const fn handshake() -> [&'static str; 4] {
    [
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
}

/// The upstream agrees to open one.
pub(crate) async fn switch(connection: &mut Connection) {
    let asked = connection.head().await;
    let field = |name: &str| {
        let lines = asked.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    };
    assert_eq!(field("upgrade").as_deref(), Some("websocket"), "{asked}");
    // The platform shakes hands with each side for itself, and checks what it is answered.
    let key = field("sec-websocket-key").unwrap() + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    let accept = Base64::encode_string(digest.as_ref());
    connection
        .say(&format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"))
        .await;
}

#[tokio::test]
async fn a_websocket_passes_at_the_edge() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), "").await else { return };
    let (mut reader, mut writer) = connect(&worker).await;
    writer.send(&request("GET /app/socket", &handshake(), "")).await.unwrap();
    let mut connection = upstream.accept().await;
    switch(&mut connection).await;
    assert_eq!(soon("the switch is agreed to", reader.head()).await.unwrap().status, 101);
    // A frame with the text `hi` down, unmasked, and one with `yo` up, masked with zeros.
    connection.send(b"\x81\x02hi").await;
    let _ = writer.raw(b"\x81\x82\0\0\0\0yo").await;
    let frame = soon("a frame comes down", reader.raw()).await.unwrap();
    assert!(frame.ends_with(b"hi"), "{frame:?}");
}

/// 200 MiB each way. What passes is the same stream, so the process holds no more of it than what is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_pass_without_staying() {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 200 * 1024 * 1024 / PIECE;
    let upstream = serve(|request| async move {
        let mut body = request.into_body();
        let mut received = 0;
        while let Some(Ok(frame)) = body.frame().await {
            received += frame.data_ref().map_or(0, Bytes::len);
        }
        let content: Content = if received > 0 {
            Full::new(Bytes::from(received.to_string())).boxed()
        } else {
            Pieces { piece: Bytes::from(vec![7; PIECE]), left: PIECES }.boxed()
        };
        Response::new(content)
    })
    .await;
    let Some(worker) = worker(upstream, "").await else { return };
    let small = request("POST /app/x", &["content-length: 5"], "hello");
    client::exchange(worker.address(), &small).await.unwrap();

    let long = Duration::from_secs(60);
    let (mut reader, mut writer) = connect(&worker).await;
    writer.send(&request("GET /app/x", &[], "")).await.unwrap();
    let head = timeout(long, reader.head()).await.unwrap().unwrap();
    assert_eq!(head.status, 200);
    let (mut received, mut most) = (0, 0);
    while let Some(chunk) = timeout(long, reader.chunk()).await.unwrap().unwrap() {
        if chunk.is_empty() {
            break;
        }
        received += chunk.len();
        most = most.max(worker.resident().unwrap());
    }
    assert_eq!(received, PIECES * PIECE);

    let pieces = vec![Bytes::from(vec![7; PIECE]); PIECES];
    let mut headers = vec![("host".to_owned(), "gateway.test".to_owned())];
    headers.push(("content-length".to_owned(), (PIECES * PIECE).to_string()));
    let sent = Sent {
        method: "POST".to_owned(),
        target: "/app/x".to_owned(),
        headers,
        pieces,
        peer: Ipv4Addr::LOCALHOST.into(),
        certificate: None,
        trailers: Vec::new(),
        over: Default::default(),
    };
    let answer = timeout(long, client::exchange(worker.address(), &sent)).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.body), (200, Bytes::from((PIECES * PIECE).to_string())));
    most = most.max(worker.resident().unwrap());
    eprintln!("workerd held {} MiB at most", most >> 20);
    assert!(most < 200 << 20, "{most} bytes");
}

/// The same piece, so many times.
struct Pieces {
    piece: Bytes,
    left: usize,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
        self.left = left;
        Poll::Ready(Some(Ok(http_body::Frame::data(self.piece.clone()))))
    }
}
