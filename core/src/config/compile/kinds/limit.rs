//! Limits compiled: how much, how long, whom, and what it costs; and all of it within what can be counted exactly.

use std::sync::{Arc, atomic::AtomicU64};

use http::HeaderName;

use super::cel::formula;
use crate::{
    config::{
        Host,
        compile::Bench,
        length,
        node::Node,
        policy::{
            Accuracy, Common, Cost as Written, CostText, Kind, OnCancel, OnStoreError, Scope, TierRate,
            Tiers as WrittenTiers,
        },
        problem::{Problem, nearest},
    },
    counter::{Leasing, MAX, Window},
    policy::{
        cel::terms::{OF_ANSWERS, VARIABLES},
        limit::{
            Limit, OnError,
            algorithm::{Algorithm, Amount},
            cost::{By, Cost, Settle, Taken},
            per::Per,
            tiers::{Exempt, Tiers},
        },
    },
};

/// As much as there can be of anything: what is counted stays exact in every store.
const MOST: u64 = 1 << 40;
/// As many leases as a counter has on Workers.
const MOST_LEASES: u64 = 10_000;
/// The longest time that is counted over.
const LONGEST_MS: u64 = 366 * 86_400_000;

/// `None` for a policy that is no limit, and where mistakes have been noted.
pub(super) fn limit(kind: &Kind, name: &str, id: &str, node: &Node, bench: &Bench<'_>) -> Option<Limit> {
    let (key, rate, burst, algorithm, common) = match kind {
        Kind::FixedWindow(keys) => {
            let algorithm = window(node, "window", &keys.window, bench);
            let algorithm = algorithm.map(|window_ms| Algorithm::FixedWindow { window_ms });
            ("rate", keys.rate, None, algorithm, keys.common())
        }
        Kind::SlidingWindow(keys) => {
            let algorithm = window(node, "window", &keys.window, bench);
            let algorithm = algorithm.map(|window_ms| Algorithm::SlidingWindow { window_ms });
            ("rate", keys.rate, None, algorithm, keys.common())
        }
        Kind::TokenBucket(keys) => {
            let algorithm = window(node, "window", &keys.window, bench);
            let algorithm = algorithm.map(|window_ms| Algorithm::TokenBucket { window_ms });
            ("rate", keys.rate, keys.burst, algorithm, keys.common())
        }
        Kind::Concurrency(keys) => {
            let algorithm = window(node, "lease", &keys.lease, bench);
            let algorithm = algorithm.map(|lease_ms| Algorithm::Concurrency { lease_ms });
            ("limit", keys.limit, None, algorithm, keys.common())
        }
        Kind::Budget(keys) => {
            let period = period(node, &keys.period, bench);
            let algorithm = period.map(|period| Algorithm::Budget { period, rolling: keys.rolling });
            ("limit", keys.limit, None, algorithm, keys.common())
        }
        _ => return None,
    };
    let mut amount = Amount::exact(rate, burst.unwrap_or(rate));
    enough(node, key, rate, bench);
    if let Some(burst) = burst {
        enough(node, "burst", burst, bench);
    }
    let per = per(node, &common, bench);
    let tiers = common.tiers.map(|tiers| self::tiers(tiers, node, kind, bench));
    let exempt = exempt(node, &common, bench);
    let cost = cost(node, &common, bench);
    if !(1..=128).contains(&common.ipv6_prefix) {
        let problem = Problem::error(node.span_of("ipv6_prefix"), "an IPv6 address has 128 bits");
        bench.note(problem.cure("write a number from 1 to 128; 64 is one network"));
    }
    if common.wait_ms > 60_000 {
        let problem = Problem::error(node.span_of("wait_ms"), "nobody waits longer than a minute for a turn");
        bench.note(problem.cure("write at most 60000"));
    }
    let algorithm = algorithm?;
    let known = tiers.as_ref().and_then(Option::as_ref);
    countable(node, algorithm, &amounts(node, &amount, known), bench);
    portable(node, algorithm, &amounts(node, &amount, known), &common, bench);
    let cost = cost?;
    if node.get("cost").is_some() {
        affordable(node, algorithm, &amounts(node, &amount, known), &cost, bench);
    }
    let mut tiers = tiers.map_or(Some(None), |tiers| tiers.map(Some))?;
    let quoted = quoted(name);
    let tiered = tiers.iter_mut().flat_map(|tiers| tiers.amounts.values_mut());
    let mut all: Vec<&mut Amount> = std::iter::once(&mut amount).chain(tiered).collect();
    lease(node, algorithm, &common, &mut all, bench);
    for amount in all {
        amount.announced = algorithm.announced(&quoted, amount);
    }
    Some(Limit {
        algorithm,
        amount,
        id: format!("{id}\n{}", algorithm.tag()),
        quoted: quoted.into(),
        per: per?,
        ipv6_prefix: common.ipv6_prefix,
        tiers,
        exempt: exempt?,
        cost,
        is_local: common.scope == Scope::Local,
        on_error: match common.on_error {
            OnStoreError::Deny => OnError::Deny,
            OnStoreError::Allow => OnError::Allow,
            OnStoreError::Local => OnError::Local,
        },
        shadow: common.shadow,
        legacy_headers: common.legacy_headers,
        wait_ms: common.wait_ms,
        waiting: AtomicU64::new(0),
    })
}

fn enough(node: &Node, key: &str, number: u64, bench: &Bench<'_>) {
    if number == 0 {
        bench.note(Problem::error(node.span_of(key), format!("a `{key}` of 0 would refuse everything")));
    } else if number > MOST {
        let message = format!("a `{key}` of {number} is more than can be counted");
        bench.note(Problem::error(node.span_of(key), message).cure(format!("write at most {MOST}")));
    }
}

/// All amounts of a limit, each with the tier that has it; `None` for the policy's own.
fn amounts<'a>(
    node: &'a Node,
    own: &'a Amount,
    tiers: Option<&'a Tiers>,
) -> Vec<(Option<&'a Node>, &'a Amount)> {
    let rates = node.get("tiers").and_then(|tiers| tiers.get("rates")).unwrap_or(node);
    let tiered = tiers.iter().flat_map(|tiers| &tiers.amounts);
    let tiered = tiered.map(|(name, amount)| (Some(rates.get(name).unwrap_or(rates)), amount));
    std::iter::once((None, own)).chain(tiered).collect()
}

/// What costs more than there ever is would never be admitted: of nobody, or of nobody in a tier.
fn affordable(
    node: &Node,
    algorithm: Algorithm,
    amounts: &[(Option<&Node>, &Amount)],
    cost: &Cost,
    bench: &Bench<'_>,
) {
    let Taken::Fixed(taken) = cost.taken else { return };
    for (tier, amount) in amounts {
        let at = tier.map_or_else(|| node.span_of("cost"), |tier| tier.span);
        let most = algorithm.most(amount);
        if taken > most {
            let message = format!("a request costs {taken}, and there is never more than {most}");
            let cure = "nothing would be admitted; cost less or allow more";
            bench.note(Problem::error(at, message).cure(cure));
        }
    }
}

/// What a bucket counts are parts of tokens, and there must not be too many of them.
fn countable(node: &Node, algorithm: Algorithm, amounts: &[(Option<&Node>, &Amount)], bench: &Bench<'_>) {
    let Algorithm::TokenBucket { window_ms } = algorithm else { return };
    let most = MAX / 2 / window_ms.max(1);
    if let Some((tier, amount)) = amounts.iter().find(|(_, amount)| amount.burst > most) {
        let at = tier.unwrap_or(node).span_of("burst");
        let message =
            format!("a `burst` of {} in this `window` is more than can be counted exactly", amount.burst);
        let cure = format!("write a shorter `window`, or a `burst` of at most {most}");
        bench.note(Problem::error(at, message).cure(cure));
    }
}

/// A counter on Workers takes all of its leases out and puts them back with each draw, one draw after another.
fn portable(
    node: &Node,
    algorithm: Algorithm,
    amounts: &[(Option<&Node>, &Amount)],
    common: &Common<'_>,
    bench: &Bench<'_>,
) {
    let is_shared = bench.host == Host::Workers && common.scope != Scope::Local;
    if !is_shared || !matches!(algorithm, Algorithm::Concurrency { .. }) {
        return;
    }
    for (tier, amount) in amounts {
        let at = tier.map_or_else(|| node.span_of("limit"), |tier| tier.span);
        let most = amount.rate;
        // What can't be counted anywhere has been noted.
        if (MOST_LEASES + 1..=MOST).contains(&most) {
            let message = format!(
                "{most} at the same time are too many on Workers, where each request copies the places of all others"
            );
            let cure = format!(
                "write at most {MOST_LEASES}, and count fewer requests together by another `per`; or run the native host"
            );
            bench.note(Problem::error(at, message).cure(cure));
        }
    }
}

/// Slices for all amounts, where they are wanted and can be had.
fn lease(
    node: &Node,
    algorithm: Algorithm,
    common: &Common<'_>,
    amounts: &mut [&mut Amount],
    bench: &Bench<'_>,
) {
    let at = node.span_of("max_overshoot");
    if common.accuracy == Accuracy::Exact {
        if common.max_overshoot.is_some() {
            let problem = Problem::error(at, "a limit that is exact is never overshot");
            bench.note(problem.cure("add `accuracy: leased`, or leave `max_overshoot` out"));
        }
        return;
    }
    let Some(max_overshoot) = common.max_overshoot else {
        let problem = Problem::error(node.span_of("accuracy"), "how much may be overshot is not said");
        bench.note(problem.cure("add `max_overshoot`: so many more than the limit may be admitted"));
        return;
    };
    if common.scope == Scope::Local {
        let problem =
            Problem::error(node.span_of("accuracy"), "what each instance counts for itself is not leased");
        bench.note(problem.cure("leave `accuracy` and `max_overshoot` out: it is exact"));
        return;
    }
    if common.shadow {
        let problem = Problem::error(node.span_of("accuracy"), "what is only recorded is not leased");
        bench.note(problem.cure("leave `accuracy` and `max_overshoot` out while it is a shadow"));
        return;
    }
    for amount in amounts {
        match Leasing::new(algorithm.rule(amount, 0), max_overshoot) {
            Ok(leasing) => amount.leasing = Some(leasing),
            Err(why) => {
                bench.note(
                    Problem::error(at, why.to_string())
                        .cure("write another `max_overshoot`, or leave `accuracy` out"),
                );
                return;
            }
        }
    }
}

fn window(node: &Node, key: &str, text: &str, bench: &Bench<'_>) -> Option<u64> {
    let length = length::milliseconds(text).filter(|length| (1..=LONGEST_MS).contains(length));
    if length.is_none() {
        let node = node.get(key).unwrap_or(node);
        let problem = Problem::error(node.span, format!("`{}` is no length of time", node.shown()));
        bench.note(
            problem
                .cure("write a number and a unit, such as `1s`, `60s`, `5m`, `1h`, `1d`; 366 days at most"),
        );
    }
    length
}

fn period(node: &Node, text: &str, bench: &Bench<'_>) -> Option<Window> {
    match text {
        "day" => Some(Window::Length(86_400_000)),
        "month" => Some(Window::Month),
        _ => {
            let length = length::milliseconds(text).filter(|length| (1..=LONGEST_MS).contains(length));
            if length.is_none() {
                let node = node.get("period").unwrap_or(node);
                let problem = Problem::error(node.span, format!("`{}` is no period", node.shown()));
                bench.note(
                    problem.cure("write `day`, `month`, or a length such as `6h` or `7d`; 366 days at most"),
                );
            }
            length.map(Window::Length)
        }
    }
}

fn per(node: &Node, common: &Common<'_>, bench: &Bench<'_>) -> Option<Vec<Per>> {
    let written = common.per.as_slice();
    let mut per = Vec::new();
    for (text, node) in node.members("per", written) {
        if let Some(text) = text.strip_prefix("cel:") {
            per.extend(formula(text, VARIABLES, node, bench).map(Per::Cel));
            continue;
        }
        match Per::parse(text) {
            Some(part) => per.push(part),
            None => bench.note(unknown_per(node, text)),
        }
    }
    bench.not_empty(node, "per");
    (per.len() == written.len()).then_some(per)
}

fn unknown_per(node: &Node, text: &str) -> Problem {
    let problem = Problem::error(node.span, format!("`{}` is nothing that can be counted by", node.shown()));
    match nearest(text, ["user_id", "ip", "api_key", "route", "service"]) {
        Some(near) => problem.cure(format!("did you mean `{near}`?")),
        None => problem
            .cure("known are: user_id, ip, api_key, route, service, header:NAME, claim:NAME, cel:EXPRESSION"),
    }
}

fn tiers(written: &WrittenTiers, node: &Node, kind: &Kind, bench: &Bench<'_>) -> Option<Tiers> {
    let node = node.get("tiers").unwrap_or(node);
    let claim = written.by.strip_prefix("claim:").filter(|claim| !claim.is_empty());
    if claim.is_none() {
        let by = node.get("by").unwrap_or(node);
        let problem = Problem::error(by.span, format!("`{}` chooses no tier", by.shown()));
        bench.note(problem.cure("write `claim:NAME`; `metadata` of a key is claims too"));
    }
    if written.rates.is_empty() {
        let problem = Problem::error(node.span_of("rates"), "there are no `rates` to choose from");
        bench.note(problem.cure("write one for each value of the claim: `rates: {free: 10, pro: 1000}`"));
    }
    let rates = node.get("rates").unwrap_or(node);
    let mut amounts = std::collections::BTreeMap::new();
    for (name, rate) in &written.rates {
        let (rate, burst) = match rate {
            TierRate::Rate(rate) => (*rate, None),
            TierRate::Long(long) => (long.rate, long.burst),
        };
        let at = rates.get(name).unwrap_or(rates);
        if let Some(burst) = burst.filter(|_| matches!(kind, Kind::TokenBucket(_))) {
            enough(at, "burst", burst, bench);
        } else if burst.is_some() {
            let message = format!("a `{}` has no `burst`", kind.name());
            bench.note(
                Problem::error(at.span_of("burst"), message).cure("leave it out, or use a `TokenBucket`"),
            );
        }
        enough(rates, name, rate, bench);
        amounts.insert(name.clone(), Amount::exact(rate, burst.unwrap_or(rate)));
    }
    Some(Tiers { claim: claim?.to_owned(), amounts })
}

fn exempt(node: &Node, common: &Common<'_>, bench: &Bench<'_>) -> Option<Exempt> {
    let node = node.get("exempt").unwrap_or(node);
    let written = node.members("addresses", &common.exempt.addresses);
    let addresses: Vec<_> = written.filter_map(|(text, node)| bench.network(text, node)).collect();
    let roles = common.exempt.roles.clone();
    (addresses.len() == common.exempt.addresses.len()).then_some(Exempt { addresses, roles })
}

fn cost(node: &Node, common: &Common<'_>, bench: &Bench<'_>) -> Option<Cost> {
    let node = node.get("cost").unwrap_or(node);
    match common.cost {
        None => Some(Cost { taken: Taken::Fixed(1), settle: None }),
        Some(Written::Text(text)) => Some(Cost { taken: taken(text, node, bench)?, settle: None }),
        Some(Written::Long(long)) => {
            let taken = taken(&long.reserve, node.get("reserve").unwrap_or(node), bench);
            let at = node.get("settle").unwrap_or(node);
            let by = match long.settle.as_str() {
                "usage" => Some(By::Usage),
                text => match text.strip_prefix("header:") {
                    Some(name) => header(name, at, bench).map(By::Header),
                    None => formula(text, OF_ANSWERS, at, bench).map(By::Of),
                },
            };
            let keeps_cancelled = long.on_cancel == OnCancel::Charge;
            Some(Cost { taken: taken?, settle: Some(Arc::new(Settle { by: by?, keeps_cancelled })) })
        }
    }
}

fn taken(text: &CostText, node: &Node, bench: &Bench<'_>) -> Option<Taken> {
    match text {
        CostText::None => None,
        CostText::Number(0) => {
            let problem = Problem::error(node.span, "what costs nothing is not limited");
            bench.note(problem.cure("write a number above 0, or an expression"));
            None
        }
        CostText::Number(number) => Some(Taken::Fixed(*number)),
        CostText::Expression(text) => formula(text, VARIABLES, node, bench).map(Taken::Of),
    }
}

fn header(name: &str, node: &Node, bench: &Bench<'_>) -> Option<HeaderName> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
    if parsed.is_none() {
        bench.note(Problem::error(node.span, format!("`{}` names no header", node.shown())));
    }
    parsed
}

/// A name as a string of structured fields (RFC 9651 §3.3.3).
fn quoted(name: &str) -> String {
    let visible = name.chars().filter(|c| (' '..='~').contains(c));
    let escaped: String =
        visible.flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c])).collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn names_become_strings_of_structured_fields() {
        assert_eq!(quoted("a\"b\\c\u{e9}"), "\"a\\\"b\\\\c\"");
    }
}
