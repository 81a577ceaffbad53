//! What the claims of a token must say, once its signature is good.
//!
//! Whether it is good is not known here.

use serde_json::{Map, Value};

use super::{Issuer, JwtValidation, Required, TokenFault};
use crate::host::Timestamp;

impl JwtValidation {
    /// All checks on claims but that of scopes; the moment from which on the token counts no more.
    pub(super) fn judge(
        &self,
        issuer: &Issuer,
        claims: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Timestamp, TokenFault> {
        let (exp, nbf, iat) = (time(claims, "exp")?, time(claims, "nbf")?, time(claims, "iat")?);
        let mut ends_at = exp.map_or(Timestamp::MAX, |at| at.saturating_add(self.leeway_ms));
        if now >= ends_at {
            return Err(TokenFault::Expired);
        }
        let latest_start = now.saturating_add(self.leeway_ms);
        if nbf.is_some_and(|at| at > latest_start) || iat.is_some_and(|at| at > latest_start) {
            return Err(TokenFault::NotYetValid);
        }
        if let Some(max_age_ms) = self.max_age_ms {
            let issued_at = iat.ok_or(TokenFault::Claims)?;
            let too_old_at = issued_at.saturating_add(max_age_ms).saturating_add(self.leeway_ms);
            if now >= too_old_at {
                return Err(TokenFault::TooOld);
            }
            ends_at = ends_at.min(too_old_at);
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if issuer.name.as_deref().is_some_and(|name| text("iss") != Some(name)) {
            return Err(TokenFault::Issuer);
        }
        if !issuer.audience.is_empty() {
            let meant = |wanted: &String| match claims.get("aud") {
                Some(Value::String(one)) => one == wanted,
                Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(wanted)),
                _ => false,
            };
            if !issuer.audience.iter().any(meant) {
                return Err(TokenFault::Audience);
            }
        }
        if self.required.iter().all(|required| required.holds(claims)) {
            Ok(ends_at)
        } else {
            Err(TokenFault::Claims)
        }
    }

    /// Whether all wanted scopes were granted: by `scope`, a text with spaces (RFC 8693 §4.2), or by `scp`, which
    /// some issuers write as such a text and others as a list.
    pub(super) fn has_scopes(&self, claims: &Map<String, Value>) -> bool {
        let granted = |wanted: &str| {
            ["scope", "scp"].into_iter().any(|name| match claims.get(name) {
                Some(Value::String(text)) => text.split(' ').any(|one| one == wanted),
                Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(wanted)),
                _ => false,
            })
        };
        self.scopes.iter().all(|wanted| granted(wanted))
    }
}

/// A point in time in milliseconds. RFC 7519 §2: a NumericDate may be a fraction; whole milliseconds are enough,
/// and can't overflow.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, TokenFault> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) if (0.0..=1e11).contains(&seconds) => Ok(Some((seconds * 1000.0) as u64)),
            _ => Err(TokenFault::Malformed),
        },
    }
}

impl Required {
    fn holds(&self, claims: &Map<String, Value>) -> bool {
        let admitted = |value: &Value| match value {
            Value::String(text) => self.values.contains(text),
            other => self.values.contains(&other.to_string()),
        };
        match claims.get(&self.claim) {
            // An empty claim proves as little as a missing one.
            None | Some(Value::Null) => false,
            Some(Value::String(text)) if text.is_empty() => false,
            Some(_) if self.values.is_empty() => true,
            Some(Value::Array(many)) => many.iter().any(admitted),
            Some(value) => admitted(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::policy::jwt_validation::tests::policy;

    const NOW: Timestamp = 1_700_000_000_000;

    #[wasm_bindgen_test(unsupported = test)]
    fn sample_claims_are_admitted() {
        let policy = JwtValidation { scopes: vec!["read".into(), "write".into()], ..policy() };
        let claims = policy.sample_claims("a");
        assert!(policy.judge(&policy.issuers[0], &claims, NOW).is_ok() && policy.has_scopes(&claims));
    }

    fn judge(change: Value) -> Result<Timestamp, TokenFault> {
        judge_by(&policy(), change)
    }

    fn judge_by(policy: &JwtValidation, change: Value) -> Result<Timestamp, TokenFault> {
        let mut claims = json!({
            "iss": "https://issuer", "aud": "api", "sub": "a", "role": "user", "exp": NOW / 1000 + 10,
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        policy.judge(&policy.issuers[0], claims.as_object().unwrap(), NOW)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn claims_are_judged() {
        let now = NOW / 1000;
        for (change, wanted) in [
            (json!({}), None),
            (json!({"exp": now - 59}), None),
            (json!({"exp": now - 60}), Some(TokenFault::Expired)),
            (json!({"exp": now as f64 + 0.5}), None),
            (json!({"exp": "soon"}), Some(TokenFault::Malformed)),
            (json!({"exp": null}), Some(TokenFault::Malformed)),
            (json!({"exp": -1}), Some(TokenFault::Malformed)),
            (json!({"exp": 1e300}), Some(TokenFault::Malformed)),
            (json!({"nbf": i64::MIN}), Some(TokenFault::Malformed)),
            (json!({"iat": [now]}), Some(TokenFault::Malformed)),
            (json!({"nbf": now + 60}), None),
            (json!({"nbf": now + 61}), Some(TokenFault::NotYetValid)),
            (json!({"iat": now + 3600}), Some(TokenFault::NotYetValid)),
            (json!({"iss": "https://issuer/"}), Some(TokenFault::Issuer)),
            (json!({"iss": null}), Some(TokenFault::Issuer)),
            (json!({"aud": ["x", "web"]}), None),
            (json!({"aud": []}), Some(TokenFault::Audience)),
            (json!({"aud": {"api": true}}), Some(TokenFault::Audience)),
            (json!({"role": ["x", "user"]}), None),
            (json!({"role": 7}), None),
            (json!({"role": "admin"}), Some(TokenFault::Claims)),
            (json!({"role": ""}), Some(TokenFault::Claims)),
            (json!({"role": null}), Some(TokenFault::Claims)),
        ] {
            assert_eq!(judge(change.clone()).err(), wanted, "{change}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_age_is_counted_from_when_the_token_was_issued_and_ends_it() {
        let policy = JwtValidation { max_age_ms: Some(300_000), ..policy() };
        let now = NOW / 1000;
        let far = now + 3600;
        assert_eq!(judge_by(&policy, json!({"iat": now, "exp": far})), Ok(NOW + 360_000));
        assert_eq!(judge_by(&policy, json!({"iat": now})), Ok(NOW + 70_000));
        assert_eq!(judge_by(&policy, json!({"iat": now - 359, "exp": far})), Ok(NOW + 1_000));
        assert_eq!(judge_by(&policy, json!({"iat": now - 360, "exp": far})), Err(TokenFault::TooOld));
        assert_eq!(judge_by(&policy, json!({"exp": far})), Err(TokenFault::Claims));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_wanted_scope_must_have_been_granted() {
        let policy = JwtValidation { scopes: vec!["read".into(), "write".into()], ..policy() };
        let granted = |claims: Value| policy.has_scopes(claims.as_object().unwrap());
        assert!(granted(json!({"scope": "write admin read"})));
        assert!(granted(json!({"scp": ["read", "write"]})));
        assert!(granted(json!({"scp": "read write"})));
        assert!(granted(json!({"scope": "read", "scp": ["write"]})));
        for claims in [
            json!({}),
            json!({"scope": ""}),
            json!({"scope": "read"}),
            json!({"scope": "read,write"}),
            json!({"scope": "read\twrite"}),
            json!({"scope": "READ WRITE"}),
            json!({"scope": "reader writer"}),
            json!({"scope": {"read": true, "write": true}}),
            json!({"scp": ["read write"]}),
        ] {
            assert!(!granted(claims.clone()), "{claims}");
        }
    }
}
