//! A body that is copied for the cache while it streams to the client.
//!
//! The copy never holds the stream up: when it grows too large it is given up, and the stream goes on.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tollgate_core::{body::BodyError, cache::CacheKey};

use super::{Entry, ResponseCache};
use crate::body::NativeBody;

/// Memory taken in advance for a body that declares its length, at most.
const MAX_ADVANCE: u64 = 64 << 10;

pub(super) struct Tee {
    body: NativeBody,
    copy: Option<Copy>,
}

/// What has been copied so far, and what it is to become.
struct Copy {
    key: CacheKey,
    entry: Entry,
    bytes: Vec<u8>,
    room: Room,
    declared: Option<u64>,
    max_bytes: u64,
}

impl Tee {
    pub(super) fn new(
        body: NativeBody,
        cache: ResponseCache,
        key: CacheKey,
        entry: Entry,
        declared: Option<u64>,
        max_bytes: u64,
    ) -> Self {
        // Fits a `usize`, as it is at most 64 KiB.
        let bytes = Vec::with_capacity(declared.unwrap_or(0).min(MAX_ADVANCE) as usize);
        let room = Room { cache, bytes: 0 };
        Self { body, copy: Some(Copy { key, entry, bytes, room, declared, max_bytes }) }
    }

    fn note(&mut self, chunk: &Bytes) {
        let Some(copy) = &mut self.copy else { return };
        if !copy.extend(chunk) {
            self.copy = None;
        } else if copy.is_whole() || self.body.is_end_stream() {
            // A reader that knows the length, or asks whether this is the end, does not come again.
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some(copy) = self.copy.take() {
            copy.finish();
        }
    }
}

impl Body for Tee {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                // Trailers are passed on and not stored (RFC 9111 §3.1 allows it).
                if let Some(chunk) = frame.data_ref() {
                    self.note(chunk);
                }
            }
            Some(Err(_)) => self.copy = None,
            None => self.finish(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Copy {
    /// Whether the copy goes on.
    fn extend(&mut self, chunk: &Bytes) -> bool {
        let length = (self.bytes.len() + chunk.len()) as u64;
        let fits = length <= self.declared.unwrap_or(self.max_bytes) && self.room.grow(chunk.len() as u64);
        if fits {
            self.bytes.extend_from_slice(chunk);
        }
        fits
    }

    fn is_whole(&self) -> bool {
        self.declared == Some(self.bytes.len() as u64)
    }

    fn finish(self) {
        if self.declared.is_none() || self.is_whole() {
            // Of just its size, so that the cache weighs what it holds.
            let body = Bytes::from(self.bytes.into_boxed_slice());
            self.room.cache.insert(self.key, Entry { body, ..self.entry });
        }
    }
}

/// A part of the memory for copies that are being made; free again when it is dropped.
struct Room {
    cache: ResponseCache,
    bytes: u64,
}

impl Room {
    /// Whether there was room for so many bytes more.
    fn grow(&mut self, bytes: u64) -> bool {
        let fits = self.cache.reserve(bytes);
        if fits {
            self.bytes += bytes;
        }
        fits
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.cache.release(self.bytes);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::VecDeque;

    use super::*;

    struct Chunked(VecDeque<Result<Bytes, BodyError>>);

    impl Body for Chunked {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            Poll::Ready(self.0.pop_front().map(|chunk| chunk.map(Frame::data)))
        }
    }

    /// A body of these chunks whose length nobody knows.
    pub(in crate::cache) fn chunked<const N: usize>(chunks: [Result<Bytes, BodyError>; N]) -> NativeBody {
        NativeBody::wrap(Chunked(chunks.into()))
    }
}
