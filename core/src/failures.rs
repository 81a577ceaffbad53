//! How often credentials from one address may be wrong, before nothing from there is looked at for a while.
//!
//! Counting is a limit like others: one draw from the host's counters for each failure, so that replicas count
//! together. That an address has used its failures up is remembered here, so that a request costs no draw, and
//! none at all while nobody is blocked. This is no policy: it holds wherever a policy asks for credentials.

use std::{
    fmt::{self, Write},
    net::{IpAddr, Ipv6Addr},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    counter::{Draw, Quota, Rule, Window},
    host::Timestamp,
    recent::Recent,
    trail::{Said, Verdict},
};

const WINDOW_MS: u64 = 60_000;
/// Addresses that are remembered as blocked. One that is forgotten is blocked again by its next failure.
const MOST_BLOCKED: usize = 65_536;

/// Who may not try again yet.
#[derive(Debug)]
pub(crate) struct Failures {
    per_minute: u64,
    blocked: Recent<IpAddr, Timestamp>,
    /// When the last of them may try again.
    all_free_at: AtomicU64,
}

impl Failures {
    /// None where failures are not limited.
    pub(crate) fn new(per_minute: u64) -> Option<Self> {
        (per_minute > 0).then(|| Self {
            per_minute,
            blocked: Recent::new(MOST_BLOCKED),
            all_free_at: AtomicU64::default(),
        })
    }

    /// For how many milliseconds nothing that this client presents is looked at.
    pub(crate) fn blocks(&self, client: IpAddr, now: Timestamp) -> Option<u64> {
        let left = |end: Timestamp| end.checked_sub(now).filter(|left| *left > 0);
        left(self.all_free_at.load(Ordering::Relaxed))?;
        // A clock that was set back forgets: nobody is blocked for longer than a window.
        left(self.blocked.get(&network(client))?).filter(|left| *left <= WINDOW_MS)
    }

    /// What to draw for a failure.
    pub(crate) fn draw(&self, client: IpAddr) -> Draw {
        // The keys of limits begin with their policies' names, which are not empty: this can't be one of them.
        let mut key = String::from("\nfailed_auth:");
        let _ = write_network(client, &mut key);
        let rule = Rule::FixedWindow { limit: self.per_minute, window: Window::Length(WINDOW_MS) };
        Draw { key, rule, cost: 1 }
    }

    /// Takes up what became of the draw: whoever has no failure left is blocked until the window ends.
    pub(crate) fn note(&self, client: IpAddr, quota: &Quota, now: Timestamp) {
        if quota.remaining == 0 || !quota.admitted {
            let end = now.saturating_add(quota.reset_ms.min(WINDOW_MS));
            self.blocked.insert(network(client), end);
            // Later than what is read first, so that nobody who is blocked is taken to be free.
            self.all_free_at.fetch_max(end, Ordering::Relaxed);
        }
    }

    /// What explanations say of a request that was not looked at.
    pub(crate) fn said_blocked(&self, client: IpAddr, left_ms: u64) -> Said {
        let (limit, seconds) = (self.per_minute, left_ms.div_ceil(1000));
        let text = format!(
            "all {limit} failures a minute are used up from {}, anew in {seconds} s",
            counted_as(client)
        );
        Said::new(Verdict::Refuse, text)
            .fact("failed_auth_per_minute", limit)
            .fact("counted_as", counted_as(client))
            .fact("reset_ms", left_ms)
    }

    /// What explanations say of a failure that was counted.
    pub(crate) fn said_counted(&self, client: IpAddr, quota: &Quota) -> Said {
        if !quota.admitted {
            return self.said_blocked(client, quota.reset_ms);
        }
        let (limit, left) = (self.per_minute, quota.remaining);
        let seconds = quota.reset_ms.div_ceil(1000);
        let text = format!(
            "a failure from {}: {left} of {limit} left in this minute, anew in {seconds} s",
            counted_as(client)
        );
        Said::new(Verdict::Pass, text)
            .fact("failed_auth_per_minute", limit)
            .fact("remaining", left)
            .fact("reset_ms", quota.reset_ms)
            .fact("counted_as", counted_as(client))
    }
}

fn counted_as(client: IpAddr) -> String {
    let mut text = String::new();
    let _ = write_network(client, &mut text);
    text
}

/// One customer of an IPv6 network has a whole /64 at least, so that is what counts.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// As limits write it that count by address.
pub(crate) fn write_network(address: IpAddr, key: &mut String) -> fmt::Result {
    match network(address) {
        IpAddr::V4(address) => write!(key, "ip:{address}"),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            write!(key, "ip:{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn used_up(reset_ms: u64) -> Quota {
        Quota { admitted: true, remaining: 0, reset_ms, retry_ms: 0, at: 0 }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn whoever_has_used_their_failures_up_is_blocked_until_the_window_ends() {
        let failures = Failures::new(3).unwrap();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        failures.note(one, &Quota { remaining: 1, ..used_up(5_000) }, 55_000);
        assert_eq!(failures.blocks(one, 55_000), None);
        failures.note(one, &used_up(5_000), 55_000);
        assert_eq!(failures.blocks(one, 55_000), Some(5_000));
        assert_eq!(failures.blocks(one, 59_999), Some(1));
        assert_eq!(failures.blocks(one, 60_000), None);
        assert_eq!(failures.blocks(other, 55_000), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_another_replica_has_counted_blocks_here_too() {
        let failures = Failures::new(3).unwrap();
        failures.note(address("192.0.2.1"), &Quota { admitted: false, ..used_up(9) }, 0);
        assert_eq!(failures.blocks(address("192.0.2.1"), 0), Some(9));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_ipv6_network_counts_as_one() {
        let failures = Failures::new(1).unwrap();
        failures.note(address("2001:db8:1:2::1"), &used_up(10), 0);
        assert!(failures.blocks(address("2001:db8:1:2:ffff::9"), 0).is_some());
        assert!(failures.blocks(address("2001:db8:1:3::1"), 0).is_none());
        assert_eq!(failures.draw(address("2001:db8:1:2::1")), failures.draw(address("2001:db8:1:2:ffff::9")));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_clock_that_was_set_back_blocks_nobody_for_long() {
        let failures = Failures::new(1).unwrap();
        failures.note(address("192.0.2.1"), &used_up(10_000), 3_600_000);
        assert_eq!(failures.blocks(address("192.0.2.1"), 60_000), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn made_up_addresses_do_not_grow_the_memory() {
        let failures = Failures::new(1).unwrap();
        let made_up = |number: u32| IpAddr::from(std::net::Ipv4Addr::from(number));
        let most = MOST_BLOCKED as u32;
        for number in 0..2 * most {
            failures.note(made_up(number), &used_up(10_000), 0);
        }
        let held = (0..2 * most).filter(|number| failures.blocks(made_up(*number), 0).is_some()).count();
        assert!(held <= MOST_BLOCKED, "{held}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_failures_are_no_limit() {
        assert!(Failures::new(0).is_none());
    }
}
