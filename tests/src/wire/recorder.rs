//! A service that keeps what reaches it, and answers everything alike.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::strict;

/// A request as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The first line.
    pub line: String,
    /// Names in lower case, in the order in which they came.
    pub fields: Vec<(String, String)>,
    /// The content. None where it broke off.
    pub content: Option<Vec<u8>>,
    /// The fields after it, likewise.
    pub trailers: Vec<(String, String)>,
    /// Whether chunks had extensions.
    pub has_extensions: bool,
    /// What of the content is not as it must be; nothing is read after that.
    pub broken: Option<String>,
}

impl Recorded {
    /// The values of the fields of this name.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The target.
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// In what it is not what everybody reads alike.
    pub fn odd(&self) -> Option<String> {
        let parts: Vec<&str> = self.line.split(' ').collect();
        let plain =
            |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if parts.len() != 3
            || !parts[2].starts_with("HTTP/1.")
            || !parts[1].starts_with('/')
            || parts[1].contains('#')
        {
            return Some(format!("the line `{}`", self.line.escape_debug()));
        }
        if parts[0].is_empty() || parts[0].bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Some(format!("the method `{}`", parts[0]));
        }
        let length = self.values("content-length");
        let coding = self.values("transfer-encoding");
        if length.len() + coding.len() > 1 {
            return Some("framed twice".to_owned());
        }
        if length.iter().any(|text| text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()))
            || coding.iter().any(|coding| *coding != "chunked")
        {
            return Some(format!("framed by {length:?} {coding:?}"));
        }
        if self.values("host").len() != 1 {
            return Some(format!("{} hosts", self.values("host").len()));
        }
        self.fields.iter().find_map(|(name, value)| {
            let like = name.replace('_', "-");
            if name.is_empty() || !plain(name) {
                Some(format!("the field `{}`", name.escape_debug()))
            } else if value.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
                Some(format!("the value of `{name}`"))
            } else if name.contains('_') && matches!(like.as_str(), "content-length" | "transfer-encoding") {
                Some(format!("the field `{name}`"))
            } else if matches!(name.as_str(), "expect" | "http2-settings")
                || (name == "upgrade" && value.contains("h2c"))
                || (name == "connection" && value.contains("content-length"))
            {
                Some(format!("`{name}: {value}`"))
            } else {
                None
            }
        })
    }
}

/// The service.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Recorded>>>,
}

impl Recorder {
    /// Opens it.
    pub async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, seen) = (listener.local_addr()?, Arc::new(Mutex::new(Vec::new())));
        let kept = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, kept.clone()));
            }
        });
        Ok(Self { address, seen })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What came since this was last asked. A request stands here from when its head has come.
    pub fn take(&self) -> Vec<Recorded> {
        self.seen.lock().map(|mut seen| std::mem::take(&mut *seen)).unwrap_or_default()
    }
}

async fn serve(mut stream: TcpStream, kept: Arc<Mutex<Vec<Recorded>>>) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let (length, head) = loop {
            match strict::head(&buffer) {
                Some(head) => break head,
                None => more(&mut stream, &mut buffer).await?,
            }
        };
        buffer.drain(..length);
        let number = {
            let mut kept = kept.lock().ok()?;
            kept.push(head.clone());
            kept.len() - 1
        };
        let recorded = loop {
            match strict::content(&head, &buffer) {
                Ok(Some((length, whole))) => {
                    buffer.drain(..length);
                    break whole;
                }
                Ok(None) => more(&mut stream, &mut buffer).await?,
                Err(broken) => break Recorded { broken: Some(broken), ..head },
            }
        };
        let is_broken = recorded.broken.is_some();
        let is_tunnel = recorded.line.starts_with("CONNECT ");
        let is_head = recorded.line.starts_with("HEAD ");
        {
            let mut kept = kept.lock().ok()?;
            // What was taken meanwhile stands there once more, now that it is whole.
            match kept.get_mut(number).filter(|place| place.line == recorded.line) {
                Some(place) => *place = recorded,
                None => kept.push(recorded),
            }
        }
        if is_broken {
            return None;
        }
        let answer: &[u8] = match () {
            () if is_tunnel => b"HTTP/1.1 200 OK\r\n\r\n",
            () if is_head => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n",
            () => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        };
        stream.write_all(answer).await.ok()?;
        if is_tunnel {
            // What comes now is bytes, not requests.
            while more(&mut stream, &mut buffer).await.is_some() {
                buffer.clear();
            }
            return None;
        }
    }
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    (stream.read_buf(buffer).await.ok()? > 0).then_some(())
}
