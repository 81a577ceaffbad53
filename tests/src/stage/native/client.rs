//! A client that sends just what it is told and believes nothing: heads are written by hand, and how an answer
//! is framed is checked, not assumed.

mod http2;

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use tollgate_rehearsal::{case::request::Over, observed::Raw, play::Sent};

/// Fields of an answer, at most.
const MAX_FIELDS: usize = 256;

/// Makes one request on a connection of its own.
pub async fn exchange(server: SocketAddr, sent: &Sent) -> io::Result<Raw> {
    if sent.over == Over::Http2 {
        return http2::exchange(server, sent).await;
    }
    let (mut reader, mut writer) = connect(sent.peer, server).await?;
    // The server may answer, and close, before it has read all. What it said is then still there to be read.
    let write = async {
        let _ = writer.send(sent).await;
        writer
    };
    let read = async {
        let head = reader.head().await?;
        let framing = head.framing(&sent.method)?;
        let (body, broken) = reader.content(framing).await?;
        let trailers = std::mem::take(&mut reader.trailers);
        Ok::<_, io::Error>(Raw {
            status: head.status,
            headers: head.fields,
            body,
            broken,
            trailers,
            ..Raw::default()
        })
    };
    let (raw, _) = tokio::join!(read, write);
    raw
}

/// A connection from an address of this machine.
pub async fn connect(from: IpAddr, server: SocketAddr) -> io::Result<(Reader, Writer)> {
    let (read, write) = dial(from, server).await?.into_split();
    Ok((Reader { stream: read, buffer: BytesMut::new(), trailers: Vec::new() }, Writer(write)))
}

async fn dial(from: IpAddr, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind((from, 0).into())?;
    let stream: TcpStream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The half that requests go out by.
#[derive(Debug)]
pub struct Writer(OwnedWriteHalf);

impl Writer {
    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Sends a request.
    pub async fn send(&mut self, sent: &Sent) -> io::Result<()> {
        let mut head = format!("{} {} HTTP/1.1\r\n", sent.method, sent.target).into_bytes();
        for (name, value) in &sent.headers {
            head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        self.0.write_all(&head).await?;
        let chunked = sent.is_chunked();
        for piece in &sent.pieces {
            if chunked {
                self.0.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
            }
            self.0.write_all(piece).await?;
            if chunked {
                self.0.write_all(b"\r\n").await?;
            }
        }
        if chunked {
            let mut end = b"0\r\n".to_vec();
            for (name, value) in &sent.trailers {
                end.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
            end.extend_from_slice(b"\r\n");
            self.0.write_all(&end).await?;
        }
        Ok(())
    }
}

/// The half that answers come in by.
#[derive(Debug)]
pub struct Reader {
    stream: OwnedReadHalf,
    /// What has come and has not been looked at.
    buffer: BytesMut,
    /// The fields after the content, names in lower case.
    trailers: Vec<(String, String)>,
}

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// The fields, names in lower case.
    pub fields: Vec<(String, String)>,
}

/// How the end of content is known (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy)]
pub enum Framing {
    /// There is none.
    Nothing,
    /// So many bytes.
    Length(usize),
    /// In chunks.
    Chunked,
    /// When the connection ends.
    Close,
}

impl Head {
    /// The values of a field.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// How the end of the content of an answer to `method` is known.
    pub fn framing(&self, method: &str) -> io::Result<Framing> {
        if method == "HEAD" || matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(Framing::Nothing);
        }
        let (mut lengths, chunked) = (self.values("content-length"), self.values("transfer-encoding").next());
        match (lengths.next(), lengths.next(), chunked) {
            (None, None, None) => Ok(Framing::Close),
            (None, None, Some("chunked")) => Ok(Framing::Chunked),
            (Some(length), None, None) => length.parse().map(Framing::Length).map_err(io::Error::other),
            _ => Err(io::Error::other(format!("it is unclear where the answer ends: {:?}", self.fields))),
        }
    }
}

impl Reader {
    /// The head of the next answer; interim ones are passed over.
    pub async fn head(&mut self) -> io::Result<Head> {
        loop {
            let head = self.next_head().await?;
            if !(100..=199).contains(&head.status) || head.status == 101 {
                return Ok(head);
            }
        }
    }

    /// The next head, be it an interim one.
    pub async fn next_head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(head) = self.parse()? {
                return Ok(head);
            } else if !self.more().await? {
                let came = String::from_utf8_lossy(&self.buffer).into_owned();
                return Err(io::Error::other(format!(
                    "the connection ended before the answer's head: {came:?}"
                )));
            }
        }
    }

    fn parse(&mut self) -> io::Result<Option<Head>> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let httparse::Status::Complete(length) = response.parse(&self.buffer).map_err(io::Error::other)?
        else {
            return Ok(None);
        };
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let fields = response
            .headers
            .iter()
            .map(|field| (field.name.to_ascii_lowercase(), text(field.value)))
            .collect();
        let head = Head { status: response.code.unwrap_or_default(), fields };
        self.buffer.advance(length);
        Ok(Some(head))
    }

    /// All content as far as it comes, and whether it breaks off.
    pub async fn content(&mut self, framing: Framing) -> io::Result<(Bytes, bool)> {
        match framing {
            Framing::Nothing => Ok((Bytes::new(), false)),
            Framing::Length(length) => {
                while self.buffer.len() < length && self.more().await? {}
                let here = length.min(self.buffer.len());
                Ok((self.buffer.split_to(here).freeze(), here < length))
            }
            Framing::Close => {
                while self.more().await? {}
                Ok((self.buffer.split().freeze(), false))
            }
            Framing::Chunked => {
                let mut all = BytesMut::new();
                loop {
                    match self.chunk().await? {
                        None => return Ok((all.freeze(), true)),
                        Some(chunk) if chunk.is_empty() => return Ok((all.freeze(), false)),
                        Some(chunk) => all.extend_from_slice(&chunk),
                    }
                }
            }
        }
    }

    /// The next chunk, empty for the last; none where the connection ends before it.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let Some(line) = self.line().await? else { return Ok(None) };
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
        let size = size.map_err(|_| io::Error::other(format!("`{line}` is not the size of a chunk")))?;
        if size == 0 {
            // Trailer fields, up to an empty line.
            while let Some(line) = self.line().await? {
                if line.is_empty() {
                    return Ok(Some(Bytes::new()));
                }
                let (name, value) = line
                    .split_once(':')
                    .ok_or_else(|| io::Error::other(format!("`{line}` is no field after content")))?;
                self.trailers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            return Ok(None);
        }
        while self.buffer.len() < size + 2 {
            if !self.more().await? {
                return Ok(None);
            }
        }
        let chunk = self.buffer.split_to(size).freeze();
        match self.buffer.split_to(2).as_ref() {
            b"\r\n" => Ok(Some(chunk)),
            other => Err(io::Error::other(format!("a chunk ends with {other:?}"))),
        }
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.split_to(end);
                self.buffer.advance(2);
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    /// The next bytes of a connection that is no longer HTTP; empty at its end.
    pub async fn raw(&mut self) -> io::Result<Bytes> {
        if self.buffer.is_empty() {
            self.more().await?;
        }
        Ok(self.buffer.split().freeze())
    }

    /// Whether more has come. A connection that is reset has ended.
    async fn more(&mut self) -> io::Result<bool> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(count) => Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error),
        }
    }
}
