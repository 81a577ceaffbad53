//! Claims about bodies, on streams that a test feeds by hand.

use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use super::*;

type Piece = Result<Frame<Bytes>, BodyError>;

struct Fed(mpsc::UnboundedReceiver<Piece>);

impl Stream for Fed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.0.poll_recv(context)
    }
}

/// A body of unknown length, and the end that feeds it.
pub(crate) fn fed() -> (mpsc::UnboundedSender<Piece>, NativeBody) {
    let (feed, pieces) = mpsc::unbounded_channel();
    (feed, NativeBody::wrap(Fed(pieces)))
}

/// A body of unknown length that consists of `pieces`.
pub(crate) fn pieces(pieces: &[&'static [u8]]) -> NativeBody {
    let (feed, body) = fed();
    for piece in pieces {
        feed.send(data(piece)).unwrap();
    }
    body
}

pub(crate) fn data(bytes: &'static [u8]) -> Piece {
    Ok(Frame::data(Bytes::from_static(bytes)))
}

#[test]
fn a_body_fits_into_a_response_without_boxing() {
    assert!(size_of::<NativeBody>() <= 176, "{}", size_of::<NativeBody>());
}

#[test]
fn lengths_are_exact_or_unknown() {
    assert_eq!(NativeBody::empty().length(), Some(0));
    assert!(NativeBody::empty().is_end_stream());
    assert!(NativeBody::full(Bytes::new()).is_end_stream());
    assert_eq!(NativeBody::full("four".into()).length(), Some(4));
    assert_eq!(pieces(&[b"four"]).length(), None);
}

#[tokio::test]
async fn a_body_known_to_be_too_large_fails_before_it_is_read() {
    let body = NativeBody::full("four".into()).bounded(3);
    assert_eq!(body.failure(), Some(&BodyError::TooLarge));
    assert_eq!(body.read(10).await, Err(BodyError::TooLarge));
}

#[tokio::test]
async fn a_body_of_unknown_length_fails_at_the_first_byte_too_many() {
    let mut body = pieces(&[b"four", b"5"]).bounded(4);
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(body.frame().await.unwrap().unwrap_err(), BodyError::TooLarge);
    assert_eq!(body.frame().await.unwrap().unwrap_err(), BodyError::TooLarge);
}

#[tokio::test]
async fn the_smaller_of_two_bounds_holds() {
    assert_eq!(pieces(&[b"four"]).bounded(3).bounded(9).read(100).await, Err(BodyError::TooLarge));
}

#[tokio::test]
async fn a_read_accepts_exactly_its_limit() {
    assert_eq!(pieces(&[b"fo", b"ur"]).read(4).await.unwrap(), "four");
    assert_eq!(pieces(&[b"fo", b"ur"]).read(3).await, Err(BodyError::TooLarge));
    assert_eq!(NativeBody::full("four".into()).read(4).await.unwrap(), "four");
    assert_eq!(NativeBody::empty().read(0).await.unwrap(), "");
}

#[tokio::test]
async fn one_piece_is_read_without_copying() {
    let bytes = Bytes::from_static(b"four");
    let read = NativeBody::full(bytes.clone()).read(4).await.unwrap();
    assert_eq!(read.as_ptr(), bytes.as_ptr());
}

#[tokio::test]
async fn a_break_is_no_end() {
    let (feed, body) = fed();
    feed.send(data(b"four")).unwrap();
    feed.send(Err(BodyError::Broken("reset".to_owned()))).unwrap();
    assert_eq!(body.read(100).await, Err(BodyError::Broken("reset".to_owned())));
}

#[tokio::test]
async fn trailers_pass() {
    let (feed, body) = fed();
    let trailers = HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("e"))]);
    feed.send(data(b"four")).unwrap();
    feed.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    drop(feed);
    let collected = body.bounded(4).idle_after(Duration::from_secs(1)).collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
}

/// Of `{"hello": "world"}` (RFC 9530 Appendix D).
fn digest() -> ContentDigest {
    ContentDigest::Sha256([
        0x5f, 0x8f, 0x04, 0xf6, 0xa3, 0xa8, 0x92, 0xaa, 0xab, 0xbd, 0xdb, 0x6c, 0xf2, 0x73, 0x89, 0x44, 0x93,
        0x77, 0x39, 0x60, 0xd4, 0xa3, 0x25, 0xb1, 0x05, 0xfe, 0xe4, 0x6e, 0xef, 0x43, 0x04, 0xf1,
    ])
}

#[tokio::test]
async fn the_last_piece_waits_until_all_is_proven() {
    let (feed, body) = fed();
    let mut body = body.proven(digest());
    feed.send(data(b"{\"hello\": ")).unwrap();
    feed.send(data(b"\"world\"}")).unwrap();
    feed.send(data(b"")).unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "{\"hello\": ");
    let mut next = std::pin::pin!(body.frame());
    assert!(is_pending(next.as_mut()));
    let trailers = HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("e"))]);
    feed.send(Ok(Frame::trailers(trailers))).unwrap();
    drop(feed);
    assert_eq!(next.await.unwrap().unwrap().into_data().unwrap(), "\"world\"}");
    // Nobody has signed the trailers.
    assert!(body.frame().await.is_none());
}

/// Whether there is nothing yet.
fn is_pending(future: Pin<&mut impl Future>) -> bool {
    future.poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending()
}

#[tokio::test]
async fn nobody_has_a_whole_body_that_is_another() {
    let mut body = pieces(&[b"{\"hello\": ", b"\"World\"}"]).proven(digest());
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(body.frame().await.unwrap().unwrap_err(), BodyError::Unproven);
    assert_eq!(body.frame().await.unwrap().unwrap_err(), BodyError::Unproven);
    assert_eq!(pieces(&[b"short"]).proven(digest()).read(9).await, Err(BodyError::Unproven));
    assert_eq!(pieces(&[]).proven(digest()).read(9).await, Err(BodyError::Unproven));
    let longer = NativeBody::full("{\"hello\": \"world\"} ".into()).proven(digest());
    assert_eq!(longer.length(), Some(19));
    assert_eq!(longer.read(19).await, Err(BodyError::Unproven));
    let whole = NativeBody::full("{\"hello\": \"world\"}".into()).proven(digest());
    assert_eq!(whole.read(18).await.unwrap(), "{\"hello\": \"world\"}");
}

#[tokio::test(start_paused = true)]
async fn idle_body_times_out() {
    let (feed, body) = fed();
    let mut body = body.idle_after(Duration::from_secs(1));
    for _ in 0..3 {
        // Slower in all than the limit, never slower between two pieces.
        tokio::time::sleep(Duration::from_millis(900)).await;
        feed.send(data(b"x")).unwrap();
        assert!(body.frame().await.unwrap().is_ok());
    }
    let before = tokio::time::Instant::now();
    assert!(matches!(body.frame().await, Some(Err(BodyError::Broken(_)))));
    assert_eq!(before.elapsed(), Duration::from_secs(1));
    drop(feed);
    assert!(matches!(body.frame().await, Some(Err(BodyError::Broken(_)))));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_dawdles_does_not_make_a_body_idle() {
    let (feed, body) = fed();
    let mut body = body.idle_after(Duration::from_secs(1));
    feed.send(data(b"x")).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(body.frame().await.unwrap().is_ok());
}
