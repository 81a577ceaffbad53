//! `TTL`: keep answers for a fixed time. Which answers, under which name, and for whom is decided here.
//!
//! Freshness by the origin's own words (RFC 9111) is another type's business; what this one takes from them
//! is what it must not do: keep what is private, and share what is somebody's.

use http::{HeaderName, HeaderValue, Method, StatusCode, header, response};

use crate::{
    cache::{CacheKey, Declared, Directives, Lifetime, Owner, is_cacheable},
    facts::Facts,
    host::Timestamp,
    trail::{Said, Verdict},
};

pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Keeps answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ttl {
    /// Names the policy among those of the file, so that two never share entries.
    pub(crate) id: String,
    pub(crate) ttl_ms: u64,
    pub(crate) shared: bool,
    pub(crate) force: bool,
    pub(crate) vary_by: Vec<HeaderName>,
    pub(crate) max_bytes: u64,
}

/// The names under which an answer may be found.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// Where everybody finds it.
    pub(crate) shared: CacheKey,
    /// Where its owner alone finds it. None where there is no owner.
    pub(crate) own: Option<CacheKey>,
}

/// What the answer to a request from the cache's point of view is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Found, with so many milliseconds to live.
    Hit { ttl_ms: u64, age_ms: u64 },
    /// Not found; fetched, and kept or not.
    Miss { stored: bool },
    /// Not a request that can be answered from a cache.
    Bypass,
}

impl Outcome {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hit { .. } => "hit",
            Self::Miss { .. } => "miss",
            Self::Bypass => "bypass",
        }
    }

    /// The `Cache-Status` field (RFC 9211), and `Age` of a hit.
    pub(crate) fn write_headers(self, headers: &mut http::HeaderMap) {
        let text = match self {
            Self::Hit { ttl_ms, age_ms } => {
                headers.insert(header::AGE, HeaderValue::from(age_ms / 1000));
                format!("tollgate; hit; ttl={}", ttl_ms / 1000)
            }
            Self::Miss { stored: true } => "tollgate; fwd=uri-miss; stored".to_owned(),
            Self::Miss { stored: false } => "tollgate; fwd=uri-miss".to_owned(),
            Self::Bypass => "tollgate; fwd=bypass".to_owned(),
        };
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(CACHE_STATUS, value);
        }
    }
}

impl Ttl {
    /// What explanations say: what was found, and under which names it was looked for. A name is what CDNs call
    /// the cache key; digests stand for values.
    pub(crate) fn said(&self, names: Option<&Names>, outcome: Option<Outcome>) -> Said {
        let said = match outcome {
            Some(Outcome::Hit { ttl_ms, age_ms }) => {
                let (age, left) = (age_ms / 1000, ttl_ms / 1000);
                Said::new(
                    Verdict::Pass,
                    format!("answered from the cache: {age} s old, good for {left} s more"),
                )
            }
            Some(Outcome::Miss { stored: true }) => {
                Said::new(Verdict::Pass, format!("not in the cache; kept for {} s", self.ttl_ms / 1000))
            }
            Some(Outcome::Miss { stored: false }) => {
                Said::new(Verdict::Pass, "not in the cache; the answer is not one to be kept")
            }
            Some(Outcome::Bypass) | None => {
                Said::new(Verdict::Skip, "this request is not answered from a cache")
            }
        };
        let shown = |key: &CacheKey| key.as_str().replace('\n', " ");
        match names {
            Some(Names { shared, own: None }) => said.fact("key", shown(shared)),
            Some(Names { shared, own: Some(own) }) => {
                said.fact("key", shown(own)).fact("shared_key", shown(shared))
            }
            None => said,
        }
    }

    /// The names for a request's answer; none for a request that can't be answered from a cache.
    pub(crate) fn names(&self, facts: &Facts<'_>) -> Option<Names> {
        if !is_cacheable(facts.head) {
            return None;
        }
        let query = facts.head.uri.query().map_or(String::new(), |query| format!("?{query}"));
        let target = format!("{}{query}", facts.path);
        let name = |owner: &Owner<'_>| {
            CacheKey::new(&self.id, owner, facts.host, &target).varied(&self.vary_by, &facts.head.headers)
        };
        // The shared name may be read by all: what is under it was declared to be for all when it was stored.
        let shared = name(&Owner::Anyone(Declared::ByPolicy));
        let own = match Owner::of(facts.identity, facts.head) {
            Owner::Anyone(_) => None,
            owner => (!self.shared).then(|| name(&owner)),
        };
        Some(Names { shared, own })
    }

    /// The name under which a response is to be kept, if it is.
    pub(crate) fn keeps(
        &self,
        names: &Names,
        method: &Method,
        response: &response::Parts,
    ) -> Option<CacheKey> {
        // A HEAD has no content to keep.
        if method != Method::GET || response.status != StatusCode::OK {
            return None;
        }
        let said = Directives::read(response.headers.get_all(header::CACHE_CONTROL));
        let private = said.private || said.no_store || response.headers.contains_key(header::SET_COOKIE);
        if (private && !self.force) || varies_by_everything(response) {
            return None;
        }
        match &names.own {
            None => Some(names.shared.clone()),
            // RFC 9111 §3.5: an answer to an authenticated request is for all only when it says so.
            Some(_) if !private && (said.public || said.s_maxage) => Some(names.shared.clone()),
            Some(own) => Some(own.clone()),
        }
    }

    /// How long a response kept now lives.
    pub(crate) fn lifetime(&self, now: Timestamp, vary: Vec<HeaderName>) -> Lifetime {
        Lifetime { stored_at: now, expires_at: now.saturating_add(self.ttl_ms), vary }
    }
}

fn varies_by_everything(response: &response::Parts) -> bool {
    vary(response).any(|field| field == "*")
}

fn vary(response: &response::Parts) -> impl Iterator<Item = &str> {
    let lines = response.headers.get_all(header::VARY).iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim)
}

/// The request fields that a response names in `Vary`, sorted, each once.
pub(crate) fn vary_fields(response: &response::Parts) -> Vec<HeaderName> {
    let mut fields: Vec<HeaderName> =
        vary(response).filter_map(|field| HeaderName::from_bytes(field.as_bytes()).ok()).collect();
    fields.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    fields.dedup();
    fields
}

#[cfg(test)]
mod tests {
    use http::Response;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn policy() -> Ttl {
        Ttl { id: "c".into(), ttl_ms: 5_000, shared: false, force: false, vary_by: Vec::new(), max_bytes: 1 }
    }

    fn names() -> Names {
        let name = |owner| CacheKey::new("c", &owner, "h", "/");
        Names {
            shared: name(Owner::Anyone(Declared::ByPolicy)),
            own: Some(name(Owner::Credentials("digest".into()))),
        }
    }

    fn response(fields: &[(&str, &str)]) -> response::Parts {
        let mut builder = Response::builder();
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[track_caller]
    fn check(policy: &Ttl, fields: &[(&str, &str)], wanted: Option<&str>) {
        let kept = policy.keeps(&names(), &Method::GET, &response(fields));
        let wanted =
            wanted.map(|which| if which == "shared" { names().shared } else { names().own.unwrap() });
        assert_eq!(kept, wanted, "{fields:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_answer_is_its_owners_unless_it_says_otherwise() {
        check(&policy(), &[], Some("own"));
        check(&policy(), &[("cache-control", "max-age=60")], Some("own"));
        check(&policy(), &[("cache-control", "public")], Some("shared"));
        check(&policy(), &[("cache-control", "s-maxage=1")], Some("shared"));
        check(&policy(), &[("vary", "accept")], Some("own"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn private_answers_are_left_alone_unless_forced_and_never_shared() {
        let forced = Ttl { force: true, ..policy() };
        for fields in [
            &[("cache-control", "Private")][..],
            &[("cache-control", "no-store, public")],
            &[("set-cookie", "a=b"), ("cache-control", "public")],
        ] {
            check(&policy(), fields, None);
            check(&forced, fields, Some("own"));
        }
        check(&forced, &[("vary", "accept, *")], None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_whole_good_answers_are_kept() {
        let mut partial = response(&[]);
        partial.status = StatusCode::PARTIAL_CONTENT;
        assert_eq!(policy().keeps(&names(), &Method::GET, &partial), None);
        assert_eq!(policy().keeps(&names(), &Method::HEAD, &response(&[])), None);
    }
}
