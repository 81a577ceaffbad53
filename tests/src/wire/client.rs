//! A client that sends just these bytes, and reads what comes back until it has seen enough.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// What is sent when all answers have come: it ends the connection, and shows whether it is in step.
pub const AFTER: &str = "GET /after HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n";

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// Statuses in their order, without those that only say that there will be one.
    pub statuses: Vec<u16>,
    /// The content of the last.
    pub content: String,
    /// Whether the server ended the connection.
    pub closed: bool,
    /// Whether [`AFTER`] was sent.
    pub went_on: bool,
}

/// Sends the pieces. When `enough` answers have come, or none for `quiet`, sends [`AFTER`].
pub async fn play(
    server: SocketAddr,
    pieces: &[&[u8]],
    enough: usize,
    quiet: Duration,
) -> io::Result<Answers> {
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.split();
    let mut came = Vec::new();
    let mut answers = Answers::default();
    let write = async {
        for piece in pieces {
            // Who was refused may not be listened to any more.
            if writer.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        writer
    };
    let read = async {
        while complete(&came).len() < enough {
            match timeout(quiet, reader.read_buf(&mut came)).await {
                Err(_) => break,
                Ok(Ok(1..)) => {}
                Ok(_) => {
                    answers.closed = true;
                    break;
                }
            }
        }
        reader
    };
    let (mut writer, mut reader) = tokio::join!(write, read);
    // One that closes does so at once.
    if !answers.closed {
        answers.closed = matches!(
            timeout(quiet.min(Duration::from_millis(40)), reader.read_buf(&mut came)).await,
            Ok(Ok(0) | Err(_))
        );
    }
    if !answers.closed {
        answers.went_on = true;
        let _ = writer.write_all(AFTER.as_bytes()).await;
        answers.closed = loop {
            match timeout(quiet, reader.read_buf(&mut came)).await {
                Err(_) => break false,
                Ok(Ok(1..)) => {}
                Ok(_) => break true,
            }
        };
    }
    for (status, content) in complete(&came) {
        answers.statuses.push(status);
        answers.content = content;
    }
    Ok(answers)
}

/// The answers that are there as a whole.
fn complete(bytes: &[u8]) -> Vec<(u16, String)> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        let after = &rest[end + 4..];
        let field = |name: &str| head.split("\r\n").find_map(|line| line.strip_prefix(name)).map(str::trim);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let (content, length) = match (field("content-length:"), field("transfer-encoding:")) {
            (Some(length), _) => {
                let length: usize = length.parse().unwrap_or(0);
                let Some(content) = after.get(..length) else { break };
                (content, length)
            }
            (None, Some(_)) => {
                let Some(end) = after.windows(5).position(|window| window == b"0\r\n\r\n") else { break };
                (&after[..end], end + 5)
            }
            // To the end of the connection.
            (None, None) if status >= 200 && head.contains("connection: close") => (after, after.len()),
            (None, None) => (&after[..0], 0),
        };
        if status >= 200 || status == 101 {
            found.push((status, String::from_utf8_lossy(content).into_owned()));
        }
        rest = &after[length..];
    }
    found
}
