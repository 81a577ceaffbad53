//! Connections that leave HTTP (WebSocket and its kin): once both sides have agreed, bytes pass as they are.

use crate::around::{Upstream, connect, request, soon};

pub(crate) const HANDSHAKE: [&str; 4] = [
    "connection: keep-alive, Upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
];

pub(crate) const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

#[tokio::test]
async fn a_websocket_passes_bytes_in_both_directions() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let (mut reader, mut writer) = connect(&gateway).await;
    writer.send(&request("GET /app/socket", &HANDSHAKE, "")).await.unwrap();
    let mut connection = upstream.accept().await;
    let asked = connection.head().await.to_ascii_lowercase();
    assert!(asked.starts_with("get /app/socket http/1.1\r\n"), "{asked}");
    for field in [
        "connection: upgrade\r\n",
        "upgrade: websocket\r\n",
        "sec-websocket-key: dghlihnhbxbszsbub25jzq==\r\n",
    ] {
        assert!(asked.contains(field), "{asked}");
    }
    // What follows the head at once belongs to the tunnel already.
    connection
        .say("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nwelcome")
        .await;
    let head = soon("the switch is agreed to", reader.head()).await.unwrap();
    assert_eq!(head.status, 101);
    let field = |name: &str| head.values(name).collect::<Vec<_>>().join("|");
    assert_eq!(field("upgrade"), "websocket");
    assert_eq!(field("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(soon("bytes come down", reader.raw()).await.unwrap(), "welcome");
    writer.raw(b"\x81\x05hello").await.unwrap();
    connection.until("\u{5}hello").await;
    connection.say("and back").await;
    assert_eq!(soon("bytes come back", reader.raw()).await.unwrap(), "and back");
    drop(connection);
    assert!(soon("the tunnel ends at both ends", reader.raw()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_service_may_decline_to_switch() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let (mut reader, mut writer) = connect(&gateway).await;
    writer.send(&request("GET /app/socket", &HANDSHAKE, "")).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    connection.say("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(soon("the answer comes", reader.head()).await.unwrap().status, 426);
}

#[tokio::test]
async fn policies_hold_for_a_switch_as_for_anything() {
    let upstream = Upstream::open().await;
    let gateway =
        upstream.gateway("policies: [{name: limit, type: FixedWindow, rate: 1, per: ip, window: 1d}]");
    for wanted in [101, 429] {
        let (mut reader, mut writer) = connect(&gateway).await;
        writer.send(&request("GET /app/socket", &HANDSHAKE, "")).await.unwrap();
        if wanted == 101 {
            let mut connection = upstream.accept().await;
            connection.head().await;
            connection
                .say("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
                .await;
        }
        assert_eq!(soon("the answer comes", reader.head()).await.unwrap().status, wanted);
    }
}
