//! The state of a counter, whichever rule it keeps to.

use super::{Concurrency, FixedWindow, LATE_MS, MAX, Outcome, Quota, Rule, SlidingWindow, TokenBucket};
use crate::host::Timestamp;

/// The state of one counter. Where it is of another kind than the rule, it begins anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// Nothing was drawn.
    #[default]
    New,
    /// Of [`Rule::FixedWindow`].
    FixedWindow(FixedWindow),
    /// Of [`Rule::SlidingWindow`].
    SlidingWindow(Box<SlidingWindow>),
    /// Of [`Rule::TokenBucket`].
    TokenBucket(TokenBucket),
    /// Of [`Rule::Concurrency`].
    Concurrency(Concurrency),
}

macro_rules! of_kind {
    ($state:expr, $kind:ident) => {{
        if !matches!($state, State::$kind(_)) {
            *$state = State::$kind(Default::default());
        }
        match $state {
            State::$kind(state) => state,
            // It was made one a moment ago.
            _ => unreachable!(),
        }
    }};
}

impl State {
    /// Takes what is wished for when the rule allows it; otherwise nothing.
    pub fn draw(&mut self, rule: &Rule, cost: u64, now: Timestamp) -> Quota {
        match *rule {
            Rule::FixedWindow { limit, window } => of_kind!(self, FixedWindow).draw(limit, window, cost, now),
            Rule::SlidingWindow { limit, window_ms } => {
                of_kind!(self, SlidingWindow).draw(limit, window_ms, cost, now)
            }
            Rule::TokenBucket { rate, window_ms, burst } => {
                of_kind!(self, TokenBucket).draw(rate, window_ms, burst, cost, now)
            }
            Rule::Concurrency { limit, lease_ms, lease } => {
                of_kind!(self, Concurrency).draw(limit, lease_ms, lease, now)
            }
        }
    }

    /// Puts right what was drawn: `taken` at the moment `taken_at`, as its quota says.
    pub fn settle(&mut self, rule: &Rule, taken: u64, taken_at: Timestamp, outcome: Outcome, now: Timestamp) {
        match *rule {
            Rule::FixedWindow { window, .. } => {
                of_kind!(self, FixedWindow).settle(window, taken, taken_at, outcome, now);
            }
            Rule::SlidingWindow { window_ms, .. } => {
                of_kind!(self, SlidingWindow).settle(window_ms, taken, taken_at, outcome, now);
            }
            Rule::TokenBucket { rate, window_ms, burst } => {
                of_kind!(self, TokenBucket).settle(rate, window_ms, burst, taken, taken_at, outcome, now);
            }
            Rule::Concurrency { lease_ms, lease, .. } => {
                of_kind!(self, Concurrency).settle(lease_ms, lease, outcome, now);
            }
        }
    }

    /// What is left, without taking anything.
    pub fn remaining(&self, rule: &Rule, now: Timestamp) -> u64 {
        self.look(rule, now).0
    }

    /// What is left, and milliseconds until all is there again, without taking anything.
    pub fn look(&self, rule: &Rule, now: Timestamp) -> (u64, u64) {
        match (self, rule) {
            (Self::Concurrency(state), Rule::Concurrency { limit, .. }) => {
                (limit.saturating_sub(state.held(now)), state.ends_at().saturating_sub(now))
            }
            (_, Rule::Concurrency { limit, .. }) => (*limit, 0),
            _ => {
                // On a copy: looking is not taking.
                let quota = self.clone().draw(rule, 0, now);
                (quota.remaining, quota.reset_ms)
            }
        }
    }

    /// When all of it can be forgotten: from then on it is as good as new, to those as well whose clocks are
    /// [`LATE_MS`] late. Forgotten earlier, it would have a window begin anew for them that was used up.
    pub fn ends_at(&self, rule: &Rule) -> Timestamp {
        let ends_at = match (self, rule) {
            (Self::New, _) => return 0,
            (Self::FixedWindow(state), _) => state.ends_at(),
            (Self::SlidingWindow(state), _) => state.ends_at(),
            (Self::TokenBucket(state), Rule::TokenBucket { rate, .. }) => state.ends_at(*rate),
            (Self::TokenBucket(state), _) => state.at,
            (Self::Concurrency(state), _) => state.ends_at(),
        };
        ends_at.saturating_add(LATE_MS).min(MAX)
    }
}
