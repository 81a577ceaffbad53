//! Counters that all isolates share: one Durable Object for each limit and whom it counts, in which core's
//! arithmetic runs ([`count`]). What was refused is remembered here for a moment, so that a client that hammers
//! costs no call.

use std::{cell::RefCell, collections::BTreeMap};

use js_sys::Float64Array;
use sha2::{Digest, Sha256};
use tollgate_core::{
    host::{HostError, HostErrorKind, Timestamp},
    window::{Draw, FixedWindow, Quota},
};
use wasm_bindgen::{JsCast, JsValue};

use crate::{body::text, platform::Call, task::Promised};

/// How long a refusal is remembered, at most: what another request hands back is noticed that late.
const REMEMBERED_MS: u64 = 1_000;
/// How many refusals an isolate remembers.
const MAX_REMEMBERED: usize = 4_096;
/// Longer keys are named by their digests: an object's name has its limits.
const MAX_NAME: usize = 512;

thread_local! {
    static REFUSED: RefCell<Refused> = RefCell::default();
}

/// Draws from all counters or, when one refuses, from none.
pub(crate) async fn draw(call: &Call, draws: &[Draw], now: Timestamp) -> Result<Vec<Quota>, HostError> {
    if let Some(quotas) = REFUSED.with_borrow(|refused| refused.recall(draws, now)) {
        return Ok(quotas);
    }
    let drawn = all(draws.iter().map(|draw| ask(call, draw, draw.cost as f64, now)).collect()).await;
    let is_refused = drawn.iter().any(|drawn| drawn.as_ref().map_or(true, |quota| !quota.admitted));
    if !is_refused {
        return drawn.into_iter().collect();
    }
    // One has refused, or can't be reached: the others get back what they gave.
    let given = draws.iter().zip(&drawn).map(|(draw, drawn)| match drawn {
        Ok(quota) if quota.admitted => Some(ask(call, draw, -(draw.cost as f64), now)),
        _ => None,
    });
    let mut settled = Vec::with_capacity(draws.len());
    let given: Vec<Option<Promised>> = given.collect();
    for (given, drawn) in given.into_iter().zip(drawn) {
        let mut quota = drawn?;
        if let Some(given) = given {
            // What can't be handed back is lost until the window ends: too little is admitted, not too much.
            quota.remaining = quota_of(given.await).map_or(quota.remaining, |left| left.remaining);
        }
        settled.push(quota);
    }
    REFUSED.with_borrow_mut(|refused| refused.remember(draws, &settled, now));
    Ok(settled)
}

fn ask(call: &Call, draw: &Draw, cost: f64, now: Timestamp) -> Promised {
    let digest;
    let name = match draw.key.len() {
        0..=MAX_NAME => &draw.key,
        _ => {
            digest = format!("{:x}", Sha256::digest(&draw.key));
            &digest
        }
    };
    let (limit, window_ms) = (draw.limit as f64, draw.window_ms as f64);
    Promised::by(|ticket| call.draw(ticket, name, limit, window_ms, cost, now as f64))
}

/// Waits for all; they are under way already.
async fn all(promised: Vec<Promised>) -> Vec<Result<Quota, HostError>> {
    let mut quotas = Vec::with_capacity(promised.len());
    for one in promised {
        quotas.push(quota_of(one.await));
    }
    quotas
}

fn quota_of(drawn: JsValue) -> Result<Quota, HostError> {
    let unavailable =
        |why: JsValue| HostError::new(HostErrorKind::Unavailable, format!("counter: {}", text(&why)));
    let numbers: Float64Array = drawn.dyn_into().map_err(unavailable)?;
    match numbers.to_vec().as_slice() {
        &[admitted, remaining, reset_ms] => {
            Ok(Quota { admitted: admitted != 0.0, remaining: remaining as u64, reset_ms: reset_ms as u64 })
        }
        _ => Err(unavailable(JsValue::from_str("not an answer"))),
    }
}

/// One draw on a window as it was kept: the window as it is then, and what became of the draw. A negative cost
/// hands back. JavaScript has no other numbers, and these are far from where it loses count.
pub(crate) fn count(begins_at: f64, used: f64, limit: f64, window_ms: f64, cost: f64, now: f64) -> [f64; 5] {
    let mut window = FixedWindow::resume(begins_at as u64, used as u64);
    let mut draw = Draw {
        key: String::new(),
        limit: limit as u64,
        window_ms: window_ms as u64,
        cost: cost.abs() as u64,
    };
    if cost < 0.0 {
        window.give_back(&draw, now as u64);
        draw.cost = 0;
    }
    let quota = window.draw(&draw, now as u64);
    [
        window.begins_at() as f64,
        window.used() as f64,
        f64::from(u8::from(quota.admitted)),
        quota.remaining as f64,
        quota.reset_ms as f64,
    ]
}

/// Refusals of this isolate. In a tree, since whoever is counted may choose its own name: no two of them collide.
#[derive(Default)]
struct Refused(BTreeMap<String, Refusal>);

struct Refusal {
    remaining: u64,
    ends_at: Timestamp,
    forgotten_at: Timestamp,
}

impl Refused {
    /// Of a single draw only: what several would have left has to be asked.
    fn recall(&self, draws: &[Draw], now: Timestamp) -> Option<Vec<Quota>> {
        let [draw] = draws else { return None };
        let refusal = self.0.get(&draw.key)?;
        let holds = now < refusal.forgotten_at && refusal.forgotten_at - now <= REMEMBERED_MS;
        (holds && draw.cost > refusal.remaining).then(|| {
            let reset_ms = refusal.ends_at.saturating_sub(now);
            vec![Quota { admitted: false, remaining: refusal.remaining, reset_ms }]
        })
    }

    fn remember(&mut self, draws: &[Draw], quotas: &[Quota], now: Timestamp) {
        let ([draw], [quota]) = (draws, quotas) else { return };
        if self.0.len() >= MAX_REMEMBERED {
            self.0.retain(|_, refusal| refusal.forgotten_at > now);
        }
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        let refusal = Refusal {
            remaining: quota.remaining,
            ends_at: now.saturating_add(quota.reset_ms),
            forgotten_at: now.saturating_add(quota.reset_ms.min(REMEMBERED_MS)),
        };
        self.0.insert(draw.key.clone(), refusal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(key: &str) -> Draw {
        Draw { key: key.to_owned(), limit: 1, window_ms: 60_000, cost: 1 }
    }

    fn refused(reset_ms: u64) -> [Quota; 1] {
        [Quota { admitted: false, remaining: 0, reset_ms }]
    }

    #[test]
    fn an_objects_draw_is_cores_draw() {
        assert_eq!(count(0.0, 0.0, 2.0, 60_000.0, 1.0, 60_001.0), [60_000.0, 1.0, 1.0, 1.0, 59_999.0]);
        assert_eq!(count(60_000.0, 2.0, 2.0, 60_000.0, 1.0, 60_001.0), [60_000.0, 2.0, 0.0, 0.0, 59_999.0]);
        assert_eq!(count(60_000.0, 2.0, 2.0, 60_000.0, -1.0, 60_001.0), [60_000.0, 1.0, 1.0, 1.0, 59_999.0]);
        assert_eq!(count(60_000.0, 2.0, 2.0, 60_000.0, 1.0, 120_000.0), [120_000.0, 1.0, 1.0, 1.0, 60_000.0]);
    }

    #[test]
    fn no_number_breaks_the_count() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
            count(odd, odd, odd, odd, odd, odd);
        }
    }

    #[test]
    fn a_refusal_is_remembered_for_a_second_and_not_beyond_its_window() {
        let mut memory = Refused::default();
        memory.remember(&[draw("long")], &refused(30_000), 10_000);
        memory.remember(&[draw("short")], &refused(400), 10_000);
        assert_eq!(memory.recall(&[draw("long")], 10_999), Some(refused(29_001).to_vec()));
        assert_eq!(memory.recall(&[draw("long")], 11_000), None);
        assert_eq!(memory.recall(&[draw("short")], 10_399), Some(refused(1).to_vec()));
        assert_eq!(memory.recall(&[draw("short")], 10_400), None);
        // A clock that was set back forgets.
        assert_eq!(memory.recall(&[draw("long")], 9_000), None);
        assert_eq!(memory.recall(&[draw("other")], 10_000), None);
    }

    #[test]
    fn a_smaller_draw_may_still_be_admitted() {
        let mut memory = Refused::default();
        let left = [Quota { admitted: false, remaining: 1, reset_ms: 1_000 }];
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
