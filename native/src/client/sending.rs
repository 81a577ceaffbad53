//! A request's body on its way over a shared connection, which is not cut when nobody wants the answer any more: so
//! the body has to notice that itself.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Request;
use http_body::{Body as Stream, Frame, SizeHint};
use tokio::sync::oneshot;
use tollgate_core::body::BodyError;

use super::shared::Slot;
use crate::body::NativeBody;

/// The body, and where it has to be known how it fares.
pub(super) struct Sending {
    body: NativeBody,
    /// None where there is nothing to send.
    watch: Option<Watch>,
}

struct Watch {
    slot: Arc<Slot>,
    /// Ends when the response does: well, or by being given up.
    wanted: Option<oneshot::Receiver<()>>,
}

impl Sending {
    /// The request with its body watched, and what keeps the body going.
    pub(super) fn of(
        request: Request<NativeBody>,
        slot: &Arc<Slot>,
    ) -> (Request<Self>, Option<oneshot::Sender<()>>) {
        if request.body().is_end_stream() {
            return (request.map(|body| Self { body, watch: None }), None);
        }
        let (going, wanted) = oneshot::channel();
        let watch = Watch { slot: Arc::clone(slot), wanted: Some(wanted) };
        (request.map(|body| Self { body, watch: Some(watch) }), Some(going))
    }

    /// The body as it was, where nothing of it has been sent.
    pub(super) fn into_body(self) -> NativeBody {
        self.body
    }
}

impl Watch {
    fn fail<T>(&self, error: BodyError) -> Poll<Option<Result<T, BodyError>>> {
        // Only the first counts.
        let _ = self.slot.failed.set(error.clone());
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for Sending {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(watch) = &mut this.watch
            && let Some(wanted) = &mut watch.wanted
        {
            match Pin::new(wanted).poll(context) {
                Poll::Ready(Ok(())) => watch.wanted = None,
                Poll::Ready(Err(_)) => return watch.fail(BodyError::Broken("given up".to_owned())),
                Poll::Pending => {}
            }
        }
        match (Pin::new(&mut this.body).poll_frame(context), &this.watch) {
            (Poll::Ready(Some(Err(error))), Some(watch)) => watch.fail(error),
            (polled, _) => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
