//! Rate limits: all that hold are drawn from at once, so that a refused request costs none of them.

use super::account::Account;
use crate::{
    facts::Facts,
    host::Host,
    policy::{
        Applied,
        fixed_window::{Drawn, FixedWindow},
    },
    refusal::Refusal,
    trail::{Said, Verdict},
};

pub(super) async fn draw<H: Host>(
    host: &H,
    limits: &[Applied<FixedWindow>],
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Result<Vec<Drawn>, Refusal> {
    let holding: Vec<&Applied<FixedWindow>> =
        limits.iter().filter(|applied| account.holds(applied, facts.path)).collect();
    if holding.is_empty() {
        return Ok(Vec::new());
    }
    let draws: Vec<_> = holding.iter().map(|limit| limit.draw(facts)).collect();
    match host.draw(&draws).await {
        Ok(quotas) => {
            for (limit, quota) in holding.iter().zip(&quotas) {
                account.policy(limit, || limit.said(quota, facts));
            }
            let refused = quotas.iter().any(|quota| !quota.admitted);
            let drawn = holding.iter().zip(quotas).map(|(limit, quota)| Drawn::new(limit, quota)).collect();
            if refused { Err(Refusal::RateLimited(drawn)) } else { Ok(drawn) }
        }
        Err(error) => {
            account.detail = Some(error.to_string());
            for limit in &holding {
                account.policy(limit, || match limit.fails_open {
                    true => {
                        Said::new(Verdict::Fail, "the counters can't be reached; `on_error: allow` goes on")
                    }
                    false => Said::new(
                        Verdict::Refuse,
                        "the counters can't be reached, and `on_error` is not `allow`",
                    ),
                });
            }
            // One limit that must not be passed by is enough to stop.
            if holding.iter().all(|limit| limit.fails_open) {
                Ok(Vec::new())
            } else {
                Err(Refusal::CountersUnavailable)
            }
        }
    }
}
