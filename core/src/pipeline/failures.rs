//! Before credentials are looked at: may this address still be wrong? And when they were wrong: one failure more.

use super::account::Account;
use crate::{
    facts::Facts,
    gateway::Gateway,
    host::Host,
    refusal::Refusal,
    trail::{Said, Step, Verdict},
};

const ROOM: &str = "authentication";
/// Where the limit is written.
const KEY: &str = "limits.failed_auth_per_minute";

/// Refuses whoever has been wrong too often. Nothing else is done for them: a guess that is right looks like the
/// others.
pub(super) fn check(gateway: &Gateway, facts: &Facts<'_>, account: &mut Account<'_>) -> Result<(), Refusal> {
    let Some(failures) = &gateway.failures else { return Ok(()) };
    let Some(left_ms) = failures.blocks(facts.client, facts.now) else { return Ok(()) };
    let at = gateway.places.at(KEY);
    account.note(|| Step::new(ROOM, at, failures.said_blocked(facts.client, left_ms)));
    Err(Refusal::TooManyFailures { left_ms })
}

/// Counts a failure, if it is one. Its refusal, or another where there have been too many.
pub(super) async fn count<H: Host>(
    gateway: &Gateway,
    host: &H,
    refusal: Refusal,
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Refusal {
    let Some(failures) = gateway.failures.as_ref().filter(|_| refusal.is_wrong_credential()) else {
        return refusal;
    };
    let at = gateway.places.at(KEY);
    let draw = [failures.draw(facts.client)];
    let quotas = match host.draw(&draw).await {
        Ok(quotas) => quotas,
        // The credential is refused anyhow, so there is nothing to be denied; refusing everybody would let whoever floods
        // the counters lock all others out. Until they are there again this instance counts for itself.
        Err(error) => {
            let before = account.detail.take().map_or_else(String::new, |detail| format!("{detail}; "));
            account.detail = Some(format!("{before}the failure is counted by this instance alone: {error}"));
            account.note(|| {
                let text = "the counters can't be reached; this instance counts for itself";
                Step::new(ROOM, at, Said::new(Verdict::Fail, text))
            });
            host.counters().draw(&draw, host.now())
        }
    };
    let Some(quota) = quotas.first() else { return refusal };
    failures.note(facts.client, quota, facts.now);
    account.note(|| Step::new(ROOM, at, failures.said_counted(facts.client, quota)));
    match quota.admitted {
        true => refusal,
        false => Refusal::TooManyFailures { left_ms: quota.reset_ms },
    }
}
