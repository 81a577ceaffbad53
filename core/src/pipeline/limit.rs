//! Limits: all that hold are drawn from at once, so that a refused request costs none of them. Who is asked in which order
//! is `asking`'s; what is held until the request is over, and what becomes of it then, is `reserved`'s.

mod asking;
mod reserved;

pub(super) use self::reserved::Reserved;
use self::{
    asking::{Asked, attempt, in_vain, patience},
    reserved::{held, leases},
};
use super::account::Account;
use crate::{
    counter::Draw,
    facts::Facts,
    host::{Host, HostError, HostErrorKind},
    job,
    policy::{
        Applied,
        limit::{Drawn, Limit, OnError},
    },
    refusal::Refusal,
    trail::{Said, Verdict},
};

/// Draws from all limits that hold.
pub(super) async fn draw<'h, H: Host>(
    host: &'h H,
    limits: &[Applied<Limit>],
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Result<Reserved<'h, H>, Refusal> {
    let (mut asked, draws) = asked(host, limits, facts, account)?;
    if asked.is_empty() {
        return Ok(Reserved::new(host, Vec::new()));
    }
    let mut reserved = Reserved::new(host, leases(&asked, &draws));
    let mut waited_ms = 0;
    let mut place = None;
    let mut trouble = None;
    let admitted = loop {
        match attempt(host, &mut asked, &draws, &mut trouble).await {
            Ok(true) => break true,
            Ok(false) => {}
            Err(error) => {
                // Nobody was asked. In an outage all would hand back what none was given.
                if error.kind == HostErrorKind::Connect {
                    reserved.hold(Vec::new());
                }
                return Err(unreachable(&asked, &error, account));
            }
        }
        let Some(step) = patience(&asked, waited_ms) else { break false };
        if place.is_none() {
            place = asked.iter().find(|one| one.refuses()).and_then(|one| one.limit.wait());
            if place.is_none() {
                break false;
            }
        }
        host.sleep(step).await;
        waited_ms += step;
    };
    drop(place);
    if let Some(error) = trouble {
        account.detail = Some(error.to_string());
    }
    if admitted && asked.iter().any(|one| one.limit.shadow) {
        // Whoever leaves meanwhile gets back what is known to be taken.
        let mut known = held(&asked, &draws, facts);
        known.extend(leases(&asked, &draws));
        reserved.hold(known);
        shadows(host, &mut asked, &draws, account).await;
    }
    for one in &asked {
        account_for(one, waited_ms, facts, account);
    }
    let enforced = asked.iter().filter(|one| !one.limit.shadow);
    let drawn: Vec<Drawn> =
        enforced.filter_map(|one| Some(Drawn::new(one.limit, one.wish.amount, one.quota?))).collect();
    if !admitted {
        reserved.hold(Vec::new());
        return Err(Refusal::RateLimited(drawn));
    }
    account.drawn = drawn;
    reserved.hold(held(&asked, &draws, facts));
    Ok(reserved)
}

/// Notes what a limit has said, or that it could not be asked.
fn account_for(one: &Asked<'_>, waited_ms: u64, facts: &Facts<'_>, account: &mut Account<'_>) {
    const MISSED: &str = "the counters can't be reached";
    match &one.quota {
        Some(quota) => account.policy(one.limit, || {
            let mut said = one.limit.said(&one.wish, quota, waited_ms, facts);
            if one.is_missed {
                said.text = format!("{}; {MISSED}, and this instance counts for itself", said.text);
            }
            said
        }),
        None if one.is_missed => account.policy(one.limit, || one.limit.said_unavailable(MISSED)),
        None => {}
    }
}

/// What is wanted of which limits; a draw for each.
fn asked<'l, H: Host>(
    host: &H,
    limits: &'l [Applied<Limit>],
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Result<(Vec<Asked<'l>>, Vec<Draw>), Refusal> {
    let mut asked = Vec::with_capacity(limits.len());
    let mut draws = Vec::with_capacity(limits.len());
    for limit in limits {
        if !account.holds(limit, facts.path) {
            continue;
        }
        if let Some(why) = limit.exempt.why(facts) {
            account.policy(limit, || Said::new(Verdict::Skip, why));
            continue;
        }
        // 53 random bits, which all who count can count with.
        match limit.wish(facts, || u64::try_from(host.random() >> 75).unwrap_or_default()) {
            Ok((wish, draw)) => {
                let is_local = limit.is_local;
                asked.push(Asked { limit, wish, quota: None, is_local, is_missed: false });
                draws.push(draw);
            }
            Err(why) => {
                account.policy(limit, || limit.said_unavailable(&why));
                if !limit.shadow && limit.on_error != OnError::Allow {
                    account.detail = Some(why);
                    return Err(Refusal::CountersUnavailable(limit.algorithm.unavailable()));
                }
            }
        }
    }
    Ok((asked, draws))
}

/// Limits that are only recorded are drawn from each for itself: none of them keeps another from counting.
async fn shadows<H: Host>(host: &H, asked: &mut [Asked<'_>], draws: &[Draw], account: &mut Account<'_>) {
    for (one, draw) in asked.iter_mut().zip(draws).filter(|(one, _)| one.limit.shadow) {
        let draw = std::slice::from_ref(draw);
        let drawn = match one.is_local {
            true => Ok(host.counters().draw(draw, host.now())),
            false => host.draw(draw).await,
        };
        match drawn {
            Ok(quotas) => one.quota = quotas.first().copied(),
            Err(error) => {
                if one.limit.holds_leases() {
                    job::settle(host, draw.iter().map(in_vain).collect());
                }
                account.policy(one.limit, || one.limit.said_unavailable(&error.to_string()));
            }
        }
        if one.quota.is_some_and(|quota| !quota.admitted) {
            account.shadow.get_or_insert(one.limit.algorithm.exceeded());
        }
    }
}

/// The counters can't be reached, and one limit that must not be passed by is enough to stop.
fn unreachable(asked: &[Asked<'_>], error: &HostError, account: &mut Account<'_>) -> Refusal {
    account.detail = Some(error.to_string());
    let mut code = "fixed_window.unavailable";
    for one in asked.iter().filter(|one| !one.limit.shadow && !one.limit.is_local).rev() {
        if one.limit.on_error == OnError::Deny {
            code = one.limit.algorithm.unavailable();
        }
    }
    for one in asked.iter().filter(|one| !one.limit.shadow && !one.limit.is_local) {
        account.policy(one.limit, || match one.limit.on_error {
            OnError::Deny => one.limit.said_unavailable("the counters can't be reached"),
            OnError::Allow | OnError::Local => {
                Said::new(Verdict::Fail, "the counters can't be reached, and another limit refuses then")
            }
        });
    }
    Refusal::CountersUnavailable(code)
}
