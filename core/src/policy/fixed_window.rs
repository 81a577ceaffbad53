//! `FixedWindow`: so many requests a window. Whom a request counts for is decided here; the counting is
//! [`crate::counter`]'s arithmetic, wherever the host keeps the state.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    counter::{Draw, Quota, Rule, Window},
    facts::Facts,
    failures::write_network,
    trail::{Said, Verdict},
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedWindow {
    /// Identifies the counters: name and place of the policy, so that an override counts for itself.
    pub(crate) id: String,
    /// The policy's name, as a quoted string of the `RateLimit` fields.
    pub(crate) quoted: String,
    pub(crate) rate: u64,
    pub(crate) window_ms: u64,
    pub(crate) per: Vec<Per>,
    /// Go on when the counters can't be reached.
    pub(crate) fails_open: bool,
}

/// A part of the key by which requests are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Per {
    User,
    Ip,
    Route,
    Service,
    Header(HeaderName),
    Claim(String),
}

impl Per {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "user_id" => Some(Self::User),
            "ip" => Some(Self::Ip),
            "route" => Some(Self::Route),
            "service" => Some(Self::Service),
            _ => {
                if let Some(name) = text.strip_prefix("header:") {
                    return HeaderName::from_bytes(name.as_bytes()).ok().map(Self::Header);
                }
                let claim = text.strip_prefix("claim:")?;
                (!claim.is_empty()).then(|| Self::Claim(claim.to_owned()))
            }
        }
    }
}

impl FixedWindow {
    /// What to draw for a request.
    pub fn draw(&self, facts: &Facts<'_>) -> Draw {
        let mut key = String::with_capacity(self.id.len() + 64);
        key.push_str(&self.id);
        for per in &self.per {
            key.push('\n');
            per.write(facts, &mut key);
        }
        let rule = Rule::FixedWindow { limit: self.rate, window: Window::Length(self.window_ms) };
        Draw { key, rule, cost: 1 }
    }
}

impl FixedWindow {
    /// What explanations say of what was drawn.
    pub(crate) fn said(&self, quota: &Quota, facts: &Facts<'_>) -> Said {
        let (rate, seconds) = (self.rate, seconds(self.window_ms));
        let reset = self::seconds(quota.reset_ms);
        let said = if quota.admitted {
            let left = quota.remaining;
            Said::new(Verdict::Pass, format!("{left} of {rate} left in {seconds} s, anew in {reset} s"))
        } else {
            Said::new(Verdict::Refuse, format!("all {rate} in {seconds} s are used up, anew in {reset} s"))
        };
        let counted: Vec<String> = self
            .per
            .iter()
            .map(|per| {
                let mut text = String::new();
                per.write(facts, &mut text);
                text
            })
            .collect();
        said.fact("rate", rate)
            .fact("window_ms", self.window_ms)
            .fact("remaining", quota.remaining)
            .fact("reset_ms", quota.reset_ms)
            .fact("counted_as", counted.join(" and "))
    }
}

impl Per {
    fn write(&self, facts: &Facts<'_>, key: &mut String) {
        let _ = match (self, facts.identity) {
            (Self::User, Some(identity)) => write!(key, "{}", identity.key),
            // A request without a user is counted by address; the prefix keeps the two kinds apart.
            (Self::User | Self::Ip, _) => write_network(facts.client, key),
            (Self::Route, _) => write!(key, "route:{}", facts.route.pattern),
            (Self::Service, _) => write!(key, "service:{}", facts.route.service.name),
            // A digest, so that no client decides how long keys are or what stands in them.
            (Self::Header(name), _) => {
                let mut digest = Sha256::new();
                for value in facts.head.headers.get_all(name) {
                    digest.update(value.as_bytes());
                    digest.update(b"\n");
                }
                write!(key, "header:{:x}", digest.finalize())
            }
            (Self::Claim(name), Some(identity)) => {
                let value = identity.claims.get(name).unwrap_or(&Value::Null);
                write!(key, "claim:{:x}", Sha256::digest(value.to_string()))
            }
            (Self::Claim(_), None) => write!(key, "claim:"),
        };
    }
}

/// What one limit said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    quoted: String,
    limit: u64,
    window_ms: u64,
    quota: Quota,
}

impl Drawn {
    pub(crate) fn new(policy: &FixedWindow, quota: Quota) -> Self {
        Self { quoted: policy.quoted.clone(), limit: policy.rate, window_ms: policy.window_ms, quota }
    }

    /// Seconds until all limits that refused have begun anew.
    pub fn retry_after(drawn: &[Self]) -> Option<u64> {
        drawn.iter().filter(|one| !one.quota.admitted).map(|one| seconds(one.quota.reset_ms)).max()
    }

    /// The `RateLimit` fields of draft-ietf-httpapi-ratelimit-headers.
    pub(crate) fn write_headers(drawn: &[Self], headers: &mut HeaderMap) {
        let (mut policy, mut left) = (String::new(), String::new());
        for one in drawn {
            let separator = if policy.is_empty() { "" } else { ", " };
            let _ = write!(policy, "{separator}{};q={};w={}", one.quoted, one.limit, seconds(one.window_ms));
            let _ = write!(
                left,
                "{separator}{};r={};t={}",
                one.quoted,
                one.quota.remaining,
                seconds(one.quota.reset_ms)
            );
        }
        for (name, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
}

/// Rounded up: a client that waits so long has waited long enough.
fn seconds(milliseconds: u64) -> u64 {
    milliseconds.div_ceil(1000)
}
