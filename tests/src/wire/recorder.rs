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

/// A request as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The first line.
    pub line: String,
    /// Names in lower case, in the order in which they came.
    pub fields: Vec<(String, String)>,
    /// The content. None where it broke off.
    pub content: Option<Vec<u8>>,
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
        let head = until(&mut stream, &mut buffer, b"\r\n\r\n").await?;
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_ascii_lowercase(), value.trim_matches(' ').to_owned())
        });
        let mut recorded = Recorded { line, fields: fields.collect(), content: None };
        let number = {
            let mut kept = kept.lock().ok()?;
            kept.push(recorded.clone());
            kept.len() - 1
        };
        let content = match recorded.values("transfer-encoding").first() {
            Some(_) => chunks(&mut stream, &mut buffer).await,
            None => {
                let length = recorded.values("content-length").first().and_then(|text| text.parse().ok());
                exactly(&mut stream, &mut buffer, length.unwrap_or(0)).await
            }
        };
        recorded.content = Some(content?);
        let is_head = recorded.line.starts_with("HEAD ");
        {
            let mut kept = kept.lock().ok()?;
            // What was taken meanwhile stands there once more, now that it is whole.
            match kept.get_mut(number).filter(|place| place.line == recorded.line) {
                Some(place) => *place = recorded,
                None => kept.push(recorded),
            }
        }
        let answer: &[u8] = if is_head {
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
        } else {
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        };
        stream.write_all(answer).await.ok()?;
    }
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    (stream.read_buf(buffer).await.ok()? > 0).then_some(())
}

async fn exactly(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while buffer.len() < length {
        more(stream, buffer).await?;
    }
    let rest = buffer.split_off(length);
    Some(std::mem::replace(buffer, rest))
}

async fn until(stream: &mut TcpStream, buffer: &mut Vec<u8>, end: &[u8]) -> Option<Vec<u8>> {
    loop {
        if let Some(at) = buffer.windows(end.len()).position(|window| window == end) {
            return exactly(stream, buffer, at + end.len()).await;
        }
        more(stream, buffer).await?;
    }
}

async fn chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let line = until(stream, buffer, b"\r\n").await?;
        let text = String::from_utf8_lossy(&line).into_owned();
        let size = usize::from_str_radix(text.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            while until(stream, buffer, b"\r\n").await?.len() > 2 {}
            return Some(content);
        }
        content.extend(exactly(stream, buffer, size).await?);
        until(stream, buffer, b"\r\n").await?;
    }
}
