//! A body that must have a digest: what came last is held back until it is known whether the whole is what it should
//! be. So a piece passes when the next one has come.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as Stream, Frame, SizeHint};
use tollgate_core::{
    body::BodyError,
    content_digest::{Checker, ContentDigest},
};

use super::NativeBody;

pub(super) struct Proven {
    source: NativeBody,
    checker: Checker,
    /// What came last.
    held: Option<Bytes>,
    /// All has come, and it is what it should be.
    proven: bool,
}

impl Proven {
    pub(super) fn new(source: NativeBody, digest: &ContentDigest) -> Self {
        Self { source, checker: digest.checker(), held: None, proven: false }
    }
}

impl Stream for Proven {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        while !this.proven {
            match ready!(Pin::new(&mut this.source).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    // Were an empty piece held back, nothing would be.
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => {
                        this.checker.update(&data);
                        if let Some(before) = this.held.replace(data) {
                            return Poll::Ready(Some(Ok(Frame::data(before))));
                        }
                    }
                    // Nobody has signed what stands in trailers.
                    Err(_) => {}
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if this.checker.is_whole() => this.proven = true,
                None => return Poll::Ready(Some(Err(BodyError::Unproven))),
            }
        }
        Poll::Ready(this.held.take().map(Frame::data).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.proven && self.held.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.as_ref().map_or(0, |held| held.len() as u64);
        match self.source.size_hint().exact() {
            Some(rest) => SizeHint::with_exact(rest + held),
            None => SizeHint::default(),
        }
    }
}
