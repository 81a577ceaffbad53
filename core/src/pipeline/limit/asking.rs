//! One request's question to all counters that it needs: who is asked in which order, what stands in where they can't be
//! reached, and that nothing stays taken where one of them refuses.
//!
//! Cheap ones first: this instance's own counters, the slices that it holds of shared ones, and then the shared counters
//! themselves, all at once.

use std::borrow::Cow;

use crate::{
    counter::{
        Draw, Outcome, Quota, Settlement,
        slices::{Taken, Wish as Slice},
    },
    host::{Host, HostError},
    job::{self, Job},
    policy::{
        Applied,
        limit::{Limit, OnError, Wish},
    },
};

/// Whoever waits for a lease looks again after so long at first.
const LOOK_AGAIN_MS: u64 = 25;
/// A slice that was too large is asked for again, smaller, so often at most.
const MOST_TRIES: usize = 3;

/// A limit that holds, and what it has said.
pub(super) struct Asked<'l> {
    pub(super) limit: &'l Applied<Limit>,
    pub(super) wish: Wish<'l>,
    pub(super) quota: Option<Quota>,
    /// Counted in this instance alone.
    pub(super) is_local: bool,
    /// Its shared counter could not be reached.
    pub(super) is_missed: bool,
}

impl Asked<'_> {
    pub(super) fn refuses(&self) -> bool {
        !self.limit.shadow && self.quota.is_some_and(|quota| !quota.admitted)
    }
}

/// What was decided in this instance, and can be undone here.
#[derive(Default)]
struct Undo {
    own: Vec<Settlement>,
    slices: Vec<usize>,
}

/// Draws from all that are not only recorded: whether all have admitted the request. Why counters could not be reached,
/// where it goes on all the same, is left in `trouble`.
pub(super) async fn attempt<H: Host>(
    host: &H,
    asked: &mut [Asked<'_>],
    draws: &[Draw],
    trouble: &mut Option<HostError>,
) -> Result<bool, HostError> {
    // Whoever has waited and asks again knows nothing any more.
    for one in asked.iter_mut() {
        one.quota = None;
        one.is_missed &= one.is_local;
    }
    // Nothing of this is there, as a rule.
    let plain =
        asked.iter().all(|one| !one.is_local && !one.limit.shadow && one.wish.amount.leasing.is_none());
    if plain {
        return match host.draw(draws).await {
            Ok(quotas) => Ok(note(asked, 0.., &quotas)),
            Err(error) => {
                let all: Vec<usize> = (0..asked.len()).collect();
                instead(host, asked, draws, &all, error, trouble)
            }
        };
    }
    for _ in 1..MOST_TRIES {
        if let Some(admitted) = attempt_once(host, asked, draws, trouble).await? {
            return Ok(admitted);
        }
    }
    // Slices that are too large for what is left, again and again: others draw at the same time, and nothing is left.
    Ok(attempt_once(host, asked, draws, trouble).await?.unwrap_or(false))
}

/// `None` where smaller slices have to be asked for.
async fn attempt_once<H: Host>(
    host: &H,
    asked: &mut [Asked<'_>],
    draws: &[Draw],
    trouble: &mut Option<HostError>,
) -> Result<Option<bool>, HostError> {
    let mut undo = Undo::default();
    if !locally(host, asked, draws, &mut undo) {
        return Ok(Some(false));
    }
    let mut shared = Vec::new();
    let mut wanted: Vec<Draw> = Vec::new();
    let mut slices: Vec<(usize, Slice)> = Vec::new();
    for (at, (one, draw)) in asked.iter_mut().zip(draws).enumerate() {
        if one.is_local || one.limit.shadow {
            continue;
        }
        let Some(leasing) = &one.wish.amount.leasing else {
            shared.push(at);
            wanted.push(draw.clone());
            continue;
        };
        match host.slices().take(&draw.key, leasing, draw.cost, host.now()) {
            Taken::Here(quota) => {
                one.quota = Some(quota);
                if !quota.admitted {
                    undo.carry_out(host, asked, draws);
                    return Ok(Some(false));
                }
                undo.slices.push(at);
            }
            Taken::Ask(slice) => {
                shared.push(at);
                wanted.push(slice.draw.clone());
                slices.push((at, slice));
            }
        }
    }
    if shared.is_empty() {
        return Ok(Some(true));
    }
    let drawn = host.draw(&wanted).await;
    let quotas = match drawn {
        Ok(quotas) => quotas,
        Err(error) => {
            let instead = instead(host, asked, draws, &shared, error, trouble);
            if !matches!(instead, Ok(true)) {
                undo.carry_out(host, asked, draws);
            }
            return instead.map(Some);
        }
    };
    let admitted = note(asked, shared.iter().copied(), &quotas);
    let mut again = false;
    for (at, slice) in slices {
        let quota = shared.iter().position(|shared| *shared == at).and_then(|of| quotas.get(of));
        let (Some(one), Some(quota)) = (asked.get_mut(at), quota) else { continue };
        let Some(leasing) = &one.wish.amount.leasing else { continue };
        // One that was admitted was handed back with all others, where one has refused.
        if !admitted && quota.admitted {
            one.quota = Some(Quota { remaining: leasing.remaining(quota.remaining), ..*quota });
            continue;
        }
        match host.slices().put(leasing, slice, quota, host.now()) {
            Taken::Here(quota) => one.quota = Some(quota),
            Taken::Ask(_) => again = true,
        }
    }
    collect(host);
    if !admitted {
        undo.carry_out(host, asked, draws);
    }
    // Where another refuses anyway, a smaller slice would not help.
    let enough = !again || asked.iter().any(|one| one.refuses() && one.wish.amount.leasing.is_none());
    Ok(enough.then_some(admitted))
}

/// Draws from this instance's own counters.
fn locally<H: Host>(host: &H, asked: &mut [Asked<'_>], draws: &[Draw], undo: &mut Undo) -> bool {
    let own = of(asked, |one| one.is_local);
    if own.is_empty() {
        return true;
    }
    let local = some(draws, &own);
    let quotas = host.counters().draw(&local, host.now());
    let admitted = note(asked, own.iter().copied(), &quotas);
    if admitted {
        undo.own =
            local.iter().zip(&quotas).map(|(draw, quota)| Settlement::undo(draw.clone(), quota)).collect();
    }
    admitted
}

impl Undo {
    fn carry_out<H: Host>(self, host: &H, asked: &[Asked<'_>], draws: &[Draw]) {
        host.counters().settle(&self.own, host.now());
        let mut back = Vec::new();
        for at in self.slices {
            let (Some(one), Some(draw)) = (asked.get(at), draws.get(at)) else { continue };
            if let (Some(leasing), Some(quota)) = (&one.wish.amount.leasing, &one.quota) {
                let undone = Settlement::undo(draw.clone(), quota);
                back.extend(host.slices().settle(leasing, undone, host.now()));
            }
        }
        job::settle(host, back);
    }
}

/// What is left of slices that have expired goes back to the counters from which it came.
fn collect<H: Host>(host: &H) {
    let now = host.now();
    job::settle(host, host.slices().collect(now));
    if host.slices().needs_watch(now) {
        host.defer(Job::WatchSlices);
    }
}

/// The counters that are shared can't be reached: whether what stands in for them has admitted the request. The error
/// where a limit is to refuse then.
fn instead<H: Host>(
    host: &H,
    asked: &mut [Asked<'_>],
    draws: &[Draw],
    shared: &[usize],
    error: HostError,
    trouble: &mut Option<HostError>,
) -> Result<bool, HostError> {
    let wants = |asked: &[Asked<'_>], at: usize, wanted: OnError| {
        asked.get(at).is_some_and(|one| one.limit.on_error == wanted)
    };
    if shared.iter().any(|at| wants(asked, *at, OnError::Deny)) {
        return Err(error);
    }
    *trouble = Some(error);
    // A lease that was asked for in vain may have been given all the same, and nobody holds it now.
    let given = shared.iter().filter_map(|at| Some((asked.get(*at)?, draws.get(*at)?)));
    let given = given.filter(|(one, _)| one.limit.holds_leases());
    job::settle(host, given.map(|(_, draw)| in_vain(draw)).collect());
    for at in shared {
        if let Some(one) = asked.get_mut(*at) {
            (one.quota, one.is_missed) = (None, true);
        }
    }
    let local: Vec<usize> = shared.iter().copied().filter(|at| wants(asked, *at, OnError::Local)).collect();
    let quotas = host.counters().draw(&some(draws, &local), host.now());
    let admitted = note(asked, local.iter().copied(), &quotas);
    for at in local {
        if let Some(one) = asked.get_mut(at) {
            one.is_local = true;
        }
    }
    Ok(admitted)
}

/// Hands back a lease of which nobody knows whether it was given: it has a name, so that is nothing where it was not.
pub(super) fn in_vain(draw: &Draw) -> Settlement {
    Settlement { draw: draw.clone(), at: 0, outcome: Outcome::Used(0), is_local: false }
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
fn note(asked: &mut [Asked<'_>], which: impl IntoIterator<Item = usize>, quotas: &[Quota]) -> bool {
    for (at, quota) in which.into_iter().zip(quotas) {
        if let Some(one) = asked.get_mut(at) {
            one.quota = Some(*quota);
        }
    }
    quotas.iter().all(|quota| quota.admitted)
}

/// How long to wait before all are asked again. `None` where it would take longer than a limit lets requests wait.
pub(super) fn patience(asked: &[Asked<'_>], waited_ms: u64) -> Option<u64> {
    let refusing = || asked.iter().filter(|one| one.refuses());
    let most = refusing().map(|one| one.limit.wait_ms).min()?;
    let left = most.saturating_sub(waited_ms).max(1);
    let step = |one: &Asked<'_>| {
        let retry_ms = one.quota.map_or(0, |quota| quota.retry_ms).max(1);
        // Whoever has waited for long looks less often: each look is a question to the counters.
        let look_again_ms = LOOK_AGAIN_MS.max(waited_ms / 8);
        if one.limit.holds_leases() { retry_ms.min(look_again_ms).min(left) } else { retry_ms }
    };
    let step = refusing().map(step).max()?;
    (waited_ms.saturating_add(step) <= most).then_some(step)
}
