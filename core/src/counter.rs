//! The arithmetic of limits: `(state, wish, now) → (state, quota)`.
//!
//! Pure, so that this process's memory, a Durable Object and a script in Redis count the same. Where states live is
//! the host's. One file an algorithm; each says what it admits at most, and the property tests hold it to that.

mod concurrency;
mod fixed_window;
mod leasing;
pub mod memory;
mod naming;
pub mod numbers;
mod shards;
pub mod slices;
mod sliding_window;
mod state;
mod token_bucket;
mod window;

pub use self::{
    concurrency::Concurrency,
    fixed_window::FixedWindow,
    leasing::{Leasing, Unleasable},
    sliding_window::SlidingWindow,
    state::State,
    token_bucket::TokenBucket,
    window::Window,
};
use crate::host::Timestamp;

/// The largest number that all who count can count with: JavaScript's and Lua's numbers are exact up to here.
pub const MAX: u64 = 1 << 53;

/// How late a draw may come, its clock read before the state was last changed, and still count as made then.
/// A clock that is further behind was set back, and is believed.
pub const LATE_MS: u64 = 10_000;

/// What a counter holds draws to. A counter keeps to one kind of rule and one length of the window; limits, rates and
/// bursts may change from draw to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// So much a window; windows stand one after another.
    FixedWindow {
        /// How much a window holds.
        limit: u64,
        /// Which windows.
        window: Window,
    },
    /// So much in any window, wherever it begins.
    SlidingWindow {
        /// How much a window holds.
        limit: u64,
        /// Its length in milliseconds.
        window_ms: u64,
    },
    /// A bucket that fills again at a steady rate (GCRA).
    TokenBucket {
        /// How much flows in within `window_ms`.
        rate: u64,
        /// In milliseconds.
        window_ms: u64,
        /// How much it holds; `burst × window_ms` is at most half of [`MAX`].
        burst: u64,
    },
    /// So many at the same time. Whoever is let in holds a lease, hands it back or lets it expire.
    Concurrency {
        /// How many.
        limit: u64,
        /// How long a lease holds unless it is renewed, in milliseconds.
        lease_ms: u64,
        /// Names the lease; less than [`MAX`], and unlike any other.
        lease: u64,
    },
}

/// One wish to take from one counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draw {
    /// Names the counter: the limit's identity, the kind of rule and the length of its window, and whom it counts.
    /// Were the length left out, then while it is changed, and some ask by the old one and some by the new, each would
    /// make the counter forget what the other has drawn.
    pub key: String,
    /// What it is held to.
    pub rule: Rule,
    /// How much to take. A lease is one, whatever stands here.
    pub cost: u64,
}

/// What became of a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Whether there was enough left.
    pub admitted: bool,
    /// What is left after this draw.
    pub remaining: u64,
    /// Milliseconds, from `at`, until all is there again, if nobody draws; of fixed windows until the window ends, even
    /// where nothing was taken.
    pub reset_ms: u64,
    /// Milliseconds, from `at`, until the same draw may be admitted, if nobody else draws: 0 where it was, [`MAX`]
    /// where it never will be. Of leases nobody knows when they are handed back, so it is at most a second there.
    pub retry_ms: u64,
    /// The moment at which it counted: the draw's own, or the one at which the state was last changed, where that is
    /// a little later. Settling needs it.
    pub at: Timestamp,
}

/// What is known of a draw later on: that another amount was used than had been taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// What was drawn.
    pub draw: Draw,
    /// The moment at which that counted.
    pub at: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether it was drawn from [this instance's own](crate::host::Host::counters) counters.
    pub is_local: bool,
}

/// What became of what was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// So much was used. What is left is handed back where its time has not passed; what was used beyond it is taken
    /// without asking. A lease is over, whatever was used.
    Used(u64),
    /// It is still held: a lease begins anew. Nothing to all others.
    Held,
}

impl Rule {
    /// How much there is to be taken when nobody has taken anything.
    pub const fn capacity(&self) -> u64 {
        match *self {
            Self::FixedWindow { limit, .. }
            | Self::SlidingWindow { limit, .. }
            | Self::Concurrency { limit, .. } => limit,
            Self::TokenBucket { burst, .. } => burst,
        }
    }
}

impl Settlement {
    /// A draw that is taken back whole, as if it had not been made.
    pub fn undo(draw: Draw, quota: &Quota) -> Self {
        Self { draw, at: quota.at, outcome: Outcome::Used(0), is_local: false }
    }
}

/// The moment at which a draw counts, on a state that was last changed at `last`.
fn moment(last: Timestamp, now: Timestamp) -> Timestamp {
    if now < last && last - now <= LATE_MS { last } else { now }
}
