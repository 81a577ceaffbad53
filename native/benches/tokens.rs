//! What it costs to know who asks: a whole decision that ends with a refusal and asks nobody, without authentication, with
//! a token that was verified before, and with one that was never seen, by algorithm.

use std::{
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::Request;
use serde_json::{Map, Value};
use tollgate::{
    body::NativeBody,
    host::{NativeHost, Settings},
};
use tollgate_core::{
    body::Body,
    config::{self, Host, NoFiles},
    gateway::Gateway,
    host::Peer,
    pipeline::handle,
};
use tollgate_rehearsal::{
    case::request::{Lies, Signed},
    keys::{self, Key},
    token::token,
};

const CONFIGURATION: &str = r#"
services: {app: {endpoints: ["http://127.0.0.1:9"]}}
routes: [{path: /open, target_service: app}, {path: /closed, target_service: app}]
policies:
  - {name: authentication, type: JWT_Validation, jwks: "${JWKS}", issuer: i, audience: api, exclude_paths: [/open]}
  - {name: authorization, type: Cel, expression: 'request.method == "POST"'}
"#;

fn gateway() -> Gateway {
    let set = keys::set(&[Key::Main, Key::Ec, Key::Rsa]).to_string();
    let variables = |name: &str| (name == "JWKS").then(|| set.clone());
    let loaded = config::load("bench", CONFIGURATION.to_owned(), &NoFiles, &variables, Host::Native);
    loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()))
}

fn now() -> u64 {
    u64::try_from(std::time::UNIX_EPOCH.elapsed().expect("it is later").as_millis())
        .expect("but not too late")
}

/// A token that no other equals.
fn fresh(key: Key) -> String {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let claims: [(&str, Value); 5] = [
        ("iss", "i".into()),
        ("aud", "api".into()),
        ("sub", "alice".into()),
        ("role", "user".into()),
        ("jti", number.into()),
    ];
    let claims: Map<String, Value> =
        claims.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    token(&Signed { claims, lies: Lies { key, ..Lies::default() } }, now()).expect("it can be signed")
}

fn request(path: &str, token: Option<&str>) -> Request<NativeBody> {
    let request = Request::get(path).header("host", "gateway.test");
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    request.body(NativeBody::empty()).expect("a request")
}

/// Nothing waits here, so one poll is enough.
fn decide(gateway: &Gateway, host: &NativeHost, peer: &Peer, request: Request<NativeBody>) -> u16 {
    match pin!(handle(gateway, host, peer, request)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => response.status().as_u16(),
        Poll::Pending => panic!("nobody is asked"),
    }
}

fn tokens(criterion: &mut Criterion) {
    let gateway = gateway();
    let host = NativeHost::new(Settings::default());
    let peer = Peer::new([127, 0, 0, 1].into(), false);
    let mut bench = |name: &str, made: &mut dyn FnMut() -> Request<NativeBody>| {
        criterion.bench_function(name, |bencher| {
            let decide = |request| assert_eq!(decide(&gateway, &host, &peer, black_box(request)), 403);
            bencher.iter_batched(&mut *made, decide, BatchSize::SmallInput);
        });
    };
    bench("who asks: nobody wants to know", &mut || request("/open", None));
    let known = fresh(Key::Main);
    bench("who asks: a token that was verified before", &mut || request("/closed", Some(&known)));
    for (name, key) in [("RS256", Key::Rsa), ("ES256", Key::Ec), ("EdDSA", Key::Main)] {
        bench(&format!("who asks: a new token, {name}"), &mut || request("/closed", Some(&fresh(key))));
    }
}

criterion_group!(benches, tokens);
criterion_main!(benches);
