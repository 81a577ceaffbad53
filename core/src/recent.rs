//! A bounded memory of recent things: what was verified or decided a moment ago.
//!
//! Two generations a shard: when the younger is full it becomes the older, and the older is forgotten. So
//! the size is bounded, a lookup is two hashes at most, and what is in use stays. Losing an entry costs
//! work, never correctness.
//!
//! In WebAssembly `RandomState` is the same in every instance, and so is where a key has its place. It is let be: keys are
//! compared whole, so no two are taken for one another, and they are digests of what was found good, or addresses.
//! Whoever had many that meet in one place could push others out of a sixteenth of the memory, and make a look-up there
//! compare as many as a shard holds, 2,048 at most: microseconds.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, PoisonError},
};

const SHARDS: usize = 16;

/// Remembers up to about `capacity` values.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    shards: [Mutex<Generations<K, V>>; SHARDS],
    hasher: RandomState,
    half: usize,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        let shards =
            std::array::from_fn(|_| Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() }));
        Self { shards, hasher: RandomState::new(), half: (capacity / SHARDS / 2).max(1) }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let mut shard = self.shard(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = shard.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = shard.old.remove_entry(key)?;
        self.put(&mut shard, key, value.clone());
        Some(value)
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        if let Some(shard) = self.shard(&key) {
            self.put(&mut shard.lock().unwrap_or_else(PoisonError::into_inner), key, value);
        }
    }

    pub(crate) fn remove(&self, key: &K) {
        if let Some(shard) = self.shard(key) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.young.remove(key);
            shard.old.remove(key);
        }
    }

    fn put(&self, shard: &mut Generations<K, V>, key: K, value: V) {
        if shard.young.len() >= self.half {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(key, value);
    }

    fn shard(&self, key: &K) -> Option<&Mutex<Generations<K, V>>> {
        self.shards.get((self.hasher.hash_one(key) % SHARDS as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn never_holds_more_than_its_capacity() {
        let recent = Recent::new(64);
        for n in 0..10_000u32 {
            recent.insert(n, n);
        }
        let held = (0..10_000u32).filter(|n| recent.get(n).is_some()).count();
        assert!(held <= 64, "{held}");
        assert!(recent.get(&9_999).is_some());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_removed_is_gone_from_both_generations() {
        let recent = Recent::new(64);
        for n in 0..1_000u32 {
            recent.insert(n % 40, n);
        }
        (0..40).for_each(|n| recent.remove(&n));
        assert!((0..40).all(|n| recent.get(&n).is_none()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_in_use_stays() {
        let recent = Recent::new(640);
        recent.insert(0, ());
        for n in 1..10_000u32 {
            recent.insert(n, ());
            assert!(recent.get(&0).is_some(), "forgotten after {n}");
        }
    }
}
