//! One client's connection as HTTP/1.1, by hyper, from the first byte to the last or to the upgrade.

use std::{convert::Infallible, pin::pin, sync::Arc};

use http::{StatusCode, Version};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Limits,
    connection::{Client, converse},
    flight::{Flight, InFlight},
    handler::Handler,
    pace::Pace,
    socket::{Slot, Socket, Watch},
    worker::{Life, Worker},
};
use crate::{
    interim::Interim,
    wire::{check::Check, verdict::Verdict},
};

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
        .header_read_timeout(None::<std::time::Duration>);
    protocol
}

/// Answers the client's requests, until one of both wants no more.
pub(super) async fn serve<H: Handler>(
    worker: Arc<Worker<H>>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: Client,
    slot: Slot,
    life: &Life,
) {
    let pace = Arc::new(Pace::new());
    let verdict = Arc::new(Verdict::default());
    let check = Check::new(max_head(&worker.limits), verdict.clone());
    let interim = Arc::new(Interim::default());
    let watch = Watch::Http1(check, interim.clone());
    let socket = TokioIo::new(Socket::new(stream, pace.clone(), watch, slot));
    let service = {
        let (worker, pace) = (worker.clone(), pace.clone());
        service_fn(move |mut request| {
            let flight = Flight::begin(&pace, &worker.metrics);
            client.introduce(&mut request);
            // Clients of HTTP/1.0 know none (RFC 9110 §15.2).
            if request.version() == Version::HTTP_11 {
                interim.begin();
                request.extensions_mut().insert(interim.clone());
            }
            let outcome = match verdict.next() {
                None => Ok(worker.handler.answer(client.peer.clone(), request)),
                Some(fault) => {
                    worker.metrics.malformed.up();
                    Err(worker.handler.refuse(&client.peer, &request.into_parts().0, fault))
                }
            };
            let (verdict, interim) = (verdict.clone(), interim.clone());
            async move {
                let response = match outcome {
                    Ok(answer) => answer.await.map(Some),
                    Err(refused) => refused,
                };
                interim.end();
                verdict.answered(response.status() == StatusCode::SWITCHING_PROTOCOLS);
                Ok::<_, Infallible>(response.map(|body| InFlight::new(body, flight)))
            }
        })
    };
    let connection = pin!(worker.http1.serve_connection(socket, service).with_upgrades());
    let ending =
        converse(connection, http1::UpgradeableConnection::graceful_shutdown, &pace, &worker, life).await;
    ending.note(&worker.metrics);
}
