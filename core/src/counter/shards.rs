//! What is known of many counters, in shards that are locked each for itself, so that threads seldom meet. What it is,
//! and what is forgotten when there is too much of it, is up to those who keep it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::naming::{Name, Naming};

/// Shards of some kind, which are told how much each may hold.
#[derive(Debug)]
pub(super) struct Shards<T> {
    shards: Vec<Mutex<T>>,
    room: usize,
    naming: Naming,
}

impl<T: Default> Shards<T> {
    /// So many shards with room for `capacity` counters together, rounded up to a multiple of their number. Of the seed
    /// [`Naming`] tells.
    pub(super) fn new(many: usize, capacity: usize, seed: u128) -> Self {
        Self {
            shards: (0..many.max(1)).map(|_| Mutex::default()).collect(),
            room: capacity.div_ceil(many.max(1)).max(1),
            naming: Naming::new(seed),
        }
    }

    /// What one shard may hold.
    pub(super) const fn room(&self) -> usize {
        self.room
    }

    /// What a counter goes by here.
    pub(super) fn name(&self, key: &str) -> Name {
        self.naming.name(key)
    }

    /// The number of the shard that a counter is in.
    pub(super) fn number(&self, name: Name) -> usize {
        (name % self.shards.len() as u128) as usize
    }

    /// The shard of a number that [`Self::number`] has told.
    #[allow(clippy::indexing_slicing, reason = "a number modulo the length is an index")]
    pub(super) fn lock(&self, number: usize) -> MutexGuard<'_, T> {
        locked(&self.shards[number])
    }

    /// The shard that a counter is in.
    pub(super) fn of(&self, name: Name) -> MutexGuard<'_, T> {
        self.lock(self.number(name))
    }

    /// One after another, each locked while it is looked at.
    pub(super) fn all(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        self.shards.iter().map(locked)
    }
}

/// What is done under these locks does not panic, and half of it is better than none.
fn locked<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
