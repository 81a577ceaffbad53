//! Bodies that are watched at the edge while they pass, for limits that hold a place or ask what an answer has used: how
//! their ends are told, what they cost, and that nothing else about them changes.

use std::{
    io::{Read, Write},
    time::Duration,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tollgate_rehearsal::observed::Raw;
use tollgate_tests::stage::{native::client, workers::process::Process};

use crate::{
    around::{Connection, Upstream, request, soon},
    edge::{connect, handshake, switch, worker},
    limits::{first_event, model, token},
};

/// A place, which is held while the body lasts; its bytes are nobody's business.
const PLACE: &str = "policies: [{name: at_once, type: Concurrency, limit: 1, per: service}]";
/// A place, and tokens, for which the bytes are read.
const TOKENS: &str = "policies:\n\
    - {name: at_once, type: Concurrency, limit: 1, per: service, exclude_paths: [/app/left]}\n\
    - {name: tokens, type: Budget, limit: 10000, per: service, cost: {reserve: 500, settle: usage}}";
const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\
    connection: close\r\n\r\n";
const USAGE: &str = "data: {\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n";

/// A client's connection, and the one to the upstream that its request has come through by.
type Through = (TcpStream, Connection);

/// A request that comes through, or the answer that it gets before.
async fn asks(worker: &Process, upstream: &Upstream) -> Result<Through, String> {
    let mut client = TcpStream::connect(worker.address()).await.unwrap();
    client.write_all(b"GET /app/x HTTP/1.1\r\nhost: gateway.test\r\n\r\n").await.unwrap();
    let mut answer = [0; 4_096];
    let either = async {
        tokio::select! {
            read = client.read(&mut answer) => Err(read.unwrap()),
            connection = upstream.next() => Ok(connection.unwrap()),
        }
    };
    match soon("it is answered, or comes through", either).await {
        Ok(mut connection) => {
            connection.head().await;
            Ok((client, connection))
        }
        Err(length) => Err(String::from_utf8_lossy(&answer[..length]).into_owned()),
    }
}

/// Somebody else has the place.
async fn is_refused(worker: &Process, upstream: &Upstream) {
    let answer = asks(worker, upstream).await.err().expect("there is no other place");
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
}

/// The place is free, or will be in a moment.
async fn is_admitted(worker: &Process, upstream: &Upstream) -> Through {
    let trying = async {
        loop {
            if let Ok(through) = asks(worker, upstream).await {
                return through;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon("there is room again", trying).await
}

/// A client that has the first event of a stream.
async fn streaming(worker: &Process, upstream: &Upstream) -> Through {
    let (mut client, mut connection) = is_admitted(worker, upstream).await;
    connection.say(&format!("{STREAM}{}", token("0"))).await;
    let mut came = Vec::new();
    let first = async {
        while !came.ends_with(b"\n\n\r\n") {
            came.push(client.read_u8().await.unwrap());
        }
    };
    soon("the first event comes", first).await;
    assert!(came.starts_with(b"HTTP/1.1 200 "));
    (client, connection)
}

/// What is left of the tokens, by a request whose failure costs nothing.
async fn left(worker: &Process, upstream: &Upstream) -> u64 {
    let (mut reader, mut writer) = connect(worker).await;
    writer.send(&request("GET /app/left", &[], "")).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    connection.say("HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let head = soon("the answer comes", reader.head()).await.unwrap();
    let field: String = head.values("ratelimit").collect();
    let left = field.split(';').find_map(|part| part.strip_prefix("r=")).unwrap();
    left.parse::<u64>().unwrap() + 500
}

/// So many tokens have been used, or will be in a moment.
async fn used(worker: &Process, upstream: &Upstream, expected: u64) {
    let mut used = 10_000 - left(worker, upstream).await;
    let coming = async {
        while used != expected {
            sleep(Duration::from_millis(20)).await;
            used = 10_000 - left(worker, upstream).await;
        }
    };
    let came = timeout(Duration::from_secs(5), coming).await;
    assert!(came.is_ok(), "{used} tokens were used and not {expected}");
}

/// A client that is gone at once, not only when it is written to.
fn reset(client: TcpStream) {
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
}

/// What comes of a request to which the upstream says this.
async fn answered(worker: &Process, upstream: &Upstream, line: &str, fields: &[&str], answer: &[u8]) -> Raw {
    let sent = request(line, fields, "");
    let answering = async {
        let mut connection = upstream.accept().await;
        connection.head().await;
        connection.send(answer).await;
    };
    let (answer, ()) = tokio::join!(client::exchange(worker.address(), &sent), answering);
    answer.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_known_length_keeps_it_and_is_read_whole() {
    let upstream = Upstream::open().await;
    let content = "{\"usage\": {\"input_tokens\": 40, \"output_tokens\": 2}}";
    let said = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{content}",
        content.len()
    );
    for policies in [PLACE, TOKENS] {
        let Some(worker) = worker(upstream.address(), policies).await else { return };
        let answer = answered(&worker, &upstream, "GET /app/x", &[], said.as_bytes()).await;
        assert_eq!((answer.status, &*answer.body, answer.broken), (200, content.as_bytes(), false));
        let length: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "content-length").collect();
        assert_eq!(length.len(), 1, "{:?}", answer.headers);
        if policies == TOKENS {
            used(&worker, &upstream, 42).await;
        }
        is_admitted(&worker, &upstream).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_body_ends_at_once_and_tells_nothing() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), TOKENS).await else { return };
    let answers = [
        ("GET", "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\nconnection: close\r\n\r\n",
        ),
    ];
    for (round, (method, said)) in answers.into_iter().enumerate() {
        let line = format!("{method} /app/x");
        let answer = answered(&worker, &upstream, &line, &[], said.as_bytes()).await;
        assert!(answer.status < 300 && answer.body.is_empty(), "{}", answer.status);
        used(&worker, &upstream, 500 * (round as u64 + 1)).await;
        is_admitted(&worker, &upstream).await;
        // Which took the place for a moment, and was never answered.
        is_admitted(&worker, &upstream).await;
        used(&worker, &upstream, 500 * (round as u64 + 1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_held_and_renewed_while_the_body_lasts() {
    let upstream = Upstream::open().await;
    for policies in [PLACE, TOKENS] {
        let policies = policies.replace("limit: 1,", "limit: 1, lease: 1s,");
        let Some(worker) = worker(upstream.address(), &policies).await else { return };
        let (client, mut connection) = streaming(&worker, &upstream).await;
        // Longer than two leases, in which nothing is said.
        for _ in 0..5 {
            is_refused(&worker, &upstream).await;
            sleep(Duration::from_millis(500)).await;
        }
        is_refused(&worker, &upstream).await;
        connection.say("0\r\n\r\n").await;
        is_admitted(&worker, &upstream).await;
        drop(client);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_or_that_nobody_wants_gives_its_place_back() {
    let upstream = Upstream::open().await;
    for policies in [PLACE, TOKENS] {
        let Some(worker) = worker(upstream.address(), policies).await else { return };
        let (_client, connection) = streaming(&worker, &upstream).await;
        is_refused(&worker, &upstream).await;
        drop(connection);
        let (client, mut connection) = streaming(&worker, &upstream).await;
        is_refused(&worker, &upstream).await;
        reset(client);
        assert!(connection.is_cut().await, "the service goes on");
        is_admitted(&worker, &upstream).await;
        if policies == TOKENS {
            // An event each.
            used(&worker, &upstream, 2).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_finishes_is_gone_when_more_is_written() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), PLACE).await else { return };
    let (client, mut connection) = streaming(&worker, &upstream).await;
    drop(client);
    let writing = async {
        for _ in 0..100 {
            connection.say(&token("again")).await;
            sleep(Duration::from_millis(50)).await;
            if asks(&worker, &upstream).await.is_ok() {
                return;
            }
        }
    };
    // The upstream is cut off before it has said all that.
    soon("it is noticed that nobody is there", writing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_holds_what_was_reserved_and_is_settled_by_what_it_tells() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), TOKENS).await else { return };
    let (_client, mut connection) = streaming(&worker, &upstream).await;
    connection.say(&token("hello")).await;
    used(&worker, &upstream, 500).await;
    connection.say(&format!("{:x}\r\n{USAGE}\r\n0\r\n\r\n", USAGE.len())).await;
    used(&worker, &upstream, 33).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_the_edge_pays_for_what_was_generated_and_the_model_stops() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), TOKENS).await else { return };
    // 40 bytes are some ten tokens.
    let question = "{\"prompt\": \"how do you do, my friend?\"}\n";
    let mut client = TcpStream::connect(worker.address()).await.unwrap();
    let head = "POST /app/x HTTP/1.1\r\nhost: gateway.test\r\ncontent-length: 40\r\n\r\n";
    client.write_all(format!("{head}{question}").as_bytes()).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.until("friend?\"}\n").await;
    connection.say(STREAM).await;
    for number in 0..7 {
        connection.say(&token(&number.to_string())).await;
        let event = format!("\"{number}\"}}}}]}}\n\n\r\n");
        let mut came = Vec::new();
        let coming = async {
            while !came.ends_with(event.as_bytes()) {
                came.push(client.read_u8().await.unwrap());
            }
        };
        soon("each event comes by itself", coming).await;
    }
    reset(client);
    assert!(connection.is_cut().await, "the model goes on");
    used(&worker, &upstream, 10 + 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_the_edge_before_the_answer_pays_what_the_limit_says() {
    let upstream = Upstream::open().await;
    for (on_cancel, wanted) in [("refund", 0), ("charge", 500)] {
        let policies = TOKENS.replace("settle: usage", &format!("settle: usage, on_cancel: {on_cancel}"));
        let Some(worker) = worker(upstream.address(), &policies).await else { return };
        let (client, mut connection) = is_admitted(&worker, &upstream).await;
        used(&worker, &upstream, 500).await;
        reset(client);
        assert!(connection.is_cut().await, "the service goes on");
        is_admitted(&worker, &upstream).await;
        // What is handed back arrives in its time, and what is not does not.
        sleep(Duration::from_millis(300)).await;
        used(&worker, &upstream, wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_held_back_and_a_slow_client_slows_the_upstream() {
    let upstream = Upstream::open().await;
    for policies in [PLACE, TOKENS] {
        let Some(worker) = worker(upstream.address(), policies).await else { return };
        // Each piece is there before the next one is sent.
        let (mut client, mut connection) = streaming(&worker, &upstream).await;
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
        eprintln!("{} KiB were under way", sent * 64);
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

/// A service that encodes though it was told not to: what can't be read costs what was reserved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_encoded_arrives_as_it_was_said() {
    let upstream = Upstream::open().await;
    let text = "{\"usage\": {\"total_tokens\": 1}} ".repeat(400);
    let encoded = gzip(&text);
    let mut said = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        encoded.len()
    )
    .into_bytes();
    said.extend(encoded);
    for policies in [PLACE, TOKENS] {
        let Some(worker) = worker(upstream.address(), policies).await else { return };
        let answer = answered(&worker, &upstream, "GET /app/x", &["accept-encoding: gzip"], &said).await;
        let whole = gunzip(&answer.body) == text && !answer.broken;
        assert!(whole, "{} bytes, {:?}", answer.body.len(), answer.headers);
        if policies == TOKENS {
            used(&worker, &upstream, 500).await;
        }
        is_admitted(&worker, &upstream).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_compressed_for_the_client_was_read_before() {
    let upstream = Upstream::open().await;
    let policies = format!("{TOKENS}\n- {{name: compression, type: Compression}}");
    let Some(worker) = worker(upstream.address(), &policies).await else { return };
    let content =
        format!("{{\"text\": \"{}\", \"usage\": {{\"total_tokens\": 77}}}}", "so it goes. ".repeat(400));
    let said = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{content}",
        content.len()
    );
    let fields = ["accept-encoding: gzip"];
    let answer = answered(&worker, &upstream, "GET /app/x", &fields, said.as_bytes()).await;
    let coding = answer.headers.iter().find(|(name, _)| name == "content-encoding");
    assert_eq!(coding.map(|(_, coding)| coding.as_str()), Some("gzip"), "{:?}", answer.headers);
    assert!(gunzip(&answer.body) == content && answer.body.len() < content.len() / 4);
    used(&worker, &upstream, 77).await;
}

/// The platform does not say when a WebSocket is closed, so what it has drawn is settled when it begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_is_over_for_the_meter_when_it_begins() {
    let upstream = Upstream::open().await;
    let Some(worker) = worker(upstream.address(), PLACE).await else { return };
    let (mut reader, mut writer) = connect(&worker).await;
    writer.send(&request("GET /app/socket", &handshake(), "")).await.unwrap();
    let mut connection = upstream.accept().await;
    switch(&mut connection).await;
    assert_eq!(soon("the switch is agreed to", reader.head()).await.unwrap().status, 101);
    is_admitted(&worker, &upstream).await;
    connection.send(b"\x81\x02hi").await;
    assert!(soon("a frame comes down", reader.raw()).await.unwrap().ends_with(b"hi"));
}

/// Its meters go with it. The body does not, and what was drawn is safe: a lease expires, and is not taken for
/// another's; what was reserved stays taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_outlives_the_instance_that_has_watched_it() {
    let upstream = Upstream::open().await;
    let policies = TOKENS.replace("limit: 1,", "limit: 1, lease: 2s,");
    let Some(worker) = worker(upstream.address(), &policies).await else { return };
    let (mut client, mut connection) = streaming(&worker, &upstream).await;
    let panics = request("GET /app/x", &["x-tollgate-test-panic: 1"], "");
    assert_eq!(client::exchange(worker.address(), &panics).await.unwrap().status, 500);
    is_refused(&worker, &upstream).await;
    // Another body, of the new instance, under the same number.
    let (_other, mut others) = streaming(&worker, &upstream).await;
    connection.say("4\r\nlast\r\n0\r\n\r\n").await;
    let mut rest = [0; 14];
    soon("the body ends", client.read_exact(&mut rest)).await.unwrap();
    assert!(rest.ends_with(b"last\r\n0\r\n\r\n"), "{rest:?}");
    used(&worker, &upstream, 1_000).await;
    is_refused(&worker, &upstream).await;
    others.say(&format!("{:x}\r\n{USAGE}\r\n0\r\n\r\n", USAGE.len())).await;
    used(&worker, &upstream, 533).await;
    is_admitted(&worker, &upstream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_event_of_a_metered_stream_comes_at_once_at_the_edge() {
    let model = model().await;
    let policies = crate::limits::TOKENS.replace("limit: 1000", "limit: 1000000");
    let (Some(plain), Some(metered)) = (worker(model, "").await, worker(model, &policies).await) else {
        return;
    };
    // The runtime compiles what is used often.
    for gateway in [&plain, &metered] {
        first_event(gateway.address()).await;
    }
    let direct = first_event(model).await;
    let unmetered = first_event(plain.address()).await;
    let through = first_event(metered.address()).await;
    let added = through.saturating_sub(direct);
    println!(
        "first event: {direct:?} direct, {unmetered:?} through workerd, {through:?} metered, {added:?} added"
    );
    // Some two milliseconds: one is workerd's own, the rest the counter's. More where other tests run meanwhile; what was
    // held back would not come at all.
    assert!(added < Duration::from_millis(20), "{added:?}");
}
