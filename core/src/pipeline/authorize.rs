//! Permission: every policy that holds is asked, each must allow. What one in shadow refuses is recorded only.

use std::sync::Arc;

use http::Method;

use super::account::Account;
use crate::{
    config::node::Span,
    facts::Facts,
    host::Host,
    policy::{
        Applied, Authorizer,
        cel::Cel,
        rbac::{
            Judge,
            answer::Decision,
            engine::{Asked, Asking, Engine, MAX_ANSWER_BYTES},
            roles::{self, Roles},
        },
    },
    refusal::Refusal,
    remote::Question,
    trail::{Said, Verdict},
};

/// What was granted: the decisions, whose headers the service is to see.
pub(super) type Granted = Vec<Arc<Decision>>;

/// What one policy concludes: that the request may go on, by a decision where an engine made one.
type Conclusion = Result<Option<Arc<Decision>>, Refusal>;

pub(super) async fn authorize<H: Host>(
    host: &H,
    policies: &[Applied<Authorizer>],
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Result<Granted, Refusal> {
    let mut granted = Vec::new();
    for applied in policies {
        if !account.holds(applied, facts.path) {
            continue;
        }
        let concluded = match &*applied.policy {
            Authorizer::Cel(cel) => by_expression(applied, cel, facts, account),
            Authorizer::Rbac(rbac) if !rbac.concerns(facts) => {
                account.policy(applied, || Said::new(Verdict::Skip, "there is no user to ask about"));
                continue;
            }
            Authorizer::Rbac(rbac) => match &rbac.judge {
                Judge::Roles(roles) => by_roles(applied, roles, facts, account),
                Judge::Engine(engine) => by_engine(host, applied, engine, facts, account).await,
            },
        };
        granted.extend(concluded?);
    }
    Ok(granted)
}

fn by_roles(
    applied: &Applied<Authorizer>,
    roles: &Roles,
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Conclusion {
    match roles.grant(facts) {
        Some(grant) => conclude(applied, grant.at(), Ok(None), || grant.said(), account),
        None => {
            let place = applied.origin.span;
            conclude(applied, place, Err(Refusal::Forbidden), || roles::nothing(facts), account)
        }
    }
}

fn by_expression(
    applied: &Applied<Authorizer>,
    cel: &Cel,
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Conclusion {
    let judged = cel.judge(facts);
    let conclusion = match &judged {
        Ok(true) => Ok(None),
        Err(_) if cel.fails_open => Ok(None),
        Ok(false) | Err(_) => Err(Refusal::NotTrue),
    };
    let concluded = conclude(applied, applied.origin.span, conclusion, || cel.said(&judged), account);
    if let Err(reason) = judged {
        account.detail = Some(reason);
    }
    concluded
}

async fn by_engine<H: Host>(
    host: &H,
    applied: &Applied<Authorizer>,
    engine: &Engine,
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Conclusion {
    let asking = ask(host, engine, facts).await;
    let conclusion = match &asking {
        Ok((decision, _)) if decision.allow => Ok(Some(decision.clone())),
        Ok(_) => Err(Refusal::Forbidden),
        Err(_) if engine.fails_open => Ok(None),
        Err(_) => Err(Refusal::EngineUnavailable),
    };
    let concluded = conclude(applied, applied.origin.span, conclusion, || engine.said(&asking), account);
    if let Err(reason) = asking {
        account.detail = Some(reason);
    }
    concluded
}

async fn ask<H: Host>(host: &H, engine: &Engine, facts: &Facts<'_>) -> Asking {
    let name = engine.name(facts);
    if let Some(name) = &name
        && let Some(decision) = engine.recall(name, facts.now)
    {
        return Ok((decision, Asked::Before));
    }
    let question = engine.question(facts);
    let answer =
        engine.remote.ask(host, Question::Decision, Method::POST, Some(question), MAX_ANSWER_BYTES).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let decision = Arc::new(Decision::read(&answer, engine.headers.as_deref())?);
    if let Some(name) = name {
        engine.remember(name, &decision, facts.now);
    }
    Ok((decision, Asked::Now))
}

/// Notes what a policy concludes. Of one in shadow that is all: neither its "no" nor its headers take effect.
fn conclude(
    applied: &Applied<Authorizer>,
    place: Span,
    conclusion: Conclusion,
    said: impl FnOnce() -> Said,
    account: &mut Account<'_>,
) -> Conclusion {
    if !applied.is_in_shadow() {
        account.policy_at(applied, place, said);
        return conclusion;
    }
    let code = conclusion.err().map(|refusal| refusal.code());
    account.policy_at(applied, place, || in_shadow(said(), code));
    account.shadow = account.shadow.or(code);
    Ok(None)
}

fn in_shadow(said: Said, code: Option<&'static str>) -> Said {
    let Said { verdict, text, facts } = said;
    match code {
        Some(code) => Said { verdict: Verdict::Pass, text: format!("would be refused: {text}"), facts }
            .fact("shadow", code),
        None => Said { verdict, text: format!("in shadow: {text}"), facts },
    }
}
