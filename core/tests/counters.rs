//! The arithmetic of limits, held to what each algorithm says it admits at most: by made-up traces of several callers
//! whose clocks are late, who draw, settle and undo; and the counters of this process, by threads.
#![cfg(not(target_family = "wasm"))]

use std::thread;

use proptest::{prelude::*, sample::Index};
use tollgate_core::{
    counter::{
        Draw, LATE_MS, MAX, Outcome, Quota, Rule, Settlement, State, Window,
        memory::Counters,
        numbers::{ANSWERED, carry_out},
    },
    host::Timestamp,
};

const START: Timestamp = 1_900_000_000_000;
const DAY_MS: u64 = 86_400_000;

/// What one of the callers does, some time after the one before.
#[derive(Debug, Clone)]
enum Step {
    Draw {
        cost: u64,
    },
    /// What was drawn is settled: so many eighths of it were used.
    Settle {
        which: Index,
        eighths: u64,
    },
    /// It is drawn and taken back at once.
    Undone {
        cost: u64,
    },
}

/// A step, how long after the one before in parts of a window, and how late the caller's clock is.
type Timed = (Step, u64, u64);

/// A window is as long as so many of the waits between steps.
const WAITS: u64 = 64;

fn steps(most: u64) -> impl Strategy<Value = Vec<Timed>> {
    let step = prop_oneof![
        6 => (0..=most).prop_map(|cost| Step::Draw { cost }),
        2 => (any::<Index>(), 0u64..=12).prop_map(|(which, eighths)| Step::Settle { which, eighths }),
        1 => (0..=most).prop_map(|cost| Step::Undone { cost }),
    ];
    let wait = prop_oneof![4 => Just(0), 8 => 0u64..12, 1 => 0..3 * WAITS];
    let late = prop_oneof![4 => Just(0), 1 => 0u64..20, 2 => 0..=LATE_MS, 1 => Just(LATE_MS)];
    prop::collection::vec((step, wait, late), 1..80)
}

fn windows() -> impl Strategy<Value = u64> {
    prop_oneof![1u64..30, 30u64..5_000, 5_000u64..120_000, Just(3_600_000)]
}

fn fixed() -> impl Strategy<Value = Rule> {
    let window = prop_oneof![4 => windows().prop_map(Window::Length), 1 => Just(Window::Month)];
    (0u64..20, window).prop_map(|(limit, window)| Rule::FixedWindow { limit, window })
}

fn sliding() -> impl Strategy<Value = Rule> {
    (0u64..20, windows()).prop_map(|(limit, window_ms)| Rule::SlidingWindow { limit, window_ms })
}

fn bucket() -> impl Strategy<Value = Rule> {
    (1u64..200, windows(), 1u64..20).prop_map(|(rate, window_ms, burst)| Rule::TokenBucket {
        rate,
        window_ms,
        burst,
    })
}

fn any_window() -> impl Strategy<Value = Rule> {
    prop_oneof![fixed(), sliding(), bucket()]
}

fn length_of(rule: &Rule) -> u64 {
    match *rule {
        Rule::FixedWindow { window, .. } => window.least_ms(),
        Rule::SlidingWindow { window_ms, .. } | Rule::TokenBucket { window_ms, .. } => window_ms,
        Rule::Concurrency { lease_ms, .. } => lease_ms,
    }
}

/// What was admitted.
#[derive(Debug, Clone, Copy)]
struct Taken {
    at: Timestamp,
    /// As drawn.
    cost: u64,
    /// What is not handed back.
    kept: u64,
    /// Used beyond what was drawn, as was told later on.
    beyond: u64,
    settled: bool,
}

/// What is known of a counter from outside.
#[derive(Debug, Default)]
struct Ledger {
    taken: Vec<Taken>,
    /// What was used beyond what was drawn, and when the counter learned of it.
    told: Vec<(Timestamp, u64)>,
}

/// Plays steps on a state. `look` sees each draw after it was made, and the ledger.
fn play(
    rule: &Rule,
    state: &mut State,
    steps: &[Timed],
    mut look: impl FnMut(&State, &Ledger, u64, Quota) -> Result<(), TestCaseError>,
) -> Result<Timestamp, TestCaseError> {
    let mut ledger = Ledger::default();
    let mut time = START;
    // The latest moment that the state has seen.
    let mut seen = 0;
    for (step, wait, late) in steps {
        time += wait * length_of(rule).div_ceil(WAITS);
        let now = time - late;
        match step {
            Step::Draw { cost } => {
                let quota = state.draw(rule, *cost, now);
                seen = seen.max(now);
                if quota.admitted {
                    let taken = Taken { at: quota.at, cost: *cost, kept: *cost, beyond: 0, settled: false };
                    ledger.taken.push(taken);
                }
                look(state, &ledger, *cost, quota)?;
            }
            Step::Settle { which, eighths } => {
                let open: Vec<usize> =
                    (0..ledger.taken.len()).filter(|at| !ledger.taken[*at].settled).collect();
                if open.is_empty() {
                    continue;
                }
                let taken = &mut ledger.taken[open[which.index(open.len())]];
                let used = taken.cost * eighths / 8;
                // Whoever settles may have read the clock when the request came: hours ago.
                let now = if *late == LATE_MS { now - DAY_MS } else { now };
                state.settle(rule, taken.cost, taken.at, Outcome::Used(used), now);
                taken.settled = true;
                taken.kept = used.min(taken.cost);
                taken.beyond = used.saturating_sub(taken.cost);
                // To hand back, a fixed window need not move.
                if taken.beyond > 0 || !matches!(rule, Rule::FixedWindow { .. }) {
                    seen = seen.max(now);
                }
                if taken.beyond > 0 {
                    ledger.told.push((seen, taken.beyond));
                }
            }
            Step::Undone { cost } => {
                let quota = state.draw(rule, *cost, now);
                seen = seen.max(now);
                if quota.admitted {
                    state.settle(rule, *cost, quota.at, Outcome::Used(0), now);
                }
            }
        }
    }
    Ok(time)
}

proptest! {
    #[test]
    fn hostile_traces_leave_no_window_with_more_than_its_limit(rule in fixed(), steps in steps(8)) {
        let Rule::FixedWindow { limit, window } = rule else { unreachable!() };
        play(&rule, &mut State::New, &steps, |_, ledger, cost, quota| {
            let (begins, ends) = window.bounds(quota.at);
            let kept: u64 = ledger.taken.iter().filter(|one| window.bounds(one.at).0 == begins).map(|one| one.kept).sum();
            let told: u64 = ledger.told.iter().filter(|(at, _)| window.bounds(*at).0 == begins).map(|(_, more)| more).sum();
            // Exact both ways.
            match quota.admitted {
                true => prop_assert!(kept + told <= limit),
                false => prop_assert!(kept + told + cost > limit),
            }
            prop_assert_eq!(quota.remaining, limit.saturating_sub(kept + told));
            prop_assert_eq!(quota.at + quota.reset_ms, ends);
            Ok(())
        })?;
    }

    #[test]
    fn hostile_traces_leave_no_stretch_of_a_sliding_window_with_more_than_its_limit(rule in sliding(), steps in steps(8)) {
        let Rule::SlidingWindow { limit, window_ms } = rule else { unreachable!() };
        play(&rule, &mut State::New, &steps, |_, ledger, cost, quota| {
            let within = |after: u64, until: u64| -> u64 {
                let kept = ledger.taken.iter().filter(|one| one.at > after && one.at <= until).map(|one| one.kept);
                kept.sum()
            };
            if quota.admitted {
                // Every stretch that ends at an admission and that this draw is in.
                for end in ledger.taken.iter().map(|one| one.at).filter(|end| *end >= quota.at) {
                    prop_assert!(within(end - window_ms, end) <= limit);
                }
            } else {
                // Not needlessly strict: what counts was taken in one window and a tenth.
                let since = quota.at - window_ms - window_ms.div_ceil(10);
                let told: u64 = ledger.told.iter().filter(|(at, _)| *at > since).map(|(_, more)| more).sum();
                prop_assert!(within(since, u64::MAX) + told + cost > limit);
            }
            Ok(())
        })?;
    }

    #[test]
    fn hostile_traces_get_no_more_from_a_bucket_than_burst_and_rate_give(rule in bucket(), steps in steps(8)) {
        let Rule::TokenBucket { rate, window_ms, burst } = rule else { unreachable!() };
        let exact = !steps.iter().any(|(step, ..)| matches!(step, Step::Settle { .. }));
        play(&rule, &mut State::New, &steps, |_, ledger, cost, quota| {
            let mut sum = 0;
            let mut would_overflow = cost > burst;
            for one in ledger.taken.iter().rev() {
                prop_assert!(one.at <= quota.at, "moments of a bucket never go back");
                sum += u128::from(one.kept) * u128::from(window_ms);
                let flowed = u128::from(rate) * u128::from(quota.at - one.at);
                let most = u128::from(burst) * u128::from(window_ms) + flowed;
                if quota.admitted {
                    prop_assert!(sum <= most);
                }
                would_overflow |= sum + u128::from(cost) * u128::from(window_ms) > most;
            }
            if !quota.admitted && exact {
                prop_assert!(would_overflow, "refused what the bucket held");
            }
            Ok(())
        })?;
    }

    #[test]
    fn hostile_traces_never_leave_more_leases_than_the_limit(
        limit in 0u64..6, lease_ms in 1u64..20_000, steps in steps(1),
    ) {
        let mut state = State::New;
        let mut time = START;
        let mut held: Vec<(u64, Timestamp)> = Vec::new();
        for (lease, (step, wait, late)) in steps.into_iter().enumerate() {
            time += wait * lease_ms.div_ceil(WAITS);
            let (lease, now) = (lease as u64, time - late);
            let rule = |lease| Rule::Concurrency { limit, lease_ms, lease };
            match step {
                Step::Draw { .. } => {
                    let quota = state.draw(&rule(lease), 1, now);
                    if quota.admitted {
                        held.push((lease, quota.at + lease_ms));
                    } else if limit > 0 {
                        prop_assert!((1..=1_000).contains(&quota.retry_ms));
                    }
                }
                Step::Settle { which, eighths } if !held.is_empty() => {
                    let which = which.index(held.len());
                    let (lease, expires) = held[which];
                    // Whoever goes on after the lease has expired is one too many, as is said.
                    if eighths > 6 && expires > time {
                        state.settle(&rule(lease), 1, 0, Outcome::Held, now);
                        held[which].1 = now + lease_ms;
                    } else {
                        state.settle(&rule(lease), 1, 0, Outcome::Used(1), now);
                        held.swap_remove(which);
                    }
                }
                Step::Settle { .. } => {}
                Step::Undone { .. } => {
                    let quota = state.draw(&rule(lease), 1, now);
                    if quota.admitted {
                        state.settle(&rule(lease), 1, quota.at, Outcome::Used(0), now);
                    }
                }
            }
            let holding = held.iter().filter(|(_, expires)| *expires > time).count() as u64;
            prop_assert!(holding <= limit);
            prop_assert_eq!(state.remaining(&rule(0), time), limit - holding);
        }
    }

    #[test]
    fn who_comes_when_told_is_admitted_and_not_a_millisecond_earlier(rule in any_window(), steps in steps(8)) {
        play(&rule, &mut State::New, &steps, |state, _, cost, quota| {
            if quota.admitted {
                prop_assert_eq!(quota.retry_ms, 0);
            } else if cost > rule.capacity() {
                prop_assert_eq!(quota.retry_ms, MAX);
            } else {
                let again = |wait| state.clone().draw(&rule, cost, quota.at + wait).admitted;
                prop_assert!(again(quota.retry_ms));
                prop_assert!(!again(quota.retry_ms - 1));
            }
            Ok(())
        })?;
    }

    #[test]
    fn all_is_there_when_told_and_not_a_millisecond_earlier(rule in any_window(), steps in steps(8)) {
        play(&rule, &mut State::New, &steps, |state, _, _, quota| {
            let left = |wait| state.remaining(&rule, quota.at + wait);
            prop_assert_eq!(left(quota.reset_ms), rule.capacity());
            // Of fixed windows the end is said even where nothing was taken.
            let taken = quota.remaining < rule.capacity() || !matches!(rule, Rule::FixedWindow { .. });
            if taken && rule.capacity() > 0 && quota.reset_ms > 0 {
                prop_assert!(left(quota.reset_ms - 1) < rule.capacity());
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_is_refused_or_undone_leaves_no_trace(
        rule in any_window(), steps in steps(8), extra in prop::collection::vec((0u64..30, 0u64..8), 80),
    ) {
        let (mut state, mut calm) = (State::New, State::New);
        let mut time = START;
        for ((step, wait, _), (cost, after)) in steps.into_iter().zip(extra) {
            let Step::Draw { cost: wanted } = step else {
                let quota = state.draw(&rule, cost, time);
                if quota.admitted {
                    state.settle(&rule, cost, quota.at, Outcome::Used(0), time);
                }
                time += after;
                continue;
            };
            time += wait * length_of(&rule).div_ceil(WAITS);
            prop_assert!(!state.draw(&rule, rule.capacity() + 1 + cost, time).admitted);
            time += after;
            prop_assert_eq!(state.draw(&rule, wanted, time), calm.draw(&rule, wanted, time));
        }
    }

    #[test]
    fn what_was_forgotten_when_it_may_be_decides_as_if_it_was_kept(
        rule in any_window(), before in steps(8), after in prop::collection::vec((0u64..8, 0u64..200, 0..=LATE_MS), 1..20),
    ) {
        let mut kept = State::New;
        let time = play(&rule, &mut kept, &before, |_, _, _, _| Ok(()))?;
        let mut forgotten = State::New;
        let mut time = time.max(kept.ends_at(&rule));
        for (cost, wait, late) in after {
            time += wait;
            // Even by those whose clocks are late.
            let now = time - late;
            prop_assert_eq!(kept.draw(&rule, cost, now), forgotten.draw(&rule, cost, now));
        }
    }

    #[test]
    fn a_refused_request_costs_none_of_its_limits(
        rules in prop::collection::vec(any_window(), 3),
        requests in prop::collection::vec((prop::collection::vec((0usize..3, 0u64..5), 1..5), 0u64..2_000), 1..30),
    ) {
        // As if somebody knew beforehand which requests are refused, and did not make them.
        let (counters, calm) = (Counters::default(), Counters::default());
        let mut now = START;
        for (request, wait) in requests {
            now += wait;
            let draws: Vec<Draw> = request
                .iter()
                .map(|(which, cost)| Draw { key: format!("k{which}"), rule: rules[*which], cost: *cost })
                .collect();
            let quotas = counters.draw(&draws, now);
            if quotas.iter().all(|quota| quota.admitted) {
                prop_assert_eq!(calm.draw(&draws, now), quotas.clone());
            }
            for (draw, quota) in draws.iter().zip(&quotas) {
                let nothing = Draw { cost: 0, ..draw.clone() };
                let look = calm.draw(std::slice::from_ref(&nothing), now)[0];
                prop_assert_eq!((quota.remaining, quota.reset_ms), (look.remaining, look.reset_ms));
            }
        }
    }
}

/// Numbers without a pattern (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % end
    }
}

#[test]
fn who_draws_as_often_as_told_gets_exactly_the_rate() {
    for (rate, window_ms, burst) in
        [(10, 1_000, 1), (7, 1_000, 1), (700, 1_000, 2), (3, 1_000, 9), (5_000, 1_000, 6)]
    {
        let rule = Rule::TokenBucket { rate, window_ms, burst };
        let mut state = State::New;
        let (mut now, mut admitted) = (START, 0);
        let windows = 1_000;
        while now < START + windows * window_ms {
            let quota = state.draw(&rule, 1, now);
            admitted += u64::from(quota.admitted);
            now += quota.retry_ms;
        }
        // What has flowed in within the last millisecond may be left. With room for one token only, so may in each
        // wait the part of a millisecond by which it is rounded up.
        let most = burst + rate * windows;
        let least = match burst {
            1 => windows * window_ms / window_ms.div_ceil(rate),
            _ => most - rate.div_ceil(window_ms) - 1,
        };
        assert!((least..=most).contains(&admitted), "{rule:?}: {admitted} of {least}..={most}");
    }
}

#[test]
fn numbers_agree_with_states_for_a_hundred_thousand_steps() {
    let rules = [
        Rule::FixedWindow { limit: 1 << 40, window: Window::Length(1) },
        Rule::FixedWindow { limit: 30, window: Window::Length(60_000) },
        Rule::FixedWindow { limit: 1 << 20, window: Window::Month },
        Rule::SlidingWindow { limit: 1 << 40, window_ms: 1 },
        Rule::SlidingWindow { limit: 30, window_ms: 9_999 },
        Rule::TokenBucket { rate: 1, window_ms: 1, burst: 1 << 52 },
        Rule::TokenBucket { rate: 1 << 40, window_ms: 1 << 20, burst: 1 << 32 },
        Rule::TokenBucket { rate: 30, window_ms: 7_001, burst: 20 },
        Rule::Concurrency { limit: 9, lease_ms: 5_000, lease: 0 },
    ];
    let mut dice = Dice(0x7011_6A7E);
    for rule in rules {
        let (mut state, mut kept) = (State::New, Vec::new());
        let mut time = START;
        let mut open: Vec<(Draw, Timestamp)> = Vec::new();
        let (mut admitted, mut refused) = (0, 0);
        for step in 0..100_000 / rules.len() as u64 + 1 {
            time += [0, 0, 1, 40, 700, 5_000, DAY_MS][dice.below(7) as usize];
            let now = time - [0, 0, 0, 5, 10_000, 3_600_000][dice.below(6) as usize];
            let rule = match rule {
                Rule::Concurrency { limit, lease_ms, .. } => {
                    Rule::Concurrency { limit, lease_ms, lease: MAX - 1 - step }
                }
                other => other,
            };
            let costs = [0, 1, 3, 1 + rule.capacity() / 3, rule.capacity(), rule.capacity() + 1, 1 << 50];
            let cost = costs[dice.below(7) as usize];
            let answer = match open.is_empty() || dice.below(3) > 0 {
                true => {
                    let draw = Draw { key: String::new(), rule, cost };
                    let answer = carry_out(&kept, &draw.numbers(now)).expect("an answer");
                    let quota = state.draw(&rule, cost, now);
                    assert_eq!(Quota::from_numbers(&answer), Some(quota));
                    if quota.admitted {
                        admitted += 1;
                        open.push((draw, quota.at));
                    } else {
                        refused += 1;
                    }
                    answer
                }
                false => {
                    let (draw, at) = open.swap_remove(dice.below(open.len() as u64) as usize);
                    let outcome = match dice.below(4) {
                        0 => Outcome::Held,
                        1 => Outcome::Used(draw.cost / 2),
                        2 => Outcome::Used(draw.cost.saturating_add(cost).min(MAX)),
                        _ => Outcome::Used(0),
                    };
                    state.settle(&draw.rule, draw.cost, at, outcome, now);
                    let settlement = Settlement { draw, at, outcome, is_local: false };
                    carry_out(&kept, &settlement.numbers(now)).expect("an answer")
                }
            };
            assert!(
                answer.iter().all(|number| number.fract() == 0.0 && (0.0..=MAX as f64).contains(number)),
                "{answer:?}"
            );
            kept = answer[ANSWERED..].to_vec();
            assert_eq!(State::from_numbers(&kept), state);
            assert_eq!(answer[5], state.ends_at(&rule) as f64);
        }
        assert!(admitted > 5 && refused > 5, "{rule:?}: {admitted} and {refused}");
    }
}

fn draw(key: &str, limit: u64) -> Draw {
    let rule = Rule::FixedWindow { limit, window: Window::Length(60_000) };
    Draw { key: key.to_owned(), rule, cost: 1 }
}

#[test]
fn exactly_the_limit_is_admitted_among_threads() {
    let counters = Counters::default();
    let total: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..1_000).filter(|_| counters.draw(&[draw("k", 3_210)], 5)[0].admitted).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(total, 3_210);
}

#[test]
fn threads_that_draw_from_several_counters_neither_over_admit_nor_lock_up() {
    let counters = Counters::default();
    let total: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let mut draws = [draw("a", 700), draw("b", 500), draw("c", 600)];
                draws.rotate_left(thread % 3);
                let counters = &counters;
                scope.spawn(move || {
                    (0..500).filter(|_| counters.draw(&draws, 5).iter().all(|quota| quota.admitted)).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(total, 500);
    // Not one of the refused has left a trace.
    assert_eq!(counters.draw(&[draw("a", 700)], 5)[0].remaining, 199);
}

#[test]
fn what_was_forgotten_does_not_come_back_for_those_whose_clocks_are_late() {
    let counters = Counters::default();
    assert!(counters.draw(&[draw("k", 1)], START)[0].admitted);
    let window_ends = START + 60_000 - START % 60_000;
    // Enough others that what has ended is looked for.
    for n in 0..100_000 {
        counters.draw(&[draw(&format!("k{}", n % 1_000), u64::MAX)], window_ends);
    }
    assert!(!counters.draw(&[draw("k", 1)], window_ends - 1)[0].admitted);
}
