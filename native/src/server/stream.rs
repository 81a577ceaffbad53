//! A client's bytes, whichever way they come; what was looked at to find out what is spoken stays to be read. What the
//! bytes mean is not known here.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

/// How much is looked at in one go.
const GLANCE: usize = 4096;

/// A connection's bytes.
#[derive(Debug)]
pub(super) struct Stream<T> {
    /// What has been looked at and not yet been read.
    ahead: BytesMut,
    io: T,
}

/// A connection as the system gives it.
#[derive(Debug)]
pub(super) enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Io {
    /// Where the client has come to; none for a socket in the file system.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream<T> {
    pub(super) fn new(io: T) -> Self {
        Self { ahead: BytesMut::new(), io }
    }

    /// Looks at the first bytes until `judge` has seen enough of them. They are still to be read afterwards. `None` when
    /// the connection ends before, or `most` bytes were not enough.
    pub(super) async fn look<V>(
        &mut self,
        most: usize,
        mut judge: impl FnMut(&[u8]) -> Option<V>,
    ) -> io::Result<Option<V>> {
        loop {
            if let Some(verdict) = judge(&self.ahead) {
                return Ok(Some(verdict));
            }
            if self.ahead.len() >= most {
                return Ok(None);
            }
            self.ahead.reserve(GLANCE);
            if self.io.read_buf(&mut self.ahead).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The first bytes have been dealt with.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.ahead.advance(bytes.min(self.ahead.len()));
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        let length = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead[..length]);
        self.ahead.advance(length);
        if self.ahead.is_empty() {
            // Its memory is not needed again.
            self.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets hold nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn what_was_looked_at_is_still_read() {
        let (mut client, server) = duplex(64);
        let mut stream = Stream::new(server);
        client.write_all(b"hello, ").await.unwrap();
        let seen = stream.look(64, |bytes| bytes.starts_with(b"hell").then_some(bytes.len())).await.unwrap();
        assert_eq!(seen, Some(7));
        client.write_all(b"world").await.unwrap();
        drop(client);
        stream.skip(2);
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "llo, world");
    }

    #[tokio::test]
    async fn who_never_says_enough_is_not_looked_at_forever() {
        let (mut client, server) = duplex(64);
        let mut stream = Stream::new(server);
        client.write_all(b"abcdef").await.unwrap();
        assert_eq!(stream.look(6, |_| None::<()>).await.unwrap(), None);
        drop(client);
        assert_eq!(stream.look(60, |_| None::<()>).await.unwrap(), None);
    }
}
