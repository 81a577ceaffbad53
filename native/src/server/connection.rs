//! One client's connection: HTTP/1.1 by hyper, from the first byte to the last or to the upgrade.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, select, sync::watch, time::sleep};
use tollgate_core::host::Peer;

use super::{
    Limits,
    handler::Handler,
    pace::{Exceeded, Pace},
    socket::{Slot, Socket},
    worker::{Phase, Worker},
};
use crate::{
    metrics::{Gauged, Metrics},
    wire::{check::Check, verdict::Verdict},
};

/// How long a request may be on its way, when the server ends: the first on a new connection, and one whose head has begun
/// to arrive.
const REQUEST: Duration = Duration::from_millis(500);

/// How large a head may be in all. Twice what core allows for its fields, as core counts only these.
pub(super) fn max_head(limits: &Limits) -> usize {
    limits.max_header_bytes.saturating_mul(2).max(16 << 10)
}

/// How hyper shall speak.
pub(super) fn protocol(limits: &Limits) -> http1::Builder {
    // More than the check lets through.
    let max_head = max_head(limits).saturating_add(1);
    let mut protocol = http1::Builder::new();
    protocol
        .half_close(false)
        .max_header_size(max_head)
        // Also how much of a body is read at once and how much of an answer waits to be written.
        .max_buf_size(max_head.max(64 << 10))
        // `Pace` sees to it: hyper's timer would also be the one for idle connections.
        .header_read_timeout(None::<Duration>);
    protocol
}

/// Answers the client's requests, until one of both wants no more.
pub(super) async fn serve<H: Handler>(
    worker: Arc<Worker<H>>,
    stream: TcpStream,
    peer: Arc<Peer>,
    slot: Slot,
    mut phases: watch::Receiver<Phase>,
) {
    let pace = Arc::new(Pace::new());
    let verdict = Arc::new(Verdict::default());
    let check = Check::new(worker.max_head, verdict.clone());
    let socket = TokioIo::new(Socket::new(stream, pace.clone(), check, slot));
    let service = {
        let (worker, pace) = (worker.clone(), pace.clone());
        service_fn(move |request: Request<Incoming>| {
            let flight = Flight::begin(&pace, &worker.metrics);
            let outcome = match verdict.next() {
                None => Ok(worker.handler.answer(peer.clone(), request)),
                Some(fault) => {
                    worker.metrics.malformed.up();
                    Err(worker.handler.refuse(&peer, &request.into_parts().0, fault))
                }
            };
            let verdict = verdict.clone();
            async move {
                let response = match outcome {
                    Ok(answer) => answer.await.map(Some),
                    Err(refused) => refused,
                };
                verdict.answered(response.status() == StatusCode::SWITCHING_PROTOCOLS);
                Ok::<_, Infallible>(response.map(|body| InFlight { body, _flight: flight }))
            }
        })
    };
    let mut connection = pin!(worker.protocol.serve_connection(socket, service).with_upgrades());
    let mut exceeded = pin!(pace.exceeded(worker.allowance));
    let mut draining = false;
    loop {
        select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = ended {
                    note(&worker.metrics, &error);
                }
                return;
            }
            what = &mut exceeded => {
                if what == Exceeded::Head {
                    worker.metrics.late.up();
                }
                return;
            }
            () = time_to_leave(&mut phases, &pace), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
                exceeded.set(pace.exceeded(worker.allowance.at_the_end()));
            }
        }
    }
}

/// Ends when the client is to be told that the server ends. hyper would close a connection at once to which
/// a request may be on its way, and of a head that is not complete it knows nothing. So such a one gets a moment.
async fn time_to_leave(phases: &mut watch::Receiver<Phase>, pace: &Pace) {
    Phase::Draining.reached(phases).await;
    if pace.is_awaited() {
        sleep(REQUEST).await;
    }
}

/// A connection that fails is the client's doing, or the upstream's, whose failure core has seen. None is
/// worth a line in a log: clients could fill it.
fn note(metrics: &Metrics, error: &hyper::Error) {
    if error.is_parse() { metrics.malformed.up() } else { metrics.broken.up() }
}

/// One request, from its head to the last byte of its answer.
struct Flight {
    pace: Arc<Pace>,
    _gauge: Gauged,
}

impl Flight {
    fn begin(pace: &Arc<Pace>, metrics: &Metrics) -> Self {
        pace.answering();
        Self { pace: pace.clone(), _gauge: metrics.request() }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.pace.answered();
    }
}

/// An answer's body, which ends the flight when it ends.
struct InFlight<B> {
    /// None where nothing but a head is answered.
    body: Option<B>,
    _flight: Flight,
}

impl<B: Body<Data = Bytes> + Unpin> Body for InFlight<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), B::size_hint)
    }
}
