//! A host whose counters are shared: what it puts right afterwards, and what happens when the store is another.

use std::time::Duration;

use tollgate::{
    clock::Clock,
    host::{NativeHost, Settings},
};
use tollgate_core::{
    counter::{Draw, Quota, Rule, Settlement, Window},
    host::Host,
    job::Job,
};

use super::{
    around::{Redis, is_missing},
    cluster::store,
};

fn host(redis: &Redis) -> NativeHost {
    by(Clock::System, redis)
}

fn by(clock: Clock, redis: &Redis) -> NativeHost {
    let host = NativeHost::new(Settings { clock, ..Settings::default() });
    host.count_in(&at(redis)).unwrap();
    host
}

fn at(redis: &Redis) -> tollgate_core::config::document::Store {
    store(&format!("type: Redis, url: '{}', timeout_ms: 200", redis.url()))
}

fn draw(limit: u64) -> [Draw; 1] {
    let window = Window::Length(1_000 * 86_400_000);
    [Draw { key: "k".to_owned(), rule: Rule::FixedWindow { limit, window }, cost: 1 }]
}

fn metric(host: &NativeHost, name: &str) -> u64 {
    let text = host.metrics().render(&[]);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("this does not happen: {what}");
}

#[tokio::test]
async fn what_is_handed_back_later_waits_for_a_store_that_hangs() {
    if is_missing() {
        return;
    }
    let redis = Redis::start();
    let host = host(&redis);
    let quota = host.draw(&draw(1)).await.unwrap()[0];
    assert!(quota.admitted && !host.draw(&draw(1)).await.unwrap()[0].admitted);
    redis.hang();
    assert!(host.draw(&draw(1)).await.is_err());
    let back = || Job::Settle(vec![Settlement::undo(draw(1)[0].clone(), &quota)]);
    host.defer(back());
    // There is an end to what can wait.
    for _ in 0..5_000 {
        host.defer(Job::Settle(vec![Settlement::undo(draw(9)[0].clone(), &quota)]));
    }
    assert_eq!(metric(&host, "tollgate_store_settlements_dropped_total"), 5_001 - 4_096);
    redis.go_on();
    until("it is handed back", async || host.draw(&draw(1)).await.is_ok_and(|quotas| quotas[0].admitted))
        .await;
}

#[tokio::test]
async fn what_is_handed_back_over_a_connection_that_was_closed_while_idle_is_not_lost() {
    if is_missing() {
        return;
    }
    let redis = Redis::start();
    let host = host(&redis);
    for _ in 0..3 {
        let quota = host.draw(&draw(1)).await.unwrap()[0];
        assert!(quota.admitted);
        // Until it is not known any more that the connection was one.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(redis.ask("CLIENT KILL TYPE normal SKIPME yes").starts_with(':'));
        host.defer(Job::Settle(vec![Settlement::undo(draw(1)[0].clone(), &quota)]));
        let look = [Draw { cost: 0, ..draw(1)[0].clone() }];
        until("it is there again", async || {
            host.draw(&look).await.is_ok_and(|quotas| quotas[0].remaining == 1)
        })
        .await;
    }
    assert_eq!(metric(&host, "tollgate_store_settlements_total"), 3);
    assert_eq!(metric(&host, "tollgate_store_settlements_dropped_total"), 0);
}

#[tokio::test]
async fn in_another_store_counters_start_anew_and_the_former_is_left() {
    if is_missing() {
        return;
    }
    let (one, two) = (Redis::start(), Redis::start());
    let host = host(&one);
    assert!(host.draw(&draw(1)).await.unwrap()[0].admitted);
    assert!(!host.draw(&draw(1)).await.unwrap()[0].admitted);
    assert_eq!(one.connections(), 1);
    host.count_in(&at(&two)).unwrap();
    assert!(host.draw(&draw(1)).await.unwrap()[0].admitted);
    until("the former connection is closed", async || one.connections() == 0).await;
    host.count_in(&store("type: Memory")).unwrap();
    assert!(host.draw(&draw(1)).await.unwrap()[0].admitted);
    until("the latter connection is closed", async || two.connections() == 0).await;
    // Who comes back finds what was left there.
    host.count_in(&at(&one)).unwrap();
    assert!(!host.draw(&draw(1)).await.unwrap()[0].admitted);
}

#[tokio::test]
async fn gateways_whose_clocks_are_minutes_apart_admit_exactly_the_limit() {
    if is_missing() {
        return;
    }
    const LIMIT: u64 = 10;
    const MINUTE: u64 = 60_000;
    let redis = Redis::start();
    let hosts = [-7, 5, 0].map(|minutes| by(Clock::Wrong(minutes * MINUTE as i64), &redis));
    let rules = [
        Rule::FixedWindow { limit: LIMIT, window: Window::Length(3 * MINUTE) },
        Rule::SlidingWindow { limit: LIMIT, window_ms: 3 * MINUTE },
        Rule::TokenBucket { rate: 1, window_ms: 10 * MINUTE, burst: LIMIT },
        Rule::Concurrency { limit: LIMIT, lease_ms: 3 * MINUTE, lease: 0 },
    ];
    for (kind, rule) in rules.into_iter().enumerate() {
        let mut admitted: Vec<(Draw, Quota)> = Vec::new();
        for lease in 0..4 * LIMIT {
            let rule = match rule {
                Rule::Concurrency { limit, lease_ms, .. } => Rule::Concurrency { limit, lease_ms, lease },
                other => other,
            };
            let draw = Draw { key: kind.to_string(), rule, cost: 1 };
            let host = &hosts[lease as usize % hosts.len()];
            let quota = host.draw(std::slice::from_ref(&draw)).await.unwrap()[0];
            if quota.admitted {
                admitted.push((draw, quota));
            }
        }
        // A window may have ended meanwhile.
        let window = |(_, quota): &(Draw, Quota)| match rule {
            Rule::FixedWindow { .. } => quota.at / (3 * MINUTE),
            _ => 0,
        };
        let windows: std::collections::BTreeSet<_> = admitted.iter().map(window).collect();
        for number in &windows {
            let within = admitted.iter().filter(|one| window(one) == *number).count() as u64;
            assert!(within == LIMIT || windows.len() > 1 && within < LIMIT, "{rule:?}: {within}");
        }
        // By the clock of the store, which here is that of this machine.
        let now = Clock::System.now();
        assert!(admitted.iter().all(|(_, quota)| quota.at.abs_diff(now) < 10_000), "{admitted:?}");
        // What one has drawn another hands back, and it is there again.
        let (draw, quota) = admitted.swap_remove(0);
        let other = &hosts[1];
        other.settle(&[Settlement::undo(draw.clone(), &quota)]).await.unwrap();
        let again = hosts[2].draw(&[draw]).await.unwrap()[0];
        assert!(again.admitted, "{rule:?}: {again:?}");
    }
}

#[tokio::test]
async fn a_clock_that_is_turned_by_hand_counts_for_the_store_too() {
    if is_missing() {
        return;
    }
    let redis = Redis::start();
    let clock = Clock::manual(60_000);
    let host = by(clock.clone(), &redis);
    let draw =
        [Draw { rule: Rule::FixedWindow { limit: 1, window: Window::Length(60_000) }, ..draw(1)[0].clone() }];
    let first = host.draw(&draw).await.unwrap()[0];
    assert_eq!((first.admitted, first.at), (true, 60_000));
    assert!(!host.draw(&draw).await.unwrap()[0].admitted);
    clock.set(120_000);
    assert!(host.draw(&draw).await.unwrap()[0].admitted);
}
