//! What the limits of a request have said, for the answer's head: `RateLimit` and `RateLimit-Policy`
//! (draft-ietf-httpapi-ratelimit-headers-10), and the older `X-RateLimit-*` where that is asked for.

use std::{fmt::Write, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Limit,
    algorithm::{Algorithm, Amount, seconds},
};
use crate::counter::{MAX, Quota};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What one limit said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    quoted: Arc<str>,
    algorithm: Algorithm,
    rate: u64,
    announced: Arc<str>,
    legacy: bool,
    quota: Quota,
}

impl Drawn {
    pub(crate) fn new(policy: &Limit, amount: &Amount, quota: Quota) -> Self {
        Self {
            quoted: policy.quoted.clone(),
            algorithm: policy.algorithm,
            rate: amount.rate,
            announced: amount.announced.clone(),
            legacy: policy.legacy_headers,
            quota,
        }
    }

    /// What the refusal is called: by the first limit that refused.
    pub(crate) fn code(drawn: &[Self]) -> &'static str {
        let refused = drawn.iter().find(|one| !one.quota.admitted);
        refused.map_or("fixed_window.exceeded", |one| one.algorithm.exceeded())
    }

    /// Seconds until all limits that refused may admit the same again. `None` where one never will.
    pub fn retry_after(drawn: &[Self]) -> Option<u64> {
        let refused = drawn.iter().filter(|one| !one.quota.admitted).map(|one| one.quota.retry_ms).max();
        refused.filter(|retry_ms| *retry_ms < MAX).map(seconds)
    }

    /// Writes what all of them have said.
    pub(crate) fn write_headers(drawn: &[Self], headers: &mut HeaderMap) {
        let (mut policy, mut left) = (String::new(), String::new());
        for one in drawn {
            let separator = if policy.is_empty() { "" } else { ", " };
            let Self { quoted, announced, quota, .. } = one;
            policy.push_str(separator);
            policy.push_str(announced);
            let _ = write!(left, "{separator}{quoted};r={}", quota.remaining);
            // Nobody knows when others will be done.
            if one.algorithm.window_ms().is_some() {
                let _ = write!(left, ";t={}", seconds(quota.reset_ms));
            }
        }
        put(headers, RATE_LIMIT_POLICY, policy);
        put(headers, RATE_LIMIT, left);
        // They have room for one limit: the one that is nearest to its end.
        let tightest = drawn.iter().filter(|one| one.legacy).min_by_key(|one| one.quota.remaining);
        if let Some(one) = tightest {
            put(headers, X_LIMIT, one.rate.to_string());
            put(headers, X_REMAINING, one.quota.remaining.to_string());
            put(headers, X_RESET, seconds(one.quota.reset_ms).to_string());
        }
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}
