//! Limits where it is a matter of when: requests that are there at the same time, that wait for one another, that end
//! early; and what a stream costs while it is still coming.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use tollgate::{host::Settings, server::Running};
use tollgate_core::config::{self, Host, NoFiles};
use tollgate_tests::stage::native::{
    client::{self, Reader, Writer},
    start,
};

use crate::{
    around::{Connection, Upstream, connect, request, soon},
    tunnel::{HANDSHAKE, SWITCH},
};

const ONE: &str = "policies: [{name: at_once, type: Concurrency, limit: 1, per: ip}]";
const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

type Client = (Reader, Writer);

/// A client whose request has come through to the upstream.
async fn through(gateway: &Running, upstream: &Upstream) -> (Client, Connection) {
    let mut client = connect(gateway).await;
    client.1.send(&request("GET /app/x", &[], "")).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    (client, connection)
}

/// The status of a request that is answered without the upstream, or by an upstream that is done with others.
async fn refused(gateway: &Running) -> (u16, String) {
    let mut client = connect(gateway).await;
    client.1.send(&request("GET /app/x", &[], "")).await.unwrap();
    let head = soon("the answer comes", client.0.head()).await.unwrap();
    (head.status, head.values("ratelimit").collect())
}

async fn answered(client: &mut Client, connection: &mut Connection) {
    connection.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    assert_eq!(soon("the answer comes", client.0.head()).await.unwrap().status, 200);
}

#[tokio::test]
async fn no_more_than_the_limit_are_there_at_the_same_time() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("policies: [{name: at_once, type: Concurrency, limit: 2, per: ip}]");
    let (mut one, mut at_one) = through(&gateway, &upstream).await;
    let (two, at_two) = through(&gateway, &upstream).await;
    assert_eq!(refused(&gateway).await, (429, "\"at_once\";r=0".to_owned()));
    answered(&mut one, &mut at_one).await;
    drop(at_one);
    let _three = through(&gateway, &upstream).await;
    assert_eq!(refused(&gateway).await.0, 429);
    // A client that leaves makes room too.
    drop(two);
    let mut at_two = at_two;
    assert!(at_two.is_cut().await);
    through(&gateway, &upstream).await;
}

#[tokio::test]
async fn a_place_is_held_until_all_of_the_answer_has_passed() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway(ONE);
    let (mut client, mut connection) = through(&gateway, &upstream).await;
    connection.say(STREAM).await;
    connection.say("9\r\ndata: 1\n\n\r\n").await;
    assert_eq!(soon("the head comes", client.0.head()).await.unwrap().status, 200);
    soon("the first event comes", client.0.chunk()).await.unwrap();
    assert_eq!(refused(&gateway).await.0, 429);
    connection.say("0\r\n\r\n").await;
    assert!(soon("the stream ends", client.0.chunk()).await.unwrap().unwrap().is_empty());
    drop(connection);
    through(&gateway, &upstream).await;
}

const BRIEF: &str = "policies: [{name: at_once, type: Concurrency, limit: 1, per: ip, lease: 300ms}]";
/// Longer than that lease, so that it must have been renewed.
const LONG: Duration = Duration::from_millis(900);

#[tokio::test]
async fn a_service_that_takes_longer_than_a_lease_makes_no_room() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway(BRIEF);
    let (mut client, mut connection) = through(&gateway, &upstream).await;
    tokio::time::sleep(LONG).await;
    assert_eq!(refused(&gateway).await.0, 429);
    answered(&mut client, &mut connection).await;
    drop(connection);
    through(&gateway, &upstream).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_makes_no_room() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway(BRIEF);
    let (client, mut connection) = through(&gateway, &upstream).await;
    connection.say(STREAM).await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    // Until nothing more goes in anywhere.
    while tokio::time::timeout(Duration::from_millis(300), connection.say(&chunk)).await.is_ok() {}
    tokio::time::sleep(LONG).await;
    assert_eq!(refused(&gateway).await.0, 429);
    drop((client, connection));
    let gone = async { while refused_or_through(&gateway, &upstream).await == 429 {} };
    soon("there is room again", gone).await;
}

#[tokio::test]
async fn a_place_is_held_for_as_long_as_a_tunnel_lasts() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway(ONE);
    let (mut reader, mut writer) = connect(&gateway).await;
    writer.send(&request("GET /app/socket", &HANDSHAKE, "")).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    connection.say(SWITCH).await;
    assert_eq!(soon("the switch is agreed to", reader.head()).await.unwrap().status, 101);
    connection.say("hello").await;
    assert_eq!(soon("bytes come down", reader.raw()).await.unwrap(), "hello");
    assert_eq!(refused(&gateway).await.0, 429);
    drop(connection);
    assert!(soon("the tunnel ends", reader.raw()).await.unwrap().is_empty());
    drop((reader, writer));
    // The tunnel's end is noticed a moment after its bytes have ended.
    let ended = async { while refused_or_through(&gateway, &upstream).await == 429 {} };
    soon("there is room again", ended).await;
}

/// 429, or 200 when it has come through to the upstream.
async fn refused_or_through(gateway: &Running, upstream: &Upstream) -> u16 {
    let mut client = connect(gateway).await;
    client.1.send(&request("GET /app/x", &[], "")).await.unwrap();
    tokio::select! {
        head = client.0.head() => head.unwrap().status,
        _ = upstream.accept() => 200,
    }
}

#[tokio::test]
async fn a_request_may_wait_for_its_turn() {
    let upstream = Upstream::open().await;
    let gateway =
        upstream.gateway("policies: [{name: at_once, type: Concurrency, limit: 1, per: ip, wait_ms: 4000}]");
    let (mut one, mut at_one) = through(&gateway, &upstream).await;
    let mut waiting = connect(&gateway).await;
    waiting.1.send(&request("GET /app/x", &[], "")).await.unwrap();
    // It is not refused meanwhile.
    let early = tokio::time::timeout(Duration::from_millis(200), waiting.0.head()).await;
    assert!(early.is_err());
    answered(&mut one, &mut at_one).await;
    // Its turn has come. The connection is used again.
    at_one.head().await;
    answered(&mut waiting, &mut at_one).await;
}

#[tokio::test]
async fn a_request_waits_no_longer_than_it_may() {
    let upstream = Upstream::open().await;
    let gateway =
        upstream.gateway("policies: [{name: at_once, type: Concurrency, limit: 1, per: ip, wait_ms: 150}]");
    let _one = through(&gateway, &upstream).await;
    let began = Instant::now();
    assert_eq!(refused(&gateway).await.0, 429);
    let waited = began.elapsed().as_millis();
    assert!((100..2_000).contains(&waited), "{waited} ms");
}

#[tokio::test]
async fn a_bucket_lets_requests_wait_until_enough_has_flowed_in() {
    let upstream = Upstream::open().await;
    let policy =
        "policies: [{name: b, type: TokenBucket, rate: 5, window: 1s, burst: 1, per: ip, wait_ms: 1000}]";
    let gateway = upstream.gateway(policy);
    let mut first = through(&gateway, &upstream).await;
    answered(&mut first.0, &mut first.1).await;
    let began = Instant::now();
    let mut second = connect(&gateway).await;
    second.1.send(&request("GET /app/x", &[], "")).await.unwrap();
    first.1.head().await;
    answered(&mut second, &mut first.1).await;
    let waited = began.elapsed().as_millis();
    assert!((50..2_000).contains(&waited), "{waited} ms");
}

pub(crate) const TOKENS: &str =
    "policies: [{name: tokens, type: Budget, limit: 1000, per: ip, cost: {reserve: 500, settle: usage}}]";

/// A chunk with an event in which a model says this.
pub(crate) fn token(text: &str) -> String {
    let event = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

/// What is left of the budget, by a request that reserves as much as is left for sure.
async fn left(gateway: &Running, upstream: &Upstream) -> u64 {
    let mut client = connect(gateway).await;
    client.1.send(&request("GET /app/x", &[], "")).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    // Nothing is told, and a failure costs nothing.
    connection.say("HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let head = soon("the answer comes", client.0.head()).await.unwrap();
    let field: String = head.values("ratelimit").collect();
    let left = field.split(';').find_map(|part| part.strip_prefix("r=")).unwrap();
    left.parse::<u64>().unwrap() + 500
}

#[tokio::test]
async fn a_client_that_leaves_pays_for_what_was_generated_and_the_model_stops() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway(TOKENS);
    let mut client = connect(&gateway).await;
    // 40 bytes are some ten tokens.
    let question = "{\"prompt\": \"how do you do, my friend?\"}\n";
    assert_eq!(question.len(), 40);
    client.1.send(&request("POST /app/chat", &["content-length: 40"], question)).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.until("\n\r\n").await;
    connection.until("friend?\"}\n").await;
    connection.say(STREAM).await;
    assert_eq!(soon("the head comes", client.0.head()).await.unwrap().status, 200);
    for number in 0..7 {
        connection.say(&token(&number.to_string())).await;
        soon("each event comes by itself", client.0.chunk()).await.unwrap().unwrap();
    }
    drop(client);
    assert!(connection.is_cut().await, "the model goes on");
    assert_eq!(left(&gateway, &upstream).await, 1_000 - 10 - 7);
}

#[tokio::test]
async fn a_stream_that_ends_is_settled_by_what_it_has_told() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway(TOKENS);
    let mut client = connect(&gateway).await;
    client.1.send(&request("GET /app/chat", &[], "")).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    connection.say(STREAM).await;
    connection.say(&token("hello")).await;
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n";
    connection.say(&format!("{:x}\r\n{usage}\r\n0\r\n\r\n", usage.len())).await;
    soon("the head comes", client.0.head()).await.unwrap();
    while !soon("the stream ends", client.0.chunk()).await.unwrap().unwrap().is_empty() {}
    drop((client, connection));
    assert_eq!(left(&gateway, &upstream).await, 1_000 - 33);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_gets_back_what_was_reserved_unless_that_is_charged() {
    for (on_cancel, wanted) in [("refund", 1_000), ("charge", 500)] {
        let upstream = Upstream::open().await;
        let policy = format!(
            "policies: [{{name: t, type: Budget, limit: 1000, per: ip, cost: {{reserve: 500, settle: usage, on_cancel: {on_cancel}}}}}]"
        );
        let gateway = upstream.gateway(&policy);
        let (client, mut connection) = through(&gateway, &upstream).await;
        drop(client);
        assert!(connection.is_cut().await);
        assert_eq!(left(&gateway, &upstream).await, wanted, "{on_cancel}");
    }
}

#[tokio::test]
async fn a_service_that_fails_costs_nothing() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway(TOKENS);
    for _ in 0..4 {
        let (mut client, connection) = through(&gateway, &upstream).await;
        drop(connection);
        assert_eq!(soon("the answer comes", client.0.head()).await.unwrap().status, 502);
    }
    assert_eq!(left(&gateway, &upstream).await, 1_000);
}

/// How long until the first event of a stream is there, in the middle of many tries.
pub(crate) async fn first_event(address: SocketAddr) -> Duration {
    let mut took = Vec::new();
    let sent = request("GET /app/chat", &[], "");
    for _ in 0..101 {
        let mut client = client::connect(Ipv4Addr::LOCALHOST.into(), address).await.unwrap();
        let began = Instant::now();
        client.1.send(&sent).await.unwrap();
        client.0.head().await.unwrap();
        assert!(client.0.chunk().await.unwrap().unwrap().starts_with(b"data: "));
        took.push(began.elapsed());
    }
    took.sort();
    took[took.len() / 2]
}

/// A model that says one word at once, and then thinks.
pub(crate) async fn model() -> SocketAddr {
    let upstream = Upstream::open().await;
    let address = upstream.address();
    tokio::spawn(async move {
        while let Some(mut connection) = upstream.next().await {
            tokio::spawn(async move {
                connection.head().await;
                connection.say(&format!("{STREAM}{}", token("well"))).await;
                connection.is_cut().await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_event_of_a_metered_stream_comes_at_once() {
    let model = model().await;
    let text = format!(
        "services: {{app: {{endpoints: ['http://{model}']}}}}\nroutes: [{{path: '/app/*', target_service: app}}]\n{}",
        TOKENS.replace("limit: 1000", "limit: 1000000")
    );
    let loaded = config::load("test", text, &NoFiles, &|_: &str| None, Host::Native);
    let gateway = loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()));
    let gateway = start(gateway, Settings::default()).unwrap().0;
    let direct = first_event(model).await;
    let through = first_event(gateway.addresses()[0]).await;
    let added = through.saturating_sub(direct);
    println!("first event: {direct:?} direct, {through:?} through the gateway, {added:?} added");
    assert!(added < Duration::from_millis(2), "{added:?}");
}
