//! What a decision costs: looking a route up among 1, 100 and 10,000, and a request's whole way through the
//! agent platform's policies with an identity that is known already, on a host that answers at once.

use std::{
    hint::black_box,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, Waker},
};

use base64ct::{Base64UrlUnpadded, Encoding};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{Request, Response, response};
use serde_json::json;
use tollgate_core::{
    body::{Body, BodyError, Coding},
    cache::{CacheKey, Lifetime, Stored},
    config::{self, NoFiles},
    content_digest::ContentDigest,
    counter::{Draw, Quota, Rule, Settlement, Window, memory::Counters, slices::Slices},
    event::Event,
    gateway::Gateway,
    host::{Host, HostError, Peer, Timestamp},
    job::Job,
    meter::Meter,
    pipeline::handle,
    signing::PrivateKey,
    upstream::{Endpoint, Patience},
    verify::{Algorithm, PublicKey},
};

/// A host that has everything at hand: what is measured is core.
#[derive(Default)]
struct Instant {
    counters: Counters,
    slices: Slices,
    recorded: AtomicU64,
}

struct NoBody(Bytes);

impl Body for NoBody {
    fn empty() -> Self {
        Self(Bytes::new())
    }
    fn full(bytes: Bytes) -> Self {
        Self(bytes)
    }
    fn sifted(self, _: &tollgate_core::trailers::Trailers) -> Self {
        self
    }
    fn length(&self) -> Option<u64> {
        Some(self.0.len() as u64)
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
        Ok(self.0)
    }
}

impl Host for Instant {
    type Body = NoBody;
    fn now(&self) -> Timestamp {
        1_900_000_000_000
    }
    fn random(&self) -> u128 {
        0x0123_4567_89ab_cdef_0123_4567_89ab_cdef
    }
    fn unguessable(&self) -> Result<[u8; 32], HostError> {
        Ok([0; 32])
    }
    async fn sleep(&self, _: u64) {}
    async fn fetch(
        &self,
        endpoint: &Endpoint,
        _: Request<NoBody>,
        _: Patience,
    ) -> Result<Response<NoBody>, HostError> {
        let content = match endpoint.authority.as_str() {
            "issuer" => {
                let x = Base64UrlUnpadded::encode_string(&[7; 32]);
                json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]}).to_string()
            }
            "engine" => r#"{"result": true}"#.to_owned(),
            _ => "answer".to_owned(),
        };
        let mut response = Response::new(NoBody(content.into()));
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
        response.headers_mut().insert("server", http::HeaderValue::from_static("bench"));
        Ok(response)
    }
    async fn draw(&self, draws: &[Draw]) -> Result<Vec<Quota>, HostError> {
        // One counter for all, which never has enough to refuse.
        let endless = |draw: &Draw| Draw {
            rule: Rule::FixedWindow { limit: u64::MAX, window: Window::Length(60_000) },
            ..draw.clone()
        };
        Ok(self.counters.draw(&draws.iter().map(endless).collect::<Vec<_>>(), self.now()))
    }
    async fn settle(&self, settlements: &[Settlement]) -> Result<(), HostError> {
        self.counters.settle(settlements, self.now());
        Ok(())
    }
    fn counters(&self) -> &Counters {
        &self.counters
    }
    fn slices(&self) -> &Slices {
        &self.slices
    }
    fn metered(&self, _: Meter, body: NoBody) -> NoBody {
        body
    }
    async fn load(&self, _: &CacheKey) -> Result<Option<Stored<NoBody>>, HostError> {
        Ok(None)
    }
    fn store(&self, _: CacheKey, _: Lifetime, _: &response::Parts, body: NoBody, _: u64) -> NoBody {
        body
    }
    async fn verify(&self, _: Algorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> Result<bool, HostError> {
        Ok(true)
    }
    async fn sign(&self, _: &PrivateKey, _: &[u8]) -> Result<Vec<u8>, HostError> {
        Ok(vec![0; 64])
    }
    fn defer(&self, _: Job) {}
    fn record(&self, event: Event<'_>) {
        self.recorded.fetch_add(u64::from(event.status.as_u16()), Ordering::Relaxed);
    }
}

fn load(text: String) -> Gateway {
    let variables = |name: &str| match name {
        "ISSUER_URL" => Some("http://issuer".to_owned()),
        "POLICY_ENGINE_URL" => Some("http://engine".to_owned()),
        _ => None,
    };
    let loaded = config::load("bench", text, &NoFiles, &variables, config::Host::Native);
    loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()))
}

/// Nothing waits on this host, so one poll is enough.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the host answers at once"),
    }
}

fn find(criterion: &mut Criterion) {
    for count in [1, 100, 10_000] {
        let routes: String = (0..count)
            .map(|n| format!("  - {{path: '/api/v1/service-{n}/*', target_service: s}}\n"))
            .collect();
        let gateway = load(format!("services: {{s: {{endpoints: ['http://s']}}}}\nroutes:\n{routes}"));
        let path = format!("/api/v1/service-{}/items/42", count / 2);
        let head = Request::get(&path).body(()).expect("a request").into_parts().0;
        criterion.bench_function(&format!("find among {count} routes"), |bencher| {
            bencher.iter(|| gateway.router().find(black_box("any"), black_box(&path), &head).is_ok());
        });
    }
}

fn decide(criterion: &mut Criterion) {
    let peer = Peer::new([192, 0, 2, 1].into(), false);
    let plain = load(
        "services: {s: {endpoints: ['http://s']}}\nroutes: [{path: '/*', target_service: s}]".to_owned(),
    );
    let platform = load(include_str!("../../examples/agent-platform/tollgate.yaml").to_owned());
    let part = |value: serde_json::Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let claims = json!({"sub": "alice", "role": "researcher", "iss": "https://issuer", "exp": 1_900_003_600});
    let signature = Base64UrlUnpadded::encode_string(&[0; 64]);
    let token = format!("{}.{}.{}", part(json!({"alg": "EdDSA", "kid": "k"})), part(claims), signature);
    let request = || {
        Request::get("/agents/research/items/42?x=1")
            .header("host", "api.myagentplatform.com")
            .header("user-agent", "bench/1.0")
            .header("accept", "*/*")
            .header("authorization", format!("Bearer {token}"))
            .body(NoBody(Bytes::new()))
            .expect("a request")
    };
    for (name, gateway) in [("plain proxying", &plain), ("all policies of the agent platform", &platform)] {
        let host = Instant::default();
        let first = now(handle(gateway, &host, &peer, request()));
        assert_eq!(first.status(), 200, "{name}");
        criterion.bench_function(&format!("decide: {name}"), |bencher| {
            bencher.iter_batched(
                request,
                |request| now(handle(gateway, &host, &peer, request)),
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, find, decide);
criterion_main!(benches);
