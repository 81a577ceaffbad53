//! How this host represents a message body: hyper's stream, bytes, or a stream of our own making.
//!
//! Limits and idle times are fields, not wrappers, so that the plain path has no allocation and no dynamic
//! call. What a body says about its length is exact, or it says nothing: hyper frames messages by it.

pub(crate) mod metered;
mod pace;
mod proven;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body as Stream, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tollgate_core::{
    body::{Body, BodyError, Coding},
    content_digest::ContentDigest,
    trailers::Trailers,
};

use self::pace::Pace;
use crate::{cause, client::pool::Lease, compress::Compressed, idle::Idle};

/// A message body. Frames pass as they are, trailers too.
pub struct NativeBody {
    source: Source,
    /// How many bytes may yet pass.
    allowed: u64,
    idle: Option<Idle>,
    /// How fast it has to come.
    pace: Option<Box<Pace>>,
    /// Which fields may follow it.
    trailers: Option<Trailers>,
    /// The connection that `source` is read from. Returned to its pool at the clean end; cut when dropped.
    lease: Option<Lease>,
}

enum Source {
    Empty,
    /// Of a `101 Switching Protocols`: no bytes of HTTP's, and the news of when the tunnel has ended.
    Switched(oneshot::Receiver<()>),
    Full(Bytes),
    Incoming(Incoming),
    Wrapped(Pin<Box<dyn Stream<Data = Bytes, Error = BodyError> + Send>>),
    /// Failed, and stays so: no reader may take the end of its patience for the end of the body.
    Failed(BodyError),
}

impl NativeBody {
    /// A body that is streamed by `stream`.
    pub fn wrap(stream: impl Stream<Data = Bytes, Error = BodyError> + Send + 'static) -> Self {
        Self::from_source(Source::Wrapped(Box::pin(stream)))
    }

    /// The same body, which fails once nothing has come for `limit` while it was asked for more.
    #[must_use]
    pub fn idle_after(mut self, limit: Duration) -> Self {
        // What is complete never stands still.
        if matches!(self.source, Source::Incoming(_) | Source::Wrapped(_)) {
            self.idle = Some(Idle::new(limit));
        }
        self
    }

    /// The same body, which fails when less than so many bytes a second come while they are waited for. Zero: never.
    #[must_use]
    pub fn at_least(mut self, bytes_per_second: u64) -> Self {
        // Boxed: few requests have a body.
        if bytes_per_second > 0 && !self.is_end_stream() {
            self.pace = Some(Box::new(Pace::new(bytes_per_second)));
        }
        self
    }

    /// The same body, holding the connection that it is read from.
    pub(crate) fn leased(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// The body of an answer after which bytes pass in both directions, until `end` says that they don't any more.
    pub(crate) fn switched(end: oneshot::Receiver<()>) -> Self {
        Self::from_source(Source::Switched(end))
    }

    /// When the tunnel ends that begins with this answer, if one does. Nobody else learns of it then.
    pub(crate) fn take_tunnel_end(&mut self) -> Option<oneshot::Receiver<()>> {
        match std::mem::replace(&mut self.source, Source::Empty) {
            Source::Switched(end) => Some(end),
            other => {
                self.source = other;
                None
            }
        }
    }

    /// Why this body can't be sent, where that is known before it is read.
    pub(crate) fn failure(&self) -> Option<&BodyError> {
        match &self.source {
            Source::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// The same once more, where that takes nothing: a stream is there once.
    pub(crate) fn copy(&self) -> Option<Self> {
        let source = match &self.source {
            Source::Empty => Source::Empty,
            Source::Full(bytes) => Source::Full(bytes.clone()),
            Source::Switched(_) | Source::Incoming(_) | Source::Wrapped(_) | Source::Failed(_) => {
                return None;
            }
        };
        Some(Self { allowed: self.allowed, ..Self::from_source(source) })
    }

    fn from_source(source: Source) -> Self {
        Self { source, allowed: u64::MAX, idle: None, pace: None, trailers: None, lease: None }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        *self = Self::from_source(Source::Failed(error.clone()));
        Poll::Ready(Some(Err(error)))
    }

    /// Nothing more will come: lets go of what reading needed.
    fn end(&mut self) {
        self.idle = None;
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }

    fn pass(&mut self, mut frame: Frame<Bytes>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(data) = frame.data_ref() {
            match self.allowed.checked_sub(data.len() as u64) {
                Some(left) => self.allowed = left,
                None => return self.fail(BodyError::TooLarge),
            }
        }
        if let Some(idle) = &mut self.idle {
            idle.moved();
        }
        let length = frame.data_ref().map_or(0, Bytes::len);
        if self.pace.as_ref().is_some_and(|pace| pace.moved(length)) {
            return self.fail(BodyError::Broken("it comes too slowly".to_owned()));
        }
        if let (Some(rule), Some(fields)) = (&self.trailers, frame.trailers_mut()) {
            rule.sift(fields);
        }
        // A reader that knows the length, or has seen trailers, does not ask again.
        if self.is_end_stream() || frame.is_trailers() {
            self.end();
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Stream for NativeBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = match &mut this.source {
            Source::Empty | Source::Switched(_) => return Poll::Ready(None),
            Source::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.source = Source::Empty;
                return this.pass(Frame::data(bytes));
            }
            Source::Failed(error) => return Poll::Ready(Some(Err(error.clone()))),
            Source::Incoming(incoming) => Pin::new(incoming).poll_frame(context).map_err(broken),
            Source::Wrapped(stream) => stream.as_mut().poll_frame(context),
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => this.pass(frame),
            Poll::Ready(Some(Err(error))) => this.fail(error),
            Poll::Ready(None) => {
                this.end();
                this.source = Source::Empty;
                Poll::Ready(None)
            }
            Poll::Pending => {
                if let Some(pace) = &this.pace {
                    pace.waits();
                }
                let over = this.idle.as_mut().and_then(|idle| match idle.poll_over(context) {
                    Poll::Ready(limit) => {
                        Some(BodyError::Broken(format!("idle for {} ms", limit.as_millis())))
                    }
                    Poll::Pending => None,
                });
                over.map_or(Poll::Pending, |error| this.fail(error))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty | Source::Switched(_) => true,
            Source::Full(_) | Source::Failed(_) => false,
            Source::Incoming(incoming) => incoming.is_end_stream(),
            Source::Wrapped(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty | Source::Switched(_) => SizeHint::with_exact(0),
            Source::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Failed(_) => SizeHint::default(),
            Source::Incoming(incoming) => incoming.size_hint(),
            Source::Wrapped(stream) => stream.size_hint(),
        }
    }
}

impl Body for NativeBody {
    fn empty() -> Self {
        Self::from_source(Source::Empty)
    }

    fn full(bytes: Bytes) -> Self {
        Self::from_source(if bytes.is_empty() { Source::Empty } else { Source::Full(bytes) })
    }

    fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    fn bounded(mut self, limit: u64) -> Self {
        if self.length().is_some_and(|length| length > limit) {
            return Self::from_source(Source::Failed(BodyError::TooLarge));
        }
        self.allowed = self.allowed.min(limit);
        self
    }

    fn sifted(mut self, trailers: &Trailers) -> Self {
        // Of what is whole already nothing follows.
        if matches!(self.source, Source::Incoming(_) | Source::Wrapped(_)) {
            self.trailers = Some(trailers.clone());
        }
        self
    }

    fn proven(self, digest: ContentDigest) -> Self {
        Self::wrap(proven::Proven::new(self, &digest))
    }

    fn compress(self, coding: Coding) -> Self {
        match Compressed::new(self, coding) {
            Ok(compressed) => Self::wrap(compressed),
            Err(error) => Self::from_source(Source::Failed(error)),
        }
    }

    async fn read(self, limit: usize) -> Result<Bytes, BodyError> {
        let mut body = self.bounded(limit as u64);
        let expected = body.length().unwrap_or_default();
        let mut first = Bytes::new();
        // Used from the second piece on: what arrives in one piece is not copied.
        let mut all = BytesMut::new();
        while !body.is_end_stream() {
            let next = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
            let Some(frame) = next else { break };
            let Ok(data) = frame?.into_data() else { continue };
            if first.is_empty() {
                first = data;
                continue;
            }
            if all.is_empty() {
                // `expected` is at most `limit`, and counts what is in `first` already.
                all.reserve(usize::try_from(expected).unwrap_or(limit).max(first.len() + data.len()));
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&data);
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }
}

impl From<Incoming> for NativeBody {
    fn from(incoming: Incoming) -> Self {
        Self::from_source(Source::Incoming(incoming))
    }
}

impl fmt::Debug for NativeBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Empty => "empty",
            Source::Switched(_) => "switched",
            Source::Full(_) => "full",
            Source::Incoming(_) => "incoming",
            Source::Wrapped(_) => "wrapped",
            Source::Failed(_) => "failed",
        };
        formatter.debug_struct("NativeBody").field("source", &source).field("length", &self.length()).finish()
    }
}

fn broken(error: hyper::Error) -> BodyError {
    BodyError::Broken(cause::text(&error))
}

#[cfg(test)]
pub(crate) mod tests;
