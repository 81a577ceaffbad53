//! Several requests on one connection: none is ever taken for another, or for a part of one.

use crate::around::{Upstream, connect, request, soon};

/// Content that would be a request, if anybody took it for one.
const HIDDEN: &str = "GET /app/hidden HTTP/1.1\r\nhost: gateway.test\r\n\r\n";

#[tokio::test]
async fn requests_sent_at_once_are_answered_in_their_order() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let (mut reader, mut writer) = connect(&gateway).await;
    for number in 1..=3 {
        writer.send(&request(&format!("GET /app/{number}"), &[], "")).await.unwrap();
    }
    let mut connection = upstream.accept().await;
    for number in 1..=3 {
        let asked = connection.head().await;
        assert!(asked.starts_with(&format!("GET /app/{number} ")), "{asked}");
        connection.say(&format!("HTTP/1.1 20{number} OK\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!(soon("an answer comes", reader.head()).await.unwrap().status, 200 + number);
    }
}

#[tokio::test]
async fn content_of_a_refused_request_is_never_taken_for_a_request() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("limits: {max_body_bytes: 10}");
    for line in ["POST /nowhere", "POST /app/x"] {
        let (mut reader, mut writer) = connect(&gateway).await;
        writer.send(&request(line, &[&format!("content-length: {}", HIDDEN.len())], HIDDEN)).await.unwrap();
        let head = soon("the refusal comes", reader.head()).await.unwrap();
        assert!(matches!(head.status, 404 | 413), "{head:?}");
        let framing = head.framing("POST").unwrap();
        soon("the refusal ends", reader.content(framing)).await.unwrap();
        // Either the connection ends, or what is sent next is answered: nothing comes for what was hidden.
        let _ = writer.send(&request("GET /elsewhere", &[], "")).await;
        if let Ok(head) = soon("the connection ends or goes on", reader.head()).await {
            let framing = head.framing("GET").unwrap();
            let (body, _) = soon("the answer ends", reader.content(framing)).await.unwrap();
            assert_eq!(head.status, 404, "{body:?}");
        }
    }
    // The hidden request was for a route that leads here.
    assert!(tokio::time::timeout(std::time::Duration::ZERO, upstream.accept()).await.is_err());
}

/// The head of a request whose body is sent only when it is asked for.
fn expecting(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: gateway.test\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_body_is_asked_for_when_the_service_is_connected_to() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let (mut reader, mut writer) = connect(&gateway).await;
    writer.raw(expecting("/app/x", 5).as_bytes()).await.unwrap();
    let mut connection = upstream.accept().await;
    let asked = connection.head().await;
    assert!(!asked.contains("expect"), "{asked}");
    let came = soon("the body is asked for", reader.raw()).await.unwrap();
    assert_eq!(came, "HTTP/1.1 100 Continue\r\n\r\n");
    writer.raw(b"hello").await.unwrap();
    connection.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(soon("the answer comes", reader.head()).await.unwrap().status, 200);
}

#[tokio::test]
async fn who_is_refused_is_not_asked_for_the_body() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("limits: {max_body_bytes: 10}");
    for (path, length, status) in [("/app/x", 11, "413"), ("/nowhere", 5, "404")] {
        let (mut reader, mut writer) = connect(&gateway).await;
        writer.raw(expecting(path, length).as_bytes()).await.unwrap();
        let came = soon("the refusal comes", reader.raw()).await.unwrap();
        assert!(came.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{came:?}");
    }
}
