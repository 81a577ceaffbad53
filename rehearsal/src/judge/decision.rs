//! Expectations about the decision itself: the steps it took, and what limits had left after it.

use serde_json::Value;
use tollgate_core::trail::{Step, Trail};

use super::fault::Faults;
use crate::{
    case::expect::{Expect, StepWish},
    observed::Observed,
};

pub(super) fn judge(expect: &Expect, observed: &Observed, faults: &mut Faults) {
    for (policy, wanted) in &expect.counters {
        let found = remaining(policy, observed);
        if found != Some(*wanted) {
            let found = found.map_or_else(|| "nothing was counted".to_owned(), |left| left.to_string());
            faults.note(format!("counter `{policy}`"), wanted.to_string(), found);
        }
    }
    // Not every host tells how it decided.
    if let Some(trail) = &observed.trail {
        steps(&expect.trail, trail, faults);
    }
}

/// What the limit of that name had left: as the decision says, or the answer's head where the host tells no more.
fn remaining(policy: &str, observed: &Observed) -> Option<u64> {
    if let Some(trail) = &observed.trail {
        let step = trail.steps.iter().rfind(|step| step.name.as_deref() == Some(policy))?;
        return step.facts.get("remaining").and_then(Value::as_u64);
    }
    let item = format!("\"{policy}\";r=");
    let lines = observed.headers.get("ratelimit")?;
    let rest = lines.iter().find_map(|line| Some(line.split_once(&item)?.1))?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The wishes are met in their order, and none by a step before that which met the one before.
fn steps(wishes: &[StepWish], trail: &Trail, faults: &mut Faults) {
    let mut steps = trail.steps.iter();
    for (number, wish) in wishes.iter().enumerate() {
        if !steps.any(|step| meets(step, wish)) {
            let what = format!("trail, step {} of those wished for", number + 1);
            let found = if number == 0 { "no such step" } else { "no such step after the one before" };
            faults.note(what, wish.to_string(), found);
            return;
        }
    }
}

fn meets(step: &Step, wish: &StepWish) -> bool {
    wish.room.as_deref().is_none_or(|room| room == step.room)
        && wish.policy.as_deref().is_none_or(|policy| step.name.as_deref() == Some(policy))
        && wish.verdict.is_none_or(|verdict| verdict == step.verdict)
        && wish.contains.as_deref().is_none_or(|part| step.text.contains(part))
}
