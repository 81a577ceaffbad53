//! Answers from the cache, and answers for it.

use http::{HeaderMap, Method, Response, StatusCode};

use crate::{
    body::Body,
    cache::{CacheKey, Stored},
    facts::Facts,
    host::{Host, Timestamp},
    policy::ttl::{Names, Outcome, Ttl, vary_fields},
    trail::Said,
};

/// The cache's part in one request.
pub(super) struct Lookup<'p> {
    policy: &'p Ttl,
    /// None for a request that can't be answered from a cache.
    names: Option<Names>,
    /// The request's fields, which a response's `Vary` may name.
    fields: HeaderMap,
    method: Method,
}

impl<'p> Lookup<'p> {
    pub(super) fn new(policy: &'p Ttl, facts: &Facts<'_>) -> Self {
        let names = policy.names(facts);
        let fields = if names.is_some() { facts.head.headers.clone() } else { HeaderMap::new() };
        Self { policy, names, fields, method: facts.head.method.clone() }
    }

    /// A fresh answer, the owner's own before everybody's. A cache that fails is a cache that has nothing.
    pub(super) async fn find<H: Host>(
        &self,
        host: &H,
        now: Timestamp,
    ) -> Option<(Response<H::Body>, Outcome)> {
        let names = self.names.as_ref()?;
        for name in names.own.iter().chain([&names.shared]) {
            if let Some(Stored { response, lifetime }) = self.load(host, name).await
                && now < lifetime.expires_at
            {
                let ttl_ms = lifetime.expires_at - now;
                let age_ms = now.saturating_sub(lifetime.stored_at);
                return Some((response, Outcome::Hit { ttl_ms, age_ms }));
            }
        }
        None
    }

    async fn load<H: Host>(&self, host: &H, name: &CacheKey) -> Option<Stored<H::Body>> {
        let stored = host.load(name).await.ok()??;
        if stored.lifetime.vary.is_empty() {
            return Some(stored);
        }
        let varied = name.varied(&stored.lifetime.vary, &self.fields);
        let stored = host.load(&varied).await.ok()??;
        // Only a signpost may point on.
        stored.lifetime.vary.is_empty().then_some(stored)
    }

    /// What explanations say of it.
    pub(super) fn said(&self, outcome: Option<Outcome>) -> Said {
        self.policy.said(self.names.as_ref(), outcome)
    }

    /// Has the host keep a copy of the response while it streams, if it is to be kept.
    pub(super) fn keep<H: Host>(
        &self,
        host: &H,
        response: Response<H::Body>,
        now: Timestamp,
    ) -> (Response<H::Body>, Outcome) {
        let Some(names) = &self.names else { return (response, Outcome::Bypass) };
        let (head, body) = response.into_parts();
        let fits = body.length().is_none_or(|length| length <= self.policy.max_bytes);
        let name = self.policy.keeps(names, &self.method, &head).filter(|_| fits);
        let Some(name) = name else {
            return (Response::from_parts(head, body), Outcome::Miss { stored: false });
        };
        let vary = vary_fields(&head);
        let lifetime = self.policy.lifetime(now, Vec::new());
        let name = if vary.is_empty() {
            name
        } else {
            let varied = name.varied(&vary, &self.fields);
            let mut signpost = Response::new(()).into_parts().0;
            signpost.status = StatusCode::NO_CONTENT;
            drop(host.store(name, self.policy.lifetime(now, vary), &signpost, H::Body::empty(), 0));
            varied
        };
        let body = host.store(name, lifetime, &head, body, self.policy.max_bytes);
        (Response::from_parts(head, body), Outcome::Miss { stored: true })
    }
}
