//! The body of a message: carried by core, opened by almost nobody.
//!
//! A host brings its own type (hyper's stream, a JavaScript `ReadableStream`). Core passes it on as it
//! is; bytes reach core in one way only, [`Body::read`], which a reviewer can search for.

use bytes::Bytes;
use thiserror::Error;

use crate::{content_digest::ContentDigest, trailers::Trailers};

/// A message body that core carries and, as a rule, does not open.
#[expect(
    async_fn_in_trait,
    reason = "whether the future may change threads is decided by each concrete host"
)]
pub trait Body: Sized + 'static {
    /// A body of no bytes.
    fn empty() -> Self;

    /// A body of bytes that core made itself: refusals, questions to a policy engine.
    fn full(bytes: Bytes) -> Self;

    /// How many bytes are to come, where that is known before reading.
    fn length(&self) -> Option<u64>;

    /// The same body, which fails with [`BodyError::TooLarge`] once more than `limit` bytes have passed.
    fn bounded(self, limit: u64) -> Self;

    /// The same body, after which only such fields follow as this rule leaves.
    fn sifted(self, trailers: &Trailers) -> Self;

    /// The same body, which fails with [`BodyError::Unproven`] unless it has this digest in the end. Its last piece is
    /// held back until that is known, so nobody ever has a whole body that is another.
    fn proven(self, digest: ContentDigest) -> Self;

    /// The same body, compressed while it streams. Each chunk is flushed, so nothing is held back.
    fn compress(self, coding: Coding) -> Self;

    /// All bytes at once. Fails, and reads no further, when there are more than `limit`.
    async fn read(self, limit: usize) -> Result<Bytes, BodyError>;
}

/// Why a body could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BodyError {
    /// More bytes than allowed.
    #[error("the body is larger than allowed")]
    TooLarge,
    /// It is another than the digest says that was signed.
    #[error("the body is not the one that was signed")]
    Unproven,
    /// The sender stopped, reset, or broke the framing.
    #[error("the body broke off: {0}")]
    Broken(String),
}

/// A content coding (RFC 9110 §8.4.1) that a host can produce while streaming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// `gzip`
    Gzip,
    /// `br` (RFC 7932)
    Brotli,
    /// `zstd` (RFC 8878)
    Zstd,
}

impl Coding {
    /// The token used in `Accept-Encoding` and `Content-Encoding`.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}
