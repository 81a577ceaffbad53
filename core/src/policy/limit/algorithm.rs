//! The kinds of limits: what each is called, which rule of counting it stands for, and how it is put in words. The
//! arithmetic is [`crate::counter`]'s.

use std::sync::Arc;

use super::UNAVAILABLE;
use crate::counter::{Leasing, Rule, Window};

/// `FixedWindow`, `SlidingWindow`, `TokenBucket`, `Concurrency`, `Budget`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    FixedWindow { window_ms: u64 },
    SlidingWindow { window_ms: u64 },
    TokenBucket { window_ms: u64 },
    Concurrency { lease_ms: u64 },
    Budget { period: Window, rolling: bool },
}

/// How much there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Amount {
    /// Within a window, or at the same time.
    pub(crate) rate: u64,
    /// At once. Only a token bucket has one of its own.
    pub(crate) burst: u64,
    /// How it is leased, where it need not be exact.
    pub(crate) leasing: Option<Leasing>,
    /// As clients are told of it: a member of `RateLimit-Policy`.
    pub(crate) announced: Arc<str>,
}

impl Amount {
    /// So much, counted exactly. How it is announced is said once its algorithm is known.
    pub(crate) fn exact(rate: u64, burst: u64) -> Self {
        Self { rate, burst, leasing: None, announced: Arc::default() }
    }
}

impl Algorithm {
    /// The prefix of its refusals.
    pub(crate) const fn exceeded(self) -> &'static str {
        match self {
            Self::FixedWindow { .. } => "fixed_window.exceeded",
            Self::SlidingWindow { .. } => "sliding_window.exceeded",
            Self::TokenBucket { .. } => "token_bucket.exceeded",
            Self::Concurrency { .. } => "concurrency.exceeded",
            Self::Budget { .. } => "budget.exceeded",
        }
    }

    /// What refusals are called where it can't be told whether there is enough.
    pub(crate) const fn unavailable(self) -> &'static str {
        let [fixed_window, sliding_window, token_bucket, concurrency, budget] = UNAVAILABLE;
        match self {
            Self::FixedWindow { .. } => fixed_window,
            Self::SlidingWindow { .. } => sliding_window,
            Self::TokenBucket { .. } => token_bucket,
            Self::Concurrency { .. } => concurrency,
            Self::Budget { .. } => budget,
        }
    }

    /// The rule that counters keep to. `lease` names the lease, where there is one.
    pub(crate) const fn rule(self, amount: &Amount, lease: u64) -> Rule {
        let Amount { rate, burst, .. } = *amount;
        match self {
            Self::FixedWindow { window_ms } => {
                Rule::FixedWindow { limit: rate, window: Window::Length(window_ms) }
            }
            Self::Budget { period, rolling: false } => Rule::FixedWindow { limit: rate, window: period },
            Self::SlidingWindow { window_ms } => Rule::SlidingWindow { limit: rate, window_ms },
            Self::Budget { period, rolling: true } => {
                Rule::SlidingWindow { limit: rate, window_ms: rolling_ms(period) }
            }
            Self::TokenBucket { window_ms } => Rule::TokenBucket { rate, window_ms, burst },
            Self::Concurrency { lease_ms } => Rule::Concurrency { limit: rate, lease_ms, lease },
        }
    }

    /// The key under which its amount is written.
    pub(crate) const fn amount_key(self) -> &'static str {
        match self {
            Self::FixedWindow { .. } | Self::SlidingWindow { .. } | Self::TokenBucket { .. } => "rate",
            Self::Concurrency { .. } | Self::Budget { .. } => "limit",
        }
    }

    /// Tells the counters of one algorithm and window from those of another, so that no state is read by a rule that
    /// is not its own.
    pub(crate) fn tag(self) -> String {
        match self.rule(&Amount::exact(0, 0), 0) {
            Rule::FixedWindow { window: Window::Length(length), .. } => format!("window/{length}"),
            Rule::FixedWindow { window: Window::Month, .. } => "window/month".to_owned(),
            Rule::SlidingWindow { window_ms, .. } => format!("sliding/{window_ms}"),
            Rule::TokenBucket { window_ms, .. } => format!("bucket/{window_ms}"),
            Rule::Concurrency { .. } => "leases".to_owned(),
        }
    }

    /// The length of its window in milliseconds, as far as it has one; of a month its least.
    pub(crate) const fn window_ms(self) -> Option<u64> {
        match self {
            Self::FixedWindow { window_ms }
            | Self::SlidingWindow { window_ms }
            | Self::TokenBucket { window_ms } => Some(window_ms),
            Self::Budget { period, rolling: true } => Some(rolling_ms(period)),
            Self::Budget { period, rolling: false } => Some(period.least_ms()),
            Self::Concurrency { .. } => None,
        }
    }

    /// How much there is at most, whatever has been taken.
    pub(crate) const fn most(self, amount: &Amount) -> u64 {
        self.rule(amount, 0).capacity()
    }

    /// What clients are told of a limit of this name (draft-ietf-httpapi-ratelimit-headers-10): how much there is, and
    /// within which time, or of what.
    pub(crate) fn announced(self, quoted: &str, amount: &Amount) -> Arc<str> {
        let rate = amount.rate;
        match self.window_ms() {
            Some(window_ms) => format!("{quoted};q={rate};w={}", seconds(window_ms)).into(),
            None => format!("{quoted};q={rate};qu=\"concurrent-requests\"").into(),
        }
    }

    /// Within what there is so much: ` in 60 s`.
    pub(crate) fn span(self, amount: &Amount) -> String {
        match self {
            Self::FixedWindow { window_ms } => format!(" in {} s", seconds(window_ms)),
            Self::SlidingWindow { window_ms } => format!(" in any {} s", seconds(window_ms)),
            Self::TokenBucket { window_ms } => {
                format!(" ({} flow in within {} s)", amount.rate, seconds(window_ms))
            }
            Self::Concurrency { .. } => " at the same time".to_owned(),
            Self::Budget { period, rolling: true } => format!(" in any {} s", seconds(rolling_ms(period))),
            Self::Budget { period: Window::Month, .. } => " in this month".to_owned(),
            Self::Budget { period: Window::Length(length), .. } => format!(" in {} s", seconds(length)),
        }
    }
}

/// A window that ends now has no calendar: a month is thirty days there.
const fn rolling_ms(period: Window) -> u64 {
    match period {
        Window::Length(length) => length,
        Window::Month => 30 * 86_400_000,
    }
}

/// Rounded up: a client that waits so long has waited long enough.
pub(super) const fn seconds(milliseconds: u64) -> u64 {
    milliseconds.div_ceil(1000)
}
