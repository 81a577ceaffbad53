//! The same client in HTTP/2, without asking first: `host` goes where HTTP/2 has it, and what concerns a connection in
//! HTTP/1.1 is left out. The rest is sent as written, as far as hyper sends it.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tollgate_rehearsal::{observed::Raw, play::Sent};

/// Makes one request on a connection of its own.
pub(super) async fn exchange(server: SocketAddr, sent: &Sent) -> io::Result<Raw> {
    let stream = super::dial(sent.peer, server).await?;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request(sent).map_err(io::Error::other)?).await;
    let (head, mut body) = response.map_err(io::Error::other)?.into_parts();
    let (mut all, mut trailers, mut broken) = (BytesMut::new(), HeaderMap::new(), false);
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => all.extend_from_slice(&data),
            Ok(Err(frame)) => trailers = frame.into_trailers().unwrap_or_default(),
            Err(_) => {
                broken = true;
                break;
            }
        }
    }
    driver.abort();
    Ok(Raw {
        status: head.status.as_u16(),
        headers: lines(&head.headers),
        body: all.freeze(),
        broken,
        trailers: lines(&trailers),
        ..Raw::default()
    })
}

fn request(sent: &Sent) -> Result<Request<Content>, http::Error> {
    let host = sent.field("host").unwrap_or_default();
    let mut request = Request::new(Content {
        pieces: sent.pieces.iter().cloned().collect(),
        trailers: (!sent.trailers.is_empty()).then(|| fields(&sent.trailers)).transpose()?,
    });
    *request.method_mut() = Method::from_bytes(sent.method.as_bytes())?;
    *request.uri_mut() = Uri::try_from(format!("http://{host}{}", sent.target))?;
    *request.headers_mut() = fields(&sent.headers)?;
    request.headers_mut().remove("host");
    request.headers_mut().remove("transfer-encoding");
    Ok(request)
}

fn fields(lines: &[(String, String)]) -> Result<HeaderMap, http::Error> {
    let mut fields = HeaderMap::new();
    for (name, value) in lines {
        fields.append(HeaderName::try_from(name)?, HeaderValue::from_bytes(value.as_bytes())?);
    }
    Ok(fields)
}

fn lines(fields: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    fields.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Content in pieces, and the fields after it.
struct Content {
    pieces: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front().map(Frame::data);
        Poll::Ready(piece.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.trailers.is_none()
    }
}
