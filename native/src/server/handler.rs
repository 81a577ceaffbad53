//! What answers a request: core's pipeline, or in tests whatever a test needs.

use std::{error::Error, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header, request};
use http_body::Body;
use hyper::body::Incoming;
use tollgate_core::{host::Peer, malformed::Fault};

/// Answers requests, and never fails. Dropping the answer's future gives the request up.
pub(super) trait Handler: Send + Sync + 'static {
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static;
    type Answer: Future<Output = Response<Self::Body>> + Send + 'static;

    fn answer(&self, peer: Arc<Peer>, request: Request<Incoming>) -> Self::Answer;

    /// Answers what came in the place of a request. `head` is as much of it as could be read.
    fn refuse(&self, peer: &Peer, head: &request::Parts, fault: Fault) -> Response<Option<Self::Body>>;
}

/// A handler made of both.
pub(super) struct Both<F, R> {
    pub(super) answer: F,
    pub(super) refuse: R,
}

impl<F, R, A, B> Handler for Both<F, R>
where
    F: Fn(Arc<Peer>, Request<Incoming>) -> A + Send + Sync + 'static,
    R: Fn(&Peer, &request::Parts, Fault) -> Response<B> + Send + Sync + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    type Body = B;
    type Answer = A;

    fn answer(&self, peer: Arc<Peer>, request: Request<Incoming>) -> A {
        (self.answer)(peer, request)
    }

    fn refuse(&self, peer: &Peer, head: &request::Parts, fault: Fault) -> Response<Option<B>> {
        (self.refuse)(peer, head, fault).map(Some)
    }
}

/// One that refuses without a word.
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

    fn refuse(&self, _: &Peer, _: &request::Parts, fault: Fault) -> Response<Option<B>> {
        let mut response = Response::new(None);
        *response.status_mut() = fault.status();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}
