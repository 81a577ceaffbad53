//! What follows a `101 Switching Protocols`: bytes in both directions, until an end or a long silence.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional},
    time::{Instant, sleep_until, timeout},
};

use super::pool::Lease;

/// How long the other side may take after one has ended. It has nobody to talk to any more.
const FAREWELL: Duration = Duration::from_secs(5);

/// Joins both sides. `lease` keeps the upstream's connection until it is handed over.
///
/// Either side's failure ends the tunnel, and there is nobody left to tell: both ends see it.
pub(super) async fn run(downstream: OnUpgrade, upstream: OnUpgrade, lease: Lease, idle: Duration) {
    let both = async { tokio::try_join!(downstream, upstream) };
    let Ok(Ok((downstream, upstream))) = timeout(idle, both).await else {
        return;
    };
    drop(lease);
    join(TokioIo::new(downstream), TokioIo::new(upstream), idle).await;
}

/// Copies both ways. Returns when both sides have ended, when one has ended and the other is slow to follow,
/// when nothing has come from either for `idle`, or when a side fails.
pub(crate) async fn join(one: impl Side, two: impl Side, idle: Duration) {
    let activity = Arc::new(Activity::new());
    let mut one = Watched { side: one, activity: Arc::clone(&activity) };
    let mut two = Watched { side: two, activity: Arc::clone(&activity) };
    tokio::select! {
        _ = copy_bidirectional(&mut one, &mut two) => {}
        () = activity.over(idle) => {}
    }
}

pub(crate) trait Side: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Side for T {}

/// What was last seen of either side.
struct Activity {
    began: Instant,
    /// When bytes last came, in milliseconds since `began`.
    last_ms: AtomicU64,
    ended: AtomicBool,
}

impl Activity {
    fn new() -> Self {
        Self { began: Instant::now(), last_ms: AtomicU64::new(0), ended: AtomicBool::new(false) }
    }

    fn note(&self, length: usize) {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(elapsed, Ordering::Relaxed);
        if length == 0 {
            self.ended.store(true, Ordering::Relaxed);
        }
    }

    /// Returns when both sides have been silent for too long. Looks up at least every [`FAREWELL`], which
    /// costs less than a timer that is moved by every piece.
    async fn over(&self, idle: Duration) {
        loop {
            let ended = self.ended.load(Ordering::Relaxed);
            let patience = if ended { idle.min(FAREWELL) } else { idle };
            let end = self.began + Duration::from_millis(self.last_ms.load(Ordering::Relaxed)) + patience;
            let now = Instant::now();
            if now >= end {
                return;
            }
            sleep_until(end.min(now + FAREWELL)).await;
        }
    }
}

struct Watched<S> {
    side: S,
    activity: Arc<Activity>,
}

impl<S: Side> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.side).poll_read(context, buffer);
        if matches!(polled, Poll::Ready(Ok(()))) {
            self.activity.note(buffer.filled().len() - before);
        }
        polled
    }
}

impl<S: Side> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.side).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.side).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.side).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_both_ways_and_silence_ends_it() {
        let ((mut one, a), (mut two, b)) = (duplex(64), duplex(64));
        let began = Instant::now();
        let tunnel = tokio::spawn(join(a, b, IDLE));
        let mut buffer = [0; 4];
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            one.write_all(b"ping").await.unwrap();
            two.read_exact(&mut buffer).await.unwrap();
            two.write_all(b"pong").await.unwrap();
            one.read_exact(&mut buffer).await.unwrap();
        }
        tunnel.await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 3 * 50 + 60);
        assert_eq!(one.read(&mut buffer).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_before_the_end_arrives() {
        let ((one, a), (mut two, b)) = (duplex(1024), duplex(16));
        let mut one = one;
        one.write_all(&[7; 1000]).await.unwrap();
        one.shutdown().await.unwrap();
        tokio::spawn(join(a, b, IDLE));
        let mut all = Vec::new();
        two.read_to_end(&mut all).await.unwrap();
        assert_eq!(all.len(), 1000);
        two.write_all(b"bye").await.unwrap();
        let mut bye = [0; 3];
        one.read_exact(&mut bye).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_side_does_not_outlive_the_other_for_long() {
        let ((one, a), (_two, b)) = (duplex(64), duplex(64));
        let began = Instant::now();
        let tunnel = tokio::spawn(join(a, b, IDLE));
        drop(one);
        tunnel.await.unwrap();
        assert!(began.elapsed() <= 2 * FAREWELL);
    }
}
