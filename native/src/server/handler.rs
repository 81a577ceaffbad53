//! What answers a request: core's pipeline, or in tests whatever a test needs.

use std::{error::Error, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tollgate_core::host::Peer;

/// Answers requests, and never fails. Dropping the answer's future gives the request up.
pub(super) trait Handler: Send + Sync + 'static {
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static;
    type Answer: Future<Output = Response<Self::Body>> + Send + 'static;

    fn answer(&self, peer: Arc<Peer>, request: Request<Incoming>) -> Self::Answer;
}

impl<F, A, B> Handler for F
where
    F: Fn(Arc<Peer>, Request<Incoming>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    type Body = B;
    type Answer = A;

    fn answer(&self, peer: Arc<Peer>, request: Request<Incoming>) -> A {
        self(peer, request)
    }
}
