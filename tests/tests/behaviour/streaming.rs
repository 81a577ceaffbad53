//! What streams is passed on as it comes, in both directions, and ends when either side ends it.

use tollgate_tests::stage::native::client::{Reader, Writer};

use crate::around::{Connection, Upstream, connect, request, soon};

const EVENTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// A client that has been given the first event of a stream, and the upstream that sent it.
async fn first_event(upstream: &Upstream, client: &mut (Reader, Writer), fields: &[&str]) -> Connection {
    client.1.send(&request("GET /app/events", fields, "")).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    connection.say(EVENTS).await;
    connection.say("9\r\ndata: 1\n\n\r\n").await;
    let head = soon("the answer's head comes before its content ends", client.0.head()).await.unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(
        soon("the first event comes before the second", client.0.chunk()).await.unwrap().unwrap(),
        "data: 1\n\n"
    );
    connection
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("policies: [{name: compression, type: Compression, min_bytes: 1}]");
    let mut client = connect(&gateway).await;
    let mut connection = first_event(&upstream, &mut client, &["accept-encoding: gzip, br, zstd"]).await;
    for number in 2..5 {
        // Sent only now: the client has what came before.
        connection.say(&format!("9\r\ndata: {number}\n\n\r\n")).await;
        let event = soon("the next event comes", client.0.chunk()).await.unwrap().unwrap();
        assert_eq!(event, format!("data: {number}\n\n"));
    }
    connection.say("0\r\n\r\n").await;
    assert!(soon("the stream ends", client.0.chunk()).await.unwrap().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_client_sends_arrives_before_it_has_sent_all() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let (mut reader, mut writer) = connect(&gateway).await;
    let head = "POST /app/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";
    writer.raw(head.as_bytes()).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    connection.until("one\r\n").await;
    writer.raw(b"3\r\ntwo\r\n").await.unwrap();
    connection.until("two\r\n").await;
    writer.raw(b"0\r\n\r\n").await.unwrap();
    connection.until("0\r\n\r\n").await;
    connection.say("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(soon("the answer comes", reader.head()).await.unwrap().status, 204);
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_stream_of_the_upstream() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let mut client = connect(&gateway).await;
    let mut connection = first_event(&upstream, &mut client, &[]).await;
    drop(client);
    assert!(connection.is_cut().await);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_ends_the_question() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let mut client = connect(&gateway).await;
    client.1.send(&request("GET /app/x", &[], "")).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    drop(client);
    assert!(connection.is_cut().await);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_keep_an_answer_that_is_being_kept() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("policies: [{name: caching, type: TTL, ttl_seconds: 60}]");
    let mut client = connect(&gateway).await;
    let mut connection = first_event(&upstream, &mut client, &[]).await;
    drop(client);
    assert!(connection.is_cut().await);
    // Half an answer is none: the next client is given what the upstream says now.
    let mut client = connect(&gateway).await;
    first_event(&upstream, &mut client, &[]).await;
}

#[tokio::test]
async fn an_upstream_that_leaves_ends_the_clients_answer_as_broken() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let mut client = connect(&gateway).await;
    let connection = first_event(&upstream, &mut client, &[]).await;
    drop(connection);
    assert_eq!(soon("the answer ends", client.0.chunk()).await.unwrap(), None);
}
