//! Interim answers: what a service says before it has decided reaches the client before the decision does.

use crate::around::{Upstream, connect, request, soon};

const HINTS: &str =
    "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nset-cookie: a=b\r\nserver: x\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn hints_come_before_the_answer_is_there() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let (mut reader, mut writer) = connect(&gateway).await;
    for _ in 0..2 {
        writer.send(&request("GET /app/x", &[], "")).await.unwrap();
        let mut connection = upstream.accept().await;
        connection.head().await;
        connection.say(HINTS).await;
        let hints = soon("the hints come", reader.next_head()).await.unwrap();
        assert_eq!(hints.status, 103);
        assert_eq!(hints.fields, [("link".to_owned(), "</a.css>; rel=preload".into())]);
        // Several, and then the answer in one go.
        connection
            .say(&format!("{HINTS}HTTP/1.1 104 Whatever\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n{ANSWER}"))
            .await;
        assert_eq!(soon("more hints come", reader.next_head()).await.unwrap().status, 103);
        let processing = soon("work is told of", reader.next_head()).await.unwrap();
        assert_eq!(processing.status, 102);
        assert!(processing.fields.is_empty());
        let head = soon("the answer comes", reader.next_head()).await.unwrap();
        assert_eq!(head.status, 200);
        let framing = head.framing("GET").unwrap();
        assert_eq!(soon("the body comes", reader.content(framing)).await.unwrap().0, "ok");
        // A connection of its own each time: it was not the gateway's to keep.
        drop(connection);
    }
}

#[tokio::test]
async fn hints_never_stand_within_an_answer() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let (mut reader, mut writer) = connect(&gateway).await;
    // Two requests at once: while the first answer is under way, the second service may hint already.
    for number in 1..=2 {
        writer.send(&request(&format!("GET /app/{number}"), &[], "")).await.unwrap();
    }
    let mut connection = upstream.accept().await;
    for _ in 1..=2 {
        connection.head().await;
        connection.say(HINTS).await;
        connection.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await;
        connection.say("3\r\ntwo\r\n0\r\n\r\n").await;
    }
    for _ in 1..=2 {
        let mut head = soon("a head comes", reader.next_head()).await.unwrap();
        while head.status == 103 {
            head = soon("a head comes", reader.next_head()).await.unwrap();
        }
        assert_eq!(head.status, 200);
        let framing = head.framing("GET").unwrap();
        assert_eq!(soon("the body comes", reader.content(framing)).await.unwrap().0, "onetwo");
    }
}

#[tokio::test]
async fn clients_of_http_1_0_get_none() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let (mut reader, mut writer) = connect(&gateway).await;
    writer.raw(b"GET /app/x HTTP/1.0\r\nhost: gateway.test\r\n\r\n").await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    connection.say(&format!("{HINTS}{ANSWER}")).await;
    assert_eq!(soon("the answer comes", reader.next_head()).await.unwrap().status, 200);
}
