//! Limits: all that hold are drawn from at once, so that a refused request costs none of them. What is held while the
//! request lasts, or settled when it is known what it cost, is given back or settled however the request ends.

use std::borrow::Cow;

use http::{Response, header};

use super::account::Account;
use crate::{
    counter::{Draw, Quota, Settlement},
    facts::Facts,
    host::{Host, HostError},
    job::Job,
    meter::{Held, Meter},
    policy::{
        Applied,
        limit::{Drawn, Limit, OnError, Wish},
    },
    refusal::Refusal,
    trail::{Said, Verdict},
};

/// Whoever waits for a lease looks again after so long at most.
const LOOK_AGAIN_MS: u64 = 25;

/// A limit that holds, and what it has said.
struct Asked<'l> {
    limit: &'l Applied<Limit>,
    wish: Wish,
    quota: Option<Quota>,
    /// Counted in this instance alone.
    is_local: bool,
}

/// Draws from all limits that hold.
pub(super) async fn draw<'h, H: Host>(
    host: &'h H,
    limits: &[Applied<Limit>],
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Result<Reserved<'h, H>, Refusal> {
    let (mut asked, draws) = asked(host, limits, facts, account)?;
    if asked.is_empty() {
        return Ok(Reserved { host, held: Vec::new(), is_sent: false });
    }
    let mut waited_ms = 0;
    let mut place = None;
    let admitted = loop {
        match attempt(host, &mut asked, &draws).await {
            Ok(true) => break true,
            Ok(false) => {}
            Err(error) => return Err(unreachable(&asked, &error, account)),
        }
        let Some(step) = patience(&asked, waited_ms) else { break false };
        if place.is_none() {
            place = refusing(&asked).next().and_then(|one| one.limit.wait());
            if place.is_none() {
                break false;
            }
        }
        host.sleep(step).await;
        waited_ms += step;
    };
    drop(place);
    if admitted {
        shadows(host, &mut asked, &draws, account).await;
    }
    for one in &asked {
        if let Some(quota) = &one.quota {
            account.policy(one.limit, || one.limit.said(&one.wish, quota, waited_ms, facts));
        }
    }
    let enforced = asked.iter().filter(|one| !one.limit.shadow);
    let drawn: Vec<Drawn> =
        enforced.filter_map(|one| Some(Drawn::new(one.limit, one.wish.amount.rate, one.quota?))).collect();
    if !admitted {
        return Err(Refusal::RateLimited(drawn));
    }
    account.drawn = drawn;
    Ok(Reserved { host, held: held(asked, draws, facts), is_sent: false })
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
                asked.push(Asked { limit, wish, quota: None, is_local: limit.is_local });
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

/// Draws from all that are not only recorded: whether all have admitted the request. Those of this instance alone are
/// asked first, for they can be taken back at no cost.
async fn attempt<H: Host>(host: &H, asked: &mut [Asked<'_>], draws: &[Draw]) -> Result<bool, HostError> {
    let own = of(asked, |one| one.is_local);
    let local = some(draws, &own);
    let drawn = if local.is_empty() { Vec::new() } else { host.counters().draw(&local, host.now()) };
    if !note(asked, &own, &drawn) {
        return Ok(false);
    }
    let shared = of(asked, |one| !one.is_local);
    if shared.is_empty() {
        return Ok(true);
    }
    let refused = match host.draw(&some(draws, &shared)).await {
        Ok(quotas) => match note(asked, &shared, &quotas) {
            true => return Ok(true),
            false => None,
        },
        Err(error) => match instead(host, asked, draws, &shared) {
            Some(true) => return Ok(true),
            Some(false) => None,
            None => Some(error),
        },
    };
    let undone = local.iter().cloned().zip(&drawn).map(|(draw, quota)| Settlement::undo(draw, quota));
    host.counters().settle(&undone.collect::<Vec<_>>(), host.now());
    refused.map_or(Ok(false), Err)
}

/// The counters that are shared can't be reached: whether what stands in for them has admitted the request. `None` where
/// a limit is to refuse then.
fn instead<H: Host>(host: &H, asked: &mut [Asked<'_>], draws: &[Draw], shared: &[usize]) -> Option<bool> {
    let enforced = || shared.iter().filter_map(|at| asked.get(*at));
    if enforced().any(|one| one.limit.on_error == OnError::Deny) {
        return None;
    }
    let local: Vec<usize> = shared
        .iter()
        .copied()
        .filter(|at| asked.get(*at).is_some_and(|one| one.limit.on_error == OnError::Local))
        .collect();
    let quotas = host.counters().draw(&some(draws, &local), host.now());
    let admitted = note(asked, &local, &quotas);
    for at in local {
        if let Some(one) = asked.get_mut(at) {
            one.is_local = true;
        }
    }
    Some(admitted)
}

/// Which of them are enforced, and of a kind.
fn of(asked: &[Asked<'_>], kind: impl Fn(&Asked<'_>) -> bool) -> Vec<usize> {
    let all = asked.iter().enumerate();
    all.filter(|(_, one)| !one.limit.shadow && kind(one)).map(|(at, _)| at).collect()
}

/// Most often that is all of them.
fn some<'d>(draws: &'d [Draw], which: &[usize]) -> Cow<'d, [Draw]> {
    match which.len() == draws.len() {
        true => Cow::Borrowed(draws),
        false => which.iter().filter_map(|at| draws.get(*at).cloned()).collect(),
    }
}

/// Takes up what was said; whether all have admitted the request.
fn note(asked: &mut [Asked<'_>], which: &[usize], quotas: &[Quota]) -> bool {
    for (at, quota) in which.iter().zip(quotas) {
        if let Some(one) = asked.get_mut(*at) {
            one.quota = Some(*quota);
        }
    }
    quotas.iter().all(|quota| quota.admitted)
}

fn refusing<'a, 'l>(asked: &'a [Asked<'l>]) -> impl Iterator<Item = &'a Asked<'l>> {
    asked.iter().filter(|one| !one.limit.shadow && one.quota.is_some_and(|quota| !quota.admitted))
}

/// How long to wait before all are asked again. `None` where it would take longer than a limit lets requests wait.
fn patience(asked: &[Asked<'_>], waited_ms: u64) -> Option<u64> {
    let step = |one: &Asked<'_>| {
        let retry_ms = one.quota.map_or(0, |quota| quota.retry_ms).max(1);
        if one.limit.holds_leases() { retry_ms.min(LOOK_AGAIN_MS) } else { retry_ms }
    };
    let step = refusing(asked).map(step).max()?;
    let most = refusing(asked).map(|one| one.limit.wait_ms).min()?;
    (waited_ms.saturating_add(step) <= most).then_some(step)
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
                account.policy(one.limit, || {
                    Said::new(Verdict::Fail, format!("could not be counted: {error}; it is only recorded"))
                });
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
        account.policy(one.limit, || one.limit.said_unavailable("the counters can't be reached"));
    }
    Refusal::CountersUnavailable(code)
}

/// What is to be settled later on.
fn held(asked: Vec<Asked<'_>>, draws: Vec<Draw>, facts: &Facts<'_>) -> Vec<Held> {
    let mut held = Vec::new();
    for (Asked { limit, quota, is_local, .. }, draw) in asked.into_iter().zip(draws) {
        let Some(quota) = quota.filter(|quota| quota.admitted) else { continue };
        let settle = limit.cost.settle.clone();
        if settle.is_some() || limit.holds_leases() {
            let input_tokens = if settle.is_some() { input_tokens(facts) } else { 0 };
            held.push(Held { draw, at: quota.at, is_local, settle, input_tokens });
        }
    }
    held
}

/// As many as the request's bytes may be, where their number is told: four bytes a token, as a rule.
fn input_tokens(facts: &Facts<'_>) -> u64 {
    let length = facts.head.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    length.unwrap_or_default().div_ceil(4)
}

/// What is held for a request. Dropped, it is given back: whatever became of the request, it needs it no longer.
pub(super) struct Reserved<'h, H: Host> {
    host: &'h H,
    held: Vec<Held>,
    /// The service has been asked, and has not answered.
    is_sent: bool,
}

impl<H: Host> Reserved<'_, H> {
    /// Whether what the answer says of its cost has to be read from its body.
    pub(super) fn reads_usage(&self) -> bool {
        self.held.iter().any(Held::reads_usage)
    }

    /// The service is asked from now on.
    pub(super) fn send(&mut self) {
        self.is_sent = true;
    }

    /// The service has failed, and that costs nothing.
    pub(super) fn fail(&mut self) {
        self.is_sent = false;
    }

    /// The service has answered: what is held is held until the answer has passed.
    pub(super) fn meter(mut self, response: Response<H::Body>) -> Response<H::Body> {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return response;
        }
        let (head, body) = response.into_parts();
        let meter = Meter::new(held, &head);
        Response::from_parts(head, self.host.metered(meter, body))
    }
}

impl<H: Host> Drop for Reserved<'_, H> {
    fn drop(&mut self) {
        if self.held.is_empty() {
            return;
        }
        // The client has left while the service was at work.
        let is_cancelled = self.is_sent;
        let settled = self.held.drain(..).map(|held| {
            let keeps = is_cancelled && held.settle.as_ref().is_some_and(|settle| settle.keeps_cancelled);
            let used = if keeps { held.draw.cost } else { 0 };
            held.settled(used)
        });
        self.host.defer(Job::Settle(settled.collect()));
    }
}
