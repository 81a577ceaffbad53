//! A client's connection as HTTP is read from it and written to it: it tells [`super::pace`] what moves, looks at the
//! bytes before hyper does, and holds what counts the connection, also when that has become a tunnel and left the
//! server's hands.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};

use super::{crowd::Guest, frames::Frames, pace::Pace, worker::Alive};
use crate::{interim::Interim, metrics::Gauged, wire::check::Check};

/// How long a client whose bytes were refused may take to stop sending. Closing earlier would take the answer away
/// from under it: bytes that nobody has read make a close a reset.
const FAREWELL: Duration = Duration::from_secs(1);

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
    Http1(Check, Arc<Interim>),
    Http2(Frames),
}

#[derive(Debug)]
pub(super) struct Socket<T> {
    stream: T,
    pace: Arc<Pace>,
    watch: Watch,
    /// Interim answers that are being written.
    interim: Vec<u8>,
    /// hyper has got rid of all it had to write.
    is_between: bool,
    farewell: Option<Pin<Box<Sleep>>>,
    _slot: Slot,
}

impl<T> Socket<T> {
    pub(super) fn new(stream: T, pace: Arc<Pace>, watch: Watch, slot: Slot) -> Self {
        Self { stream, pace, watch, interim: Vec::new(), is_between: true, farewell: None, _slot: slot }
    }

    /// Whether bytes were refused, so that the client may still be sending.
    fn has_refused(&self) -> bool {
        match &self.watch {
            Watch::Http1(check, _) => check.is_over() || check.broken().is_some(),
            Watch::Http2(_) => false,
        }
    }

    fn wrote(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &polled {
            Poll::Ready(Ok(written)) => {
                if let Watch::Http2(frames) = &mut self.watch {
                    frames.wrote(*written);
                }
                self.pace.left(*written);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.pace.stuck(),
        }
        polled
    }
}

impl<T: AsyncRead + Unpin> Socket<T> {
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

    /// HTTP/1: nothing is read that was not looked at.
    fn poll_checked(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Watch::Http1(check, _) = &mut self.watch else { return Poll::Ready(Ok(())) };
        loop {
            let checked = check.ready();
            if !checked.is_empty() {
                let length = checked.len().min(buffer.remaining());
                buffer.put_slice(&checked[..length]);
                check.gave(length);
                return Poll::Ready(Ok(()));
            }
            if let Some(why) = check.broken() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
            }
            if !check.has_room() {
                // hyper reads again when it has answered.
                return Poll::Pending;
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            if buffer.filled().len() == before {
                // To hyper this would be the end of the answer too, which says why there is none to the rest.
                return if check.is_over() { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
            self.pace.arrived();
            let good = check.inspect(&buffer.filled()[before..]);
            buffer.set_filled(before + good);
            if good > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// HTTP/2: what is asked for is counted.
    fn poll_counted(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let Watch::Http2(frames) = &mut self.watch else { return Poll::Ready(Ok(())) };
        let pace = &self.pace;
        if let Err(flood) = frames.inspect(&buffer.filled()[before..], || pace.now()) {
            pace.flooded();
            return Poll::Ready(Err(io::Error::other(format!("{flood:?}"))));
        }
        pace.head(frames.within_head());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Socket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &self.watch {
            Watch::Http1(..) => self.poll_checked(context, buffer),
            Watch::Http2(_) => self.poll_counted(context, buffer),
        }
    }
}

impl<T: AsyncWrite + Unpin> Socket<T> {
    /// Writes interim answers, where it is their turn.
    fn poll_interim(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Watch::Http1(_, interim) = &self.watch {
            match self.is_between {
                true if self.interim.is_empty() => self.interim = interim.take(context),
                true => {}
                false => interim.forget(),
            }
        }
        while !self.interim.is_empty() {
            let polled = Pin::new(&mut self.stream).poll_write(context, &self.interim);
            match ready!(self.wrote(polled))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => drop(self.interim.drain(..written)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(context))?;
        self.is_between = false;
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(context))?;
        self.is_between = false;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes what is below it when it has nothing left itself.
        self.is_between = true;
        ready!(self.poll_interim(context))?;
        // What TLS has taken and not got rid of yet.
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        match &polled {
            Poll::Pending => self.pace.stuck(),
            Poll::Ready(_) => self.pace.unstuck(),
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.farewell.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        if self.has_refused() {
            ready!(self.poll_farewell(context));
        }
        Poll::Ready(Ok(()))
    }
}
