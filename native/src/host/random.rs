//! Fast random numbers, one generator a thread: good for identifiers, not for keys.
//!
//! Whoever sees many of them can tell the next (xoshiro256++ by Blackman and Vigna, seeded by the system).

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

thread_local! {
    static STATE: Cell<[u64; 4]> = Cell::new(seed());
}

/// 128 random bits.
pub(super) fn next() -> u128 {
    STATE.with(|state| {
        let mut words = state.get();
        let bits = u128::from(step(&mut words)) << 64 | u128::from(step(&mut words));
        state.set(words);
        bits
    })
}

fn step(state: &mut [u64; 4]) -> u64 {
    let [a, b, c, d] = *state;
    let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
    let (c, d) = (c ^ a, d ^ b);
    *state = [a ^ d, b ^ c, c ^ b << 17, d.rotate_left(45)];
    result
}

/// A state no other thread begins with.
fn seed() -> [u64; 4] {
    static THREADS: AtomicU64 = AtomicU64::new(1);
    let thread = THREADS.fetch_add(1, Ordering::Relaxed);
    let mut bytes = [0; 32];
    if let Err(error) = getrandom::fill(&mut bytes) {
        // Identifiers that can be guessed are better than no service: nothing rests on their secrecy.
        crate::notice::say(format_args!("the system gives no random numbers, the time must do: {error}"));
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        bytes[..16].copy_from_slice(&time.as_nanos().to_le_bytes());
        bytes[16..20].copy_from_slice(&std::process::id().to_le_bytes());
        bytes[24..].copy_from_slice(&thread.to_le_bytes());
    }
    let mut state = [0; 4];
    for (word, bytes) in state.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    if state == [0; 4] {
        // The one state that the generator never leaves.
        state = [thread, 1, 1, 1];
    }
    // The first numbers still resemble the seed.
    for _ in 0..16 {
        step(&mut state);
    }
    state
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    #[test]
    fn the_generator_is_the_one_that_was_published() {
        // The reference implementation's first numbers from the state 1, 2, 3, 4.
        let mut state = [1, 2, 3, 4];
        let numbers: Vec<u64> = (0..4).map(|_| step(&mut state)).collect();
        assert_eq!(numbers, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn threads_do_not_repeat_each_other() {
        let threads: Vec<_> =
            (0..8).map(|_| thread::spawn(|| (0..10_000).map(|_| next()).collect::<Vec<_>>())).collect();
        let numbers: HashSet<u128> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(numbers.len(), 80_000);
    }

    #[test]
    fn every_bit_is_set_half_of_the_time() {
        let mut set = [0; 128];
        for _ in 0..10_000 {
            let bits = next();
            for (position, count) in set.iter_mut().enumerate() {
                *count += bits >> position & 1;
            }
        }
        assert!(set.iter().all(|count| (4_500..5_500).contains(count)), "{set:?}");
    }
}
