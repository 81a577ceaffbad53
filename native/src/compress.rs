//! A body compressed while it streams, on the task that reads it.
//!
//! When nothing more is to be had right now, what was taken in is flushed, so every event of a stream can be
//! decoded as soon as it was sent; a burst of pieces is flushed once. Which responses deserve it, and their
//! headers, is core's business.

use std::{
    io::{self, Write},
    pin::Pin,
    task::{Context, Poll},
};

use brotli::CompressorWriter;
use bytes::{BufMut, Bytes, BytesMut, buf::Writer};
use flate2::{Compression, write::GzEncoder};
use http::HeaderMap;
use http_body::{Body as Stream, Frame};
use tollgate_core::body::{BodyError, Coding};
use zstd::zstd_safe::CParameter;

use crate::body::NativeBody;

/// Levels for streams made once for one reader: most of the gain, a small part of the time.
const GZIP_LEVEL: u32 = 5;
const BROTLI_QUALITY: u32 = 4;
const ZSTD_LEVEL: i32 = 3;

/// A window of 512 KiB, for both that have a choice: memory is per stream, and there may be many.
const WINDOW_BITS: u32 = 19;

/// How much is taken in between two looks at what came out.
const PIECE: usize = 16 * 1024;

/// How much is taken in before the task has to let others run.
const TURN: usize = 64 * 1024;

/// How much may come out before it has to be passed on.
const OUTPUT: usize = 32 * 1024;

/// The stream that `source` becomes.
pub(crate) struct Compressed {
    source: NativeBody,
    /// `None` once the last byte was made.
    encoder: Option<Encoder>,
    input: Bytes,
    /// Whether the encoder holds something back.
    unflushed: bool,
    trailers: Option<HeaderMap>,
}

impl Compressed {
    /// `source` in `coding`.
    pub(crate) fn new(source: NativeBody, coding: Coding) -> Result<Self, BodyError> {
        let encoder = Encoder::new(coding).map_err(broken)?;
        Ok(Self { source, encoder: Some(encoder), input: Bytes::new(), unflushed: false, trailers: None })
    }

    /// The next bytes, or `None` when the last were made.
    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let mut taken = 0;
        while let Some(encoder) = &mut self.encoder {
            while !self.input.is_empty() {
                let piece = self.input.split_to(PIECE.min(self.input.len()));
                encoder.write(&piece).map_err(broken)?;
                self.unflushed = true;
                taken += piece.len();
                if taken >= TURN && encoder.output().is_empty() {
                    // There must be something to return with.
                    encoder.flush().map_err(broken)?;
                    self.unflushed = false;
                }
                if taken >= TURN || encoder.output().len() >= OUTPUT {
                    return Poll::Ready(Ok(Some(encoder.take())));
                }
            }
            if self.source.is_end_stream() {
                return Poll::Ready(self.finish());
            }
            match Pin::new(&mut self.source).poll_frame(context)? {
                Poll::Ready(Some(frame)) => match frame.into_data() {
                    Ok(data) => self.input = data,
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Poll::Ready(None) => return Poll::Ready(self.finish()),
                Poll::Pending => {
                    if self.unflushed {
                        encoder.flush().map_err(broken)?;
                        self.unflushed = false;
                    }
                    if encoder.output().is_empty() {
                        return Poll::Pending;
                    }
                    return Poll::Ready(Ok(Some(encoder.take())));
                }
            }
        }
        Poll::Ready(Ok(None))
    }

    fn finish(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.encoder.take().map(Encoder::finish).transpose().map_err(broken)
    }
}

impl Stream for Compressed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match this.poll_bytes(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(Some(bytes))) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Poll::Ready(Ok(None)) => {
                Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Poll::Ready(Err(error)) => {
                this.encoder = None;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none() && self.trailers.is_none()
    }
}

enum Encoder {
    Gzip(GzEncoder<Output>),
    Brotli(Box<CompressorWriter<Output>>),
    Zstd(zstd::Encoder<'static, Output>),
}

type Output = Writer<BytesMut>;

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        let output = BytesMut::new().writer();
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(output, Compression::new(GZIP_LEVEL))),
            Coding::Brotli => {
                Self::Brotli(Box::new(CompressorWriter::new(output, PIECE, BROTLI_QUALITY, WINDOW_BITS)))
            }
            Coding::Zstd => {
                let mut encoder = zstd::Encoder::new(output, ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(WINDOW_BITS))?;
                Self::Zstd(encoder)
            }
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Brotli(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Brotli(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }

    fn finish(self) -> io::Result<Bytes> {
        let output = match self {
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Brotli(encoder) => encoder.into_inner(),
            Self::Zstd(encoder) => encoder.finish()?,
        };
        Ok(output.into_inner().freeze())
    }

    fn output(&mut self) -> &mut BytesMut {
        match self {
            Self::Gzip(encoder) => encoder.get_mut().get_mut(),
            Self::Brotli(encoder) => encoder.get_mut().get_mut(),
            Self::Zstd(encoder) => encoder.get_mut().get_mut(),
        }
    }

    fn take(&mut self) -> Bytes {
        self.output().split().freeze()
    }
}

fn broken(error: io::Error) -> BodyError {
    BodyError::Broken(format!("compression failed: {error}"))
}

#[cfg(test)]
mod tests;
