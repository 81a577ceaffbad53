//! Checks of passwords: on threads of their own, a few at once, as each takes a core and megabytes for a while. What
//! does not fit into the line is turned away, so that whoever guesses at passwords takes neither all cores nor all
//! memory.

use std::{sync::Arc, thread};

use tokio::{sync::Semaphore, task};
use tollgate_core::{
    host::{HostError, HostErrorKind},
    password::{PasswordHash, pure},
};

/// Checks at once, at most, however many cores there are: each may take 128 MiB.
const MOST_AT_ONCE: usize = 8;
/// How many may wait for their turn.
const MOST_WAITING: usize = 32;

/// The line of checks.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    places: Semaphore,
}

impl Default for Passwords {
    /// Half of the cores.
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::new((cores / 2).clamp(1, MOST_AT_ONCE), MOST_WAITING)
    }
}

impl Passwords {
    fn new(at_once: usize, waiting: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once)), places: Semaphore::new(at_once + waiting) }
    }

    /// Whether it is the password of the hash. `is_known` is asked when its turn has come.
    pub(crate) async fn check(
        &self,
        hash: &PasswordHash,
        password: &[u8],
        is_known: impl Fn() -> bool,
    ) -> Result<bool, HostError> {
        let unavailable = |why: &str| HostError::new(HostErrorKind::Unavailable, why);
        let _place =
            self.places.try_acquire().map_err(|_| unavailable("too many passwords wait to be checked"))?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| unavailable("closed"))?;
        if is_known() {
            return Ok(true);
        }
        let (hash, password) = (hash.clone(), password.to_vec());
        let checked = task::spawn_blocking(move || {
            // Kept until it is done, also where nobody waits for it any more.
            let _turn = turn;
            pure::check(&hash, &password)
        });
        match checked.await {
            Ok(Some(is_right)) => Ok(is_right),
            Ok(None) => Err(unavailable("there is no memory to check a password")),
            Err(_) => Err(unavailable("the check of a password was broken off")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::password::Cost;

    use super::*;

    fn hash() -> PasswordHash {
        let cost = Cost { memory_kib: 7168, passes: 5, lanes: 1 };
        pure::hash(cost, b"somesaltsomesalt", b"right").unwrap()
    }

    #[tokio::test]
    async fn a_password_is_right_or_wrong() {
        let (passwords, hash) = (Passwords::default(), hash());
        assert!(passwords.check(&hash, b"right", || false).await.unwrap());
        assert!(!passwords.check(&hash, b"wrong", || false).await.unwrap());
    }

    #[tokio::test]
    async fn the_line_has_an_end() {
        let (passwords, hash) = (Passwords::new(1, 2), hash());
        let turn = passwords.turns.clone().acquire_owned().await.unwrap();
        let first = passwords.check(&hash, b"right", || false);
        let second = passwords.check(&hash, b"wrong", || false);
        let third = passwords.check(&hash, b"wrong", || true);
        let fourth = async {
            let refused = passwords.check(&hash, b"right", || false).await;
            drop(turn);
            refused
        };
        let (first, second, third, fourth) = tokio::join!(first, second, third, fourth);
        assert_eq!(fourth.unwrap_err().kind, HostErrorKind::Unavailable);
        assert!(first.unwrap() && !second.unwrap());
        // What became known meanwhile is not checked again.
        assert!(third.unwrap());
    }
}
