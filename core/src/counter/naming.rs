//! What counters go by in memory: hashes of their keys, whose length and content clients may choose. No key is kept.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
};

/// A hash of a key.
pub(super) type Name = u128;

/// Makes names of keys. Two 64-bit hashes under secrets of this process: nobody can find keys that collide, or whose
/// counters stand in one another's way, and by chance they don't.
///
/// Where the standard library has no source of randomness, its secrets are the same in every instance, and SipHash under
/// a key that is known promises nothing. There the host gives a seed, which is hashed before the key.
pub(super) struct Naming {
    secrets: [RandomState; 2],
    seed: u128,
}

impl Naming {
    pub(super) fn new(seed: u128) -> Self {
        Self { secrets: [RandomState::new(), RandomState::new()], seed }
    }

    pub(super) fn name(&self, key: &str) -> Name {
        let hashes = self.secrets.each_ref().map(|secret| u128::from(secret.hash_one((self.seed, key))));
        let [high, low] = hashes;
        high << 64 | low
    }
}

impl fmt::Debug for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Naming").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_seed_makes_other_names_though_the_secrets_are_the_same() {
        let secrets = [RandomState::new(), RandomState::new()];
        let name = |seed, key| Naming { secrets: secrets.clone(), seed }.name(key);
        assert_eq!(name(1, "k"), name(1, "k"));
        assert_ne!(name(1, "k"), name(1, "l"));
        assert_ne!(name(1, "k"), name(2, "k"));
        // Each of the two hashes is another.
        assert_ne!(name(1, "k") >> 64, name(2, "k") >> 64);
        assert_ne!(name(1, "k") as u64, name(2, "k") as u64);
        assert!(!format!("{:?}", Naming { secrets, seed: 77 }).contains("77"));
    }
}
