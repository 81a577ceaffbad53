//! Claims about compressed streams, for every coding.

use std::io::Read;

use http::HeaderValue;
use http_body_util::BodyExt;
use tollgate_core::body::Body;

use super::*;
use crate::body::tests::{data, fed, pieces};

const ALL: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

/// What can be decoded of `bytes`, which may break off.
fn decode(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut reader: Box<dyn Read> = match coding {
        Coding::Gzip => Box::new(flate2::read::GzDecoder::new(bytes)),
        Coding::Brotli => Box::new(brotli::Decompressor::new(bytes, 4096)),
        Coding::Zstd => Box::new(zstd::Decoder::new(bytes).unwrap()),
    };
    let mut decoded = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = reader.read(&mut piece) {
        decoded.extend_from_slice(&piece[..length]);
    }
    decoded
}

/// Everything that `body` gives before it waits.
async fn available(body: &mut NativeBody) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::future::poll_fn(|context| {
        while let Poll::Ready(Some(frame)) = Pin::new(&mut *body).poll_frame(context) {
            bytes.extend_from_slice(frame.unwrap().data_ref().unwrap());
        }
        Poll::Ready(())
    })
    .await;
    bytes
}

#[tokio::test]
async fn every_event_can_be_decoded_as_soon_as_it_was_sent() {
    for coding in ALL {
        let (feed, body) = fed();
        let mut body = body.compress(coding);
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        for event in [&b"data: one\n\n"[..], b"data: two\n\n", b"data: three\n\n"] {
            feed.send(data(event)).unwrap();
            sent.extend_from_slice(event);
            received.extend_from_slice(&available(&mut body).await);
            assert_eq!(decode(coding, &received), sent, "{coding:?}");
        }
        assert_eq!(available(&mut body).await, b"", "{coding:?} repeats itself");
    }
}

#[tokio::test]
async fn what_was_compressed_comes_back_whole() {
    // Repetitive here, random there, and larger than a turn.
    let mut seed = 1_u32;
    let noise = (0..300_000).map(|_| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    });
    let large: Vec<u8> = std::iter::repeat_n(b'a', 1_000_000).chain(noise).collect();
    for coding in ALL {
        for original in [&b""[..], b"x", &large] {
            let body = NativeBody::full(Bytes::copy_from_slice(original)).compress(coding);
            let compressed = body.collect().await.unwrap().to_bytes();
            assert!(decode(coding, &compressed) == original, "{coding:?} of {} bytes", original.len());
        }
    }
}

#[tokio::test]
async fn no_piece_that_comes_out_is_unbounded() {
    for coding in ALL {
        let mut body = NativeBody::full(Bytes::from(vec![7; 4 << 20])).compress(coding);
        while let Some(frame) = body.frame().await {
            assert!(frame.unwrap().data_ref().unwrap().len() <= OUTPUT + 2 * PIECE);
        }
    }
}

#[tokio::test]
async fn a_burst_comes_out_as_one_piece() {
    for coding in ALL {
        let mut body = pieces(&[b"one", b"two", b"three"]).compress(coding);
        assert!(body.frame().await.is_some());
        assert!(body.is_end_stream(), "{coding:?}");
    }
}

#[tokio::test]
async fn trailers_follow_the_last_byte() {
    let (feed, body) = fed();
    let trailers = HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("e"))]);
    feed.send(data(b"four")).unwrap();
    feed.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    drop(feed);
    let collected = body.compress(Coding::Gzip).collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
    assert_eq!(decode(Coding::Gzip, &collected.to_bytes()), b"four");
}

#[tokio::test]
async fn a_break_is_passed_on() {
    for coding in ALL {
        let (feed, body) = fed();
        feed.send(data(b"four")).unwrap();
        feed.send(Err(BodyError::TooLarge)).unwrap();
        assert_eq!(body.compress(coding).collect().await.unwrap_err(), BodyError::TooLarge);
    }
}
