//! Hostile clients of HTTP/2, frame by frame over raw sockets: their connections or requests end, and others are
//! answered meanwhile. Not here: how much memory it takes.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tollgate::{host::Settings, server::Running};
use tollgate_core::config::{self, Host, NoFiles};
use tollgate_tests::{
    stage::native::start,
    wire::recorder::{Recorded, Recorder},
};

use crate::around::soon;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

type Field<'a> = (&'a str, &'a str);

const PSEUDO: [Field<'static>; 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "gateway.test"), (":path", "/app/x")];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literal fields, never indexed, without Huffman's code (RFC 7541 §6.2.2).
fn block(fields: &[Field<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(&PSEUDO))
}

async fn open(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    stream
}

/// What comes next: kind, stream, payload. `None` when the connection ends.
async fn next(stream: &mut TcpStream) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.ok()?;
    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((head[3], id, payload))
}

/// Whether a request on this connection is answered 200 (`:status: 200` is entry 8 of HPACK's table, and comes first).
async fn is_answered(stream: &mut TcpStream, id: u32) -> bool {
    while let Some((kind, of, payload)) = soon("something comes", next(stream)).await {
        match kind {
            HEADERS if of == id => return payload.first() == Some(&0x88),
            RESET if of == id => return false,
            _ => {}
        }
    }
    false
}

async fn gateway() -> (Running, Recorder) {
    let recorder = Recorder::open().await.unwrap();
    let address = recorder.address();
    let text = format!(
        "services: {{app: {{endpoints: ['http://{address}']}}}}\nroutes: [{{path: '/*', target_service: app}}]"
    );
    let loaded = config::load("test", text, &NoFiles, &|_: &str| None, Host::Native);
    let gateway = loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()));
    (start(gateway, Settings::default()).unwrap().0, recorder)
}

/// More of the same than any client in good faith sends.
const MANY: u32 = 20_000;

/// Sends pieces until there are no more or the connection ends, and then waits for its end.
async fn flood(address: SocketAddr, first: Vec<u8>, piece: impl Fn(u32) -> Vec<u8>) {
    let (mut reader, mut writer) = open(address).await.into_split();
    let reading = tokio::spawn(async move {
        let mut came = [0; 4096];
        while let Ok(1..) = reader.read(&mut came).await {}
    });
    let _ = writer.write_all(&first).await;
    for number in 0..MANY {
        if writer.write_all(&piece(number)).await.is_err() {
            break;
        }
    }
    reading.await.unwrap();
}

/// Floods, while another client asks for something again and again on a connection that it has had before.
async fn ends_and_harms_nobody(first: Vec<u8>, piece: impl Fn(u32) -> Vec<u8> + Send + 'static) {
    let (server, _recorder) = gateway().await;
    let address = server.addresses()[0];
    let mut other = open(address).await;
    let flood = tokio::spawn(flood(address, first, piece));
    let mut id = 1;
    while !flood.is_finished() && id < 400 {
        other.write_all(&get(id)).await.unwrap();
        assert!(is_answered(&mut other, id).await, "request {id} of the other");
        id += 2;
    }
    soon("the flood ends with its connection", flood).await.unwrap();
    other.write_all(&get(id)).await.unwrap();
    assert!(is_answered(&mut other, id).await);
}

#[tokio::test]
async fn pings_without_end_end_the_connection() {
    ends_and_harms_nobody(Vec::new(), |_| frame(PING, 0, 0, &[0; 8])).await;
}

#[tokio::test]
async fn settings_without_end_end_the_connection() {
    ends_and_harms_nobody(Vec::new(), |_| frame(SETTINGS, 0, 0, &[])).await;
}

#[tokio::test]
async fn priorities_without_end_end_the_connection() {
    ends_and_harms_nobody(Vec::new(), |_| frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1])).await;
}

#[tokio::test]
async fn unknown_frames_without_end_end_the_connection() {
    ends_and_harms_nobody(Vec::new(), |_| frame(0xfa, 0, 0, &[0; 8])).await;
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let begun = frame(HEADERS, END_STREAM, 1, &block(&PSEUDO));
    ends_and_harms_nobody(begun, |_| frame(CONTINUATION, 0, 1, &block(&[("x", "y")]))).await;
}

#[tokio::test]
async fn requests_taken_back_at_once_end_the_connection() {
    ends_and_harms_nobody(Vec::new(), |number| {
        let id = number * 2 + 1;
        [get(id), frame(RESET, 0, id, &[0, 0, 0, 8])].concat()
    })
    .await;
}

#[tokio::test]
async fn requests_that_the_server_has_to_take_back_end_the_connection() {
    ends_and_harms_nobody(Vec::new(), |number| {
        let id = number * 2 + 1;
        // More than a window may hold: an error of this stream alone (RFC 9113 §6.9.1), CVE-2025-8671.
        [get(id), frame(WINDOW_UPDATE, 0, id, &[0x7f, 0xff, 0xff, 0xff])].concat()
    })
    .await;
}

#[tokio::test]
async fn empty_data_without_end_ends_the_connection() {
    let begun = frame(HEADERS, END_HEADERS, 1, &block(&PSEUDO));
    ends_and_harms_nobody(begun, |_| frame(DATA, 0, 1, &[])).await;
}

#[tokio::test]
async fn heads_that_say_two_things_reach_nobody() {
    let [method, scheme, authority, path] = PSEUDO;
    let with = |more: Field<'static>| vec![method, scheme, authority, path, more];
    let bad: Vec<Vec<Field<'_>>> = vec![
        with((":path", "/app/y")),
        with((":unknown", "x")),
        with(("connection", "close")),
        with(("transfer-encoding", "chunked")),
        with(("te", "gzip")),
        with(("Upper", "case")),
        with(("a b", "space")),
        with(("a", "line\r\nend")),
        with(("a", "nul\0")),
        with(("content-length", "5")),
        vec![method, scheme, authority, ("a", "b"), path],
        vec![method, scheme, authority],
        vec![method, scheme, authority, (":path", "")],
        vec![method, scheme, authority, (":path", "/a b")],
        vec![method, scheme, authority, (":path", "/a\r\nb: c")],
        vec![method, scheme, (":authority", "user@gateway.test"), path],
        vec![scheme, authority, path],
    ];
    let (server, recorder) = gateway().await;
    let mut passed = Vec::new();
    for fields in bad {
        let mut stream = open(server.addresses()[0]).await;
        stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields))).await.unwrap();
        let answered = is_answered(&mut stream, 1).await;
        let seen: Vec<Recorded> = recorder.take();
        if answered || !seen.is_empty() {
            passed.push(format!("{fields:?}: {:?}", seen.iter().map(|seen| &seen.line).collect::<Vec<_>>()));
        }
    }
    assert!(passed.is_empty(), "{passed:#?}");
    let mut stream = open(server.addresses()[0]).await;
    stream.write_all(&get(1)).await.unwrap();
    assert!(is_answered(&mut stream, 1).await);
    let seen = recorder.take();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen.iter().find_map(Recorded::odd), None);
}

#[tokio::test]
async fn a_preface_may_come_byte_by_byte() {
    let (server, _recorder) = gateway().await;
    let mut stream = TcpStream::connect(server.addresses()[0]).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in [PREFACE, &frame(SETTINGS, 0, 0, &[]), &get(1)].concat() {
        stream.write_all(&[byte]).await.unwrap();
    }
    assert!(is_answered(&mut stream, 1).await);
}

/// As in HTTP/1.1 (RFC 9112 §3.2.2). RFC 9113 §8.3.1 would rather have such a request refused.
#[tokio::test]
async fn the_authority_counts_and_another_host_reaches_nobody() {
    let (server, recorder) = gateway().await;
    let mut stream = open(server.addresses()[0]).await;
    let fields = [&PSEUDO[..], &[("host", "other.test")]].concat();
    stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields))).await.unwrap();
    assert!(is_answered(&mut stream, 1).await);
    let seen = recorder.take();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen.iter().find_map(Recorded::odd), None);
    assert!(!format!("{seen:?}").contains("other.test"), "{seen:?}");
}
