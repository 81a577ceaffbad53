//! A host whose counters are shared: what it puts right afterwards, and what happens when the store is another.

use std::time::Duration;

use tollgate::host::{NativeHost, Settings};
use tollgate_core::{
    counter::{Draw, Rule, Settlement, Window},
    host::Host,
    job::Job,
};

use super::{
    around::{Redis, is_missing},
    cluster::store,
};

fn host(redis: &Redis) -> NativeHost {
    let host = NativeHost::new(Settings::default());
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
