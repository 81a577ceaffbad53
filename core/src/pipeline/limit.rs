//! Rate limits: all that hold are drawn from at once, so that a refused request costs none of them.

use crate::{
    facts::Facts,
    host::Host,
    policy::{
        Applied,
        fixed_window::{Drawn, FixedWindow},
    },
    refusal::Refusal,
};

pub(super) async fn draw<H: Host>(
    host: &H,
    limits: &[Applied<FixedWindow>],
    facts: &Facts<'_>,
    detail: &mut Option<String>,
) -> Result<Vec<Drawn>, Refusal> {
    let holding: Vec<&FixedWindow> =
        limits.iter().filter(|applied| applied.holds(facts.path)).map(|applied| &*applied.policy).collect();
    if holding.is_empty() {
        return Ok(Vec::new());
    }
    let draws: Vec<_> = holding.iter().map(|limit| limit.draw(facts)).collect();
    match host.draw(&draws).await {
        Ok(quotas) => {
            let refused = quotas.iter().any(|quota| !quota.admitted);
            let drawn = holding.iter().zip(quotas).map(|(limit, quota)| Drawn::new(limit, quota)).collect();
            if refused { Err(Refusal::RateLimited(drawn)) } else { Ok(drawn) }
        }
        Err(error) => {
            *detail = Some(error.to_string());
            // One limit that must not be passed by is enough to stop.
            if holding.iter().all(|limit| limit.fails_open) {
                Ok(Vec::new())
            } else {
                Err(Refusal::CountersUnavailable)
            }
        }
    }
}
