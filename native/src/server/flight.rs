//! One request, from its head to the last byte of its answer: what is counted of it while it lasts.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::pace::Pace;
use crate::{
    flow::Flow,
    metrics::{Gauged, Metrics},
};

/// One request under way.
pub(super) struct Flight {
    pace: Arc<Pace>,
    /// Where the client may keep this answer waiting while it takes others.
    flow: Option<Arc<Flow>>,
    _gauge: Gauged,
}

impl Flight {
    /// One that has its connection for itself.
    pub(super) fn begin(pace: &Arc<Pace>, metrics: &Metrics) -> Self {
        pace.answering();
        Self { pace: pace.clone(), flow: None, _gauge: metrics.request() }
    }

    /// One among others.
    pub(super) fn begin_stream(pace: &Arc<Pace>, metrics: &Metrics) -> Self {
        let mut flight = Self::begin(pace, metrics);
        flight.flow = Some(pace.stream_begins());
        flight
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(flow) = &self.flow {
            self.pace.stream_ended(flow);
        }
        self.pace.answered();
    }
}

/// An answer's body, which ends the flight when it ends.
pub(super) struct InFlight<B> {
    /// None where nothing but a head is answered.
    body: Option<B>,
    flight: Flight,
    /// How much was handed over last.
    handed: usize,
}

impl<B> InFlight<B> {
    pub(super) fn new(body: Option<B>, flight: Flight) -> Self {
        Self { body, flight, handed: 0 }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for InFlight<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let Flight { pace, flow, .. } = &this.flight;
        // Whoever asks for more has got rid of what there was.
        if let Some(flow) = flow {
            flow.took(std::mem::take(&mut this.handed), || pace.now());
        }
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let (Some(flow), Poll::Ready(Some(Ok(frame)))) = (flow, &polled) {
            this.handed = frame.data_ref().map_or(0, Bytes::len);
            flow.waits(|| pace.now());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), B::size_hint)
    }
}
