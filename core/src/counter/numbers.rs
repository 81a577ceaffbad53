//! Counters as plain numbers, for stores that have nothing else: a Durable Object keeps a state as a list of them, a
//! script in Redis is told a wish by them. All are whole, and less than 2⁵³ where they count.

use super::{
    Concurrency, Draw, FixedWindow, MAX, Outcome, Quota, Rule, Settlement, SlidingWindow, State, TokenBucket,
    Window, sliding_window::KEPT,
};
use crate::host::Timestamp;

/// What a counter is asked: which act, by which rule, with which numbers.
///
/// `[act, kind, cost, now, at, used, a, b, c, d]`. Acts: 0 draws; 1 settles, `used` of what was taken `at`; 2 says that
/// it is still held. Kinds, and their `a, b, c, d`:
/// 1 fixed window: limit, length (0: the months of the calendar), and when the window of `now` begins and ends;
/// 2 sliding window: limit, length; 3 token bucket: rate, length, burst; 4 concurrency: limit, length of a lease, lease.
pub type Asked = [f64; 10];

/// Numbers of an answer that stand before the state: whether it was admitted, remaining, reset, retry, at, and when
/// the state can be forgotten.
pub const ANSWERED: usize = 6;

impl Draw {
    /// This wish as numbers.
    pub fn numbers(&self, now: Timestamp) -> Asked {
        asked(0, self, 0, 0, now)
    }
}

impl Settlement {
    /// This settlement as numbers.
    pub fn numbers(&self, now: Timestamp) -> Asked {
        match self.outcome {
            Outcome::Used(used) => asked(1, &self.draw, self.at, used, now),
            Outcome::Held => asked(2, &self.draw, self.at, 0, now),
        }
    }
}

fn asked(act: u64, draw: &Draw, at: Timestamp, used: u64, now: Timestamp) -> Asked {
    let (kind, [a, b, c, d]) = match draw.rule {
        Rule::FixedWindow { limit, window } => {
            let (begins, ends) = window.bounds(now);
            let length = match window {
                Window::Length(length) => length.max(1),
                Window::Month => 0,
            };
            (1, [limit, length, begins, ends])
        }
        Rule::SlidingWindow { limit, window_ms } => (2, [limit, window_ms, 0, 0]),
        Rule::TokenBucket { rate, window_ms, burst } => (3, [rate, window_ms, burst, 0]),
        Rule::Concurrency { limit, lease_ms, lease } => (4, [limit, lease_ms, lease, 0]),
    };
    [act, kind, draw.cost, now, at, used, a, b, c, d].map(number)
}

/// What takes back a draw that was asked for so, and counted at a moment: as [`Settlement::undo`] does.
pub fn undone(drawn: &Asked, at: Timestamp) -> Asked {
    let [_, kind, cost, now, _, _, a, b, c, d] = *drawn;
    [1.0, kind, cost, now, number(at), 0.0, a, b, c, d]
}

/// What is asked for is carried out on a state as it was kept. The answer's [`ANSWERED`] numbers come back, and then the
/// state as it is now. `None` for numbers that mean nothing.
pub fn carry_out(state: &[f64], asked: &[f64]) -> Option<Vec<f64>> {
    let &[act, kind, cost, now, at, used, a, b, c, _] = asked else { return None };
    let [cost, now, at, used, a, b, c] = [cost, now, at, used, a, b, c].map(whole);
    let rule = match whole(kind) {
        1 => Rule::FixedWindow { limit: a, window: if b == 0 { Window::Month } else { Window::Length(b) } },
        2 => Rule::SlidingWindow { limit: a, window_ms: b },
        3 => Rule::TokenBucket { rate: a, window_ms: b, burst: c },
        4 => Rule::Concurrency { limit: a, lease_ms: b, lease: c },
        _ => return None,
    };
    let mut state = State::from_numbers(state);
    let outcome = match whole(act) {
        0 => None,
        1 => Some(Outcome::Used(used)),
        2 => Some(Outcome::Held),
        _ => return None,
    };
    let quota = match outcome {
        None => state.draw(&rule, cost, now),
        Some(outcome) => {
            state.settle(&rule, cost, at, outcome, now);
            let (remaining, reset_ms) = state.look(&rule, now);
            Quota { admitted: true, remaining, reset_ms, retry_ms: 0, at: now }
        }
    };
    let Quota { admitted, remaining, reset_ms, retry_ms, at } = quota;
    let mut answer: Vec<f64> =
        [u64::from(admitted), remaining, reset_ms, retry_ms, at, state.ends_at(&rule)].map(number).to_vec();
    state.write_numbers(&mut answer);
    Some(answer)
}

impl Quota {
    /// A quota from the numbers of an answer. `None` when they are too few.
    pub fn from_numbers(answer: &[f64]) -> Option<Self> {
        let &[admitted, remaining, reset_ms, retry_ms, at, ..] = answer else { return None };
        let [remaining, reset_ms, retry_ms, at] = [remaining, reset_ms, retry_ms, at].map(whole);
        Some(Self { admitted: admitted != 0.0, remaining, reset_ms, retry_ms, at })
    }
}

impl State {
    /// A state that was kept as numbers. What means nothing is a new one.
    pub fn from_numbers(numbers: &[f64]) -> Self {
        let Some((kind, numbers)) = numbers.split_first() else { return Self::New };
        match (whole(*kind), numbers) {
            (1, &[begins_at, ends_at, used]) => {
                let [begins_at, ends_at, used] = [begins_at, ends_at, used].map(whole);
                Self::FixedWindow(FixedWindow { begins_at, ends_at, used })
            }
            (2, &[latest, part_ms, ref taken @ ..]) if taken.len() == KEPT => {
                let mut state =
                    SlidingWindow { latest: whole(latest), part_ms: whole(part_ms), taken: [0; KEPT] };
                state.taken.iter_mut().zip(taken).for_each(|(to, from)| *to = whole(*from));
                Self::SlidingWindow(state.into())
            }
            (3, &[missing, at]) => Self::TokenBucket(TokenBucket { missing: whole(missing), at: whole(at) }),
            (4, leases) => {
                let leases = leases.chunks_exact(2).filter_map(|pair| match *pair {
                    [expiry, lease] => Some((whole(expiry), whole(lease))),
                    _ => None,
                });
                Self::Concurrency(Concurrency { leases: leases.collect() })
            }
            _ => Self::New,
        }
    }

    /// Writes this state as numbers.
    pub fn write_numbers(&self, numbers: &mut Vec<f64>) {
        match self {
            Self::New => {}
            Self::FixedWindow(FixedWindow { begins_at, ends_at, used }) => {
                numbers.extend([1, *begins_at, *ends_at, *used].map(number));
            }
            Self::SlidingWindow(state) => {
                numbers.extend([2, state.latest, state.part_ms].map(number));
                numbers.extend(state.taken.map(number));
            }
            Self::TokenBucket(TokenBucket { missing, at }) => {
                numbers.extend([3, *missing, *at].map(number));
            }
            Self::Concurrency(Concurrency { leases }) => {
                numbers.push(4.0);
                numbers.extend(leases.iter().flat_map(|(expiry, lease)| [number(*expiry), number(*lease)]));
            }
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "what counts is exact")]
fn number(whole: u64) -> f64 {
    whole as f64
}

/// No number breaks the count: what is none is 0, and what is too large is as large as can be.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole(number: f64) -> u64 {
    (number as u64).min(MAX)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn draw(rule: Rule, cost: u64) -> Draw {
        Draw { key: String::new(), rule, cost }
    }

    const RULES: [Rule; 5] = [
        Rule::FixedWindow { limit: 3, window: Window::Length(60_000) },
        Rule::FixedWindow { limit: 3, window: Window::Month },
        Rule::SlidingWindow { limit: 3, window_ms: 1_000 },
        Rule::TokenBucket { rate: 10, window_ms: 1_000, burst: 3 },
        Rule::Concurrency { limit: 3, lease_ms: 500, lease: 7 },
    ];

    #[wasm_bindgen_test(unsupported = test)]
    fn numbers_count_as_core_does() {
        for rule in RULES {
            let (mut state, mut kept) = (State::New, Vec::new());
            for step in 0..20_u64 {
                let now = 1_900_000_000_000 + step * 130;
                let rule = match rule {
                    Rule::Concurrency { limit, lease_ms, .. } => {
                        Rule::Concurrency { limit, lease_ms, lease: step }
                    }
                    other => other,
                };
                let draw = draw(rule, 1 + step % 2);
                let quota = state.draw(&draw.rule, draw.cost, now);
                let answer = carry_out(&kept, &draw.numbers(now)).unwrap();
                assert_eq!(Quota::from_numbers(&answer), Some(quota));
                assert_eq!(answer[5], state.ends_at(&rule) as f64);
                kept = answer[ANSWERED..].to_vec();
                assert_eq!(State::from_numbers(&kept), state);
                if step % 3 == 0 {
                    let settlement = Settlement {
                        draw: draw.clone(),
                        at: quota.at,
                        outcome: Outcome::Used(step % 2),
                        is_local: false,
                    };
                    state.settle(&draw.rule, draw.cost, quota.at, settlement.outcome, now + 5);
                    let answer = carry_out(&kept, &settlement.numbers(now + 5)).unwrap();
                    kept = answer[ANSWERED..].to_vec();
                    assert_eq!(State::from_numbers(&kept), state);
                }
            }
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_number_breaks_the_count() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300, 0.0, 9.0] {
            for act in [0.0, 1.0, 2.0] {
                for kind in 0..6 {
                    let mut asked = [odd; 10];
                    (asked[0], asked[1]) = (act, f64::from(kind));
                    for length in 0..20 {
                        let mut state = vec![odd; length];
                        if let Some(first) = state.first_mut() {
                            *first = f64::from(kind);
                        }
                        let _ = carry_out(&state, &asked);
                    }
                }
            }
        }
        assert_eq!(carry_out(&[], &[0.0; 9]), None);
    }
}
