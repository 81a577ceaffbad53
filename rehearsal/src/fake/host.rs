//! A platform that consists of a few maps: what it lends is exact, immediate and the same in every run.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, request, response};
use tollgate_core::{
    body::BodyError,
    cache::{CacheKey, Lifetime, Stored},
    event::Event,
    host::{Host, HostError, HostErrorKind, Timestamp},
    job::{self, Job},
    trail::Trail,
    upstream::{Endpoint, Patience},
    verify::{Algorithm, PublicKey, pure},
    window::{Draw, FixedWindow, Quota},
};

use super::{body::FakeBody, lines};
use crate::{
    case::Facility,
    observed::{Noted, noted},
    setting::SUFFIX,
    upstream::{Message, Reply, Seen, Upstreams},
};

/// The platform.
#[derive(Debug)]
pub(crate) struct FakeHost {
    pub(crate) upstreams: Upstreams,
    failing: Vec<Facility>,
    now: AtomicU64,
    thrown: AtomicU64,
    counters: Mutex<HashMap<String, FixedWindow>>,
    cache: Mutex<HashMap<CacheKey, Kept>>,
    jobs: Mutex<Vec<Job>>,
    event: Mutex<Option<(Noted, Option<Trail>)>>,
    unknown: Mutex<Vec<String>>,
}

#[derive(Debug, Clone)]
struct Kept {
    lifetime: Lifetime,
    head: response::Parts,
    body: FakeBody,
}

impl FakeHost {
    pub(crate) fn new(now: Timestamp, upstreams: Upstreams, failing: &[Facility]) -> Self {
        Self {
            upstreams,
            failing: failing.to_vec(),
            now: now.into(),
            thrown: AtomicU64::default(),
            counters: Mutex::default(),
            cache: Mutex::default(),
            jobs: Mutex::default(),
            event: Mutex::default(),
            unknown: Mutex::default(),
        }
    }

    pub(crate) fn advance(&self, milliseconds: u64) {
        self.now.fetch_add(milliseconds, Ordering::Relaxed);
    }

    fn lend(&self, facility: Facility) -> Result<(), HostError> {
        if self.failing.contains(&facility) {
            return Err(HostError::new(HostErrorKind::Unavailable, format!("{facility:?} can't be reached")));
        }
        Ok(())
    }

    /// Does what was put off, and what is put off meanwhile.
    pub(crate) async fn run_jobs(&self) {
        loop {
            let Some(job) = lock(&self.jobs).pop() else { return };
            job::run(self, job).await;
        }
    }

    /// What was recorded last, and how it was decided.
    pub(crate) fn take_event(&self) -> Option<(Noted, Option<Trail>)> {
        lock(&self.event).take()
    }

    /// The services that were asked though nothing is given for them, each once.
    pub(crate) fn take_unknown(&self) -> Vec<String> {
        let mut names = std::mem::take(&mut *lock(&self.unknown));
        names.sort();
        names.dedup();
        names
    }
}

impl Host for FakeHost {
    type Body = FakeBody;

    fn now(&self) -> Timestamp {
        self.now.load(Ordering::Relaxed)
    }

    fn random(&self) -> u128 {
        // Unlike any other, and the same in every run.
        let thrown = u128::from(self.thrown.fetch_add(1, Ordering::Relaxed) + 1);
        thrown.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }

    async fn sleep(&self, _: u64) {
        tokio::task::yield_now().await;
    }

    async fn fetch(
        &self,
        endpoint: &Endpoint,
        request: Request<FakeBody>,
        patience: Patience,
    ) -> Result<Response<FakeBody>, HostError> {
        let fail =
            |kind, detail: &str| Err(HostError::new(kind, format!("{}: {detail}", endpoint.authority)));
        let address = endpoint.hostname().strip_suffix(SUFFIX);
        let Some(name) = self.upstreams.given_for(address, &endpoint.service) else {
            lock(&self.unknown).push(endpoint.service.to_string());
            return fail(HostErrorKind::Connect, "nothing is given for it");
        };
        let name = name.as_str();
        if self.upstreams.refuses(name) {
            return fail(HostErrorKind::Connect, "refused");
        }
        let (head, body) = request.into_parts();
        let pieces = match body.whole() {
            Ok(pieces) => pieces,
            Err(error @ BodyError::TooLarge) => {
                return fail(HostErrorKind::RequestTooLarge, &error.to_string());
            }
            Err(error @ BodyError::Broken(_)) => {
                return fail(HostErrorKind::RequestBroken, &error.to_string());
            }
        };
        let seen = Seen {
            method: head.method.to_string(),
            path: head.uri.to_string(),
            headers: lines(&head.headers),
            body: pieces.concat().into(),
            pieces,
        };
        match self.upstreams.ask(name, seen) {
            Reply::Answer(message) => response(message).map_err(|error| {
                HostError::new(HostErrorKind::Protocol, format!("{}: {error}", endpoint.authority))
            }),
            Reply::Reset => fail(HostErrorKind::Reset, "reset"),
            Reply::Stall => {
                fail(HostErrorKind::Timeout, &format!("no response within {} ms", patience.head_ms))
            }
            Reply::Garbage => fail(HostErrorKind::Protocol, "not HTTP"),
        }
    }

    async fn draw(&self, draws: &[Draw]) -> Result<Vec<Quota>, HostError> {
        self.lend(Facility::Counters)?;
        let (mut counters, now) = (lock(&self.counters), self.now());
        let quotas: Vec<Quota> =
            draws.iter().map(|draw| counters.entry(draw.key.clone()).or_default().draw(draw, now)).collect();
        if quotas.iter().all(|quota| quota.admitted) {
            return Ok(quotas);
        }
        // One has refused, so the others get back what they gave.
        let settle = |(draw, quota): (&Draw, Quota)| {
            if !quota.admitted {
                return quota;
            }
            counters.entry(draw.key.clone()).or_default().give_back(draw, now);
            Quota { remaining: quota.remaining + draw.cost, ..quota }
        };
        Ok(draws.iter().zip(quotas).map(settle).collect())
    }

    async fn load(&self, key: &CacheKey) -> Result<Option<Stored<FakeBody>>, HostError> {
        self.lend(Facility::Cache)?;
        let kept = lock(&self.cache).get(key).cloned();
        Ok(kept.map(|Kept { lifetime, head, body }| Stored {
            response: Response::from_parts(head, body),
            lifetime,
        }))
    }

    fn store(
        &self,
        key: CacheKey,
        lifetime: Lifetime,
        head: &response::Parts,
        body: FakeBody,
        max_bytes: u64,
    ) -> FakeBody {
        // No client of ours leaves early, so what will have ended well can be kept at once.
        if body.ends_well() && body.size() <= max_bytes {
            let size = body.size();
            let whole = FakeBody::new(body.clone().whole().unwrap_or_default(), Some(size));
            lock(&self.cache).insert(key, Kept { lifetime, head: head.clone(), body: whole });
        }
        body
    }

    async fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, HostError> {
        self.lend(Facility::Verification)?;
        let verified = pure::verify(algorithm, key, message, signature);
        verified.ok_or_else(|| HostError::new(HostErrorKind::Unavailable, "a key that can't be used here"))
    }

    fn defer(&self, job: Job) {
        lock(&self.jobs).push(job);
    }

    fn wants_trail(&self, _: &request::Parts) -> bool {
        true
    }

    fn record(&self, event: Event<'_>) {
        *lock(&self.event) = Some((noted(&event), event.trail.map(|placed| placed.trail().clone())));
    }
}

fn response(message: Message) -> Result<Response<FakeBody>, http::Error> {
    let body = FakeBody::new(message.pieces, message.length);
    let mut response = Response::new(if message.breaks_off { body.breaking_off() } else { body });
    *response.status_mut() = StatusCode::from_u16(message.status)?;
    for (name, value) in message.headers {
        response.headers_mut().append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(response)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
