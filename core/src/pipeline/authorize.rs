//! Permission: every policy that holds is asked, each must allow.

use std::sync::Arc;

use http::Method;

use super::account::Account;
use crate::{
    facts::Facts,
    host::Host,
    policy::{
        Applied,
        rbac::{Asked, Decision, MAX_ANSWER_BYTES, Rbac},
    },
    refusal::Refusal,
    remote::Question,
    trail::{Said, Verdict},
};

/// What was granted: the decisions, whose headers the service is to see.
pub(super) type Granted = Vec<Arc<Decision>>;

pub(super) async fn authorize<H: Host>(
    host: &H,
    policies: &[Applied<Rbac>],
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Result<Granted, Refusal> {
    let mut granted = Vec::new();
    for applied in policies {
        if !account.holds(applied, facts.path) {
            continue;
        }
        if !applied.concerns(facts) {
            account.policy(applied, || Said::new(Verdict::Skip, "there is no user to ask about"));
            continue;
        }
        let decided = decide(host, applied, facts).await;
        account.policy(applied, || applied.said(&decided));
        match decided {
            Ok((decision, _)) if decision.allow => granted.push(decision),
            Ok(_) => return Err(Refusal::Forbidden),
            Err(reason) => {
                account.detail = Some(reason);
                if !applied.fails_open {
                    return Err(Refusal::EngineUnavailable);
                }
            }
        }
    }
    Ok(granted)
}

async fn decide<H: Host>(
    host: &H,
    policy: &Rbac,
    facts: &Facts<'_>,
) -> Result<(Arc<Decision>, Asked), String> {
    let digest = (policy.cache_ms > 0).then(|| policy.digest(facts));
    if let Some(digest) = &digest
        && let Some(decision) = policy.recall(digest, facts.now)
    {
        return Ok((decision, Asked::Before));
    }
    let question = policy.question(facts);
    let answer =
        policy.engine.ask(host, Question::Decision, Method::POST, Some(question), MAX_ANSWER_BYTES).await;
    let decision = Arc::new(Decision::read(&answer.map_err(|error| error.to_string())?)?);
    if let Some(digest) = digest {
        policy.remember(digest, &decision, facts.now);
    }
    Ok((decision, Asked::Now))
}
