//! A policy engine (the data API of Open Policy Agent and its kin): what it is asked, and which of its answers
//! are remembered for how long. Asking is the pipeline's; how answers are read is [`super::answer`]'s.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;
use serde_json::json;

use super::{
    answer::Decision,
    key::{CacheKey, Name},
};
use crate::{
    facts::Facts,
    host::Timestamp,
    recent::Recent,
    remote::Remote,
    trail::{Said, Verdict},
};

/// Longer answers are not answers.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Answers remembered at most.
pub(crate) const REMEMBERED: usize = 16_384;

/// An engine, and how it is asked.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) remote: Remote,
    pub(crate) cache_ms: u64,
    pub(crate) cache_key: CacheKey,
    /// The headers that answers may add. None: any.
    pub(crate) headers: Option<Vec<HeaderName>>,
    /// Go on when the engine can't be asked.
    pub(crate) fails_open: bool,
    pub(crate) decided: Recent<Name, Decided>,
}

/// An answer that is remembered.
#[derive(Debug, Clone)]
pub(crate) struct Decided {
    decision: Arc<Decision>,
    until: Timestamp,
}

/// When an answer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A moment ago, and remembered since.
    Before,
    /// For this request.
    Now,
}

/// What came of asking: a decision, or why there is none.
pub(crate) type Asking = Result<(Arc<Decision>, Asked), String>;

impl Engine {
    /// What explanations say of a decision. The question is not told: it holds all claims.
    pub(crate) fn said(&self, asking: &Asking) -> Said {
        let engine = &self.remote.service.name;
        let said = match asking {
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
        match asking {
            Err(reason) => said.fact("failure", reason.as_str()),
            Ok(_) => said,
        }
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

    /// The name under which an answer is remembered. None where none is.
    pub(crate) fn name(&self, facts: &Facts<'_>) -> Option<Name> {
        (self.cache_ms > 0).then(|| self.cache_key.name(facts))
    }

    /// An answer given a moment ago.
    pub(crate) fn recall(&self, name: &Name, now: Timestamp) -> Option<Arc<Decision>> {
        let decided = self.decided.get(name)?;
        (now < decided.until).then_some(decided.decision)
    }

    /// Keeps an answer for as long as the configuration says.
    pub(crate) fn remember(&self, name: Name, decision: &Arc<Decision>, now: Timestamp) {
        let until = now.saturating_add(self.cache_ms);
        self.decided.insert(name, Decided { decision: decision.clone(), until });
    }
}
