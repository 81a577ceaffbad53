//! What HTTP/2 promises to clients in good faith: several requests at once, an end in good order, WebSockets. Trailers
//! are a matter of the suite's cases.

use tokio::io::AsyncWriteExt;
use tollgate_tests::wire::h2::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PSEUDO, ask, block, frame, get, next, open,
};

use super::is_answered;
use crate::{
    around::{SOON, Upstream, soon},
    tunnel::SWITCH,
};

#[tokio::test]
async fn requests_at_the_same_time_do_not_wait_for_one_another() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let mut stream = open(gateway.addresses()[0], &[]).await.unwrap();
    stream.write_all(&[ask(1, "GET", "/app/1"), ask(3, "GET", "/app/3")].concat()).await.unwrap();
    let (mut one, mut other) = (upstream.accept().await, upstream.accept().await);
    let first = one.head().await;
    let id = if first.starts_with("GET /app/1 ") { 3 } else { 1 };
    other.head().await;
    other.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert!(is_answered(&mut stream, id).await);
    one.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert!(is_answered(&mut stream, 4 - id).await);
}

#[tokio::test]
async fn the_server_ends_when_what_has_begun_has_ended() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let mut stream = open(gateway.addresses()[0], &[]).await.unwrap();
    stream.write_all(&get(1)).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    let ending = tokio::spawn(gateway.shutdown(SOON));
    while soon("goodbye is said", next(&mut stream)).await.unwrap().0 != GOAWAY {}
    assert!(!ending.is_finished());
    connection.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert!(is_answered(&mut stream, 1).await);
    drop(stream);
    assert_eq!(soon("the server ends", ending).await.unwrap(), 0);
}

#[tokio::test]
async fn a_websocket_passes_bytes_in_both_directions() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let mut stream = open(gateway.addresses()[0], &[]).await.unwrap();
    let [_, scheme, authority, _] = PSEUDO;
    let fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        scheme,
        authority,
        (":path", "/app/socket"),
        ("sec-websocket-version", "13"),
    ];
    stream.write_all(&frame(HEADERS, END_HEADERS, 1, &block(&fields))).await.unwrap();
    let mut connection = upstream.accept().await;
    let asked = connection.head().await.to_ascii_lowercase();
    assert!(asked.starts_with("get /app/socket http/1.1\r\n"), "{asked}");
    assert!(asked.contains("upgrade: websocket\r\n") && asked.contains("sec-websocket-key: "), "{asked}");
    connection.say(SWITCH).await;
    assert!(is_answered(&mut stream, 1).await);
    stream.write_all(&frame(DATA, 0, 1, b"\x81\x05hello")).await.unwrap();
    connection.until("\u{5}hello").await;
    connection.say("and back").await;
    let mut came = Vec::new();
    while came != b"and back" {
        match soon("bytes come back", next(&mut stream)).await.unwrap() {
            (DATA, 1, payload) => came.extend(payload),
            (kind, ..) => assert_ne!(kind, HEADERS),
        }
    }
    stream.write_all(&frame(DATA, END_STREAM, 1, b"")).await.unwrap();
    assert!(connection.is_cut().await);
}
