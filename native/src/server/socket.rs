//! A client's socket, with what counts the connection: it lasts as long as the socket, also when that has
//! become a tunnel and left the server's hands. What is read goes through the [`Check`].

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};

use super::{pace::Pace, worker::Alive};
use crate::{metrics::Gauged, wire::check::Check};

/// How long a client whose bytes were refused may take to stop sending. Closing earlier would take the answer away
/// from under it: bytes that nobody has read make a close a reset.
const FAREWELL: Duration = Duration::from_secs(1);

/// What an open connection takes: one of the connections that there may be.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) _gauge: Gauged,
    pub(super) _alive: Alive,
}

#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    pace: Arc<Pace>,
    check: Check,
    farewell: Option<Pin<Box<Sleep>>>,
    _slot: Slot,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, pace: Arc<Pace>, check: Check, slot: Slot) -> Self {
        Self { stream, pace, check, farewell: None, _slot: slot }
    }

    /// Ends when the client has ended too, or has had time to.
    fn poll_farewell(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let over = self.farewell.get_or_insert_with(|| Box::pin(sleep(FAREWELL)));
        let mut scrap = [0; 1024];
        while over.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut scrap);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let checked = this.check.ready();
            if !checked.is_empty() {
                let length = checked.len().min(buffer.remaining());
                buffer.put_slice(&checked[..length]);
                this.check.gave(length);
                return Poll::Ready(Ok(()));
            }
            if let Some(why) = this.check.broken() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
            }
            if !this.check.has_room() {
                // hyper reads again when it has answered.
                return Poll::Pending;
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
            if buffer.filled().len() == before {
                // To hyper this would be the end of the answer too, which says why there is none to the rest.
                return if this.check.is_over() { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
            this.pace.arrived();
            let good = this.check.inspect(&buffer.filled()[before..]);
            buffer.set_filled(before + good);
            if good > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.pace.left();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
        self.pace.left();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.farewell.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        if self.check.is_over() || self.check.broken().is_some() {
            ready!(self.poll_farewell(context));
        }
        Poll::Ready(Ok(()))
    }
}
