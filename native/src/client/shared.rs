//! HTTP/2: connections that many requests share, each on a stream of its own. Where they are kept is `origin`'s.
//!
//! A stream that is given up is reset; the connection goes on. What one slow reader leaves unread is bounded by its
//! stream's window, and all of these fit into the connection's, so that nobody's slowness is felt by others.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http2},
    rt::Executor,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    select,
    sync::{Notify, oneshot},
};
use tollgate_core::body::BodyError;

use super::{
    pool::{MAX_AGE, MAX_REST},
    sending::Sending,
};
use crate::cause;

/// Streams of a connection at the same time, at most; endpoints may allow fewer.
pub(super) const MAX_STREAMS: usize = 100;

/// What may come on a stream and is not yet read.
const STREAM_WINDOW: u32 = 256 << 10;

/// Room for all streams at once.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;

/// What waits on a stream to be sent.
const SEND_BUFFER: usize = 256 << 10;

const MAX_FRAME: u32 = 64 << 10;

/// All fields of a head, or of trailers, as HTTP/2 counts them.
const MAX_HEAD: u32 = 64 << 10;

/// How long an answer to a ping may take.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// Stands for the number of streams that an endpoint allows until it has told.
const UNTOLD: usize = 0x7fff_ff00;

/// A connection that is shared. It closes, in good order, when nobody has it any more.
pub(super) struct Shared {
    sender: http2::SendRequest<Sending>,
    opened: Instant,
    /// How many streams there may be.
    allowed: Arc<AtomicUsize>,
    /// How many there are.
    streams: AtomicUsize,
    /// When the last stream has ended, in milliseconds since it was opened.
    used_ms: AtomicU64,
    /// For no further streams.
    is_retired: AtomicBool,
}

impl Shared {
    /// Begins HTTP/2 on `io`, and returns when the endpoint has told how many streams it allows: until then nobody
    /// could know, nor whether it speaks HTTP/2 at all.
    pub(super) async fn start(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        idle: Duration,
    ) -> Result<Self, String> {
        let told = Arc::new(Told::default());
        let handshake = protocol(&told, idle).handshake(TokioIo::new(io)).await;
        let (sender, mut connection) = handshake.map_err(|error| cause::text(&error))?;
        loop {
            select! {
                ended = &mut connection => {
                    let why = ended.err().map_or_else(|| "it closed".to_owned(), |error| cause::text(&error));
                    return Err(format!("no HTTP/2: {why}"));
                }
                () = told.looked.notified() => if connection.current_max_send_streams() != UNTOLD { break },
            }
        }
        told.is_known.store(true, Ordering::Relaxed);
        let allowed = Arc::new(AtomicUsize::new(connection.current_max_send_streams().min(MAX_STREAMS)));
        let told = Arc::clone(&allowed);
        // What fails is told to each exchange.
        tokio::spawn(async move {
            poll_fn(|context| {
                let polled = Pin::new(&mut connection).poll(context);
                told.store(connection.current_max_send_streams().min(MAX_STREAMS), Ordering::Relaxed);
                polled
            })
            .await
            .unwrap_or_default();
        });
        Ok(Self {
            sender,
            opened: Instant::now(),
            allowed,
            streams: AtomicUsize::new(0),
            used_ms: AtomicU64::new(0),
            is_retired: AtomicBool::new(false),
        })
    }

    /// A place for one more stream, if there is one. Whoever asks keeps others from asking meanwhile.
    pub(super) fn claim(self: &Arc<Self>) -> Option<Arc<Slot>> {
        if self.streams.load(Ordering::Relaxed) >= self.allowed() {
            return None;
        }
        self.streams.fetch_add(1, Ordering::Relaxed);
        Some(Arc::new(Slot { connection: Arc::clone(self), failed: OnceLock::new() }))
    }

    /// How many streams there may be.
    pub(super) fn allowed(&self) -> usize {
        self.allowed.load(Ordering::Relaxed)
    }

    /// Lets what has begun go on, and nothing begin.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    /// Whether nothing more should begin on it.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let age = now.duration_since(self.opened);
        let rested = || {
            let used = Duration::from_millis(self.used_ms.load(Ordering::Relaxed));
            self.streams.load(Ordering::Relaxed) == 0 && age.saturating_sub(used) >= MAX_REST
        };
        self.is_retired.load(Ordering::Relaxed) || self.sender.is_closed() || age >= MAX_AGE || rested()
    }
}

/// How hyper shall speak.
fn protocol(told: &Arc<Told>, idle: Duration) -> http2::Builder<Tasks> {
    let mut protocol = http2::Builder::new(Tasks(Arc::clone(told)));
    protocol
        .timer(TokioTimer::new())
        .initial_max_send_streams(UNTOLD)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_frame_size(MAX_FRAME)
        .max_header_list_size(MAX_HEAD)
        // Only while something is awaited. Servers of gRPC take more than two pings without data, less than five minutes
        // apart, for an attack; by then silent streams have been given up.
        .keep_alive_interval((idle / 2).clamp(Duration::from_secs(10), Duration::from_secs(300)))
        .keep_alive_timeout(PONG_WITHIN);
    protocol
}

/// Whether the connection has been looked at; of use until it is known how many streams are allowed.
#[derive(Default)]
struct Told {
    looked: Notify,
    has_begun: AtomicBool,
    is_known: AtomicBool,
}

/// Runs what a connection consists of.
#[derive(Clone)]
struct Tasks(Arc<Told>);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        if self.0.has_begun.swap(true, Ordering::Relaxed) {
            tokio::spawn(future);
            return;
        }
        // The first is the one that reads; hyper has no word for what the endpoint has told in it.
        let told = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut future = pin!(future);
            poll_fn(|context| {
                let polled = future.as_mut().poll(context);
                if !told.is_known.load(Ordering::Relaxed) {
                    told.looked.notify_one();
                }
                polled
            })
            .await
        });
    }
}

/// A place on a connection, taken until both the request and the response have ended.
pub(super) struct Slot {
    connection: Arc<Shared>,
    /// What was wrong with the request's body. hyper tells that nobody but the log.
    pub(super) failed: OnceLock<BodyError>,
}

impl Slot {
    /// The connection it is a place on.
    pub(super) fn connection(&self) -> &Arc<Shared> {
        &self.connection
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let connection = &self.connection;
        let used = u64::try_from(connection.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        connection.used_ms.store(used, Ordering::Relaxed);
        connection.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One exchange on a shared connection. Dropped before its end, what still goes out of it is cut too.
pub(crate) struct Stream {
    slot: Arc<Slot>,
    /// What keeps the request's body going.
    going: Option<oneshot::Sender<()>>,
}

impl Stream {
    /// An exchange in that place.
    pub(super) fn new(slot: Arc<Slot>) -> Self {
        Self { slot, going: None }
    }

    /// Sends `request`. The error holds it when nothing of it was written.
    pub(super) async fn send(
        &mut self,
        request: Request<crate::body::NativeBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Sending>>> {
        let slot = &self.slot;
        let (request, going) = Sending::of(request, slot);
        self.going = going;
        slot.connection.sender.clone().try_send_request(request).await
    }

    /// The response has ended well. The request may go on.
    pub(super) fn release(mut self) {
        if let Some(going) = self.going.take() {
            // Where it has ended, nobody listens.
            let _ = going.send(());
        }
    }
}
