//! Counters that all isolates share: one Durable Object for each limit and whom it counts, in which core's
//! arithmetic runs. What was refused is remembered here for a moment, so that a client that hammers
//! costs no call.

use std::{cell::RefCell, collections::BTreeMap, sync::LazyLock};

use js_sys::Float64Array;
use sha2::{Digest, Sha256};
use tollgate_core::{
    counter::{Draw, Quota, Rule, Settlement, memory::Counters, slices::Slices},
    host::{HostError, HostErrorKind, Timestamp},
};
use wasm_bindgen::{JsCast, JsValue};

use crate::{body::text, platform::Call, random, task::Promised};

/// How long a counter may take to answer.
const PATIENCE_MS: f64 = 3_000.0;
/// How long a refusal is remembered, at most: what another request hands back is noticed that late.
const REMEMBERED_MS: u64 = 1_000;
/// How many refusals an isolate remembers.
const MAX_REMEMBERED: usize = 4_096;
/// Longer keys are named by their digests: an object's name has its limits.
const MAX_NAME: usize = 512;
/// Counters that an isolate keeps for itself, for when the others can't be reached.
const MAX_LOCAL: usize = 16_384;
/// Limits of which it holds slices at the same time, each for whom it counts.
const MAX_SLICES: usize = 4_096;

thread_local! {
    static REFUSED: RefCell<Refused> = RefCell::default();
}

/// Draws from all counters or, when one refuses, from none.
pub(crate) async fn draw(call: &Call, draws: &[Draw], now: Timestamp) -> Result<Vec<Quota>, HostError> {
    if let Some(quotas) = REFUSED.with_borrow(|refused| refused.recall(draws, now)) {
        return Ok(quotas);
    }
    let drawn = all(draws.iter().map(|draw| ask(call, &draw.key, &draw.numbers(now))).collect()).await;
    let is_refused = drawn.iter().any(|drawn| drawn.as_ref().map_or(true, |quota| !quota.admitted));
    if !is_refused {
        return drawn.into_iter().collect();
    }
    // One has refused, or can't be reached: the others get back what they gave. That arrives whatever becomes of the
    // request.
    let given: Vec<Option<Promised>> =
        draws.iter().zip(&drawn).map(|(draw, drawn)| hand_back(call, draw, drawn, now)).collect();
    let drawn = drawn.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut settled = Vec::with_capacity(draws.len());
    for (given, mut quota) in given.into_iter().zip(drawn) {
        if let Some(given) = given {
            // What can't be handed back is lost until its time has passed: too little is admitted, not too much.
            if let Ok(left) = quota_of(given.await) {
                (quota.remaining, quota.reset_ms) = (left.remaining, left.reset_ms);
            }
        }
        settled.push(quota);
    }
    REFUSED.with_borrow_mut(|refused| refused.remember(draws, &settled, now));
    Ok(settled)
}

/// Hands back what was drawn, if it was. Of what is not known, core knows what is to be done.
fn hand_back(call: &Call, draw: &Draw, drawn: &Result<Quota, HostError>, now: Timestamp) -> Option<Promised> {
    let quota = drawn.as_ref().ok().filter(|quota| quota.admitted)?;
    Some(ask(call, &draw.key, &Settlement::undo(draw.clone(), quota).numbers(now)))
}

/// Puts right what was drawn.
pub(crate) async fn settle(call: &Call, settlements: &[Settlement], now: Timestamp) -> Result<(), HostError> {
    let asked = settlements.iter().map(|one| ask(call, &one.draw.key, &one.numbers(now))).collect();
    all(asked).await.into_iter().try_for_each(|settled| settled.map(|_| ()))
}

/// Counters of this isolate alone. Made by a request, for nobody else has randomness here.
pub(crate) fn local() -> &'static Counters {
    static LOCAL: LazyLock<Counters> = LazyLock::new(|| Counters::seeded(MAX_LOCAL, random::next()));
    &LOCAL
}

/// Slices of shared limits that this isolate holds.
pub(crate) fn slices() -> &'static Slices {
    static SLICES: LazyLock<Slices> = LazyLock::new(|| Slices::seeded(MAX_SLICES, random::next()));
    &SLICES
}

fn ask(call: &Call, key: &str, asked: &[f64]) -> Promised {
    let digest;
    let name = match key.len() {
        0..=MAX_NAME => key,
        _ => {
            digest = format!("{:x}", Sha256::digest(key));
            &digest
        }
    };
    Promised::by(|ticket| call.count(ticket, name, asked, PATIENCE_MS))
}

/// Waits for all; they are under way already.
async fn all(promised: Vec<Promised>) -> Vec<Result<Quota, HostError>> {
    let mut quotas = Vec::with_capacity(promised.len());
    for one in promised {
        quotas.push(quota_of(one.await));
    }
    quotas
}

fn quota_of(answered: JsValue) -> Result<Quota, HostError> {
    let unavailable =
        |why: JsValue| HostError::new(HostErrorKind::Unavailable, format!("counter: {}", text(&why)));
    let numbers: Float64Array = answered.dyn_into().map_err(unavailable)?;
    Quota::from_numbers(&numbers.to_vec()).ok_or_else(|| unavailable(JsValue::from_str("not an answer")))
}

/// Refusals of this isolate. In a tree, since whoever is counted may choose its own name: no two of them collide.
#[derive(Default)]
struct Refused(BTreeMap<String, Refusal>);

struct Refusal {
    remaining: u64,
    reset_at: Timestamp,
    retry_at: Timestamp,
    forgotten_at: Timestamp,
}

impl Refused {
    /// Of a single draw only: what several would have left has to be asked.
    fn recall(&self, draws: &[Draw], now: Timestamp) -> Option<Vec<Quota>> {
        let [draw] = draws else { return None };
        let refusal = self.0.get(&draw.key)?;
        let holds = now < refusal.forgotten_at && refusal.forgotten_at - now <= REMEMBERED_MS;
        (holds && draw.cost > refusal.remaining).then(|| {
            let [reset_ms, retry_ms] =
                [refusal.reset_at, refusal.retry_at].map(|moment| moment.saturating_sub(now));
            vec![Quota { admitted: false, remaining: refusal.remaining, reset_ms, retry_ms, at: now }]
        })
    }

    fn remember(&mut self, draws: &[Draw], quotas: &[Quota], now: Timestamp) {
        let ([draw], [quota]) = (draws, quotas) else { return };
        // Leases are handed back at any moment.
        if matches!(draw.rule, Rule::Concurrency { .. }) {
            return;
        }
        if self.0.len() >= MAX_REMEMBERED {
            self.0.retain(|_, refusal| refusal.forgotten_at > now);
        }
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        let refusal = Refusal {
            remaining: quota.remaining,
            reset_at: now.saturating_add(quota.reset_ms),
            retry_at: now.saturating_add(quota.retry_ms),
            forgotten_at: now.saturating_add(quota.retry_ms.min(REMEMBERED_MS)),
        };
        self.0.insert(draw.key.clone(), refusal);
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::counter::Window;

    use super::*;

    fn draw(key: &str) -> Draw {
        let rule = Rule::FixedWindow { limit: 1, window: Window::Length(60_000) };
        Draw { key: key.to_owned(), rule, cost: 1 }
    }

    fn refused(reset_ms: u64) -> [Quota; 1] {
        [Quota { admitted: false, remaining: 0, reset_ms, retry_ms: reset_ms, at: 0 }]
    }

    #[test]
    fn a_refusal_is_remembered_for_a_second_and_not_beyond_its_window() {
        let mut memory = Refused::default();
        memory.remember(&[draw("long")], &refused(30_000), 10_000);
        memory.remember(&[draw("short")], &refused(400), 10_000);
        assert_eq!(
            memory.recall(&[draw("long")], 10_999),
            Some(vec![Quota { at: 10_999, ..refused(29_001)[0] }])
        );
        assert_eq!(memory.recall(&[draw("long")], 11_000), None);
        assert_eq!(
            memory.recall(&[draw("short")], 10_399),
            Some(vec![Quota { at: 10_399, ..refused(1)[0] }])
        );
        assert_eq!(memory.recall(&[draw("short")], 10_400), None);
        // A clock that was set back forgets.
        assert_eq!(memory.recall(&[draw("long")], 9_000), None);
        assert_eq!(memory.recall(&[draw("other")], 10_000), None);
    }

    #[test]
    fn a_smaller_draw_may_still_be_admitted() {
        let mut memory = Refused::default();
        let left = [Quota { remaining: 1, ..refused(1_000)[0] }];
        memory.remember(&[Draw { cost: 2, ..draw("k") }], &left, 0);
        assert!(memory.recall(&[Draw { cost: 2, ..draw("k") }], 1).is_some());
        assert!(memory.recall(&[draw("k")], 1).is_none());
    }

    #[test]
    fn made_up_keys_do_not_grow_the_memory() {
        let mut memory = Refused::default();
        for n in 0..3 * MAX_REMEMBERED {
            memory.remember(&[draw(&n.to_string())], &refused(1_000), 0);
            assert!(memory.0.len() <= MAX_REMEMBERED);
        }
    }
}
