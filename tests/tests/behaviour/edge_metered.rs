//! Bodies that are watched at the edge while they pass: how their ends are told, what is seen of them, and that nothing
//! else about them changes. The meter is `worker/src/probe.rs`, which leaves what it has noticed in counters.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tollgate_core::counter::{Rule, Window};
use tollgate_tests::stage::{native::client, workers::process::Process};

use crate::{
    around::{Connection, Upstream, request, soon},
    edge::{connect, handshake, switch, worker},
    edge_counters::remaining,
};

const LIMIT: u64 = 1_000_000;
const READS: &str = "x-tollgate-test-meter: reads";
const ENDS: &str = "x-tollgate-test-meter: ends";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// What the meters have noticed: leases that are held, bytes seen, and bodies that ended whole, broken and left.
async fn noticed(worker: &Process) -> [u64; 5] {
    let used = async |counter: &str, rule| LIMIT - remaining(worker, &format!("probe {counter}"), rule).await;
    let month = Rule::FixedWindow { limit: LIMIT, window: Window::Month };
    let lease = Rule::Concurrency { limit: LIMIT, lease_ms: 1, lease: 0 };
    [
        used("lease", lease).await,
        used("seen", month).await,
        used("whole", month).await,
        used("broken", month).await,
        used("left", month).await,
    ]
}

async fn comes(worker: &Process, expected: [u64; 5]) {
    let mut now = noticed(worker).await;
    let coming = async {
        while now != expected {
            sleep(Duration::from_millis(20)).await;
            now = noticed(worker).await;
        }
    };
    let came = timeout(Duration::from_secs(5), coming).await;
    assert!(came.is_ok(), "[lease, seen, whole, broken, left]: {now:?} and not {expected:?}");
}

/// A client that asks for a stream that is watched, and has its first piece; and the upstream that sent it.
async fn streaming(worker: &Process, upstream: &Upstream, field: &str) -> (TcpStream, Connection) {
    let mut client = TcpStream::connect(worker.address()).await.unwrap();
    let head = format!("GET /app/x HTTP/1.1\r\nhost: gateway.test\r\n{field}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    connection.say(CHUNKED).await;
    connection.say("5\r\nfirst\r\n").await;
    let mut came = Vec::new();
    let first = async {
        while !came.ends_with(b"first\r\n") {
            came.push(client.read_u8().await.unwrap());
        }
    };
    soon("the first piece comes", first).await;
    (client, connection)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_known_length_keeps_it_and_is_seen_whole() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), "").await else { return };
    for (field, seen, whole) in [(ENDS, 0, 1), (READS, 5, 2)] {
        let sent = request("GET /app/x", &[field], "");
        let answering = async {
            let mut connection = upstream.accept().await;
            connection.head().await;
            connection.say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello").await;
        };
        let (answer, ()) = tokio::join!(client::exchange(worker.address(), &sent), answering);
        let answer = answer.unwrap();
        assert_eq!((answer.status, &*answer.body, answer.broken), (200, &b"hello"[..], false));
        let length: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "content-length").collect();
        assert_eq!(length.len(), 1, "{:?}", answer.headers);
        comes(&worker, [0, seen, whole, 0, 0]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_body_ends_at_once() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), "").await else { return };
    let answers = [
        ("GET", "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\n"),
    ];
    for (round, (method, answer)) in answers.into_iter().enumerate() {
        let sent = request(&format!("{method} /app/x"), &[READS], "");
        let answering = async {
            let mut connection = upstream.accept().await;
            connection.head().await;
            connection.say(answer).await;
        };
        let (answer, ()) = tokio::join!(client::exchange(worker.address(), &sent), answering);
        assert!(answer.unwrap().body.is_empty());
        comes(&worker, [0, 0, round as u64 + 1, 0, 0]).await;
    }
    // Nor does what the gateway says itself.
    let refused = client::exchange(worker.address(), &request("GET /nowhere", &[ENDS], "")).await.unwrap();
    assert_eq!(refused.status, 404);
    comes(&worker, [0, 0, 4, 0, 0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_renewed_while_the_body_lasts_and_over_when_it_ends() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), "").await else { return };
    let (_client, mut connection) = streaming(&worker, &upstream, READS).await;
    // Twice as long as a lease.
    sleep(Duration::from_secs(3)).await;
    assert_eq!(noticed(&worker).await, [1, 0, 0, 0, 0]);
    connection.say("4\r\nlast\r\n0\r\n\r\n").await;
    comes(&worker, [0, 9, 1, 0, 0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_told_from_one_that_nobody_wants() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), "").await else { return };
    for (round, (field, seen)) in [(ENDS, 0), (READS, 5)].into_iter().enumerate() {
        let round = round as u64;
        let (_client, connection) = streaming(&worker, &upstream, field).await;
        assert_eq!(noticed(&worker).await, [1, 0, 0, round, round]);
        drop(connection);
        comes(&worker, [0, seen, 0, round + 1, round]).await;

        let (client, mut connection) = streaming(&worker, &upstream, field).await;
        // Reset: that is noticed at once.
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        comes(&worker, [0, 2 * seen, 0, round + 1, round + 1]).await;
        assert!(connection.is_cut().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_finishes_is_gone_when_more_is_written() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), "").await else { return };
    let (client, mut connection) = streaming(&worker, &upstream, ENDS).await;
    drop(client);
    let writing = async {
        for _ in 0..100 {
            connection.say("5\r\nagain\r\n").await;
            sleep(Duration::from_millis(50)).await;
            if noticed(&worker).await == [0, 0, 0, 0, 1] {
                return;
            }
        }
    };
    // The upstream is cut off before it has said all that.
    soon("it is noticed that nobody is there", writing).await;
    comes(&worker, [0, 0, 0, 0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_held_back_and_a_slow_client_slows_the_upstream() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), "").await else { return };
    for field in [ENDS, READS] {
        // Each piece is there before the next one is sent.
        let (mut client, mut connection) = streaming(&worker, &upstream, field).await;
        for number in 0..5 {
            connection.say(&format!("2\r\n:{number}\r\n")).await;
            let mut piece = [0; 7];
            soon("the piece comes", client.read_exact(&mut piece)).await.unwrap();
            assert_eq!(&piece[3..5], format!(":{number}").as_bytes());
        }
        // Nobody reads from here on.
        let piece = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
        let mut sent = 0;
        let flooding = async {
            while sent < 512 {
                connection.say(&piece).await;
                sent += 1;
            }
        };
        assert!(timeout(Duration::from_secs(2), flooding).await.is_err(), "32 MiB are nowhere");
        eprintln!("{field}: {} KiB were under way", sent * 64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_encoded_arrives_as_it_was_said() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), "").await else { return };
    let text = "what is said again and again. ".repeat(400);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    let encoded = encoder.finish().unwrap();
    for (field, seen, whole) in [(ENDS, 0, 1), (READS, text.len() as u64, 2)] {
        let sent = request("GET /app/x", &[field, "accept-encoding: gzip"], "");
        let answering = async {
            let mut connection = upstream.accept().await;
            connection.head().await;
            let length = encoded.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            connection.say(&head).await;
            connection.send(&encoded).await;
        };
        let (answer, ()) = tokio::join!(client::exchange(worker.address(), &sent), answering);
        let answer = answer.unwrap();
        let mut decoded = String::new();
        let mut decoder = flate2::read::GzDecoder::new(&*answer.body);
        std::io::Read::read_to_string(&mut decoder, &mut decoded).unwrap();
        assert!(decoded == text && !answer.broken, "{} bytes, {:?}", answer.body.len(), answer.headers);
        comes(&worker, [0, seen, whole, 0, 0]).await;
    }
}

/// The platform does not say when a WebSocket is closed, so what it has drawn is settled when it begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_is_over_for_the_meter_when_it_begins() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), "").await else { return };
    let (mut reader, mut writer) = connect(&worker).await;
    let mut fields = handshake().to_vec();
    fields.push(ENDS);
    writer.send(&request("GET /app/socket", &fields, "")).await.unwrap();
    let mut connection = upstream.accept().await;
    switch(&mut connection).await;
    assert_eq!(soon("the switch is agreed to", reader.head()).await.unwrap().status, 101);
    comes(&worker, [0, 0, 1, 0, 0]).await;
    connection.send(b"\x81\x02hi").await;
    assert!(soon("a frame comes down", reader.raw()).await.unwrap().ends_with(b"hi"));
}

/// Its meters go with it. The body does not, and what was drawn is safe: a lease expires, and is not taken for another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_outlives_the_instance_that_has_watched_it() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), "").await else { return };
    let (mut client, mut connection) = streaming(&worker, &upstream, READS).await;
    let panics = request("GET /app/x", &["x-tollgate-test-panic: 1"], "");
    assert_eq!(client::exchange(worker.address(), &panics).await.unwrap().status, 500);
    // Another body, of the new instance, under the same number.
    let (_other, mut others) = streaming(&worker, &upstream, READS).await;
    connection.say("4\r\nlast\r\n0\r\n\r\n").await;
    let mut rest = [0; 14];
    soon("the body ends", client.read_exact(&mut rest)).await.unwrap();
    assert!(rest.ends_with(b"last\r\n0\r\n\r\n"), "{rest:?}");
    // Only the lease of the lost one has expired.
    comes(&worker, [1, 0, 0, 0, 0]).await;
    others.say("0\r\n\r\n").await;
    comes(&worker, [0, 5, 1, 0, 0]).await;
}
