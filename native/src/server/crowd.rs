//! How many connections each client address has. Who is let in by what they ask for is core's.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

const SHARDS: usize = 32;

/// The addresses that have connections: as many as there are connections, at most.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    shards: Vec<Mutex<HashMap<IpAddr, usize>>>,
    hasher: RandomState,
}

/// One connection of an address, for as long as it lives.
#[derive(Debug)]
pub(super) struct Guest {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Crowd {
    /// At most so many an address. Zero: as many as they want, and nothing is counted.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self { most, shards, hasher: RandomState::new() })
    }

    /// One more of this address. `Err` when it has as many as it may.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Option<Guest>, ()> {
        if self.most == 0 {
            return Ok(None);
        }
        let address = network(address);
        let mut shard = self.shard(address);
        let count = shard.entry(address).or_default();
        if *count >= self.most {
            return Err(());
        }
        *count += 1;
        Ok(Some(Guest { crowd: self.clone(), address }))
    }

    fn shard(&self, address: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        let hash = usize::try_from(self.hasher.hash_one(address) % SHARDS as u64).unwrap_or_default();
        self.shards[hash].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.crowd.shard(self.address).entry(self.address) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// Of IPv6 a household has a /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (u128::MAX << 64)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_waits_for_another_to_leave_and_others_do_not() {
        let crowd = Crowd::new(2);
        let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let (first, _second) = (crowd.enter(one).unwrap(), crowd.enter(one).unwrap());
        assert!(crowd.enter(one).is_err());
        assert!(crowd.enter(other).is_ok());
        drop(first);
        assert!(crowd.enter(one).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let crowd = Crowd::new(1);
        let _first = crowd.enter("2001:db8::1".parse().unwrap()).unwrap();
        assert!(crowd.enter("2001:db8::2".parse().unwrap()).is_err());
        assert!(crowd.enter("2001:db8:0:1::1".parse().unwrap()).is_ok());
        let mapped = crowd.enter("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(crowd.enter([192, 0, 2, 1].into()).is_err());
        drop(mapped);
    }

    #[test]
    fn who_has_left_is_forgotten() {
        let crowd = Crowd::new(1);
        for last in 0..=255 {
            drop(crowd.enter([192, 0, 2, last].into()).unwrap());
        }
        assert!(crowd.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
