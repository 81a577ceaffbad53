//! A client's connection as HTTP is read from it and written to it: it tells [`super::pace`] what moves, looks at the
//! bytes before hyper does, and holds what counts the connection, also when that has become a tunnel and left the
//! server's hands.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
};

use super::{crowd::Guest, frames::Frames, pace::Pace, worker::Alive};
use crate::metrics::Gauged;

/// What an open connection takes: one of the connections that there may be, in all and for its client.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) _gauge: Gauged,
    pub(super) _alive: Alive,
    pub(super) guest: Option<Guest>,
}

/// What looks at the bytes that come, before they are understood.
#[derive(Debug)]
pub(super) enum Watch {
    Nothing,
    Http2(Frames),
}

#[derive(Debug)]
pub(super) struct Socket<T> {
    stream: T,
    pace: Arc<Pace>,
    watch: Watch,
    _slot: Slot,
}

impl<T> Socket<T> {
    pub(super) fn new(stream: T, pace: Arc<Pace>, watch: Watch, slot: Slot) -> Self {
        Self { stream, pace, watch, _slot: slot }
    }

    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &polled {
            Poll::Ready(Ok(written)) => self.pace.left(*written),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.pace.stuck(),
        }
        polled
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Socket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let this = &mut *self;
        let came = buffer.filled().get(before..).unwrap_or_default();
        if came.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match &mut this.watch {
            Watch::Nothing => this.pace.arrived(),
            Watch::Http2(frames) => {
                let pace = &this.pace;
                if let Err(flood) = frames.inspect(came, || pace.now()) {
                    pace.flooded();
                    return Poll::Ready(Err(io::Error::other(format!("{flood:?}"))));
                }
                pace.head(frames.within_head());
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Socket<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What TLS has taken and not got rid of yet.
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        match &polled {
            Poll::Pending => self.pace.stuck(),
            Poll::Ready(_) => self.pace.unstuck(),
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
