//! The script counts as core does: the same draws and settlements, made up by the hundred thousand, come to the same in
//! both, step by step.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tollgate::counter::{Now, Shared};
use tollgate_core::counter::{Draw, MAX, Outcome, Quota, Rule, Settlement, Window, memory::Counters};

use super::{
    around::{Redis, is_missing},
    cluster::shared,
};

/// So many stories, each of so many steps; `TRACES=100000` in the environment makes it a million.
const TRACES: u64 = 20_000;
const STEPS: u64 = 10;
/// Stories that are told at the same time.
const AT_ONCE: u64 = 400;

/// Numbers that look as if they were random, and are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    fn one_of<const N: usize>(&mut self, of: [u64; N]) -> u64 {
        of[self.below(N as u64) as usize]
    }

    /// A limit, rarely an odd one.
    fn limit(&mut self) -> u64 {
        match self.below(20) {
            0 => 0,
            1 => 1 << 53,
            2 => (1 << 53) - 1,
            3 => 1_000_000_007,
            _ => 1 + self.below(12),
        }
    }

    fn length(&mut self) -> u64 {
        self.one_of([1, 7, 1_000, 1_000, 60_000, 60_000, 3_600_000, 86_400_000])
    }

    fn rule(&mut self, kind: u64) -> Rule {
        match kind {
            0 => {
                let window = if self.below(4) == 0 { Window::Month } else { Window::Length(self.length()) };
                Rule::FixedWindow { limit: self.limit(), window }
            }
            1 => Rule::SlidingWindow { limit: self.limit().min(1 << 49), window_ms: self.length() },
            2 => {
                let window_ms = self.length();
                let burst = self.limit().min((1 << 52) / window_ms);
                Rule::TokenBucket { rate: self.one_of([0, 1, 3, 10, 1_000]), window_ms, burst }
            }
            _ => Rule::Concurrency {
                limit: self.limit(),
                lease_ms: self.one_of([1, 500, 10_000, 60_000]),
                lease: self.roll() >> 12,
            },
        }
    }

    fn cost(&mut self, rule: &Rule) -> u64 {
        match self.below(16) {
            0 => 0,
            1 => rule.capacity(),
            2 => (rule.capacity() + 1).min(MAX),
            3 => 1 << 52,
            4 => self.below(1 << 50),
            _ => 1 + self.below(3),
        }
    }

    fn begin(&mut self) -> u64 {
        // Now, the beginning of time, and the ends of months.
        match self.below(4) {
            0 => self.below(100_000),
            1 => self.one_of([1_830_297_600_000, 1_835_395_200_000, 1_893_456_000_000]) - self.below(12_000),
            _ => 1_900_000_000_000 + self.below(100_000_000_000),
        }
    }

    fn pass(&mut self, now: u64) -> u64 {
        match self.below(12) {
            0 => now.saturating_sub(self.below(10_001)),
            1 => now.saturating_sub(10_000 + self.below(5_000_000)),
            2 => now + self.below(100_000_000),
            3..6 => now,
            _ => {
                let most = self.one_of([10, 500, 5_000, 70_000]);
                now + self.below(most)
            }
        }
    }
}

/// A counter that a story is about: its kind stays, its numbers may change.
struct Counter {
    key: String,
    kind: u64,
    rule: Rule,
}

async fn tell(shared: &Shared, number: u64) -> u64 {
    let mut dice = Dice(number);
    let (mine, mut now, mut compared) = (Counters::new(1_000), dice.begin(), 0);
    let mut counters: Vec<Counter> = (0..1 + dice.below(3))
        .map(|at| {
            let kind = dice.below(4);
            Counter { key: format!("{number}/{at}"), kind, rule: dice.rule(kind) }
        })
        .collect();
    let mut drawn: Vec<(Draw, Quota)> = Vec::new();
    for step in 0..STEPS {
        now = dice.pass(now);
        if dice.below(4) == 0 && !drawn.is_empty() {
            let settlements: Vec<_> = (0..1 + dice.below(2))
                .map(|_| {
                    let (draw, quota) = drawn[dice.below(drawn.len() as u64) as usize].clone();
                    let outcome = match dice.below(5) {
                        0 => Outcome::Held,
                        1 => Outcome::Used((draw.cost + dice.below(5)).min(MAX)),
                        2 => Outcome::Used(draw.cost),
                        _ => Outcome::Used(dice.below(draw.cost + 1)),
                    };
                    Settlement { draw, at: quota.at, outcome, is_local: false }
                })
                .collect();
            mine.settle(&settlements, now);
            shared.settle(&settlements, Now::Given(now)).await.unwrap();
            continue;
        }
        let draws: Vec<_> = (0..1 + dice.below(3))
            .map(|_| {
                let at = dice.below(counters.len() as u64) as usize;
                let counter = &mut counters[at];
                if counter.kind == 3 || dice.below(15) == 0 {
                    // A lease is unlike any other.
                    counter.rule = dice.rule(counter.kind);
                }
                Draw { key: counter.key.clone(), rule: counter.rule, cost: dice.cost(&counter.rule) }
            })
            .collect();
        let (expected, found) = (mine.draw(&draws, now), shared.draw(&draws, Now::Given(now)).await.unwrap());
        assert_eq!(expected, found, "trace {number}, step {step}: {draws:?} at {now}");
        compared += expected.len() as u64;
        if expected.iter().all(|quota| quota.admitted) {
            drawn.extend(draws.into_iter().zip(expected));
        }
    }
    compared
}

#[tokio::test]
async fn the_script_counts_as_core_does() {
    if is_missing() {
        return;
    }
    let redis = Redis::start();
    let shared = shared(&format!("type: Redis, url: '{}', timeout_ms: 10000", redis.url()));
    let (begun, next, compared) = (Instant::now(), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let traces = std::env::var("TRACES").ok().and_then(|many| many.parse().ok()).unwrap_or(TRACES);
    let mut tellers = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (shared, next, compared) = (shared.clone(), next.clone(), compared.clone());
        tellers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= traces {
                    return;
                }
                compared.fetch_add(tell(&shared, number).await, Ordering::Relaxed);
            }
        });
    }
    while let Some(told) = tellers.join_next().await {
        told.unwrap();
    }
    let compared = compared.load(Ordering::Relaxed);
    println!(
        "{traces} traces, {} steps, {compared} quotas compared in {:?}",
        traces * STEPS,
        begun.elapsed()
    );
    assert!(compared > traces * STEPS);
}
