//! `RBAC`: whether a user may, as a policy engine says (the data API of Open Policy Agent and its kin).
//!
//! What is asked and how answers are read is here; asking is the pipeline's. Whatever is not a clear answer
//! is no answer, and then the rule of the configuration holds: deny, unless it says allow.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    facts::Facts,
    host::Timestamp,
    recent::Recent,
    remote::{Answer, Remote},
    trail::{Said, Verdict},
    transform::hop_by_hop,
};

/// Longer answers are not answers.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Answers remembered at most.
pub(crate) const REMEMBERED: usize = 16_384;

/// Asks a policy engine.
#[derive(Debug)]
pub struct Rbac {
    pub(crate) engine: Remote,
    pub(crate) cache_ms: u64,
    /// Go on when the engine can't be asked.
    pub(crate) fails_open: bool,
    pub(crate) include_anonymous: bool,
    pub(crate) decided: Recent<[u8; 32], Decided>,
}

/// An answer that is remembered.
#[derive(Debug, Clone)]
pub(crate) struct Decided {
    decision: Arc<Decision>,
    until: Timestamp,
}

/// What the engine said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decision {
    pub(crate) allow: bool,
    /// Headers that the service is to be given along.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// When an answer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A moment ago, and remembered since.
    Before,
    /// For this request.
    Now,
}

impl Rbac {
    /// What explanations say of a decision. The question is not told: it holds all claims.
    pub(crate) fn said(&self, decided: &Result<(Arc<Decision>, Asked), String>) -> Said {
        let engine = &self.engine.service.name;
        let said = match decided {
            Ok((decision, asked)) => {
                let when = match asked {
                    Asked::Before => ", a moment ago",
                    Asked::Now => "",
                };
                let headers: Vec<&str> = decision.headers.iter().map(|(name, _)| name.as_str()).collect();
                let said = match decision.allow {
                    true => Said::new(Verdict::Pass, format!("`{engine}` allows it{when}")),
                    false => Said::new(Verdict::Refuse, format!("`{engine}` denies it{when}")),
                };
                if headers.is_empty() { said } else { said.fact("adds_headers", headers.join(", ")) }
            }
            Err(_) if self.fails_open => {
                Said::new(Verdict::Fail, format!("`{engine}` gives no answer; `on_error: allow` goes on"))
            }
            Err(_) => Said::new(
                Verdict::Refuse,
                format!("`{engine}` gives no answer, and `on_error` is not `allow`"),
            ),
        };
        match decided {
            Err(reason) => said.fact("failure", reason.as_str()),
            Ok(_) => said,
        }
    }

    /// Whether there is anything to ask. A request that authentication let through without a user is not
    /// asked about, unless that is wanted.
    pub(crate) fn concerns(&self, facts: &Facts<'_>) -> bool {
        facts.identity.is_some() || self.include_anonymous
    }

    /// The question.
    pub(crate) fn question(&self, facts: &Facts<'_>) -> Bytes {
        let identity = facts.identity;
        let question = json!({"input": {
            "user": identity.map(|identity| &identity.subject),
            "roles": identity.map(|identity| identity.roles.as_slice()).unwrap_or_default(),
            "claims": identity.map(|identity| &identity.claims),
            "method": facts.head.method.as_str(),
            "path": facts.path,
            "route": facts.route.pattern.as_str(),
            "service": &*facts.route.service.name,
            "client_ip": facts.client,
            "request_id": facts.request_id,
        }});
        Bytes::from(question.to_string())
    }

    /// The name under which an answer is remembered: all of the question but the request's identifier.
    pub(crate) fn digest(&self, facts: &Facts<'_>) -> [u8; 32] {
        let stable = Facts { request_id: "", ..*facts };
        Sha256::digest(self.question(&stable)).into()
    }

    /// An answer given a moment ago.
    pub(crate) fn recall(&self, digest: &[u8; 32], now: Timestamp) -> Option<Arc<Decision>> {
        let decided = self.decided.get(digest)?;
        (now < decided.until).then_some(decided.decision)
    }

    /// Keeps an answer for as long as the configuration says.
    pub(crate) fn remember(&self, digest: [u8; 32], decision: &Arc<Decision>, now: Timestamp) {
        let until = now.saturating_add(self.cache_ms);
        self.decided.insert(digest, Decided { decision: decision.clone(), until });
    }
}

impl Decision {
    /// Reads an answer. `Err` says why it is none.
    pub(crate) fn read(answer: &Answer) -> Result<Self, String> {
        let deny = || Self { allow: false, headers: Vec::new() };
        match answer.status() {
            StatusCode::FORBIDDEN => return Ok(deny()),
            StatusCode::OK => {}
            other => return Err(format!("the policy engine answered {other}")),
        }
        if answer.body().trim_ascii().is_empty() {
            return Ok(Self { allow: true, headers: Vec::new() });
        }
        let body: Value = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
        let Value::Object(fields) = &body else {
            return Err("the policy engine's answer is no object".to_owned());
        };
        match fields.get("result").or_else(|| fields.contains_key("allow").then_some(&body)) {
            // OPA leaves `result` out when the rule is undefined, and undefined is not allowed.
            None | Some(Value::Null) => Ok(deny()),
            Some(Value::Bool(allow)) => Ok(Self { allow: *allow, headers: Vec::new() }),
            Some(Value::Object(result)) => match result.get("allow") {
                Some(Value::Bool(allow)) => {
                    Ok(Self { allow: *allow, headers: headers(result.get("headers"))? })
                }
                _ => Err("the policy engine's answer has no `allow`".to_owned()),
            },
            Some(_) => Err("the policy engine's `result` is neither a truth value nor an object".to_owned()),
        }
    }
}

fn headers(value: Option<&Value>) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let fields = value.as_object().ok_or("the policy engine's `headers` is no object")?;
    let read = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let name = HeaderName::try_from(name.as_str()).map_err(|error| error.to_string())?;
        // Where a message ends and to whom it goes is not the engine's to say.
        if hop_by_hop::concerns(&name) || name == header::CONTENT_LENGTH || name == header::HOST {
            return Err(format!("the policy engine's `headers` hold `{name}`"));
        }
        Ok((name, HeaderValue::try_from(value).map_err(|error| error.to_string())?))
    };
    fields.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use http::Response;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn read(status: u16, body: &'static str) -> Option<bool> {
        let answer = Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap();
        Decision::read(&answer).ok().map(|decision| decision.allow)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_a_clear_answer_is_one() {
        for (status, body, wanted) in [
            (200, r#"{"result": true}"#, Some(true)),
            (200, r#"{"result": false}"#, Some(false)),
            (200, r#"{"result": {"allow": true, "headers": {"x-tier": "gold"}}}"#, Some(true)),
            (200, r#"{"allow": false}"#, Some(false)),
            (200, "{}", Some(false)),
            (200, "", Some(true)),
            (403, "whatever", Some(false)),
            (200, r#"{"result": "yes"}"#, None),
            (200, r#"{"result": {"allowed": true}}"#, None),
            (200, r#"{"result": {"allow": "true"}}"#, None),
            (200, r#"{"result": {"allow": true, "headers": {"x": "a\nb"}}}"#, None),
            (200, r#"{"result": {"allow": true, "headers": {"content-length": 0}}}"#, None),
            (200, r#"{"result": {"allow": true, "headers": {"Transfer-Encoding": "chunked"}}}"#, None),
            (200, "true", None),
            (200, "<html>", None),
            (500, r#"{"result": true}"#, None),
            (302, "", None),
        ] {
            assert_eq!(read(status, body), wanted, "{status} {body}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn headers_of_the_answer_are_kept() {
        let body = Bytes::from_static(
            br#"{"result": {"allow": true, "headers": {"X-Tier": "gold", "x-level": 3}}}"#,
        );
        let decision = Decision::read(&Response::new(body)).unwrap();
        let mut found: Vec<_> =
            decision.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        found.sort_unstable();
        assert_eq!(found, [("x-level", "3"), ("x-tier", "gold")]);
    }
}
