//! How a limit is leased in slices (`accuracy: leased`): what the shared counter is held to, and how large slices are. The
//! slices themselves are in [`super::slices`].

use super::{MAX, Rule};

/// No slice is used for longer.
pub(super) const LONGEST_MS: u64 = 1_000;
/// So many slices are what may be overshot.
const SLICES: u64 = 16;
/// So many of them, of a token bucket.
const BUCKET_SLICES: u64 = 20;

/// How a limit is leased, computed when the configuration loads.
///
/// With a limit `L` and `max_overshoot: K` the shared counter is held to `L + K`, and slices are of `K / 16` at most,
/// of token buckets `K / 20`, one at least: as large as an instance used up lately, so whoever uses little takes little.
/// A slice is used within `slice_ms` of being drawn (a second at most), and what is left of it is handed back. Each unit
/// that is used was drawn before, so that, whatever the number of instances and whatever becomes of them:
///
/// - fixed windows: no slice is used beyond the window it was drawn from; in none is more admitted than `L + K`.
/// - sliding windows: a unit is used up to `slice_ms - 1` after it was drawn, so the shared window is as much longer:
///   in no stretch of a window is more admitted than `L + K`. What was used is there again after 1.1 of the longer ones.
/// - token buckets: in a stretch of `t` no more is admitted than `burst + K + rate × t / window`. Half of `K` makes the
///   bucket larger, the other half is what flows in within `slice_ms`.
///
/// In the other direction: nobody is refused, but by a refusal that is remembered (a second at most), of what `L` has
/// left while the unused slices of all are no more than `K`; of token buckets, than half of `K` less two slices. So it
/// is with sixteen instances at most, eight of token buckets, if each holds one slice and what comes back is settled at
/// once. What a token bucket is handed back is less what flowed in since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leasing {
    max_overshoot: u64,
    rule: Rule,
    shared: Rule,
    slice: u64,
    slice_ms: u64,
    /// How long a slice takes to flow into a bucket; 0 where there is none to wait for.
    flows_ms: u64,
}

/// Why a limit can't be leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unleasable {
    /// So many at the same time: a place is held, not used up.
    #[error("a limit of how many at the same time can't be leased")]
    Concurrency,
    /// A slice would be used up by what flows in before it arrives.
    #[error("the overshoot is too small for slices: at least {least} is needed")]
    TooSmall {
        /// The smallest that is enough.
        least: u64,
    },
    /// Limit and overshoot together are more than can be counted.
    #[error("limit and overshoot together are more than can be counted")]
    TooLarge,
}

impl Leasing {
    /// How to lease what `rule` limits, with no more than `max_overshoot` beyond it.
    pub fn new(rule: Rule, max_overshoot: u64) -> Result<Self, Unleasable> {
        if max_overshoot == 0 {
            return Err(Unleasable::TooSmall { least: 1 });
        }
        let more = |limit: u64| {
            limit.checked_add(max_overshoot).filter(|sum| *sum < MAX).ok_or(Unleasable::TooLarge)
        };
        let (shared, slice_ms) = match rule {
            Rule::FixedWindow { limit, window } => {
                (Rule::FixedWindow { limit: more(limit)?, window }, LONGEST_MS)
            }
            Rule::SlidingWindow { limit, window_ms } => {
                // A tenth, or what was used would be there again much later than without slices.
                let slice_ms = (window_ms / 10).clamp(1, LONGEST_MS);
                let window_ms = window_ms.max(1).saturating_add(slice_ms - 1);
                (Rule::SlidingWindow { limit: more(limit)?, window_ms }, slice_ms)
            }
            Rule::TokenBucket { rate, window_ms, burst } => {
                let (rate, window_ms) = (rate.max(1), window_ms.max(1));
                let larger = max_overshoot / 2;
                let burst = burst.checked_add(larger).ok_or(Unleasable::TooLarge)?;
                if burst.checked_mul(window_ms).is_none_or(|parts| parts > MAX / 2) {
                    return Err(Unleasable::TooLarge);
                }
                let slice_ms = ((max_overshoot - larger).saturating_mul(window_ms) / rate).min(LONGEST_MS);
                if slice_ms == 0 {
                    return Err(Unleasable::TooSmall {
                        least: rate.div_ceil(window_ms).saturating_mul(2) - 1,
                    });
                }
                (Rule::TokenBucket { rate, window_ms, burst }, slice_ms)
            }
            Rule::Concurrency { .. } => return Err(Unleasable::Concurrency),
        };
        let (slice, flows_ms) = match rule {
            Rule::TokenBucket { rate, window_ms, .. } => {
                let slice = (max_overshoot / BUCKET_SLICES).max(1);
                // Where there is no slice to spare, each drop counts.
                let spare = u64::from(max_overshoot >= BUCKET_SLICES);
                (slice, spare * slice.saturating_mul(window_ms) / rate.max(1))
            }
            _ => ((max_overshoot / SLICES).max(1), 0),
        };
        Ok(Self { max_overshoot, rule, shared, slice, slice_ms, flows_ms })
    }

    /// What is left of the limit, where the shared counter has so much left, without what may be overshot.
    pub fn remaining(&self, shared: u64) -> u64 {
        let overshoot = self.shared.capacity().saturating_sub(self.rule.capacity());
        shared.saturating_sub(overshoot).min(self.rule.capacity())
    }

    /// How much more than the limit may be admitted.
    pub const fn max_overshoot(&self) -> u64 {
        self.max_overshoot
    }

    /// What is limited.
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// What the shared counter is held to.
    pub const fn shared(&self) -> Rule {
        self.shared
    }

    /// The most that is drawn in advance.
    pub const fn slice(&self) -> u64 {
        self.slice
    }

    /// How long a slice is used, in milliseconds.
    pub const fn slice_ms(&self) -> u64 {
        self.slice_ms
    }

    /// How long a bucket is left alone when it has refused.
    pub(super) const fn flows_ms(&self) -> u64 {
        self.flows_ms
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn what_cannot_be_leased_is_said() {
        let bucket = |rate| Rule::TokenBucket { rate, window_ms: 1_000, burst: 10 };
        let new = |rule, overshoot| Leasing::new(rule, overshoot).map(|leasing| leasing.slice_ms());
        assert_eq!(new(bucket(100_000), 100), Err(Unleasable::TooSmall { least: 199 }));
        assert_eq!(new(bucket(100_000), 198), Err(Unleasable::TooSmall { least: 199 }));
        assert_eq!(new(bucket(100_000), 199), Ok(1));
        assert_eq!(new(bucket(100), 1), Ok(10));
        assert_eq!(new(bucket(1), MAX), Err(Unleasable::TooLarge));
        assert_eq!(new(Rule::SlidingWindow { limit: 1, window_ms: 2_000 }, 16), Ok(200));
        assert_eq!(
            new(Rule::SlidingWindow { limit: 1, window_ms: 2_000 }, 0),
            Err(Unleasable::TooSmall { least: 1 })
        );
        let lease = Rule::Concurrency { limit: 1, lease_ms: 1, lease: 1 };
        assert_eq!(new(lease, 16), Err(Unleasable::Concurrency));
    }
}
