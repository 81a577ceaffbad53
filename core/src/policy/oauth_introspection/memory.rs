//! What issuers said a moment ago, and for how long it holds. Tokens stand here by their digest alone.
//!
//! Tokens that are none have a memory of their own: anybody can make up any number of them, and they must not drive
//! the good ones out.

use super::{Holder, Judged, TokenFault};
use crate::{host::Timestamp, recent::Recent};

/// Good tokens remembered at most.
const GOOD: usize = 16_384;
/// Other tokens remembered at most.
const BAD: usize = 4_096;
/// While an old answer serves, an issuer that gave no new one is asked about its token no more often than this.
const AGAIN_MS: u64 = 1_000;

type Name = [u8; 32];

/// The memory of one policy.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) good_ms: u64,
    pub(crate) bad_ms: u64,
    pub(crate) stale_ms: u64,
    good: Recent<Name, Good>,
    bad: Recent<Name, Bad>,
}

#[derive(Debug, Clone)]
struct Good {
    holder: Holder,
    /// Until then nobody is asked.
    fresh_until: Timestamp,
    /// Until then it serves where nobody answers.
    stale_until: Timestamp,
    /// An old answer serves until then without asking.
    ask_again_at: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Bad {
    fault: TokenFault,
    until: Timestamp,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Known {
    /// Enough, and until when.
    Fresh(Judged, Timestamp),
    /// What was known; the issuer was asked again a moment ago and gave no answer.
    Stale(Holder, Timestamp),
    /// What was known, in case the issuer gives no answer now.
    Old(Holder, Timestamp),
    /// Nothing.
    Nothing,
}

impl Memory {
    /// A memory for so many milliseconds: of good tokens, of others, and of good ones whose issuer is silent.
    pub(crate) fn new(good_ms: u64, bad_ms: u64, stale_ms: u64) -> Self {
        Self { good_ms, bad_ms, stale_ms, good: Recent::new(GOOD), bad: Recent::new(BAD) }
    }

    /// Whether requests that come at the same time may share an answer: not where each is to have its own.
    pub(crate) fn shares(&self) -> bool {
        self.good_ms > 0
    }

    /// What is known of a token.
    pub(crate) fn recall(&self, name: &Name, now: Timestamp) -> Known {
        if let Some(Good { holder, fresh_until, stale_until, ask_again_at }) = self.good.get(name) {
            if now < fresh_until {
                return Known::Fresh(Ok(holder), fresh_until);
            }
            if now < stale_until {
                let stale = now < ask_again_at;
                return if stale {
                    Known::Stale(holder, stale_until)
                } else {
                    Known::Old(holder, stale_until)
                };
            }
        }
        match self.bad.get(name) {
            Some(Bad { fault, until }) if now < until => Known::Fresh(Err(fault), until),
            _ => Known::Nothing,
        }
    }

    /// Remembers what an answer came to; until when it holds.
    pub(crate) fn remember(&self, name: Name, judged: &Judged, now: Timestamp) -> Timestamp {
        match judged {
            Ok(holder) => {
                let fresh_until = now.saturating_add(self.good_ms).min(holder.ends_at);
                let stale_until = fresh_until.saturating_add(self.stale_ms).min(holder.ends_at);
                if now < stale_until {
                    let holder = holder.clone();
                    self.good.insert(name, Good { holder, fresh_until, stale_until, ask_again_at: 0 });
                }
                fresh_until
            }
            Err(fault) => {
                // What was good before must not serve again once its end is forgotten.
                self.good.remove(&name);
                let until = now.saturating_add(self.bad_ms);
                if now < until {
                    self.bad.insert(name, Bad { fault: *fault, until });
                }
                until
            }
        }
    }

    /// Notes that an issuer gave no answer while an old one is at hand.
    pub(crate) fn put_off(&self, name: Name, now: Timestamp) {
        if let Some(good) = self.good.get(&name) {
            self.good.insert(name, Good { ask_again_at: now.saturating_add(AGAIN_MS), ..good });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::identity::Identity;

    fn holder(ends_at: Timestamp) -> Holder {
        let claims = json!({"sub": "a"}).as_object().unwrap().clone();
        let identity = Identity::introspected(claims, "http://i/", "role", &[]).unwrap();
        Holder { identity: Arc::new(identity), ends_at }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_good_token_is_known_until_its_time_or_its_end() {
        let memory = Memory::new(60_000, 10_000, 0);
        assert_eq!(memory.remember([1; 32], &Ok(holder(Timestamp::MAX)), 0), 60_000);
        assert!(matches!(memory.recall(&[1; 32], 59_999), Known::Fresh(Ok(_), 60_000)));
        assert_eq!(memory.recall(&[1; 32], 60_000), Known::Nothing);
        assert_eq!(memory.remember([2; 32], &Ok(holder(5_000)), 0), 5_000);
        assert_eq!(memory.recall(&[2; 32], 5_000), Known::Nothing);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_old_answer_is_at_hand_for_its_time_and_never_past_the_tokens_end() {
        let memory = Memory::new(60_000, 10_000, 100_000);
        memory.remember([1; 32], &Ok(holder(Timestamp::MAX)), 0);
        assert!(matches!(memory.recall(&[1; 32], 159_999), Known::Old(_, 160_000)));
        assert_eq!(memory.recall(&[1; 32], 160_000), Known::Nothing);
        memory.remember([2; 32], &Ok(holder(70_000)), 0);
        assert!(matches!(memory.recall(&[2; 32], 69_999), Known::Old(..)));
        assert_eq!(memory.recall(&[2; 32], 70_000), Known::Nothing);
        // With nothing but its end to hold it, it is not even kept.
        memory.remember([3; 32], &Ok(holder(0)), 0);
        assert_eq!(memory.recall(&[3; 32], 0), Known::Nothing);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_silent_issuer_is_not_asked_for_every_request() {
        let memory = Memory::new(60_000, 10_000, 100_000);
        memory.remember([1; 32], &Ok(holder(Timestamp::MAX)), 0);
        memory.put_off([1; 32], 70_000);
        assert!(matches!(memory.recall(&[1; 32], 70_999), Known::Stale(..)));
        assert!(matches!(memory.recall(&[1; 32], 71_000), Known::Old(..)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_revoked_token_never_serves_again() {
        let memory = Memory::new(60_000, 10_000, 1_000_000);
        memory.remember([1; 32], &Ok(holder(Timestamp::MAX)), 0);
        assert_eq!(memory.remember([1; 32], &Err(TokenFault::Inactive), 70_000), 80_000);
        assert_eq!(memory.recall(&[1; 32], 79_999), Known::Fresh(Err(TokenFault::Inactive), 80_000));
        assert_eq!(memory.recall(&[1; 32], 80_000), Known::Nothing);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn invented_tokens_do_not_drive_good_ones_out() {
        let memory = Memory::new(60_000, 10_000, 0);
        memory.remember([0; 32], &Ok(holder(Timestamp::MAX)), 0);
        for number in 1..50_000u32 {
            let mut name = [7; 32];
            name[..4].copy_from_slice(&number.to_be_bytes());
            memory.remember(name, &Err(TokenFault::Inactive), 0);
        }
        assert!(matches!(memory.recall(&[0; 32], 1), Known::Fresh(Ok(_), _)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn with_no_time_nothing_is_remembered() {
        let memory = Memory::new(0, 0, 0);
        memory.remember([1; 32], &Ok(holder(Timestamp::MAX)), 0);
        memory.remember([2; 32], &Err(TokenFault::Inactive), 0);
        assert_eq!(memory.recall(&[1; 32], 0), Known::Nothing);
        assert_eq!(memory.recall(&[2; 32], 0), Known::Nothing);
    }
}
