//! A platform that consists of a few maps: what it lends is exact, immediate and the same in every run.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{Request, Response, request, response};
use tollgate_core::{
    cache::{CacheKey, Lifetime, Stored},
    counter::{Draw, Quota, Settlement, memory::Counters, slices::Slices},
    event::Event,
    host::{Host, HostError, HostErrorKind, Timestamp},
    job::{self, Job},
    meter::{End, Meter},
    password::{self, PasswordHash},
    signing::PrivateKey,
    trail::Trail,
    upstream::{Endpoint, Patience},
    verify::{Algorithm, PublicKey},
};

use super::{body::FakeBody, world::World};
use crate::{
    case::Facility,
    observed::{Noted, noted},
};

/// Slices of limits held at most.
const FEW_SLICES: usize = 1_024;

/// Responses kept at most.
const MOST_KEPT: usize = 10_000;

/// The platform.
#[derive(Debug)]
pub(crate) struct FakeHost<W> {
    pub(crate) world: W,
    failing: Vec<Facility>,
    now: AtomicU64,
    thrown: AtomicU64,
    counters: Counters,
    slices: Slices,
    cache: Mutex<HashMap<CacheKey, Kept>>,
    jobs: Mutex<Vec<Job>>,
    event: Mutex<Option<(Noted, Option<Trail>)>>,
}

#[derive(Debug, Clone)]
struct Kept {
    lifetime: Lifetime,
    head: response::Parts,
    body: FakeBody,
}

impl<W: World> FakeHost<W> {
    pub(crate) fn new(now: Timestamp, world: W, failing: &[Facility]) -> Self {
        Self {
            world,
            failing: failing.to_vec(),
            now: now.into(),
            thrown: AtomicU64::default(),
            counters: Counters::default(),
            slices: Slices::new(FEW_SLICES),
            cache: Mutex::default(),
            jobs: Mutex::default(),
            event: Mutex::default(),
        }
    }

    /// Goes to a moment, which may be an earlier one.
    pub(crate) fn set_clock(&self, now: Timestamp) {
        self.now.store(now, Ordering::Relaxed);
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
            // There is no operator here; requests show what came of it.
            let _ = job::run(self, job).await;
        }
    }

    /// What was recorded last, and how it was decided.
    pub(crate) fn take_event(&self) -> Option<(Noted, Option<Trail>)> {
        lock(&self.event).take()
    }
}

impl<W: World> Host for FakeHost<W> {
    type Body = FakeBody;

    fn now(&self) -> Timestamp {
        self.now.load(Ordering::Relaxed)
    }

    fn random(&self) -> u128 {
        // Unlike any other, and the same in every run.
        let thrown = u128::from(self.thrown.fetch_add(1, Ordering::Relaxed) + 1);
        thrown.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }

    fn unguessable(&self) -> Result<[u8; 32], HostError> {
        // Nothing here is a secret.
        let (first, second) = (self.random().to_be_bytes(), self.random().to_be_bytes());
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(first.into_iter().chain(second)).for_each(|(byte, thrown)| *byte = thrown);
        Ok(bytes)
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
        self.world.answer(endpoint, request, patience)
    }

    async fn draw(&self, draws: &[Draw]) -> Result<Vec<Quota>, HostError> {
        self.lend(Facility::Counters)?;
        Ok(self.counters.draw(draws, self.now()))
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), HostError> {
        self.lend(Facility::Counters)?;
        self.counters.settle(settlements, self.now());
        Ok(())
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }

    fn slices(&self) -> &Slices {
        &self.slices
    }

    fn metered(&self, mut meter: Meter, body: FakeBody) -> FakeBody {
        // No client of ours leaves early, and all there is has come already.
        body.pieces().iter().for_each(|piece| meter.see(piece));
        meter.end(self, if body.ends_well() { End::Whole } else { End::Broken });
        body
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
            let mut cache = lock(&self.cache);
            if cache.len() >= MOST_KEPT {
                let now = self.now();
                cache.retain(|_, kept| kept.lifetime.expires_at > now);
                if cache.len() >= MOST_KEPT {
                    cache.clear();
                }
            }
            cache.insert(key, Kept { lifetime, head: head.clone(), body: whole });
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
        let verified = self.world.verify(algorithm, key, message, signature);
        verified.ok_or_else(|| HostError::new(HostErrorKind::Unavailable, "a key that can't be used here"))
    }

    async fn check_password(
        &self,
        hash: &PasswordHash,
        password: &[u8],
        _: impl Fn() -> bool,
    ) -> Result<bool, HostError> {
        self.lend(Facility::Verification)?;
        let checked = password::pure::check(hash, password);
        checked.ok_or_else(|| HostError::new(HostErrorKind::Unavailable, "no memory to check a password"))
    }

    async fn sign(&self, key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, HostError> {
        self.lend(Facility::Signing)?;
        let unusable = || HostError::new(HostErrorKind::Unavailable, "a key that can't be used here");
        self.world.sign(key, message).ok_or_else(unusable)
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
