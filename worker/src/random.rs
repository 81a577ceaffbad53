//! Random identifiers, drawn from the runtime's cryptographic source many at a time.

use std::cell::RefCell;

use crate::platform;

/// How many are drawn at once.
const BATCH: usize = 64;

struct Pool {
    bytes: [u8; BATCH * 16],
    left: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; BATCH * 16], left: 0 }) };
}

/// 128 random bits.
pub(crate) fn next() -> u128 {
    POOL.with_borrow_mut(|pool| {
        if pool.left == 0 {
            platform::random(&mut pool.bytes);
            pool.left = BATCH;
        }
        pool.left -= 1;
        let (numbers, _) = pool.bytes.as_chunks::<16>();
        numbers.get(pool.left).copied().map_or(0, u128::from_le_bytes)
    })
}
