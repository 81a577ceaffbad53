//! Bad tokens leave nothing behind: whoever sends them by the million makes the process no larger.

use std::{
    fs,
    pin::pin,
    task::{Context, Poll, Waker},
};

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

/// `TOLLGATE_BAD_TOKENS=1000000` makes it a million.
const FEW: usize = 30_000;
/// As much may be lost in the gaps of an allocator.
const SLACK: u64 = 2 * 1024 * 1024;

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn gateway() -> Gateway {
    // Each failure comes from an address of its own, so the limit on them is as full as it gets, too.
    let text = "services: {app: {endpoints: ['http://127.0.0.1:9']}}\nroutes: [{path: /, target_service: app}]\n\
                policies: [{name: authentication, type: JWT_Validation, jwks: '${JWKS}'}]\n";
    let set = keys::set(&[Key::Main]).to_string();
    let variables = |name: &str| (name == "JWKS").then(|| set.clone());
    let loaded = config::load("test", text.to_owned(), &NoFiles, &variables, Host::Native);
    loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()))
}

#[test]
fn a_million_bad_tokens_leave_no_more_behind_than_a_few() {
    let gateway = gateway();
    let host = NativeHost::new(Settings { counter_capacity: 1_000, ..Settings::default() });
    let claims = Map::from_iter([("sub".to_owned(), Value::from("alice"))]);
    let good = token(&Signed { claims, lies: Lies::default() }, 4_000_000_000_000).unwrap();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let mut bad = |number: usize| {
        let forged = match number % 4 {
            // Not a token; another's signature; a signature of its own; claims of its own.
            0 => format!("{number}.{number}.{number}"),
            1 => format!("{message}.{}", "A".repeat(signature.len())),
            2 => format!("{message}.{number:0>86}"),
            _ => format!("{header}.{number:0>40}{claims}.{signature}"),
        };
        let number = u32::try_from(number).unwrap();
        let peer = Peer::new(number.to_be_bytes().into(), false);
        let request =
            Request::get("/").header("host", "a").header("authorization", format!("Bearer {forged}"));
        let request = request.body(NativeBody::empty()).unwrap();
        match pin!(handle(&gateway, &host, &peer, request)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(response) => assert_eq!(response.status(), 401, "{forged}"),
            Poll::Pending => panic!("nobody is asked"),
        }
    };
    let many = std::env::var("TOLLGATE_BAD_TOKENS").map_or(FEW, |many| many.parse().unwrap());
    // What is bounded fills first.
    let warm = FEW.min(many);
    (0..warm).for_each(&mut bad);
    let before = resident();
    (warm..warm + many).for_each(&mut bad);
    let after = resident();
    println!("{many} bad tokens: {before} bytes before, {after} after");
    assert!(after <= before + SLACK, "{before} → {after}");
}
