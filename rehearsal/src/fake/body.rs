//! Bodies that are there from the beginning, in pieces. The last piece may be the news that no more will come.

use bytes::Bytes;
use http::HeaderMap;
use tollgate_core::{
    body::{Body, BodyError, Coding},
    content_digest::ContentDigest,
    trailers::Trailers,
};

use crate::coding;

/// A message body.
#[derive(Debug, Clone, Default)]
pub struct FakeBody {
    pieces: Vec<Bytes>,
    failure: Option<BodyError>,
    length: Option<u64>,
    trailers: HeaderMap,
}

impl FakeBody {
    /// A body of these pieces, whose length is told beforehand or not.
    pub fn new(pieces: Vec<Bytes>, length: Option<u64>) -> Self {
        Self { pieces, failure: None, length, trailers: HeaderMap::new() }
    }

    /// The same body, after whose pieces the connection ends.
    pub fn breaking_off(self) -> Self {
        Self { failure: Some(BodyError::Broken("the connection ended".to_owned())), ..self }
    }

    /// The same body, after which these fields follow.
    pub fn followed_by(self, trailers: HeaderMap) -> Self {
        Self { trailers, ..self }
    }

    /// The fields that follow, where the body ends.
    pub fn trailers(&self) -> HeaderMap {
        if self.ends_well() { self.trailers.clone() } else { HeaderMap::new() }
    }

    /// The pieces, unless they are not all.
    pub fn whole(self) -> Result<Vec<Bytes>, BodyError> {
        self.failure.map_or(Ok(self.pieces), Err)
    }

    /// What comes, and whether it breaks off.
    pub fn collect(self) -> (Bytes, bool) {
        (self.pieces.concat().into(), self.failure.is_some())
    }

    /// The pieces that come.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// How many bytes come.
    pub fn size(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Whether all of it comes.
    pub fn ends_well(&self) -> bool {
        self.failure.is_none()
    }
}

impl Body for FakeBody {
    fn empty() -> Self {
        Self::new(Vec::new(), Some(0))
    }

    fn full(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self::new(vec![bytes], Some(length))
    }

    fn length(&self) -> Option<u64> {
        self.length
    }

    fn sifted(mut self, trailers: &Trailers) -> Self {
        trailers.sift(&mut self.trailers);
        self
    }

    fn bounded(mut self, limit: u64) -> Self {
        if self.length.is_some_and(|length| length > limit) {
            self.pieces.clear();
            self.failure = Some(BodyError::TooLarge);
        }
        let mut passed = 0;
        let fitting = self.pieces.iter().take_while(|piece| {
            passed += piece.len() as u64;
            passed <= limit
        });
        let fitting = fitting.count();
        if fitting < self.pieces.len() {
            self.pieces.truncate(fitting);
            self.failure = Some(BodyError::TooLarge);
        }
        self
    }

    fn proven(mut self, digest: ContentDigest) -> Self {
        let mut checker = digest.checker();
        self.pieces.iter().for_each(|piece| checker.update(piece));
        if self.failure.is_none() && !checker.is_whole() {
            self.pieces.pop();
            self.failure = Some(BodyError::Unproven);
        }
        self
    }

    fn compress(self, coding: Coding) -> Self {
        let encoded = coding::encode(coding, &self.pieces.concat()).unwrap_or_default();
        Self { pieces: vec![encoded], failure: self.failure, length: None, trailers: self.trailers }
    }

    async fn read(self, limit: usize) -> Result<Bytes, BodyError> {
        self.bounded(limit as u64).whole().map(|pieces| pieces.concat().into())
    }
}
