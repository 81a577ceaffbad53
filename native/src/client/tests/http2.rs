//! Claims about exchanges in HTTP/2 with upstreams that say what they please.

use std::sync::atomic::{AtomicUsize, Ordering};

use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, SendResponse, handshake},
};
use http::HeaderMap;
use tokio::sync::Barrier;

use super::*;

type Served = Connection<TcpStream, Bytes>;

async fn listen_http2() -> (TcpListener, Endpoint) {
    let (listener, endpoint) = listen().await;
    (listener, Endpoint { protocol: Protocol::Http2, ..endpoint })
}

async fn accept_http2(listener: &TcpListener) -> Served {
    handshake(accept(listener).await).await.unwrap()
}

/// The next request on a connection, which goes on by itself from then on.
async fn next(served: &mut Served) -> (Request<RecvStream>, SendResponse<Bytes>) {
    served.accept().await.unwrap().unwrap()
}

/// Drives a connection to its end.
fn drive(mut served: Served) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move { while let Some(Ok(_)) = served.accept().await {} })
}

fn answer(respond: &mut SendResponse<Bytes>, text: &'static str) {
    let mut body = respond.send_response(Response::new(()), false).unwrap();
    body.send_data(Bytes::from_static(text.as_bytes()), true).unwrap();
}

/// A server that answers requests when `together` are there at once. How many connections it has had.
fn serve_together(listener: TcpListener, together: usize, streams: u32) -> Arc<AtomicUsize> {
    let (connections, barrier) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(together)));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                let mut served: Served =
                    Builder::new().max_concurrent_streams(streams).handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = served.accept().await {
                    let barrier = Arc::clone(&barrier);
                    tokio::spawn(async move {
                        barrier.wait().await;
                        answer(&mut respond, "ok");
                    });
                }
            });
        }
    });
    connections
}

async fn ask_together(client: &Client, endpoint: &Endpoint, many: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..many {
        let (client, endpoint) = (client.clone(), endpoint.clone());
        tasks.spawn(async move { fetch(&client, &endpoint).await.unwrap() });
    }
    assert!(tasks.join_all().await.iter().all(|body| body == "ok"));
}

#[tokio::test]
async fn requests_share_a_connection() {
    let (listener, endpoint) = listen_http2().await;
    let connections = serve_together(listener, 50, 200);
    let client = Client::default();
    ask_together(&client, &endpoint, 50).await;
    ask_together(&client, &endpoint, 50).await;
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    assert_eq!(client.pools.shared(), 1);
}

#[tokio::test]
async fn no_more_streams_than_the_endpoint_allows() {
    let (listener, endpoint) = listen_http2().await;
    let connections = serve_together(listener, 5, 2);
    ask_together(&Client::default(), &endpoint, 5).await;
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn no_more_streams_than_this_side_wants() {
    let (listener, endpoint) = listen_http2().await;
    let connections = serve_together(listener, shared::MAX_STREAMS + 1, 1_000);
    ask_together(&Client::default(), &endpoint, shared::MAX_STREAMS + 1).await;
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_head_is_as_http2_has_it() {
    let (listener, endpoint) = listen_http2().await;
    let serve = async {
        let mut served = accept_http2(&listener).await;
        let (request, mut respond) = next(&mut served).await;
        answer(&mut respond, "ok");
        drive(served);
        request
    };
    let client = Client::default();
    let mut request = get();
    request.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    let (fetched, seen) = tokio::join!(client.fetch(&endpoint, request, PATIENCE), serve);
    assert_eq!(fetched.unwrap().status(), 200);
    assert_eq!(seen.uri().to_string(), "http://upstream.test/");
    assert!(!seen.headers().contains_key("host"));
    assert_eq!(seen.headers()["te"], "trailers");
}

#[tokio::test]
async fn whoever_stops_reading_resets_the_stream_and_no_other() {
    let (listener, endpoint) = listen_http2().await;
    let client = Client::default();
    let serve = async {
        let mut served = accept_http2(&listener).await;
        let (_, mut left) = next(&mut served).await;
        let mut body = left.send_response(Response::new(()), false).unwrap();
        body.send_data(Bytes::from_static(b"begun"), false).unwrap();
        let (_, mut kept) = next(&mut served).await;
        let driven = drive(served);
        let reason = std::future::poll_fn(|context| body.poll_reset(context)).await.unwrap();
        answer(&mut kept, "ok");
        (reason, driven)
    };
    let ask = async {
        let left = client.fetch(&endpoint, get(), PATIENCE).await.unwrap();
        let kept = fetch(&client, &endpoint);
        let leave = async move {
            tokio::task::yield_now().await;
            drop(left);
        };
        tokio::join!(kept, leave).0.unwrap()
    };
    let (kept, (reason, _driven)) = tokio::join!(ask, serve);
    assert_eq!((kept, reason), (Bytes::from_static(b"ok"), Reason::CANCEL));
    assert_eq!(client.pools.shared(), 1);
}

#[tokio::test]
async fn whoever_stops_waiting_resets_the_stream_also_while_sending() {
    let (listener, endpoint) = listen_http2().await;
    let client = Client::default();
    let (feed, body) = fed();
    feed.send(data(b"one")).unwrap();
    let (asking, asked) = (client.clone(), endpoint.clone());
    let fetching = tokio::spawn(async move { asking.fetch(&asked, post(body), PATIENCE).await.map(drop) });
    let mut served = accept_http2(&listener).await;
    let (request, _respond) = next(&mut served).await;
    drive(served);
    let mut body = request.into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "one");
    fetching.abort();
    assert!(body.data().await.unwrap().unwrap_err().is_reset());
    assert_eq!(client.pools.shared(), 1);
    drop(feed);
}

#[tokio::test]
async fn whoever_leaves_the_answer_stops_sending_too() {
    let (listener, endpoint) = listen_http2().await;
    let client = Client::default();
    let (feed, body) = fed();
    feed.send(data(b"one")).unwrap();
    let serve = async {
        let mut served = accept_http2(&listener).await;
        let (request, mut respond) = next(&mut served).await;
        let _answer = respond.send_response(Response::new(()), false).unwrap();
        drive(served);
        let mut body = request.into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "one");
        body.data().await.unwrap().unwrap_err().is_reset()
    };
    let ask = async { drop(client.fetch(&endpoint, post(body), PATIENCE).await.unwrap()) };
    assert!(tokio::join!(ask, serve).1);
    drop(feed);
}

#[tokio::test]
async fn a_goodbye_ends_nothing_that_has_begun() {
    let (listener, endpoint) = listen_http2().await;
    let client = Client::default();
    let serve = async {
        let mut first = accept_http2(&listener).await;
        let (_, mut begun) = next(&mut first).await;
        first.graceful_shutdown();
        let driven = drive(first);
        let mut second = accept_http2(&listener).await;
        let (_, mut later) = next(&mut second).await;
        answer(&mut later, "later");
        drive(second);
        answer(&mut begun, "begun");
        driven.await.unwrap();
    };
    let ask = async {
        let begun = fetch(&client, &endpoint);
        let later = async {
            // The goodbye has to have come.
            tokio::time::sleep(Duration::from_millis(50)).await;
            fetch(&client, &endpoint).await.unwrap()
        };
        let (begun, later) = tokio::join!(begun, later);
        assert_eq!((begun.unwrap().as_ref(), later.as_ref()), (&b"begun"[..], &b"later"[..]));
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn what_was_not_looked_at_goes_to_another_connection_once() {
    for goodbye in [false, true] {
        let (listener, endpoint) = listen_http2().await;
        let client = Client::default();
        let serve = async {
            let mut first = accept_http2(&listener).await;
            let (_, mut begun) = next(&mut first).await;
            answer(&mut begun, "begun");
            let (_, mut refused) = next(&mut first).await;
            refused.send_reset(Reason::REFUSED_STREAM);
            if goodbye {
                first.graceful_shutdown();
            }
            drive(first);
            let mut second = accept_http2(&listener).await;
            let (request, mut respond) = next(&mut second).await;
            let mut body = request.into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "whole");
            answer(&mut respond, "again");
            // And a second refusal is an answer.
            let (_, mut refused) = next(&mut second).await;
            refused.send_reset(Reason::REFUSED_STREAM);
            drive(second);
            let mut third = accept_http2(&listener).await;
            let (_, mut refused) = next(&mut third).await;
            refused.send_reset(Reason::REFUSED_STREAM);
            drive(third);
        };
        let ask = async {
            assert_eq!(fetch(&client, &endpoint).await.unwrap(), "begun");
            let whole = post(NativeBody::full("whole".into()));
            let response = client.fetch(&endpoint, whole, PATIENCE).await.unwrap();
            assert_eq!(response.into_body().read(9).await.unwrap(), "again");
        };
        if goodbye {
            // What comes after shows the other round.
            tokio::select! { () = ask => {} () = serve => unreachable!() }
            continue;
        }
        let ask = async {
            ask.await;
            // The first connection is as good as the second: it gets the next request, and the other the copy.
            client.pools.origin(&endpoint.pool).claim(None).unwrap().connection().retire();
            assert_eq!(fetch(&client, &endpoint).await.unwrap_err().kind, HostErrorKind::Reset);
        };
        tokio::join!(ask, serve);
    }
}

#[tokio::test]
async fn what_may_have_been_acted_upon_is_not_sent_twice() {
    let (listener, endpoint) = listen_http2().await;
    let client = Client::default();
    let serve = async {
        let mut served = accept_http2(&listener).await;
        let (_, mut reset) = next(&mut served).await;
        reset.send_reset(Reason::INTERNAL_ERROR);
        let (_, _cut) = next(&mut served).await;
        drop(served);
        timeout(Duration::from_millis(50), listener.accept()).await.is_err()
    };
    let ask = async {
        for _ in 0..2 {
            assert_eq!(fetch(&client, &endpoint).await.unwrap_err().kind, HostErrorKind::Reset);
        }
    };
    assert!(tokio::join!(ask, serve).1);
}

#[tokio::test]
async fn a_stream_of_a_client_is_not_sent_twice() {
    let (listener, endpoint) = listen_http2().await;
    let (feed, body) = fed();
    feed.send(data(b"one")).unwrap();
    let serve = async {
        let mut served = accept_http2(&listener).await;
        let (_, mut refused) = next(&mut served).await;
        refused.send_reset(Reason::REFUSED_STREAM);
        drive(served);
        timeout(Duration::from_millis(50), listener.accept()).await.is_err()
    };
    let client = Client::default();
    let (fetched, alone) = tokio::join!(client.fetch(&endpoint, post(body), PATIENCE), serve);
    assert_eq!(fetched.unwrap_err().kind, HostErrorKind::Reset);
    assert!(alone);
    drop(feed);
}

#[tokio::test]
async fn whoever_is_silent_too_long_gets_no_further_requests() {
    let (listener, endpoint) = listen_http2().await;
    let client = Client::default();
    let serve = async {
        let mut first = accept_http2(&listener).await;
        let (request, _silent) = next(&mut first).await;
        drive(first);
        let mut second = accept_http2(&listener).await;
        let (_, mut respond) = next(&mut second).await;
        answer(&mut respond, "ok");
        drive(second);
        request
    };
    let ask = async {
        let patience = Patience { head_ms: 30, ..PATIENCE };
        let error = client.fetch(&endpoint, get(), patience).await.unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Timeout);
        assert_eq!(fetch(&client, &endpoint).await.unwrap(), "ok");
    };
    tokio::join!(ask, serve);
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let (listener, endpoint) = listen_http2().await;
    let serve = async {
        let mut served = accept_http2(&listener).await;
        let (request, mut respond) = next(&mut served).await;
        let driven = drive(served);
        let mut body = request.into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "one");
        let trailers = body.trailers().await.unwrap().unwrap();
        let mut answer = respond.send_response(Response::new(()), false).unwrap();
        answer.send_data(Bytes::from_static(b"two"), false).unwrap();
        answer.send_trailers(trailers).unwrap();
        // Runs by itself.
        drop(driven);
    };
    let trailers: HeaderMap =
        [("x-sum".parse().unwrap(), HeaderValue::from_static("1"))].into_iter().collect();
    let frames = [Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"one"))), Ok(Frame::trailers(trailers))];
    let body = NativeBody::wrap(Frames(frames.into_iter().collect()));
    let client = Client::default();
    let (fetched, ()) = tokio::join!(client.fetch(&endpoint, post(body), PATIENCE), serve);
    let mut body = fetched.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "two");
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap()["x-sum"], "1");
}

/// Frames that are there.
struct Frames(std::collections::VecDeque<Result<Frame<Bytes>, BodyError>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_not_blamed_on_the_upstream() {
    let (listener, endpoint) = listen_http2().await;
    let (feed, body) = fed();
    feed.send(data(b"four")).unwrap();
    let serve = async {
        let mut served = accept_http2(&listener).await;
        let (request, _respond) = next(&mut served).await;
        drive(served);
        let mut body = request.into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "four");
        feed.send(data(b"5")).unwrap();
        body.data().await.unwrap().unwrap_err().is_reset()
    };
    let client = Client::default();
    let (fetched, reset) = tokio::join!(client.fetch(&endpoint, post(body.bounded(4)), PATIENCE), serve);
    assert_eq!(fetched.unwrap_err().kind, HostErrorKind::RequestTooLarge);
    assert!(reset);
    assert_eq!(client.pools.shared(), 1);
}

#[tokio::test]
async fn whoever_does_not_speak_it_is_not_connected_to() {
    let (listener, endpoint) = listen_http2().await;
    tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await.unwrap();
    });
    let error = fetch(&Client::default(), &endpoint).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Connect);
    assert!(error.detail.contains("no HTTP/2"), "{error}");
}

#[tokio::test]
async fn an_upgrade_goes_over_a_connection_of_its_own() {
    let (listener, endpoint) = listen_http2().await;
    let mut client = gateway(endpoint, PATIENCE).await;
    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut upstream = accept(&listener).await;
    assert!(head(&mut upstream).await.starts_with("GET / HTTP/1.1\r\n"));
    upstream.write_all(SWITCH.as_bytes()).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 101 "));
}

/// A TLS server that offers these protocols, takes `client`'s certificate where one is wanted, and says what was chosen.
async fn serve_chosen(listener: TcpListener, offered: &[&[u8]], wanted: Option<&rcgen::Certificate>) {
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let chain = CertificateDer::from_pem_slice(include_bytes!("../testdata/upstream.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../testdata/upstream.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        rustls::ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.unwrap();
    let builder = match wanted {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.der().clone()).unwrap();
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let mut config = builder.with_single_cert(vec![chain], key).unwrap();
    config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            // Who wanted something else goes away.
            if let Ok(1..) = stream.read(&mut [0; 1024]).await {
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
            continue;
        }
        let Ok(mut served) = handshake(stream).await else { continue };
        tokio::spawn(async move {
            while let Some(Ok((_, mut respond))) = served.accept().await {
                answer(&mut respond, "h2");
            }
        });
    }
}

#[tokio::test]
async fn over_tls_the_endpoint_chooses_among_what_is_offered() {
    let both: &[&[u8]] = &[b"h2", b"http/1.1"];
    for (protocol, offered, expected) in [
        (Protocol::Auto, both, Some("h2")),
        (Protocol::Auto, &both[1..], Some("ok")),
        (Protocol::Auto, &[][..], Some("ok")),
        (Protocol::Http1, both, Some("ok")),
        (Protocol::Http2, both, Some("h2")),
        (Protocol::Http2, &both[1..], None),
        (Protocol::Http2, &[][..], None),
    ] {
        let (listener, plain) = listen().await;
        let endpoint = Endpoint { protocol, tls: Some(tls()), ..plain };
        let client = Client::default();
        let serve = serve_chosen(listener, offered, None);
        let ask = async {
            for _ in 0..2 {
                match (fetch(&client, &endpoint).await, expected) {
                    (Ok(body), Some(expected)) => assert_eq!(body, expected),
                    (Err(error), None) => assert_eq!(error.kind, HostErrorKind::Connect, "{error}"),
                    (other, _) => panic!("{protocol:?} {offered:?}: {other:?}"),
                }
            }
        };
        tokio::select! { () = ask => {} () = serve => unreachable!() }
    }
}

#[tokio::test]
async fn a_certificate_of_our_own_is_presented_where_it_is_asked_for() {
    use tollgate_core::upstream::ClientIdentity;
    let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority = parameters.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::from_params(&parameters, &authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap();
    let identity =
        |key: &rcgen::KeyPair| ClientIdentity { chain: own.pem(), key: key.serialize_pem().into() };
    for (presented, expected) in
        [(Some(identity(&key)), true), (None, false), (Some(identity(&authority_key)), false)]
    {
        let (listener, plain) = listen().await;
        let tls = Tls { identity: presented.map(Arc::new), ..tls() };
        let endpoint = Endpoint { protocol: Protocol::Auto, tls: Some(tls), ..plain };
        let serve = serve_chosen(listener, &[b"h2"], Some(&authority));
        let client = Client::default();
        let ask = async { fetch(&client, &endpoint).await };
        let fetched = tokio::select! { fetched = ask => fetched, () = serve => unreachable!() };
        assert_eq!(fetched.is_ok(), expected, "{fetched:?}");
    }
}

/// What this process has in memory.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// A gibibyte through TLS and HTTP/2, both ends of it in this process.
#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "takes some seconds"]
async fn a_gibibyte_passes_in_little_memory() {
    const SIZE: usize = 1 << 30;
    const PIECE: &[u8] = &[7; 64 << 10];
    let (listener, plain) = listen().await;
    let endpoint = Endpoint { protocol: Protocol::Http2, tls: Some(tls()), ..plain };
    tokio::spawn(async move {
        use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let chain = CertificateDer::from_pem_slice(include_bytes!("../testdata/upstream.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("../testdata/upstream.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![chain], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = accept(&listener).await;
        let stream = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        let mut served = handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = served.accept().await {
            tokio::spawn(async move {
                let mut body = respond.send_response(Response::new(()), false).unwrap();
                let mut left = SIZE;
                while left > 0 {
                    body.reserve_capacity(PIECE.len().min(left));
                    let room = std::future::poll_fn(|context| body.poll_capacity(context)).await;
                    let room = room.unwrap().unwrap().min(PIECE.len()).min(left);
                    left -= room;
                    body.send_data(Bytes::from_static(&PIECE[..room]), left == 0).unwrap();
                }
            });
        }
    });
    let began = std::time::Instant::now();
    let response = Client::default().fetch(&endpoint, get(), PATIENCE).await.unwrap();
    let mut body = response.into_body();
    let (mut came, mut looked, mut most) = (0, 0, 0);
    while let Some(frame) = body.frame().await {
        came += frame.unwrap().into_data().unwrap().len();
        if came - looked > 1 << 20 {
            looked = came;
            most = most.max(resident());
        }
    }
    assert_eq!(came, SIZE);
    println!("{:?}, {} MiB at most", began.elapsed(), most >> 20);
    assert!(most < 64 << 20, "{most}");
}
