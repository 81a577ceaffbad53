//! What this platform lends to core: sockets, memory, threads, a clock.
//!
//! Each facility stands in a room of its own; here they are put together. Nothing here decides.

mod random;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use http::{Request, Response, request, response};
use tokio::{runtime::Handle, sync::Semaphore};
use tollgate_core::{
    cache::{CacheKey, Lifetime, Stored},
    config::document::Store,
    counter::{
        Draw, Quota, Settlement,
        memory::{self, Counters},
        slices::Slices,
    },
    event::Event,
    gateway::Gateway,
    host::{Host, HostError, HostErrorKind, Peer, Timestamp},
    job::{self, Job},
    meter::Meter,
    password::PasswordHash,
    pipeline,
    signing::PrivateKey,
    upstream::{Endpoint, Patience},
    verify::{Algorithm, PublicKey},
};

use crate::{
    body::{NativeBody, metered},
    cache::ResponseCache,
    client::Client,
    clock::Clock,
    counter::{Now, Shared},
    log::AccessLog,
    metrics::Metrics,
    password::Passwords,
    trails::Trails,
};

/// Jobs that run at the same time, at most. There is one for each issuer of tokens, as a rule.
const MAX_JOBS: usize = 256;

/// Limits whose slices are held at the same time, each for whom it counts.
const MAX_SLICES: usize = 65_536;

/// What a host is made of.
#[derive(Debug)]
pub struct Settings {
    /// What time it is.
    pub clock: Clock,
    /// Where requests are noted.
    pub access_log: AccessLog,
    /// Memory for stored responses. Zero for none.
    pub cache_bytes: u64,
    /// Counters of limits that are kept.
    pub counter_capacity: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            access_log: AccessLog::off(),
            cache_bytes: 64 << 20,
            counter_capacity: memory::DEFAULT_CAPACITY,
        }
    }
}

/// This process as core sees it. Cheap to clone; clones are the same host.
///
/// It outlives the configuration: counters, connections and stored responses stay when that is replaced.
#[derive(Clone)]
pub struct NativeHost(Arc<Inner>);

struct Inner {
    clock: Clock,
    client: Client,
    counters: Counters,
    slices: Slices,
    /// Where limits are counted that other processes count too.
    shared: ArcSwapOption<Shared>,
    cache: ResponseCache,
    access_log: AccessLog,
    metrics: Arc<Metrics>,
    trails: Arc<Trails>,
    jobs: Arc<Semaphore>,
    passwords: Passwords,
}

impl NativeHost {
    /// A host made of these.
    pub fn new(settings: Settings) -> Self {
        let metrics = Metrics::with_log(&settings.access_log);
        Self(Arc::new(Inner {
            clock: settings.clock,
            client: Client::default(),
            counters: Counters::new(settings.counter_capacity),
            slices: Slices::new(MAX_SLICES),
            shared: ArcSwapOption::empty(),
            cache: ResponseCache::new(settings.cache_bytes),
            access_log: settings.access_log,
            metrics: Arc::new(metrics),
            trails: Arc::default(),
            jobs: Arc::new(Semaphore::new(MAX_JOBS)),
            passwords: Passwords::default(),
        }))
    }

    /// What this process has counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Trails of requests, for whoever may see them.
    pub fn trails(&self) -> &Arc<Trails> {
        &self.0.trails
    }

    /// Counts where this says from now on. Nothing is carried over: in another store counters start anew, and the
    /// connections to the former one are closed when nobody uses them any more.
    pub fn count_in(&self, store: &Store) -> Result<(), String> {
        let shared = Shared::new(store, self.0.metrics.store())?;
        self.0.shared.store(shared.map(Arc::new));
        Ok(())
    }

    /// By whose clock shared counters count: the store's, or the one that a test turns by hand.
    fn now_there(&self) -> Now {
        match &self.0.clock {
            Clock::Manual(_) => Now::Given(self.now()),
            Clock::System | Clock::Wrong(_) => Now::Store,
        }
    }

    fn settle_later(&self, settlements: Vec<Settlement>) {
        let Some(shared) = self.0.shared.load_full() else {
            self.0.counters.settle(&settlements, self.now());
            return;
        };
        let (own, settlements): (Vec<_>, Vec<_>) = settlements.into_iter().partition(|one| one.is_local);
        self.0.counters.settle(&own, self.now());
        shared.settle_later(settlements, self.now_there());
    }

    /// Ends the access log when all of it is written. Blocks for as long as the disk does.
    pub fn close(&self) {
        self.0.access_log.close();
    }
}

impl Host for NativeHost {
    type Body = NativeBody;

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn random(&self) -> u128 {
        random::next()
    }

    fn unguessable(&self) -> Result<[u8; 32], HostError> {
        let mut bytes = [0; 32];
        let filled = getrandom::fill(&mut bytes);
        filled.map_err(|error| {
            HostError::new(HostErrorKind::Unavailable, format!("random numbers: {error}"))
        })?;
        Ok(bytes)
    }

    async fn sleep(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    async fn fetch(
        &self,
        endpoint: &Endpoint,
        request: Request<NativeBody>,
        patience: Patience,
    ) -> Result<Response<NativeBody>, HostError> {
        self.0.client.fetch(endpoint, request, patience).await
    }

    async fn draw(&self, draws: &[Draw]) -> Result<Vec<Quota>, HostError> {
        match self.0.shared.load_full() {
            None => Ok(self.0.counters.draw(draws, self.now())),
            // Boxed: every request would carry room for it.
            Some(shared) => Box::pin(shared.draw(draws, self.now_there())).await,
        }
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), HostError> {
        match self.0.shared.load_full() {
            None => {
                self.0.counters.settle(settlements, self.now());
                Ok(())
            }
            Some(shared) => Box::pin(shared.settle(settlements, self.now_there())).await,
        }
    }

    fn counters(&self) -> &Counters {
        &self.0.counters
    }

    fn slices(&self) -> &Slices {
        &self.0.slices
    }

    fn metered(&self, meter: Meter, body: NativeBody) -> NativeBody {
        metered::metered(self, meter, body)
    }

    async fn load(&self, key: &CacheKey) -> Result<Option<Stored<NativeBody>>, HostError> {
        Ok(self.0.cache.load(key))
    }

    fn store(
        &self,
        key: CacheKey,
        lifetime: Lifetime,
        head: &response::Parts,
        body: NativeBody,
        max_bytes: u64,
    ) -> NativeBody {
        self.0.cache.store(key, lifetime, head, body, max_bytes)
    }

    async fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, HostError> {
        crate::verify::verify(algorithm, key, message, signature)
    }

    async fn check_password(
        &self,
        hash: &PasswordHash,
        password: &[u8],
        is_known: impl Fn() -> bool,
    ) -> Result<bool, HostError> {
        // Boxed: it is rare, and every request would carry room for it.
        Box::pin(self.0.passwords.check(hash, password, is_known)).await
    }

    async fn sign(&self, key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, HostError> {
        crate::sign::sign(key, message)
    }

    fn defer(&self, job: Job) {
        // Not with the other jobs: those are few and slow, these many and quick.
        let job = match job {
            Job::Settle(settlements) => return self.settle_later(settlements),
            other => other,
        };
        // Requests are handled within a runtime. Whoever asks from elsewhere has none to run the job on.
        let (Ok(room), Ok(runtime)) = (self.0.jobs.clone().try_acquire_owned(), Handle::try_current()) else {
            self.0.metrics.jobs_dropped.up();
            return;
        };
        let host = self.clone();
        runtime.spawn(async move {
            if let Err(why) = job::run(&host, job).await {
                crate::notice::say(why);
            }
            drop(room);
        });
    }

    fn wants_trail(&self, head: &request::Parts) -> bool {
        self.0.trails.wants(head)
    }

    fn record(&self, event: Event<'_>) {
        self.0.trails.record(&event);
        self.0.metrics.count(&event);
        self.0.access_log.record(&event);
    }
}

/// Does not compile if a request could not be handled by whichever thread is free.
fn _pipeline_is_send(
    gateway: &Gateway,
    host: &NativeHost,
    peer: &Peer,
    request: Request<NativeBody>,
) -> impl Send {
    pipeline::handle(gateway, host, peer, request)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tollgate_core::{
        body::Body as _,
        config::{self, NoFiles},
        counter::{Rule, Window},
    };

    use super::*;

    fn host() -> NativeHost {
        NativeHost::new(Settings { clock: Clock::manual(60_000), ..Settings::default() })
    }

    #[tokio::test]
    async fn counters_follow_the_clock_that_was_given() {
        let host = host();
        let rule = Rule::FixedWindow { limit: 1, window: Window::Length(60_000) };
        let draw = [Draw { key: "k".to_owned(), rule, cost: 1 }];
        assert_eq!(host.now(), 60_000);
        assert!(host.draw(&draw).await.unwrap()[0].admitted);
        assert!(!host.clone().draw(&draw).await.unwrap()[0].admitted);
        host.0.clock.set(120_000);
        assert!(host.draw(&draw).await.unwrap()[0].admitted);
    }

    #[tokio::test]
    async fn sleeping_takes_as_long_as_asked() {
        let before = Instant::now();
        host().sleep(20).await;
        assert!(before.elapsed() >= Duration::from_millis(20));
    }

    /// What a request needs is moved a few times before it rests; a large future is felt in every one.
    #[test]
    fn a_request_in_flight_stays_small() {
        let text = "services: {s: {endpoints: ['http://s']}}\nroutes: [{path: '/*', target_service: s}]";
        let none = |_: &str| None;
        let loaded = config::load("t.yaml", text.to_owned(), &NoFiles, &none, config::Host::Native);
        let gateway = loaded.gateway.unwrap();
        let host = NativeHost::new(Settings::default());
        let peer = Peer::new([127, 0, 0, 1].into(), false);
        let request = Request::new(NativeBody::empty());
        let size = size_of_val(&pipeline::handle(&gateway, &host, &peer, request));
        assert!(size <= 7 * 1024, "{size} bytes");
    }
}
