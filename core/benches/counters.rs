//! What a draw costs in memory: the arithmetic, the look-up and the lock, of one limit and of several at once.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tollgate_core::counter::{Draw, Outcome, Rule, Settlement, Window, memory::Counters};

const NOW: u64 = 1_900_000_000_000;

fn draw(key: &str, rule: Rule) -> Draw {
    Draw { key: key.to_owned(), rule, cost: 1 }
}

fn rules() -> [(&'static str, Rule); 4] {
    let limit = 1 << 40;
    [
        ("fixed window", Rule::FixedWindow { limit, window: Window::Length(60_000) }),
        ("sliding window", Rule::SlidingWindow { limit, window_ms: 60_000 }),
        ("token bucket", Rule::TokenBucket { rate: 1_000_000, window_ms: 1_000, burst: 1_000_000_000 }),
        ("budget of a month", Rule::FixedWindow { limit, window: Window::Month }),
    ]
}

fn draws(criterion: &mut Criterion) {
    let counters = Counters::default();
    // Not alone in memory: as many others as a busy gateway has.
    for n in 0..100_000 {
        counters.draw(&[draw(&format!("limit\nwindow/60000\nuser:issuer {n}"), rules()[0].1)], NOW);
    }
    for (name, rule) in rules() {
        let wish = draw(&format!("{name}\nuser:issuer alice"), rule);
        let mut now = NOW;
        criterion.bench_function(&format!("draw in memory: {name}"), |bencher| {
            bencher.iter(|| {
                now += 1;
                counters.draw(black_box(std::slice::from_ref(&wish)), now)
            });
        });
    }
    let several = rules().map(|(name, rule)| draw(&format!("several {name}\nuser:issuer alice"), rule));
    let mut now = NOW;
    criterion.bench_function("draw in memory: four limits at once", |bencher| {
        bencher.iter(|| {
            now += 1;
            counters.draw(black_box(&several), now)
        });
    });
    let lease = draw("leases\nip:192.0.2.1", Rule::Concurrency { limit: 100, lease_ms: 60_000, lease: 7 });
    criterion.bench_function("draw in memory: a lease, and handing it back", |bencher| {
        bencher.iter(|| {
            let quotas = counters.draw(black_box(std::slice::from_ref(&lease)), NOW);
            let outcome = Outcome::Used(0);
            counters.settle(&[Settlement { draw: lease.clone(), at: NOW, outcome, is_local: true }], NOW);
            quotas
        });
    });
}

criterion_group!(benches, draws);
criterion_main!(benches);
