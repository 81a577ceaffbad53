//! A body that a meter looks at while it passes. Its end, however it comes, is told once.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as Stream, Frame, SizeHint};
use tokio::{
    sync::oneshot,
    task::AbortHandle,
    time::{sleep, timeout},
};
use tollgate_core::{
    body::BodyError,
    counter::Settlement,
    job,
    meter::{End, Meter},
};

use super::NativeBody;
use crate::host::NativeHost;

/// A body and its meter.
struct Metered {
    body: NativeBody,
    host: NativeHost,
    /// Gone when the end was told.
    meter: Option<Meter>,
    renewing: Option<AbortHandle>,
}

/// Has a meter look at a body, or at the tunnel that begins with it.
pub(crate) fn metered(host: &NativeHost, meter: Meter, mut body: NativeBody) -> NativeBody {
    match body.take_tunnel_end() {
        Some(end) => {
            tokio::spawn(tunnel(host.clone(), meter, end));
            body
        }
        None => NativeBody::wrap(Metered::new(host.clone(), meter, body)),
    }
}

/// Holds what is held until a tunnel has ended, however it does.
async fn tunnel(host: NativeHost, meter: Meter, mut end: oneshot::Receiver<()>) {
    match meter.renews_every_ms() {
        None => drop(end.await),
        Some(every) => {
            while timeout(Duration::from_millis(every), &mut end).await.is_err() {
                job::settle(&host, meter.renewals());
            }
        }
    }
    meter.end(&host, End::Whole);
}

/// Renews leases until it is aborted. By itself, for nobody asks for a body while its client does not read, or its sender
/// is silent, and neither ends a lease.
fn renewing(host: NativeHost, renewals: Vec<Settlement>, every_ms: u64) -> AbortHandle {
    let renewing = async move {
        loop {
            sleep(Duration::from_millis(every_ms)).await;
            job::settle(&host, renewals.clone());
        }
    };
    tokio::spawn(renewing).abort_handle()
}

impl Metered {
    fn new(host: NativeHost, meter: Meter, body: NativeBody) -> Self {
        let renewing = meter.renews_every_ms().map(|every| renewing(host.clone(), meter.renewals(), every));
        Self { body, host, meter: Some(meter), renewing }
    }

    fn end(&mut self, end: End) {
        if let Some(renewing) = self.renewing.take() {
            renewing.abort();
        }
        if let Some(meter) = self.meter.take() {
            meter.end(&self.host, end);
        }
    }
}

impl Stream for Metered {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = ready!(Pin::new(&mut this.body).poll_frame(context));
        match &polled {
            Some(Ok(frame)) => {
                if let (Some(meter), Some(data)) = (&mut this.meter, frame.data_ref()) {
                    meter.see(data);
                }
                // A reader that knows the length, or has seen trailers, does not ask again.
                if this.body.is_end_stream() || frame.is_trailers() {
                    this.end(End::Whole);
                }
            }
            Some(Err(_)) => this.end(End::Broken),
            None => this.end(End::Whole),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        // An empty body is never asked for what is in it.
        let end = if self.body.is_end_stream() { End::Whole } else { End::Left };
        self.end(end);
    }
}
