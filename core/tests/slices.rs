//! Leased slices, held to their bounds: made-up instances share a counter, whose clocks are late, whose answers come late
//! or never, and who lose what they should hand back.
#![cfg(not(target_family = "wasm"))]

use proptest::{prelude::*, sample::Index};
use tollgate_core::{
    counter::{
        Draw, LATE_MS, Leasing, Outcome, Quota, Rule, Settlement, State, Window,
        slices::{Slices, Taken, Wish},
    },
    host::Timestamp,
};

const START: Timestamp = 1_900_000_000_000;

#[derive(Debug, Clone)]
enum Step {
    /// Takes; the answers of the shared counter come at once.
    Take { cost: u64 },
    /// Takes, and what the shared counter says comes later.
    Slow { cost: u64 },
    /// Takes, and the answer never comes.
    Lost { cost: u64 },
    /// An answer comes.
    Answer { which: Index },
    /// Of what was taken so many eighths were used.
    Settle { which: Index, eighths: u64 },
    /// What has expired is handed back, or lost on the way.
    Collect { lost: bool },
}

/// Which instance, a step, and how long after the one before in parts of a window.
type Timed = (Index, Step, u64);

/// A window is as long as so many of the waits between steps.
const WAITS: u64 = 64;

fn steps() -> impl Strategy<Value = Vec<Timed>> {
    let cost = || prop_oneof![6 => Just(1u64), 2 => 0u64..8];
    let step = prop_oneof![
        12 => cost().prop_map(|cost| Step::Take { cost }),
        3 => cost().prop_map(|cost| Step::Slow { cost }),
        1 => cost().prop_map(|cost| Step::Lost { cost }),
        3 => any::<Index>().prop_map(|which| Step::Answer { which }),
        3 => (any::<Index>(), 0u64..=10).prop_map(|(which, eighths)| Step::Settle { which, eighths }),
        3 => any::<bool>().prop_map(|lost| Step::Collect { lost }),
    ];
    let wait = prop_oneof![8 => Just(0), 8 => 0u64..4, 1 => 0..2 * WAITS];
    prop::collection::vec((any::<Index>(), step, wait), 1..120)
}

/// How late the clocks of the instances are.
fn clocks() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![2 => Just(0), 1 => 0u64..50, 1 => 0..=LATE_MS], 1..20)
}

fn windows() -> impl Strategy<Value = u64> {
    prop_oneof![1u64..30, 30u64..5_000, 5_000u64..120_000]
}

fn fixed() -> impl Strategy<Value = Rule> {
    (0u64..30, windows())
        .prop_map(|(limit, length)| Rule::FixedWindow { limit, window: Window::Length(length) })
}

fn sliding() -> impl Strategy<Value = Rule> {
    (0u64..30, windows()).prop_map(|(limit, window_ms)| Rule::SlidingWindow { limit, window_ms })
}

fn bucket() -> impl Strategy<Value = Rule> {
    (1u64..60, windows(), 1u64..30).prop_map(|(rate, window_ms, burst)| Rule::TokenBucket {
        rate,
        window_ms,
        burst,
    })
}

fn length_of(rule: &Rule) -> u64 {
    match *rule {
        Rule::FixedWindow { window, .. } => window.least_ms(),
        Rule::SlidingWindow { window_ms, .. } | Rule::TokenBucket { window_ms, .. } => window_ms,
        Rule::Concurrency { lease_ms, .. } => lease_ms,
    }
}

fn one(rule: Rule, cost: u64) -> Draw {
    Draw { key: "k".to_owned(), rule, cost }
}

/// What was admitted: by whom, at which moment the shared counter counted it, when it was used, and how much.
#[derive(Debug, Clone, Copy)]
struct Used {
    instance: usize,
    at: Timestamp,
    when: Timestamp,
    cost: u64,
    kept: u64,
    settled: bool,
}

/// Plays steps, and shows all that was admitted whenever something was.
fn play(
    rule: Rule,
    overshoot: u64,
    late: &[u64],
    steps: &[Timed],
    mut look: impl FnMut(&[Used], Used) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let Ok(leasing) = Leasing::new(rule, overshoot) else { return Ok(()) };
    let instances: Vec<Slices> = late.iter().map(|_| Slices::new(16)).collect();
    let mut shared = State::New;
    let mut time = START;
    let mut open: Vec<(usize, Wish, Quota)> = Vec::new();
    let mut all: Vec<Used> = Vec::new();
    for (instance, step, wait) in steps {
        time += wait * length_of(&rule).div_ceil(WAITS);
        let instance = instance.index(late.len());
        let slices = &instances[instance];
        let now = time - late[instance];
        let mut ask = |wish: &Wish, now| shared.draw(&wish.draw.rule, wish.draw.cost, now);
        let (instance, mut taken, cost, when) = match step {
            Step::Take { cost } | Step::Slow { cost } | Step::Lost { cost } => {
                let taken = slices.take("k", &leasing, *cost, now);
                match (taken, step) {
                    (Taken::Ask(wish), Step::Slow { .. }) => {
                        let quota = ask(&wish, now);
                        open.push((instance, wish, quota));
                        continue;
                    }
                    (Taken::Ask(wish), Step::Lost { .. }) => {
                        ask(&wish, now);
                        continue;
                    }
                    (taken, _) => (instance, taken, *cost, now),
                }
            }
            Step::Answer { which } if !open.is_empty() => {
                let (instance, wish, quota) = open.swap_remove(which.index(open.len()));
                let now = time - late[instance];
                let cost = wish.cost();
                (instance, instances[instance].put(&leasing, wish, &quota, now), cost, 0)
            }
            Step::Answer { .. } => continue,
            Step::Settle { which, eighths } => {
                let unsettled: Vec<usize> = (0..all.len()).filter(|at| !all[*at].settled).collect();
                if unsettled.is_empty() {
                    continue;
                }
                let used = &mut all[unsettled[which.index(unsettled.len())]];
                let amount = used.cost * eighths / 8;
                let settlement = Settlement {
                    draw: one(rule, used.cost),
                    at: used.at,
                    outcome: Outcome::Used(amount),
                    is_local: false,
                };
                let now = time - late[used.instance];
                if let Some(one) = instances[used.instance].settle(&leasing, settlement, now) {
                    shared.settle(&one.draw.rule, one.draw.cost, one.at, one.outcome, now);
                }
                used.settled = true;
                used.kept = amount.min(used.cost);
                continue;
            }
            Step::Collect { lost } => {
                for one in slices.collect(now).into_iter().filter(|_| !lost) {
                    shared.settle(&one.draw.rule, one.draw.cost, one.at, one.outcome, now);
                }
                continue;
            }
        };
        let now = time - late[instance];
        let quota = loop {
            match taken {
                Taken::Here(quota) => break quota,
                Taken::Ask(wish) => {
                    let quota = shared.draw(&wish.draw.rule, wish.draw.cost, now);
                    taken = instances[instance].put(&leasing, wish, &quota, now);
                }
            }
        };
        if quota.admitted {
            // What was answered late is used when it was drawn, as without slices.
            let when = when.max(quota.at);
            let used = Used { instance, at: quota.at, when, cost, kept: cost, settled: false };
            all.push(used);
            look(&all, used)?;
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn hostile_instances_overshoot_no_window_by_more_than_may_be(
        rule in fixed(), overshoot in 1u64..60, late in clocks(), steps in steps(),
    ) {
        let Rule::FixedWindow { limit, window } = rule else { unreachable!() };
        play(rule, overshoot, &late, &steps, |all, used| {
            let begins = window.bounds(used.when).0;
            prop_assert_eq!(window.bounds(used.at).0, begins);
            let sum: u64 = all.iter().filter(|one| window.bounds(one.when).0 == begins).map(|one| one.kept).sum();
            prop_assert!(sum <= limit + overshoot);
            Ok(())
        })?;
    }

    #[test]
    fn hostile_instances_overshoot_no_stretch_of_a_sliding_window_by_more_than_may_be(
        rule in sliding(), overshoot in 1u64..60, late in clocks(), steps in steps(),
    ) {
        let Rule::SlidingWindow { limit, window_ms } = rule else { unreachable!() };
        play(rule, overshoot, &late, &steps, |all, used| {
            for end in all.iter().map(|one| one.when).filter(|end| *end >= used.when && *end < used.when + window_ms) {
                let within = all.iter().filter(|one| one.when <= end && one.when > end - window_ms);
                prop_assert!(within.map(|one| one.kept).sum::<u64>() <= limit + overshoot);
            }
            Ok(())
        })?;
    }

    #[test]
    fn hostile_instances_overshoot_no_bucket_by_more_than_may_be(
        rule in bucket(), overshoot in 1u64..60, late in clocks(), steps in steps(),
    ) {
        let Rule::TokenBucket { rate, window_ms, burst } = rule else { unreachable!() };
        play(rule, overshoot, &late, &steps, |all, used| {
            let mut sorted: Vec<(u64, u64)> = all.iter().map(|one| (one.when, one.kept)).collect();
            sorted.sort_unstable();
            for (at, (begins, _)) in sorted.iter().enumerate().take_while(|(_, one)| one.0 <= used.when) {
                let mut sum = 0;
                for (ends, kept) in &sorted[at..] {
                    sum += kept;
                    if *ends >= used.when {
                        prop_assert!(sum * window_ms <= (burst + overshoot) * window_ms + rate * (ends - begins));
                    }
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn nobody_is_refused_what_the_limit_has_left(
        rule in prop_oneof![fixed(), sliding()], overshoot in 1u64..60, instances in 1usize..=16,
        steps in prop::collection::vec((any::<Index>(), prop_oneof![3 => Just(1), 1 => 0u64..5], 0u64..8), 1..200),
    ) {
        let leasing = Leasing::new(rule, overshoot).expect("it can be leased");
        let instances: Vec<Slices> = (0..instances).map(|_| Slices::new(16)).collect();
        let mut shared = State::New;
        let mut now = START;
        let mut used: Vec<(Timestamp, u64)> = Vec::new();
        for (instance, cost, wait) in steps {
            now += wait * length_of(&rule).div_ceil(WAITS);
            for one in instances.iter().flat_map(|slices| slices.collect(now)) {
                shared.settle(&one.draw.rule, one.draw.cost, one.at, one.outcome, now);
            }
            let slices = &instances[instance.index(instances.len())];
            let mut taken = slices.take("k", &leasing, cost, now);
            let mut asked = 0;
            let quota = loop {
                match taken {
                    Taken::Here(quota) => break quota,
                    Taken::Ask(wish) => {
                        asked += 1;
                        let quota = shared.draw(&wish.draw.rule, wish.draw.cost, now);
                        taken = slices.put(&leasing, wish, &quota, now);
                    }
                }
            };
            prop_assert!(asked <= 2);
            if quota.admitted {
                used.push((quota.at, cost));
            } else if asked > 0 || cost > rule.capacity() {
                let since = match (rule, leasing.shared()) {
                    (Rule::FixedWindow { window, .. }, _) => window.bounds(now).0,
                    (_, Rule::SlidingWindow { window_ms, .. }) => now + 1 - window_ms - window_ms.div_ceil(10),
                    _ => unreachable!(),
                };
                let sum: u64 = used.iter().filter(|(at, _)| *at >= since).map(|(_, cost)| cost).sum();
                prop_assert!(sum + cost > rule.capacity(), "{} of {} used", sum, rule.capacity());
            } else {
                prop_assert!(quota.retry_ms > 0);
            }
        }
    }
}

proptest! {
    #[test]
    fn nobody_is_refused_what_a_bucket_has_left(
        rule in bucket(), overshoot in 1u64..200, instances in 1usize..=8,
        steps in prop::collection::vec((any::<Index>(), prop_oneof![3 => Just(1), 1 => 0u64..5], 0u64..8), 1..200),
    ) {
        let Rule::TokenBucket { rate, window_ms, burst } = rule else { unreachable!() };
        let Ok(leasing) = Leasing::new(rule, overshoot) else { return Ok(()) };
        let instances: Vec<Slices> = (0..instances).map(|_| Slices::new(16)).collect();
        let mut shared = State::New;
        let mut now = START;
        let mut used: Vec<(Timestamp, u64)> = Vec::new();
        // What was handed back, of which some may have been lost to what flowed in since.
        let mut back = 0;
        for (instance, cost, wait) in steps {
            now += wait * window_ms.div_ceil(WAITS);
            for one in instances.iter().flat_map(|slices| slices.collect(now)) {
                back += one.draw.cost;
                shared.settle(&one.draw.rule, one.draw.cost, one.at, one.outcome, now);
            }
            let slices = &instances[instance.index(instances.len())];
            let quota = match slices.take("k", &leasing, cost, now) {
                Taken::Here(quota) => quota,
                Taken::Ask(wish) => {
                    let quota = shared.draw(&wish.draw.rule, wish.draw.cost, now);
                    match slices.put(&leasing, wish, &quota, now) {
                        Taken::Here(quota) => quota,
                        Taken::Ask(_) => unreachable!("of a bucket it is asked once"),
                    }
                }
            };
            if quota.admitted {
                used.push((quota.at, cost));
            } else if cost <= leasing.slice() {
                let mut sum = cost + back;
                let mut would_overflow = cost > burst;
                for (at, cost) in used.iter().rev() {
                    sum += cost;
                    would_overflow |= sum * window_ms > burst * window_ms + rate * (now - at);
                }
                prop_assert!(would_overflow);
            }
        }
    }
}

/// So many instances share a bucket of 1,000 a second for a minute; each wants one so often. How many were admitted, how
/// many refused, and how often the shared counter was asked.
fn a_minute(instances: u64, every_ms: u64) -> (u64, u64, u64) {
    let rule = Rule::TokenBucket { rate: 1_000, window_ms: 1_000, burst: 1_000 };
    let leasing = Leasing::new(rule, 200).expect("it can be leased");
    let all: Vec<Slices> = (0..instances).map(|_| Slices::new(16)).collect();
    let mut shared = State::New;
    let (mut admitted, mut refused, mut asked) = (0, 0, 0);
    for now in START..START + 60_000 {
        for (number, slices) in (0..).zip(&all) {
            if (now + number * 7) % every_ms != 0 {
                continue;
            }
            let mut taken = slices.take("k", &leasing, 1, now);
            let quota = loop {
                match taken {
                    Taken::Here(quota) => break quota,
                    Taken::Ask(wish) => {
                        asked += 1;
                        let quota = shared.draw(&wish.draw.rule, wish.draw.cost, now);
                        taken = slices.put(&leasing, wish, &quota, now);
                    }
                }
            };
            match quota.admitted {
                true => admitted += 1,
                false => refused += 1,
            }
            for one in slices.collect(now) {
                shared.settle(&one.draw.rule, one.draw.cost, one.at, one.outcome, now);
            }
        }
    }
    (admitted, refused, asked)
}

#[test]
fn a_leased_bucket_gives_its_rate_and_asks_seldom() {
    // 8 times what there is.
    let (admitted, refused, asked) = a_minute(8, 1);
    assert!((61_000..=61_200).contains(&admitted), "{admitted}");
    assert!(asked * 8 < admitted + refused, "{asked} of {}", admitted + refused);
    // Four fifths of what there is.
    let (admitted, refused, asked) = a_minute(8, 10);
    assert_eq!((admitted, refused), (48_000, 0));
    assert!(asked * 8 < admitted, "{asked}");
}

/// Takes one, at once; and how much was drawn for it.
fn take(slices: &Slices, shared: &mut State, leasing: &Leasing, now: Timestamp) -> (Quota, u64) {
    let mut taken = slices.take("k", leasing, 1, now);
    let mut drawn = 0;
    loop {
        match taken {
            Taken::Here(quota) => return (quota, drawn),
            Taken::Ask(wish) => {
                drawn = wish.draw.cost;
                let quota = shared.draw(&wish.draw.rule, drawn, now);
                taken = slices.put(leasing, wish, &quota, now);
            }
        }
    }
}

/// The worst that instances can do: all draw slices at one moment and use them at the last one; then they take whatever
/// they get. When each was used, from that last moment on.
fn hoard(rule: Rule, overshoot: u64, moment: Timestamp) -> Vec<Timestamp> {
    let leasing = Leasing::new(rule, overshoot).expect("it can be leased");
    let length = length_of(&rule);
    let all: Vec<Slices> = (0..80).map(|_| Slices::new(16)).collect();
    let mut shared = State::New;
    // Each learns that it uses much, in a window of its own.
    for (number, slices) in (0..).zip(&all) {
        let now = moment - (100 - number) * 4 * length;
        while take(slices, &mut shared, &leasing, now).1 < leasing.slice() {}
        (1..leasing.slice()).for_each(|_| assert_eq!(take(slices, &mut shared, &leasing, now).1, 0));
    }
    for slices in &all {
        take(slices, &mut shared, &leasing, moment);
    }
    let mut used = Vec::new();
    for now in moment + leasing.slice_ms() - 1..moment + 3 * length {
        for slices in &all {
            while take(slices, &mut shared, &leasing, now).0.admitted {
                used.push(now);
            }
        }
    }
    used
}

#[test]
fn slices_that_are_hoarded_and_used_at_the_last_moment_overshoot_no_more() {
    const LIMIT: u64 = 1_000;
    const OVERSHOOT: u64 = 320;
    let most = (LIMIT + OVERSHOOT) as usize;
    for offset in (0..220).step_by(20) {
        let rule = Rule::SlidingWindow { limit: LIMIT, window_ms: 1_000 };
        let used = hoard(rule, OVERSHOOT, START + offset);
        for (first, when) in used.iter().enumerate() {
            let within = used[first..].iter().take_while(|other| **other < when + 1_000).count();
            assert!(within <= most, "{within} at {offset}");
        }
        assert!(used.len() >= most);
    }
    let used = hoard(Rule::TokenBucket { rate: 1_000, window_ms: 1_000, burst: LIMIT }, OVERSHOOT, START);
    for (first, begins) in used.iter().enumerate() {
        for (last, ends) in used.iter().enumerate().skip(first).step_by(7) {
            let flowed = (ends - begins) as usize;
            assert!(last - first < most + flowed, "{} in {flowed} ms", last - first);
        }
    }
    assert!(used.len() >= most);
    for before in [1, 10, 500, 999] {
        let window = Window::Length(1_000);
        let used = hoard(Rule::FixedWindow { limit: LIMIT, window }, OVERSHOOT, START - before);
        for when in &used {
            let within = used.iter().filter(|other| **other / 1_000 == when / 1_000).count();
            assert!(within <= most, "{within} in a window");
        }
    }
}
