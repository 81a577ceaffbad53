//! The end of a server: what has begun is finished, nothing new begins.

use tokio::net::TcpStream;

use crate::around::{SOON, Upstream, connect, request, soon};

#[tokio::test]
async fn an_answer_that_has_begun_is_finished() {
    let upstream = Upstream::open().await;
    let gateway = upstream.gateway("");
    let address = gateway.addresses()[0];
    let (mut reader, mut writer) = connect(&gateway).await;
    writer.send(&request("GET /app/x", &[], "")).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.head().await;
    connection.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await;
    assert_eq!(soon("the head comes", reader.head()).await.unwrap().status, 200);
    assert_eq!(soon("the first piece comes", reader.chunk()).await.unwrap().unwrap(), "one");

    let ending = tokio::spawn(gateway.shutdown(SOON));
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    soon("nobody listens any more", refused).await;
    assert!(!ending.is_finished());
    connection.say("3\r\ntwo\r\n0\r\n\r\n").await;
    assert_eq!(soon("the second piece comes", reader.chunk()).await.unwrap().unwrap(), "two");
    assert!(soon("the answer ends", reader.chunk()).await.unwrap().unwrap().is_empty());
    assert_eq!(soon("the server ends", ending).await.unwrap(), 0);
}
