//! Counters in a map, by core's arithmetic. Windows that have ended are forgotten when there are many.

use std::collections::HashMap;

use tollgate_core::{
    host::Timestamp,
    window::{Draw, FixedWindow, Quota},
};

/// So many are kept whatever became of them.
const FEW: usize = 16_384;

/// The counters of a platform.
#[derive(Debug, Default)]
pub(super) struct Counters {
    counters: HashMap<String, Counter>,
    /// How many there may be before the next look at which have ended.
    most: usize,
}

#[derive(Debug, Default)]
struct Counter {
    window: FixedWindow,
    length_ms: u64,
}

impl Counters {
    /// Takes from all of them or, when one refuses, from none.
    pub(super) fn draw(&mut self, draws: &[Draw], now: Timestamp) -> Vec<Quota> {
        self.forget(now);
        let quotas: Vec<Quota> = draws.iter().map(|draw| self.counter(draw).draw(draw, now)).collect();
        if quotas.iter().all(|quota| quota.admitted) {
            return quotas;
        }
        // One has refused, so the others get back what they gave.
        let settle = |(draw, quota): (&Draw, Quota)| {
            if !quota.admitted {
                return quota;
            }
            self.counter(draw).give_back(draw, now);
            Quota { remaining: quota.remaining + draw.cost, ..quota }
        };
        draws.iter().zip(quotas).map(settle).collect()
    }

    fn counter(&mut self, draw: &Draw) -> &mut FixedWindow {
        let counter = self.counters.entry(draw.key.clone()).or_default();
        counter.length_ms = draw.window_ms;
        &mut counter.window
    }

    /// Seldom enough to cost nothing for each draw.
    fn forget(&mut self, now: Timestamp) {
        if self.counters.len() < self.most.max(FEW) {
            return;
        }
        self.counters.retain(|_, counter| counter.window.ends_at(counter.length_ms) > now);
        self.most = self.counters.len() * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_windows_that_have_ended_are_forgotten() {
        let mut counters = Counters::default();
        let mut draw = |key: String, limit: u64, now: Timestamp| {
            let draw = Draw { key, limit, window_ms: 60_000, cost: 1 };
            (counters.draw(&[draw], now).iter().all(|quota| quota.admitted), counters.counters.len())
        };
        for number in 1..FEW {
            assert!(draw(number.to_string(), 1, 59_000).0);
        }
        assert_eq!(draw("7".to_owned(), 1, 59_999), (false, FEW - 1));
        assert_eq!(draw("last".to_owned(), 1, 59_999), (true, FEW));
        assert_eq!(draw("new".to_owned(), 1, 60_000), (true, 1));
    }
}
