//! One client's connection as HTTP/2, by hyper: many requests at a time, each as if it had come alone.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Limits,
    connection::{Client, converse},
    flight::{Flight, InFlight},
    frames::Frames,
    handler::Handler,
    http1::max_head,
    pace::Pace,
    socket::{Slot, Socket, Watch},
    websocket,
    worker::{Life, Worker},
};

pub(super) type Protocol = http2::Builder<TokioExecutor>;

/// How much of one request's body may be under way before the gateway has taken it.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same of all requests of a connection.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// How much of an answer may wait to be written.
const SEND_BUFFER: usize = 64 << 10;
/// Requests taken back that hyper may have in hand before it ends the connection (CVE-2023-44487).
const RESETS_IN_HAND: usize = 64;
/// A client that says nothing for so long is asked whether it is still there.
const ASK_AFTER: Duration = Duration::from_secs(30);
/// How long it may take to say so.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How hyper shall speak.
pub(super) fn protocol(limits: &Limits) -> Protocol {
    // As in HTTP/1.1: core's own bound, told with a reason, is below.
    let max_head = max_head(limits);
    let mut protocol = http2::Builder::new(TokioExecutor::new());
    protocol
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.http2.max_streams.max(1))
        .max_header_list_size(u32::try_from(max_head).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS_IN_HAND)
        .max_local_error_reset_streams(RESETS_IN_HAND)
        .keep_alive_interval(ASK_AFTER)
        .keep_alive_timeout(ANSWER_WITHIN)
        .enable_connect_protocol();
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
    let pace = Arc::new(Pace::idle());
    let watch = Watch::Http2(Frames::new(&worker.limits.http2));
    let socket = TokioIo::new(Socket::new(stream, pace.clone(), watch, slot));
    let service = {
        let (worker, pace) = (worker.clone(), pace.clone());
        let client = Arc::new(client);
        service_fn(move |mut request| {
            let flight = Flight::begin_stream(&pace, &worker.metrics);
            client.introduce(&mut request);
            let (worker, client) = (worker.clone(), client.clone());
            async move {
                let (request, opening) = websocket::unfold(request);
                let answer = worker.handler.answer(client.peer.clone(), request).await;
                let answer = match opening {
                    Some(opening) => opening.fold(answer),
                    None => answer,
                };
                Ok::<_, Infallible>(answer.map(|body| InFlight::new(Some(body), flight)))
            }
        })
    };
    let connection = pin!(worker.http2.serve_connection(socket, service));
    // GOAWAY: what has begun is answered, further requests go elsewhere (RFC 9113 §6.8).
    let ending = converse(connection, http2::Connection::graceful_shutdown, &pace, &worker, life).await;
    ending.note(&worker.metrics);
}
