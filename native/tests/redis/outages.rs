//! A store that is killed, hangs and comes back while requests go on.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::around::{Answered, Client, Gateway, Load, Redis, Upstream, is_missing, metric, until, upstream};

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
    let good = || {
        let text = gateway.metrics();
        let failed = ["timeout", "connection", "refused", "down"]
            .map(|why| metric(&text, &format!("tollgate_store_failures_total{{reason=\"{why}\"}}")));
        metric(&text, "tollgate_store_draw_seconds_count").saturating_sub(failed.iter().sum())
    };
    // Those that are under way are counted in one place and not yet in the other.
    let first = good() + 4;
    until("limits are shared again", Duration::from_secs(5), || good() > first);
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
    let said = gateway.said_with("limits are shared again");
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
fn while_the_store_is_down_each_process_counts_for_itself_if_so_configured() {
    if is_missing() {
        return;
    }
    const LIMIT: usize = 50;
    let mut redis = Redis::start();
    let store = format!("type: Redis, url: '{}', timeout_ms: 1000", redis.url());
    let limit = format!("type: FixedWindow, rate: {LIMIT}, window: 366d, on_error: local");
    let upstream = upstream();
    let gateways = [(); 2].map(|()| Gateway::start(&limit, &store, upstream));
    let loads = gateways.each_ref().map(|gateway| Load::on(&[gateway], 2, Duration::from_millis(2)));
    until("both refuse", Duration::from_secs(10), || {
        gateways.iter().all(|gateway| gateway.metric("tollgate_refusals_total") > 0)
    });
    redis.kill();
    let killed = Instant::now();
    wait(Duration::from_millis(1_000));
    let restarted = Instant::now();
    let back = redis.restart();
    let recovered = gateways.each_ref().map(|gateway| recovered(gateway, back));
    wait(Duration::from_millis(1_000));
    let all = loads.map(Load::end);
    let admitted = |all: &[Answered]| all.iter().filter(|one| one.status == 200).count();
    let down = all.each_ref().map(|all| within(all, killed, restarted));
    let alone = down.each_ref().map(|down| admitted(down));
    let total: usize = all.iter().map(|all| admitted(all)).sum();
    println!(
        "killed, on_error local: {:?} requests while down, {alone:?} admitted, {total} in all; counted again after {recovered:?}",
        down.each_ref().map(Vec::len)
    );
    assert!(all.iter().flatten().all(|one| [200, 429].contains(&one.status)));
    assert!(
        down.iter().all(|down| down.len() > LIMIT) && alone.iter().all(|alone| (1..=LIMIT).contains(alone))
    );
    assert!(recovered.iter().all(|recovered| *recovered < Duration::from_secs(1)));
    // Together before, each for itself meanwhile, and together in the empty store that came back.
    assert_eq!(total, 4 * LIMIT);
}

/// A store that knows after a crash, of its own and not of the machine, what it knew before.
fn durable() -> Redis {
    Redis::with(&["--appendonly", "yes", "--appendfsync", "no"])
}

/// Asks at so many clients until each is let in; when the upstream has all of their requests.
fn let_in(
    gateway: &Gateway,
    upstream: &Upstream,
    many: u64,
    within: Duration,
) -> (Duration, Vec<JoinHandle<()>>) {
    let before = upstream.asked();
    let clients = (0..many).map(|_| {
        let address = gateway.address;
        thread::spawn(move || {
            let mut client = Client::connect(address);
            while client.get().0 != 200 {
                wait(Duration::from_millis(5));
            }
        })
    });
    let clients = clients.collect();
    (until("all are let in", within, || upstream.asked() == before + many), clients)
}

#[test]
fn places_of_requests_that_end_while_the_store_is_down_are_free_when_it_is_back() {
    if is_missing() {
        return;
    }
    let mut redis = durable();
    let upstream = Upstream::start();
    let store = format!("type: Redis, url: '{}', timeout_ms: 1000", redis.url());
    // So long that nothing expires, and nothing is renewed.
    let gateway = Gateway::start("type: Concurrency, limit: 4, lease: 1h", &store, upstream.address);
    let (_, former) = let_in(&gateway, &upstream, 4, Duration::from_secs(5));
    assert_eq!(gateway.get().0, 429);
    redis.kill();
    assert_eq!(gateway.get().0, 503);
    // Three of them end, and one goes on.
    upstream.answer(3);
    until("three have ended", Duration::from_secs(5), || {
        former.iter().filter(|client| client.is_finished()).count() == 3
    });
    let back = redis.restart();
    let (_, latter) = let_in(&gateway, &upstream, 3, Duration::from_secs(2));
    println!("three places of four are free {:?} after the store is back", back.elapsed());
    // Neither too few nor too many.
    assert_eq!(gateway.get().0, 429);
    upstream.answer(u64::MAX);
    former.into_iter().chain(latter).for_each(|client| client.join().unwrap());
}

#[test]
fn a_store_that_is_killed_under_load_loses_no_place_for_longer_than_a_lease() {
    if is_missing() {
        return;
    }
    const LIMIT: u64 = 4;
    const LEASE: Duration = Duration::from_secs(2);
    let mut redis = durable();
    let upstream = Upstream::start();
    upstream.answer(u64::MAX);
    let store = format!("type: Redis, url: '{}', timeout_ms: 100", redis.url());
    let limit = format!("type: Concurrency, limit: {LIMIT}, lease: {}s", LEASE.as_secs());
    let gateways = [(); 2].map(|()| Gateway::start(&limit, &store, upstream.address));
    let load = Load::on(&gateways.each_ref(), 4, Duration::ZERO);
    for _ in 0..3 {
        wait(Duration::from_millis(300));
        redis.kill();
        wait(Duration::from_millis(300));
        redis.restart();
    }
    wait(Duration::from_millis(300));
    let all = load.end();
    let with = |status: u16| all.iter().filter(|one| one.status == status).count();
    assert!(with(200) > 0 && with(200) + with(429) + with(503) == all.len());
    let metric = |name: &str| gateways.iter().map(|gateway| gateway.metric(name)).sum::<u64>();
    // Who was told at once that nobody is there was given nothing, and has nothing to hand back.
    let settled = metric("tollgate_store_settlements_total");
    let in_doubt = ["timeout", "connection"]
        .map(|why| metric(&format!("tollgate_store_failures_total{{reason=\"{why}\"}}")));
    assert!(
        settled <= with(200) as u64 + in_doubt.iter().sum::<u64>() + with(429) as u64,
        "{settled} {in_doubt:?}"
    );
    upstream.answer(0);
    let (after, clients) = let_in(&gateways[0], &upstream, LIMIT, LEASE + Duration::from_secs(2));
    println!(
        "killed three times: {} admitted, {} refused, {} denied, {settled} settled; all places free after {after:?}",
        with(200),
        with(429),
        with(503)
    );
    assert_eq!(metric("tollgate_store_settlements_dropped_total"), 0);
    until("the fifth is refused", Duration::from_secs(5), || gateways[1].get().0 == 429);
    upstream.answer(u64::MAX);
    clients.into_iter().for_each(|client| client.join().unwrap());
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
