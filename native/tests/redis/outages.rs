//! A store that is killed, hangs and comes back while requests go on.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::around::{Answered, Gateway, Load, Redis, is_missing, upstream};

const TIMEOUT_MS: u64 = 100;
/// The timeout, and what a busy machine may add to it.
const MOST: Duration = Duration::from_millis(TIMEOUT_MS + 400);

fn gateway(redis: &Redis, on_error: &str) -> Gateway {
    let store = format!("type: Redis, url: '{}', timeout_ms: {TIMEOUT_MS}", redis.url());
    let limit = format!("type: FixedWindow, rate: 1000000, window: 366d, on_error: {on_error}");
    Gateway::start(&limit, &store, upstream())
}

fn wait(time: Duration) {
    thread::sleep(time);
}

/// Those that ended within a stretch of time, but for those that had begun before it.
fn within(all: &[Answered], from: Instant, to: Instant) -> Vec<Answered> {
    all.iter().filter(|one| one.at - one.took >= from && one.at < to).copied().collect()
}

/// When requests are counted again, after the store is back.
fn recovered(gateway: &Gateway, back: Instant) -> Duration {
    let before = gateway.metric("tollgate_store_draw_seconds_count");
    let failed = |gateway: &Gateway| {
        ["timeout", "connection", "refused", "down"]
            .map(|why| gateway.metric(&format!("tollgate_store_failures_total{{reason=\"{why}\"}}")))
            .iter()
            .sum::<u64>()
    };
    let good = |gateway: &Gateway| gateway.metric("tollgate_store_draw_seconds_count") - failed(gateway);
    let first = good(gateway);
    super::around::until("limits are shared again", Duration::from_secs(5), || good(gateway) > first);
    assert!(gateway.metric("tollgate_store_draw_seconds_count") > before);
    back.elapsed()
}

fn killed_and_back(on_error: &str, meanwhile: u16) {
    let mut redis = Redis::start();
    let gateway = gateway(&redis, on_error);
    let load = Load::on(&[&gateway], 4, Duration::from_millis(2));
    wait(Duration::from_millis(500));
    redis.kill();
    let killed = Instant::now();
    wait(Duration::from_millis(1_000));
    let restarted = Instant::now();
    let back = redis.restart();
    let recovered = recovered(&gateway, back);
    // Long enough for the log to trust it.
    wait(Duration::from_millis(1_700));
    let all = load.end();
    let (before, down) = (within(&all, all[0].at, killed), within(&all, killed, restarted));
    let after = within(&all, back + Duration::from_secs(1), Instant::now());
    assert!(!before.is_empty() && down.len() > 100 && !after.is_empty());
    assert!(down.iter().all(|one| one.status == meanwhile), "{down:?}");
    assert!(after.iter().all(|one| one.status == 200), "{after:?}");
    let slowest = all.iter().map(|one| one.took).max().unwrap();
    println!(
        "killed, on_error {on_error}: {} requests while down, the slowest of all {slowest:?}, counted again after {recovered:?}",
        down.len()
    );
    assert!(slowest < MOST, "{slowest:?}");
    assert!(recovered < Duration::from_secs(1), "{recovered:?}");
    let said = gateway.said();
    assert!(said.contains("limits can't be shared") && said.contains("limits are shared again"), "{said}");
}

#[test]
fn while_the_store_is_down_requests_are_denied_if_so_configured() {
    if !is_missing() {
        killed_and_back("deny", 503);
    }
}

#[test]
fn while_the_store_is_down_requests_are_let_through_if_so_configured() {
    if !is_missing() {
        killed_and_back("allow", 200);
    }
}

#[test]
fn a_store_that_hangs_costs_a_request_no_more_than_its_timeout() {
    if is_missing() {
        return;
    }
    let redis = Redis::start();
    let gateway = gateway(&redis, "deny");
    let load = Load::on(&[&gateway], 4, Duration::from_millis(2));
    wait(Duration::from_millis(500));
    redis.hang();
    let hung = Instant::now();
    wait(Duration::from_millis(1_500));
    let released = Instant::now();
    redis.go_on();
    let recovered = recovered(&gateway, released);
    wait(Duration::from_millis(1_000));
    let all = load.end();
    let down = within(&all, hung, released);
    assert!(down.iter().all(|one| one.status == 503), "{down:?}");
    let slowest = all.iter().map(|one| one.took).max().unwrap();
    // Only those wait that were the first to find out.
    let waited = down.iter().filter(|one| one.took > Duration::from_millis(TIMEOUT_MS / 2)).count();
    println!(
        "hung: {} requests meanwhile, of which {waited} waited, the slowest {slowest:?}, counted again after {recovered:?}",
        down.len()
    );
    assert!(slowest < MOST && waited * 10 < down.len(), "{slowest:?}, {waited} of {}", down.len());
    assert!(recovered < Duration::from_secs(1), "{recovered:?}");
    let after = within(&all, released + Duration::from_secs(1), Instant::now());
    assert!(!after.is_empty() && after.iter().all(|one| one.status == 200), "{after:?}");
}

#[test]
fn a_connection_that_was_closed_while_idle_costs_no_request() {
    if is_missing() {
        return;
    }
    let redis = Redis::start();
    let gateway = gateway(&redis, "deny");
    for _ in 0..3 {
        // One that is closed again and again is another matter.
        wait(Duration::from_millis(1_100));
        assert_eq!([(); 8].map(|()| gateway.get().0), [200; 8]);
        assert!(redis.ask("CLIENT KILL TYPE normal SKIPME yes").starts_with(':'));
    }
}

#[test]
fn a_store_that_has_become_a_replica_is_told_of_once() {
    if is_missing() {
        return;
    }
    let redis = Redis::start();
    let gateway = gateway(&redis, "deny");
    assert_eq!(gateway.get().0, 200);
    assert_eq!(redis.ask(&format!("REPLICAOF 127.0.0.1 {}", super::around::free_port())), "+OK");
    let load = Load::on(&[&gateway], 2, Duration::from_millis(2));
    wait(Duration::from_millis(700));
    assert_eq!(redis.ask("REPLICAOF NO ONE"), "+OK");
    let back = Instant::now();
    wait(Duration::from_millis(1_500));
    let all = load.end();
    let after = within(&all, back + Duration::from_millis(500), Instant::now());
    assert!(!after.is_empty() && after.iter().all(|one| one.status == 200), "{after:?}");
    let said = gateway.said();
    assert_eq!(said.matches("limits can't be shared").count(), 1, "{said}");
}
