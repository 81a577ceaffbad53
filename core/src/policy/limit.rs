//! `FixedWindow`, `SlidingWindow`, `TokenBucket`, `Concurrency`, `Budget`: how much may be asked for. They differ in how
//! they count ([`crate::counter`]); whom a request counts for, what it costs, and what is said about it is one thing,
//! and is decided here. Which counters are drawn from, and when, is the pipeline's.

pub(crate) mod algorithm;
pub(crate) mod cost;
mod drawn;
pub(crate) mod per;
mod settings;
pub(crate) mod tiers;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

pub use self::drawn::Drawn;
use self::{
    algorithm::{Algorithm, Amount, seconds},
    cost::Cost,
    per::Per,
    tiers::{Exempt, Tiers},
};
use crate::{
    counter::{Draw, MAX, Quota},
    facts::Facts,
    trail::{Said, Verdict},
};

/// Requests that wait at one limit at most; further ones are refused at once.
const MOST_WAITING: u64 = 1_000;

/// What refusals are called where it can't be told whether there is enough: that says nothing of the configuration.
pub const UNAVAILABLE: [&str; 5] = [
    "fixed_window.unavailable",
    "sliding_window.unavailable",
    "token_bucket.unavailable",
    "concurrency.unavailable",
    "budget.unavailable",
];

/// A limit.
#[derive(Debug)]
pub struct Limit {
    pub(crate) algorithm: Algorithm,
    /// How much there is for whoever is in none of the tiers.
    pub(crate) amount: Amount,
    /// Begins the names of its counters: name and place of the policy, so that an override counts for itself, and
    /// how they count.
    pub(crate) id: String,
    /// The policy's name, as a quoted string of the `RateLimit` fields.
    pub(crate) quoted: Arc<str>,
    pub(crate) per: Vec<Per>,
    /// So many bits of an IPv6 address count.
    pub(crate) ipv6_prefix: u8,
    pub(crate) tiers: Option<Tiers>,
    pub(crate) exempt: Exempt,
    pub(crate) cost: Cost,
    /// Counted by each instance for itself.
    pub(crate) is_local: bool,
    /// What to do when the counters can't be reached.
    pub(crate) on_error: OnError,
    /// Its "no" is recorded and not carried out.
    pub(crate) shadow: bool,
    pub(crate) legacy_headers: bool,
    /// How long a request may wait for its turn.
    pub(crate) wait_ms: u64,
    pub(crate) waiting: AtomicU64,
}

/// What to do when the counters can't be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnError {
    Deny,
    Allow,
    /// Count in this instance's memory meanwhile.
    Local,
}

/// What a limit wants of its counters for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish<'l> {
    pub(crate) amount: &'l Amount,
    cost: u64,
    tier: Option<&'l str>,
}

impl Limit {
    /// What to draw for a request. `lease` names a lease, where one is wanted. Why that can't be told is for the log.
    pub(crate) fn wish<'l>(
        &'l self,
        facts: &Facts<'_>,
        lease: impl FnOnce() -> u64,
    ) -> Result<(Wish<'l>, Draw), String> {
        let mut key = String::with_capacity(self.id.len() + 64);
        key.push_str(&self.id);
        for per in &self.per {
            key.push('\n');
            per.write(facts, self.ipv6_prefix, &mut key)?;
        }
        let tier = self.tiers.as_ref().and_then(|tiers| tiers.of(facts.identity));
        let (tier, amount) = tier.map_or((None, &self.amount), |(name, amount)| (Some(name), amount));
        let lease = match self.algorithm {
            Algorithm::Concurrency { .. } => lease(),
            _ => 0,
        };
        let cost = self.cost.of(facts)?.min(MAX);
        let draw = Draw { key, rule: self.algorithm.rule(amount, lease), cost };
        Ok((Wish { amount, cost, tier }, draw))
    }

    /// Whether what is drawn is handed back when the request is over.
    pub(crate) const fn holds_leases(&self) -> bool {
        matches!(self.algorithm, Algorithm::Concurrency { .. })
    }

    /// A place among those who wait; `None` when there are too many.
    pub(crate) fn wait(&self) -> Option<Waiting<'_>> {
        let waiting = Waiting(&self.waiting);
        (self.waiting.fetch_add(1, Ordering::Relaxed) < MOST_WAITING).then_some(waiting)
    }

    /// What explanations say of what was drawn.
    pub(crate) fn said(&self, wish: &Wish<'_>, quota: &Quota, waited_ms: u64, facts: &Facts<'_>) -> Said {
        let (most, span) = (self.algorithm.most(wish.amount), self.algorithm.span(wish.amount));
        let (cost, left) = (wish.cost, quota.remaining);
        let anew = match self.algorithm {
            Algorithm::Concurrency { .. } => String::new(),
            _ => format!(", anew in {} s", seconds(quota.reset_ms)),
        };
        let used_up = match left {
            0 => format!("all {most}{span} are used up{anew}"),
            _ => format!("{cost} is wanted, and only {left} of {most}{span} are left{anew}"),
        };
        let said = match (quota.admitted, self.shadow) {
            (true, _) if cost == 1 => Said::new(Verdict::Pass, format!("{left} of {most} left{span}{anew}")),
            (true, _) => Said::new(Verdict::Pass, format!("took {cost}: {left} of {most} left{span}{anew}")),
            (false, true) => Said::new(
                Verdict::Pass,
                format!("would have been refused, were it not only recorded: {used_up}"),
            ),
            (false, false) => Said::new(Verdict::Refuse, used_up),
        };
        let counted = self.per.iter().map(|per| {
            let mut text = String::new();
            match per.write(facts, self.ipv6_prefix, &mut text) {
                Ok(()) => text,
                Err(why) => why,
            }
        });
        let counted: Vec<String> = counted.collect();
        let mut said = said
            .fact("rate", wish.amount.rate)
            .fact("remaining", quota.remaining)
            .fact("reset_ms", quota.reset_ms)
            .fact("counted_as", counted.join(" and "));
        if let Some(window_ms) = self.algorithm.window_ms() {
            said = said.fact("window_ms", window_ms);
        }
        if let Algorithm::TokenBucket { .. } = self.algorithm {
            said = said.fact("burst", wish.amount.burst);
        }
        if let Some(tier) = wish.tier {
            said = said.fact("tier", tier);
        }
        if cost != 1 {
            said = said.fact("cost", cost);
        }
        if let Some(settle) = &self.cost.settle {
            said = said.fact("settled_by", settle.shown());
        }
        if waited_ms > 0 {
            said = said.fact("waited_ms", waited_ms);
        }
        said
    }

    /// What explanations say when the counters can't be reached, or it can't be told what to draw.
    pub(crate) fn said_unavailable(&self, why: &str) -> Said {
        if self.shadow {
            return Said::new(Verdict::Fail, format!("could not be counted: {why}; it is only recorded"));
        }
        match self.on_error {
            OnError::Allow => Said::new(Verdict::Fail, format!("{why}; `on_error: allow` goes on")),
            OnError::Local => Said::new(
                Verdict::Refuse,
                format!("{why}, and `on_error: local` is for counters that can't be reached"),
            ),
            OnError::Deny => Said::new(Verdict::Refuse, format!("{why}, and `on_error` is `deny`")),
        }
    }
}

/// Somebody who waits.
#[derive(Debug)]
pub(crate) struct Waiting<'l>(&'l AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
