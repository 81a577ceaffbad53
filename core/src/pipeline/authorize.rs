//! Permission: every policy that holds is asked, each must allow.

use std::sync::Arc;

use http::Method;

use crate::{
    facts::Facts,
    host::Host,
    policy::{
        Applied,
        rbac::{Decision, MAX_ANSWER_BYTES, Rbac},
    },
    refusal::Refusal,
};

/// What was granted: the decisions, whose headers the service is to see.
pub(super) type Granted = Vec<Arc<Decision>>;

pub(super) async fn authorize<H: Host>(
    host: &H,
    policies: &[Applied<Rbac>],
    facts: &Facts<'_>,
    detail: &mut Option<String>,
) -> Result<Granted, Refusal> {
    let mut granted = Vec::new();
    for applied in policies {
        let policy = &*applied.policy;
        if !applied.holds(facts.path) || !policy.concerns(facts) {
            continue;
        }
        match decide(host, policy, facts).await {
            Ok(decision) if decision.allow => granted.push(decision),
            Ok(_) => return Err(Refusal::Forbidden),
            Err(reason) => {
                *detail = Some(reason);
                if !policy.fails_open {
                    return Err(Refusal::EngineUnavailable);
                }
            }
        }
    }
    Ok(granted)
}

async fn decide<H: Host>(host: &H, policy: &Rbac, facts: &Facts<'_>) -> Result<Arc<Decision>, String> {
    let digest = (policy.cache_ms > 0).then(|| policy.digest(facts));
    if let Some(digest) = &digest
        && let Some(decision) = policy.recall(digest, facts.now)
    {
        return Ok(decision);
    }
    let question = policy.question(facts);
    let answer = policy.engine.ask(host, Method::POST, Some(question), MAX_ANSWER_BYTES).await;
    let decision = Arc::new(Decision::read(&answer.map_err(|error| error.to_string())?)?);
    if let Some(digest) = digest {
        policy.remember(digest, &decision, facts.now);
    }
    Ok(decision)
}
