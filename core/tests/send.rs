//! Compile-time witnesses: the pipeline may change threads on a host that may, and never asks for it on
//! another, whose body holds an `Rc`.
#![allow(dead_code, reason = "what is shown here is shown by compiling")]

use std::marker::PhantomData;

use bytes::Bytes;
use http::{Request, Response, response};
use tollgate_core::{
    body::{Body, BodyError, Coding},
    cache::{CacheKey, Lifetime, Stored},
    content_digest::ContentDigest,
    counter::{Draw, Quota, Settlement, memory::Counters, slices::Slices},
    event::Event,
    gateway::Gateway,
    host::{Host, HostError, Peer, Timestamp},
    job::{self, Job},
    meter::Meter,
    pipeline::handle,
    signing::PrivateKey,
    upstream::{Endpoint, Patience},
    verify::{Algorithm, PublicKey},
};
use wasm_bindgen_test::wasm_bindgen_test;

struct Fake<B> {
    counters: Counters,
    slices: Slices,
    _body: PhantomData<fn() -> B>,
}
struct Threaded;
struct Pinned(std::rc::Rc<()>);

macro_rules! fake_body {
    ($body:ty, $new:expr) => {
        impl Body for $body {
            fn empty() -> Self {
                $new
            }
            fn full(_: Bytes) -> Self {
                $new
            }
            fn sifted(self, _: &tollgate_core::trailers::Trailers) -> Self {
                self
            }
            fn length(&self) -> Option<u64> {
                None
            }
            fn bounded(self, _: u64) -> Self {
                self
            }
            fn proven(self, _: ContentDigest) -> Self {
                self
            }
            fn compress(self, _: Coding) -> Self {
                self
            }
            async fn read(self, _: usize) -> Result<Bytes, BodyError> {
                Ok(Bytes::new())
            }
        }
    };
}
fake_body!(Threaded, Threaded);
fake_body!(Pinned, Pinned(std::rc::Rc::default()));

impl<B: Body> Host for Fake<B> {
    type Body = B;
    fn now(&self) -> Timestamp {
        0
    }
    fn random(&self) -> u128 {
        0
    }
    fn unguessable(&self) -> Result<[u8; 32], HostError> {
        Ok([0; 32])
    }
    async fn sleep(&self, _: u64) {}
    async fn fetch(&self, _: &Endpoint, request: Request<B>, _: Patience) -> Result<Response<B>, HostError> {
        Ok(Response::new(request.into_body()))
    }
    async fn draw(&self, _: &[Draw]) -> Result<Vec<Quota>, HostError> {
        Ok(Vec::new())
    }
    async fn settle(&self, _: &[Settlement]) -> Result<(), HostError> {
        Ok(())
    }
    fn counters(&self) -> &Counters {
        &self.counters
    }
    fn slices(&self) -> &Slices {
        &self.slices
    }
    fn metered(&self, _: Meter, body: B) -> B {
        body
    }
    async fn load(&self, _: &CacheKey) -> Result<Option<Stored<B>>, HostError> {
        Ok(None)
    }
    fn store(&self, _: CacheKey, _: Lifetime, _: &response::Parts, body: B, _: u64) -> B {
        body
    }
    async fn verify(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> Result<bool, HostError> {
        Ok(false)
    }
    async fn sign(&self, _: &PrivateKey, _: &[u8]) -> Result<Vec<u8>, HostError> {
        Ok(Vec::new())
    }
    fn defer(&self, _: Job) {}
    fn record(&self, _: Event<'_>) {}
}

fn _threaded(gateway: &Gateway, host: &Fake<Threaded>, peer: &Peer, request: Request<Threaded>) -> impl Send {
    handle(gateway, host, peer, request)
}

fn _threaded_job(host: &Fake<Threaded>, job: Job) -> impl Send {
    job::run(host, job)
}

fn _pinned(
    gateway: &Gateway,
    host: &Fake<Pinned>,
    peer: &Peer,
    request: Request<Pinned>,
) -> impl Future<Output = Response<Pinned>> {
    handle(gateway, host, peer, request)
}

const fn gateways_are_shared_by_threads<T: Send + Sync>() {}
const _: () = gateways_are_shared_by_threads::<Gateway>();

#[wasm_bindgen_test(unsupported = test)]
fn the_pipeline_compiles_for_both_kinds_of_host() {}
