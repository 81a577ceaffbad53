//! Several processes that count together.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::around::{Answered, Client, Gateway, Load, Redis, free_port, is_missing, until, upstream};

#[test]
fn four_processes_admit_exactly_the_limit() {
    if is_missing() {
        return;
    }
    const LIMIT: usize = 10_000;
    let redis = Redis::start();
    let store = format!("type: Redis, url: '{}', timeout_ms: 10000", redis.url());
    let upstream = upstream();
    let limit = format!("type: FixedWindow, rate: {LIMIT}, window: 366d");
    let gateways: Vec<_> = (0..4).map(|_| Gateway::start(&limit, &store, upstream)).collect();
    let load = Load::on(&gateways.iter().collect::<Vec<_>>(), 8, Duration::ZERO);
    // Until all have gone on for a while after the limit.
    let draws = || gateways.iter().map(|gateway| gateway.metric("tollgate_store_draws_total")).sum::<u64>();
    while draws() < LIMIT as u64 * 2 {
        thread::sleep(Duration::from_millis(50));
    }
    let all = load.end();
    let with = |status: u16| all.iter().filter(|answered| answered.status == status).count();
    println!("{} requests at four processes: {} admitted, {} refused", all.len(), with(200), with(429));
    assert_eq!((with(200), with(200) + with(429)), (LIMIT, all.len()));
    for gateway in &gateways {
        assert_eq!(gateway.metric("tollgate_store_failures_total{reason=\"timeout\"}"), 0);
        assert_eq!(gateway.metric("tollgate_store_settlements_dropped_total"), 0);
    }
}

/// Four processes with one leased limit at full load, until it has been at its end for a while: all that was answered,
/// but for one request each before, and for how long they went on.
fn leased(limit: &str, went_on: Duration) -> (Vec<Answered>, Duration) {
    let redis = Redis::start();
    let store = format!("type: Redis, url: '{}', timeout_ms: 10000", redis.url());
    let upstream = upstream();
    let gateways: Vec<_> = (0..4).map(|_| Gateway::start(limit, &store, upstream)).collect();
    // So that they are connected.
    assert!(gateways.iter().all(|gateway| gateway.get().0 == 200));
    let begun = Instant::now();
    let load = Load::on(&gateways.iter().collect::<Vec<_>>(), 8, Duration::ZERO);
    until("all have refused some", Duration::from_secs(60), || {
        gateways.iter().all(|gateway| gateway.metric("tollgate_refusals_total") > 0)
    });
    thread::sleep(went_on);
    let lasted = begun.elapsed();
    let all = load.end();
    let draws = gateways.iter().map(|gateway| gateway.metric("tollgate_store_draws_total")).sum::<u64>();
    let with = |status: u16| all.iter().filter(|answered| answered.status == status).count();
    println!(
        "leased, {} requests at four processes in {lasted:?}: {} admitted, {} refused; {draws} questions, {:.3} a request",
        all.len(),
        with(200),
        with(429),
        draws as f64 / all.len() as f64
    );
    assert_eq!(with(200) + with(429), all.len());
    assert!(draws * 4 < all.len() as u64, "{draws} questions are too many for {} requests", all.len());
    for gateway in &gateways {
        assert_eq!(gateway.metric("tollgate_store_failures_total{reason=\"timeout\"}"), 0);
        assert_eq!(gateway.metric("tollgate_store_settlements_dropped_total"), 0);
    }
    (all, lasted)
}

fn admitted(all: &[Answered]) -> usize {
    all.iter().filter(|answered| answered.status == 200).count()
}

#[test]
fn four_processes_that_lease_a_window_admit_no_more_than_was_conceded() {
    if is_missing() {
        return;
    }
    const LIMIT: usize = 10_000;
    const OVER: usize = 1_600;
    let limit =
        format!("type: FixedWindow, rate: {LIMIT}, window: 366d, accuracy: leased, max_overshoot: {OVER}");
    // What is handed back after a second is admitted after the next.
    let admitted = 4 + admitted(&leased(&limit, Duration::from_secs(3)).0);
    println!("{admitted} of {LIMIT}, {} over of {OVER}", admitted as i64 - LIMIT as i64);
    assert!((LIMIT..=LIMIT + OVER).contains(&admitted), "{admitted}");
}

#[test]
fn four_processes_that_lease_a_bucket_admit_no_more_than_was_conceded() {
    if is_missing() {
        return;
    }
    const BURST: f64 = 5_000.0;
    const RATE: f64 = 500.0;
    const OVER: f64 = 800.0;
    let limit = format!(
        "type: TokenBucket, rate: {RATE}, window: 1s, burst: {BURST}, accuracy: leased, max_overshoot: {OVER}"
    );
    let (all, lasted) = leased(&limit, Duration::from_secs(4));
    let admitted = admitted(&all) as f64;
    // The last answers came after the time was up.
    let last = all.iter().map(|answered| answered.at).max().unwrap();
    let begun = all.iter().map(|answered| answered.at - answered.took).min().unwrap();
    let most = BURST + RATE * (last - begun).as_secs_f64() + OVER;
    // A refusal is remembered for a second at most.
    let least = BURST + RATE * (lasted.as_secs_f64() - 1.0);
    println!("{admitted} of {:.0}, at most {most:.0}", BURST + RATE * lasted.as_secs_f64());
    assert!((least..=most).contains(&admitted), "{least:.0} {admitted} {most:.0}");
}

#[test]
fn a_new_process_goes_on_where_another_has_ended() {
    if is_missing() {
        return;
    }
    let redis = Redis::start();
    let store = format!("type: Redis, url: '{}', timeout_ms: 2000", redis.url());
    let upstream = upstream();
    let start = || Gateway::start("type: FixedWindow, rate: 3, window: 366d", &store, upstream);
    let first = start();
    let mut client = Client::connect(first.address);
    assert_eq!([(); 2].map(|()| client.get().0), [200, 200]);
    drop(first);
    let second = start();
    let mut client = Client::connect(second.address);
    assert_eq!([(); 2].map(|()| client.get().0), [200, 429]);
}

#[test]
fn prefixes_keep_gateways_apart() {
    if is_missing() {
        return;
    }
    let redis = Redis::start();
    let upstream = upstream();
    for prefix in ["one", "two"] {
        let store = format!("type: Redis, url: '{}', timeout_ms: 2000, prefix: {prefix}", redis.url());
        let gateway = Gateway::start("type: FixedWindow, rate: 1, window: 366d", &store, upstream);
        assert_eq!([gateway.get().0, gateway.get().0], [200, 429]);
    }
    assert_eq!(redis.ask("DBSIZE"), ":2");
}

#[test]
fn a_script_that_was_forgotten_is_sent_again() {
    if is_missing() {
        return;
    }
    let redis = Redis::start();
    let store = format!("type: Redis, url: '{}', timeout_ms: 2000", redis.url());
    let gateway = Gateway::start("type: FixedWindow, rate: 100, window: 366d", &store, upstream());
    for _ in 0..3 {
        assert_eq!(gateway.get().0, 200);
        assert_eq!(redis.ask("SCRIPT FLUSH"), "+OK");
    }
    assert_eq!(gateway.metric("tollgate_store_outages_total"), 0);
}

#[test]
fn the_password_is_shown_nowhere() {
    if is_missing() {
        return;
    }
    const PASSWORD: &str = "swordfish-42";
    let redis = Redis::with(&["--requirepass", PASSWORD]);
    let upstream = upstream();
    let limit = "type: FixedWindow, rate: 100, window: 366d";
    for (password, status) in [(PASSWORD, 200), ("swordfish-43", 503)] {
        let url = format!("redis://:{password}@127.0.0.1:{}", redis.port);
        let gateway =
            Gateway::start(limit, &format!("type: Redis, url: '{url}', timeout_ms: 2000"), upstream);
        assert_eq!(gateway.get().0, status);
        let complaint = "can't be shared: redis://127.0.0.1:";
        let said = if status == 503 { gateway.said_with(complaint) } else { gateway.said() };
        let shown = format!("{said}{}", gateway.metrics());
        assert!(!shown.contains("swordfish"), "{shown}");
        assert_eq!(status == 503, shown.contains(complaint), "{shown}");
    }
}

#[test]
fn the_store_is_spoken_to_over_tls_and_has_to_prove_who_it_is() {
    if is_missing() {
        return;
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redis/testdata");
    let [authority, certificate, key] =
        ["authority.pem", "localhost.pem", "localhost.key"].map(|name| format!("{folder}/{name}"));
    let port = free_port();
    let _redis = Redis::with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
    ]);
    let upstream = upstream();
    // The certificate is of this name.
    let store = format!("type: Redis, url: '${{STORE}}:{port}', timeout_ms: 2000");
    let limit = "type: FixedWindow, rate: 100, window: 366d";
    for (authority, url, status) in [
        (Some(&*authority), "rediss://localhost", 200),
        (Some(&*authority), "rediss://127.0.0.1", 503),
        (None, "rediss://localhost", 503),
    ] {
        let trusted = authority.map(|authority| ("SSL_CERT_FILE", authority));
        let environment: Vec<_> = trusted.into_iter().chain([("STORE", url)]).collect();
        let gateway = Gateway::with(&environment, limit, &store, upstream);
        assert_eq!(gateway.get().0, status, "{}", gateway.said());
    }
}

#[test]
fn the_permissions_that_the_documentation_names_are_enough() {
    if is_missing() {
        return;
    }
    let page = include_str!("../../../docs/redis.md");
    let user = page.lines().find(|line| line.starts_with("ACL SETUSER")).unwrap();
    let redis = Redis::start();
    assert_eq!(redis.ask(&user.replace("PASSWORD", "hush")), "+OK");
    let store =
        format!("type: Redis, url: 'redis://tollgate:hush@127.0.0.1:{}/1', timeout_ms: 2000", redis.port);
    let gateway = Gateway::start("type: FixedWindow, rate: 1, window: 366d", &store, upstream());
    assert_eq!([gateway.get().0, gateway.get().0], [200, 429], "{}", gateway.said());
}
