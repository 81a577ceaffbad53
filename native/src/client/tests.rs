//! Claims about exchanges with upstreams, which are raw TCP servers here and say what they please.

mod http2;

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::HeaderValue;
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tollgate_core::upstream::Tls;

use super::*;
use crate::body::tests::{data, fed};

const PATIENCE: Patience = Patience { connect_ms: 5_000, head_ms: 5_000, idle_ms: 5_000 };
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn listen() -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = endpoint(listener.local_addr().unwrap(), None);
    (listener, endpoint)
}

fn endpoint(address: SocketAddr, tls: Option<Tls>) -> Endpoint {
    let text = address.to_string();
    Endpoint {
        service: "s".into(),
        authority: text.parse().unwrap(),
        tls,
        protocol: Protocol::Http1,
        base_path: String::new(),
        host: HeaderValue::try_from(&text).unwrap(),
        pool: text.into(),
        is_raw: false,
    }
}

fn get() -> Request<NativeBody> {
    Request::get("/").header("host", "upstream.test").body(NativeBody::empty()).unwrap()
}

fn post(body: NativeBody) -> Request<NativeBody> {
    Request::post("/").header("host", "upstream.test").body(body).unwrap()
}

async fn fetch(client: &Client, endpoint: &Endpoint) -> Result<Bytes, HostError> {
    let response = client.fetch(endpoint, get(), PATIENCE).await?;
    Ok(response.into_body().read(1 << 20).await.unwrap())
}

/// Reads up to the end of a head.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

/// Whether the client closes `stream` within a second, in whatever way.
async fn is_cut(stream: &mut TcpStream) -> bool {
    let mut rest = [0; 1024];
    timeout(Duration::from_secs(1), async { while let Ok(1..) = stream.read(&mut rest).await {} })
        .await
        .is_ok()
}

/// The error of one fetch from an upstream that reads the head and then answers `answer` and closes.
async fn failure(answer: &[u8]) -> HostError {
    let (listener, endpoint) = listen().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        head(&mut stream).await;
        stream.write_all(answer).await.unwrap();
    };
    let client = Client::default();
    let (fetched, ()) = tokio::join!(client.fetch(&endpoint, get(), PATIENCE), serve);
    fetched.unwrap_err()
}

#[test]
fn a_fetch_may_change_threads() {
    fn assert_send(_: impl Send) {}
    let client = Client::default();
    let endpoint = endpoint("127.0.0.1:1".parse().unwrap(), None);
    assert_send(client.fetch(&endpoint, get(), PATIENCE));
}

#[tokio::test]
async fn connections_are_reused() {
    let (listener, endpoint) = listen().await;
    let answers = [
        OK,
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        drop(listener);
        for answer in answers {
            head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let client = Client::default();
    for expected in ["ok", "", ""] {
        assert_eq!(fetch(&client, &endpoint).await.unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_on_many_threads_get_their_own_answers() {
    let (listener, endpoint) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                loop {
                    let head = head(&mut stream).await;
                    let target = head.split(' ').nth(1).unwrap();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{target}", target.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let client = Client::default();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..32 {
        let (client, endpoint) = (client.clone(), endpoint.clone());
        tasks.spawn(async move {
            for number in 0..16 {
                let mut request = get();
                *request.uri_mut() = format!("/{task}/{number}").parse().unwrap();
                let response = client.fetch(&endpoint, request, PATIENCE).await.unwrap();
                assert_eq!(response.into_body().read(99).await.unwrap(), format!("/{task}/{number}"));
            }
        });
    }
    tasks.join_all().await;
    assert!(client.pools.resting() <= 32, "a task needs one connection at most");
}

#[tokio::test]
async fn an_exchange_with_trailers_gives_its_connection_back() {
    let (listener, endpoint) = listen().await;
    let answer =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n";
    let serve = async {
        let mut stream = accept(&listener).await;
        head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let client = Client::default();
    let (fetched, _stream) = tokio::join!(client.fetch(&endpoint, get(), PATIENCE), serve);
    let mut body = fetched.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ok");
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap()["x"], "y");
    assert_eq!(client.pools.resting(), 1);
}

#[tokio::test]
async fn lengths_reach_the_other_side_as_they_are() {
    let (listener, endpoint) = listen().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        let head = head(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        head
    };
    let client = Client::default();
    let request = post(NativeBody::full("four".into()).bounded(9));
    let (fetched, head) = tokio::join!(client.fetch(&endpoint, request, PATIENCE), serve);
    assert!(head.contains("content-length: 4\r\n"), "{head}");
    assert_eq!(fetched.unwrap().body().length(), Some(2));
}

#[tokio::test]
async fn a_connection_that_died_at_rest_is_replaced() {
    let (listener, endpoint) = listen().await;
    let client = Client::default();
    let serve = async {
        for _ in 0..2 {
            let mut stream = accept(&listener).await;
            head(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    };
    let ask = async {
        fetch(&client, &endpoint).await.unwrap();
        // Between two requests the upstream has closed, as keep-alive allows.
        while client.pools.resting() > 0 {
            tokio::task::yield_now().await;
        }
        fetch(&client, &endpoint).await.unwrap();
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn what_may_have_arrived_is_not_sent_twice() {
    let (listener, endpoint) = listen().await;
    let client = Client::default();
    let serve = async {
        let mut stream = accept(&listener).await;
        head(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        head(&mut stream).await;
        drop(stream);
        timeout(Duration::from_millis(50), listener.accept()).await.is_err()
    };
    let ask = async {
        fetch(&client, &endpoint).await.unwrap();
        fetch(&client, &endpoint).await.unwrap_err()
    };
    let (nobody_came_again, error) = tokio::join!(serve, ask);
    assert_eq!(error.kind, HostErrorKind::Reset);
    assert!(nobody_came_again);
}

#[tokio::test]
async fn a_refusal_is_told_with_the_name_of_who_refused() {
    let (listener, endpoint) = listen().await;
    drop(listener);
    let error = fetch(&Client::default(), &endpoint).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Connect);
    assert!(error.detail.starts_with(endpoint.authority.as_str()), "{error}");
    assert!(error.detail.contains("refused"), "{error}");
}

#[tokio::test]
async fn silence_and_nonsense_are_told_apart() {
    assert_eq!(failure(b"").await.kind, HostErrorKind::Reset);
    assert_eq!(failure(b"HTTP/1.1 200 OK\r\n").await.kind, HostErrorKind::Reset);
    assert_eq!(failure(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").await.kind, HostErrorKind::Protocol);
    assert_eq!(failure(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").await.kind, HostErrorKind::Protocol);
    assert_eq!(failure(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.kind, HostErrorKind::Protocol);
}

#[tokio::test]
async fn heads_are_bounded() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
    assert_eq!(failure(many.as_bytes()).await.kind, HostErrorKind::Protocol);
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let (listener, endpoint) = listen().await;
    tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\na: ").await.unwrap();
        while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
    });
    let error = fetch(&Client::default(), &endpoint).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn a_head_that_does_not_come_times_out_and_cuts() {
    let (listener, endpoint) = listen().await;
    let patience = Patience { head_ms: 20, ..PATIENCE };
    let serve = async {
        let mut stream = accept(&listener).await;
        head(&mut stream).await;
        is_cut(&mut stream).await
    };
    let client = Client::default();
    let (fetched, cut) = tokio::join!(client.fetch(&endpoint, get(), patience), serve);
    assert_eq!(fetched.unwrap_err().kind, HostErrorKind::Timeout);
    assert!(cut);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_no_connection() {
    let (listener, mut endpoint) = listen().await;
    endpoint.tls = Some(tls());
    let patience = Patience { connect_ms: 20, ..PATIENCE };
    let error = Client::default().fetch(&endpoint, get(), patience).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Connect);
    assert!(error.detail.contains("20 ms"), "{error}");
    drop(listener);
}

#[tokio::test]
async fn whoever_stops_waiting_cuts_the_upstream_off() {
    let (listener, endpoint) = listen().await;
    let client = Client::default();
    let fetching = tokio::spawn(async move { client.fetch(&endpoint, get(), PATIENCE).await.map(drop) });
    let mut stream = accept(&listener).await;
    head(&mut stream).await;
    fetching.abort();
    assert!(is_cut(&mut stream).await);
}

#[tokio::test]
async fn whoever_stops_reading_cuts_the_upstream_off() {
    let (listener, endpoint) = listen().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n").await.unwrap();
        stream
    };
    let client = Client::default();
    let (fetched, mut stream) = tokio::join!(client.fetch(&endpoint, get(), PATIENCE), serve);
    let mut body = fetched.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ok");
    drop(body);
    assert!(is_cut(&mut stream).await);
    assert_eq!(client.pools.resting(), 0);
}

#[tokio::test]
async fn an_idle_response_breaks_and_cuts() {
    let (listener, endpoint) = listen().await;
    let patience = Patience { idle_ms: 20, ..PATIENCE };
    let serve = async {
        let mut stream = accept(&listener).await;
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await.unwrap();
        is_cut(&mut stream).await
    };
    let client = Client::default();
    let ask = async { client.fetch(&endpoint, get(), patience).await.unwrap().into_body().read(9).await };
    let (read, cut) = tokio::join!(ask, serve);
    assert!(matches!(read, Err(BodyError::Broken(_))));
    assert!(cut);
}

#[tokio::test]
async fn a_response_that_breaks_off_is_no_end() {
    let (listener, endpoint) = listen().await;
    let serve = async {
        let mut stream = accept(&listener).await;
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await.unwrap();
    };
    let client = Client::default();
    let (fetched, ()) = tokio::join!(client.fetch(&endpoint, get(), PATIENCE), serve);
    assert!(matches!(fetched.unwrap().into_body().read(9).await, Err(BodyError::Broken(_))));
}

#[tokio::test]
async fn a_request_known_to_be_too_large_is_not_sent() {
    let (listener, endpoint) = listen().await;
    let request = post(NativeBody::full("four".into()).bounded(3));
    let error = Client::default().fetch(&endpoint, request, PATIENCE).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::RequestTooLarge);
    assert!(timeout(Duration::from_millis(20), listener.accept()).await.is_err());
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_not_blamed_on_the_upstream() {
    let broken = Err(BodyError::Broken("reset".to_owned()));
    for (piece, kind) in
        [(data(b"5"), HostErrorKind::RequestTooLarge), (broken, HostErrorKind::RequestBroken)]
    {
        let (listener, endpoint) = listen().await;
        let (feed, body) = fed();
        feed.send(data(b"four")).unwrap();
        let serve = async {
            let mut stream = accept(&listener).await;
            head(&mut stream).await;
            feed.send(piece).unwrap();
            is_cut(&mut stream).await
        };
        let client = Client::default();
        let (fetched, cut) = tokio::join!(client.fetch(&endpoint, post(body.bounded(4)), PATIENCE), serve);
        assert_eq!(fetched.unwrap_err().kind, kind);
        assert!(cut);
    }
}

#[tokio::test]
async fn an_idle_request_is_the_clients_fault() {
    let (listener, endpoint) = listen().await;
    let (_feed, body) = fed();
    let patience = Patience { idle_ms: 20, ..PATIENCE };
    let error = Client::default().fetch(&endpoint, post(body), patience).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::RequestBroken);
    drop(listener);
}

#[tokio::test]
async fn a_connection_still_sending_is_not_given_to_others() {
    let (listener, endpoint) = listen().await;
    let (feed, body) = fed();
    let client = Client::default();
    let serve = async {
        let mut first = accept(&listener).await;
        head(&mut first).await;
        first.write_all(OK.as_bytes()).await.unwrap();
        let mut second = accept(&listener).await;
        head(&mut second).await;
        second.write_all(OK.as_bytes()).await.unwrap();
        (first, second)
    };
    let ask = async {
        let early = client.fetch(&endpoint, post(body), PATIENCE).await.unwrap();
        assert_eq!(early.into_body().read(9).await.unwrap(), "ok");
        assert_eq!(fetch(&client, &endpoint).await.unwrap(), "ok");
    };
    tokio::join!(serve, ask);
    drop(feed);
}

#[tokio::test]
async fn frames_are_passed_without_waiting_for_more() {
    let (listener, endpoint) = listen().await;
    let (feed, body) = fed();
    feed.send(data(b"one")).unwrap();
    let serve = async {
        let mut stream = accept(&listener).await;
        head(&mut stream).await;
        let mut piece = [0; 8];
        stream.read_exact(&mut piece).await.unwrap();
        assert_eq!(&piece, b"3\r\none\r\n");
        feed.send(Ok(Frame::data(Bytes::from_static(b"two")))).unwrap();
        stream.read_exact(&mut piece).await.unwrap();
        assert_eq!(&piece, b"3\r\ntwo\r\n");
        stream.write_all(OK.as_bytes()).await.unwrap();
    };
    let client = Client::default();
    let (fetched, ()) = tokio::join!(client.fetch(&endpoint, post(body), PATIENCE), serve);
    assert_eq!(fetched.unwrap().status(), 200);
}

fn tls() -> Tls {
    Tls {
        authorities: Some(include_str!("testdata/authority.pem").into()),
        server_name: Some("upstream.test".to_owned()),
        identity: None,
    }
}

async fn serve_tls(listener: TcpListener) {
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let chain = CertificateDer::from_pem_slice(include_bytes!("testdata/upstream.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("testdata/upstream.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.unwrap().with_no_client_auth().with_single_cert(vec![chain], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    while let Ok((stream, _)) = listener.accept().await {
        // A client that does not trust us goes away.
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        head(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn an_upstream_is_trusted_by_its_authority_and_name_alone() {
    let (listener, plain) = listen().await;
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_tls(listener));
    let with = |tls: Tls, pool: &str| Endpoint { pool: pool.into(), ..endpoint(address, Some(tls)) };
    let client = Client::default();

    assert_eq!(fetch(&client, &with(tls(), "good")).await.unwrap(), "ok");

    let unnamed = with(Tls { server_name: None, ..tls() }, "unnamed");
    let error = fetch(&client, &unnamed).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Connect);
    assert!(error.detail.contains("certificate"), "{error}");

    let nonsense = with(Tls { authorities: Some("nonsense".into()), ..tls() }, "nonsense");
    let error = fetch(&client, &nonsense).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Connect);
    assert!(error.detail.contains("authorities"), "{error}");

    // What comes back is an alert of TLS.
    assert_eq!(fetch(&client, &plain).await.unwrap_err().kind, HostErrorKind::Protocol);
}

/// A gateway of one connection that passes everything to `endpoint`, and a client connected to it.
async fn gateway(endpoint: Endpoint, patience: Patience) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let served = accept(&listener).await;
    tokio::spawn(async move {
        let upstream = Client::default();
        let pass = service_fn(|request: Request<Incoming>| {
            let (upstream, endpoint) = (&upstream, &endpoint);
            async move { upstream.fetch(endpoint, request.map(NativeBody::from), patience).await }
        });
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(served), pass);
        let _ = connection.with_upgrades().await;
    });
    client
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello";

#[tokio::test]
async fn an_upgrade_is_tunnelled_both_ways_and_ends_with_the_client() {
    let (listener, endpoint) = listen().await;
    let mut client = gateway(endpoint, PATIENCE).await;
    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut upstream = accept(&listener).await;
    assert!(head(&mut upstream).await.contains("upgrade: websocket"));
    // What follows the head at once belongs to the new protocol already.
    upstream.write_all(SWITCH.as_bytes()).await.unwrap();
    let answer = head(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.contains("upgrade: websocket"), "{answer}");

    let mut piece = [0; 5];
    client.read_exact(&mut piece).await.unwrap();
    assert_eq!(&piece, b"hello");
    client.write_all(b"there").await.unwrap();
    upstream.read_exact(&mut piece).await.unwrap();
    assert_eq!(&piece, b"there");
    drop(client);
    assert!(is_cut(&mut upstream).await);
}

#[tokio::test]
async fn a_silent_tunnel_ends() {
    let (listener, endpoint) = listen().await;
    let mut client = gateway(endpoint, Patience { idle_ms: 50, ..PATIENCE }).await;
    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut upstream = accept(&listener).await;
    head(&mut upstream).await;
    upstream.write_all(SWITCH.as_bytes()).await.unwrap();
    head(&mut client).await;
    assert!(is_cut(&mut upstream).await);
    assert!(is_cut(&mut client).await);
}

#[tokio::test]
async fn an_upgrade_that_is_declined_is_a_plain_answer() {
    let (listener, endpoint) = listen().await;
    let mut client = gateway(endpoint, PATIENCE).await;
    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut upstream = accept(&listener).await;
    head(&mut upstream).await;
    upstream.write_all(OK.as_bytes()).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn an_upgrade_without_anybody_to_upgrade_is_refused() {
    let (listener, endpoint) = listen().await;
    let mut request = get();
    request.headers_mut().insert("upgrade", HeaderValue::from_static("websocket"));
    let serve = async {
        let mut stream = accept(&listener).await;
        head(&mut stream).await;
        stream.write_all(SWITCH.as_bytes()).await.unwrap();
        is_cut(&mut stream).await
    };
    let client = Client::default();
    let (fetched, cut) = tokio::join!(client.fetch(&endpoint, request, PATIENCE), serve);
    assert_eq!(fetched.unwrap_err().kind, HostErrorKind::Protocol);
    assert!(cut);
}
