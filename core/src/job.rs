//! Work that outlives a response, as data: a host runs it where it likes (`tokio::spawn`, `waitUntil`).

use std::sync::Arc;

use crate::{
    counter::{Settlement, slices::WATCH_MS},
    host::Host,
    keys::KeyRing,
    provider::Told,
};

/// What is to be done after the response.
#[derive(Debug)]
pub enum Job {
    /// Fetch a set of signing keys again, while the last good one goes on serving.
    RefreshKeys(Arc<KeyRing>),
    /// Ask a provider of logins again what it says about itself.
    RefreshProvider(Arc<Told>),
    /// Hand back what is left of slices of limits when they have expired, though nobody draws any more.
    WatchSlices,
    /// Put right what limits were drawn from, once it is known what was used.
    Settle(Vec<Settlement>),
}

/// Has the host settle this when it sees fit, unless there is nothing.
pub fn settle<H: Host>(host: &H, settlements: Vec<Settlement>) {
    if !settlements.is_empty() {
        host.defer(Job::Settle(settlements));
    }
}

/// Does the work. A failure is noted in what the job works on, where the next request finds it; what is returned is for
/// those who operate the gateway.
pub async fn run<H: Host>(host: &H, job: Job) -> Result<(), String> {
    match job {
        Job::RefreshKeys(ring) => ring.refresh(host).await,
        Job::RefreshProvider(told) => told.refresh(host).await,
        Job::WatchSlices => {
            host.sleep(WATCH_MS).await;
            let collected = host.slices().collect(host.now());
            if collected.is_empty() {
                return Ok(());
            }
            let settled = host.settle(&collected).await;
            settled.map_err(|error| format!("slices of limits could not be handed back: {error}"))
        }
        Job::Settle(settlements) => {
            let (own, shared): (Vec<_>, Vec<_>) = settlements.into_iter().partition(|one| one.is_local);
            host.counters().settle(&own, host.now());
            if shared.is_empty() {
                return Ok(());
            }
            let settled = host.settle(&shared).await;
            settled.map_err(|error| format!("limits could not be settled: {error}"))
        }
    }
}
