//! Hostile clients of HTTP/2, frame by frame over raw sockets: their connections or requests end, and others are
//! answered meanwhile. Not here: how much memory it takes, which the program `wire_attacks` measures.

mod claims;

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tollgate::{host::Settings, server::Running};
use tollgate_core::config::{self, Host, NoFiles};
use tollgate_tests::{
    stage::native::start,
    wire::{
        h2::{
            CONTINUATION, DATA, END_HEADERS, END_STREAM, Field, GOAWAY, HEADERS, PREFACE, PSEUDO, Piece,
            RESET, SETTINGS, WINDOW_UPDATE, ask, block, bomb, floods, frame, get, next, open,
        },
        recorder::{Recorded, Recorder},
    },
};

use crate::around::soon;

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

/// What comes on a stream first, and what for: its kind and payload. `None` when the connection ends.
async fn comes(stream: &mut TcpStream, id: u32) -> Option<(u8, Vec<u8>)> {
    loop {
        match soon("something comes", next(stream)).await? {
            (kind @ (HEADERS | RESET), of, payload) if of == id => return Some((kind, payload)),
            (GOAWAY, _, payload) => return Some((GOAWAY, payload)),
            _ => {}
        }
    }
}

async fn gateway_with(more: &str) -> (Running, Recorder) {
    let recorder = Recorder::open().await.unwrap();
    let address = recorder.address();
    let text = format!(
        "services: {{app: {{endpoints: ['http://{address}']}}}}\nroutes: [{{path: '/*', target_service: app}}]\n{more}"
    );
    let loaded = config::load("test", text, &NoFiles, &|_: &str| None, Host::Native);
    let gateway = loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()));
    (start(gateway, Settings::default()).unwrap().0, recorder)
}

async fn gateway() -> (Running, Recorder) {
    gateway_with("").await
}

/// More of the same than any client in good faith sends.
const MANY: u32 = 20_000;

/// Sends pieces until there are no more or the connection ends, and then waits for its end.
async fn flood(address: SocketAddr, first: Vec<u8>, piece: Piece) {
    let (mut reader, mut writer) = open(address, &[]).await.unwrap().into_split();
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

/// Each floods, while another client asks for something again and again on a connection that it has had before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_end_with_their_connection_and_harm_nobody() {
    let (server, _recorder) = gateway().await;
    let address = server.addresses()[0];
    let mut endless = Vec::new();
    for (name, first, piece) in floods() {
        let mut other = open(address, &[]).await.unwrap();
        let flood = tokio::spawn(flood(address, first, piece));
        let mut id = 1;
        while !flood.is_finished() && id < 400 {
            other.write_all(&get(id)).await.unwrap();
            assert!(is_answered(&mut other, id).await, "{name}: request {id} of the other");
            id += 2;
        }
        if tokio::time::timeout(crate::around::SOON, flood).await.is_err() {
            endless.push(name);
        }
        other.write_all(&get(id)).await.unwrap();
        assert!(is_answered(&mut other, id).await, "{name}");
    }
    assert!(endless.is_empty(), "{endless:?}");
}

#[tokio::test]
async fn a_head_that_grows_when_it_is_unpacked_is_refused_alone() {
    let (server, recorder) = gateway().await;
    let mut stream = open(server.addresses()[0], &[]).await.unwrap();
    stream.write_all(&bomb(1)).await.unwrap();
    assert!(!is_answered(&mut stream, 1).await);
    assert!(recorder.take().is_empty());
    let mut other = open(server.addresses()[0], &[]).await.unwrap();
    other.write_all(&get(1)).await.unwrap();
    assert!(is_answered(&mut other, 1).await);
}

#[tokio::test]
async fn a_head_that_comes_in_drops_ends_the_connection() {
    let (server, recorder) = gateway_with("limits: {header_timeout_ms: 200}").await;
    let mut stream = open(server.addresses()[0], &[]).await.unwrap();
    // Something else is asked for at the same time, and answered.
    stream.write_all(&get(1)).await.unwrap();
    assert!(is_answered(&mut stream, 1).await);
    stream.write_all(&frame(HEADERS, END_STREAM, 3, &block(&PSEUDO))).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let dripping = async {
        while writer.write_all(&frame(CONTINUATION, 0, 3, &block(&[("x", "y")]))).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let ending = async { while next(&mut reader).await.is_some() {} };
    soon("the connection ends", async { tokio::join!(dripping, ending) }).await;
    assert_eq!(recorder.take().len(), 1);
}

#[tokio::test]
async fn more_requests_than_may_be_are_refused_alone() {
    let (server, _recorder) = gateway_with("limits: {http2: {max_streams: 2}}").await;
    let mut stream = open(server.addresses()[0], &[]).await.unwrap();
    // Two that wait for content, and one that there is no room for (RFC 9113 §5.1.2).
    let all = [ask(1, "POST", "/app/1"), ask(3, "POST", "/app/3"), get(5)].concat();
    stream.write_all(&all).await.unwrap();
    let (kind, why) = comes(&mut stream, 5).await.unwrap();
    assert!(kind == RESET && why == [0, 0, 0, 7], "{kind} {why:?}");
    stream.write_all(&frame(DATA, END_STREAM, 1, b"x")).await.unwrap();
    assert!(is_answered(&mut stream, 1).await);
}

#[tokio::test]
async fn errors_of_a_connection_end_it_and_reach_nobody() {
    let (server, recorder) = gateway().await;
    let other = "GET /app/x HTTP/1.1";
    for (what, bytes) in [
        ("data on no stream", frame(DATA, 0, 0, b"x")),
        ("a head on no stream", frame(HEADERS, END_STREAM | END_HEADERS, 0, &block(&PSEUDO))),
        ("a stream of the server's", get(2)),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &block(&PSEUDO))),
        ("data on a stream that is none", frame(DATA, 0, 7, b"x")),
        ("settings of half a parameter", frame(SETTINGS, 0, 0, &[0, 1, 0])),
        ("a window by nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("a window beyond what it holds", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        ("a frame larger than may be", frame(DATA, 0, 1, &[0; 16_385])),
        ("a field that is not in the table", frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0x80 | 100])),
        ("a table larger than may be", {
            let update = [&[0x3f, 0xe1, 0xff, 0x03][..], &block(&PSEUDO)].concat();
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &update)
        }),
        ("another head within one", { [frame(HEADERS, END_STREAM, 1, &block(&PSEUDO)), get(3)].concat() }),
    ] {
        let mut stream = open(server.addresses()[0], &[]).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        while let Some((kind, _, _)) = soon(what, next(&mut stream)).await {
            assert_ne!(kind, HEADERS, "{what}");
        }
        let seen = recorder.take();
        assert!(seen.is_empty(), "{what}: {seen:?} {other}");
    }
}

#[tokio::test]
async fn a_preface_of_something_else_is_no_request() {
    let (server, recorder) = gateway().await;
    let mut broken = PREFACE.to_vec();
    broken[20] = b'!';
    for bytes in [&broken[..], b"PRI * HTTP/2.0\r\n\r\n", b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.addresses()[0]).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = soon("the connection ends", stream.read_to_end(&mut answer)).await;
        assert!(!answer.windows(4).any(|window| window == b" 200"), "{answer:?}");
        assert!(recorder.take().is_empty());
    }
}

#[tokio::test]
async fn content_that_is_not_as_long_as_was_said_reaches_nobody_as_a_whole() {
    let (server, recorder) = gateway().await;
    let [_, scheme, authority, path] = PSEUDO;
    for content in [&b"four"[..], b"sixsix"] {
        let mut stream = open(server.addresses()[0], &[]).await.unwrap();
        let fields = [(":method", "POST"), scheme, authority, path, ("content-length", "5")];
        let head = frame(HEADERS, END_HEADERS, 1, &block(&fields));
        stream.write_all(&[head, frame(DATA, END_STREAM, 1, content)].concat()).await.unwrap();
        assert!(!is_answered(&mut stream, 1).await);
        assert!(recorder.take().iter().all(|seen: &Recorded| seen.content.is_none()));
    }
}

#[tokio::test]
async fn a_client_that_says_goodbye_still_gets_its_answer() {
    let (server, _recorder) = gateway().await;
    let mut stream = open(server.addresses()[0], &[]).await.unwrap();
    stream.write_all(&[ask(1, "POST", "/app/x"), frame(GOAWAY, 0, 0, &[0; 8])].concat()).await.unwrap();
    stream.write_all(&frame(DATA, END_STREAM, 1, b"x")).await.unwrap();
    assert!(is_answered(&mut stream, 1).await);
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
        let mut stream = open(server.addresses()[0], &[]).await.unwrap();
        stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields))).await.unwrap();
        let answered = is_answered(&mut stream, 1).await;
        let seen: Vec<Recorded> = recorder.take();
        if answered || !seen.is_empty() {
            passed.push(format!("{fields:?}: {:?}", seen.iter().map(|seen| &seen.line).collect::<Vec<_>>()));
        }
    }
    assert!(passed.is_empty(), "{passed:#?}");
    let mut stream = open(server.addresses()[0], &[]).await.unwrap();
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

/// RFC 9113 §8.3.1.
#[tokio::test]
async fn another_host_than_the_authority_is_refused() {
    let (server, recorder) = gateway().await;
    for (host, is_fine) in [("other.test", false), (PSEUDO[2].1, true)] {
        let mut stream = open(server.addresses()[0], &[]).await.unwrap();
        let fields = [&PSEUDO[..], &[("host", host)]].concat();
        stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields))).await.unwrap();
        assert_eq!(is_answered(&mut stream, 1).await, is_fine, "{host}");
        assert_eq!(recorder.take().len(), usize::from(is_fine), "{host}");
    }
}
