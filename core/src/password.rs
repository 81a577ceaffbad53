//! Passwords as a configuration knows them: as Argon2id hashes (RFC 9106) in the form that tools agree on
//! (`$argon2id$v=19$m=…,t=…,p=…$salt$hash`).
//!
//! Reading hashes is here, and the bounds of what one check may cost. The arithmetic is the host's, as it takes
//! longer than anything else that is asked of one; [`pure`] has it for those hosts that can afford it.

use std::fmt;

use base64ct::{Base64Unpadded, Encoding};
use thiserror::Error;

/// What a hash must cost at least, in KiB filled: less is guessed too cheaply (OWASP's least expensive advice,
/// 7 MiB in five passes).
const LEAST_WORK_KIB: u64 = 7 * 1024 * 5;
/// What it may cost at most: about half a second.
const MOST_WORK_KIB: u64 = 512 * 1024;
/// The memory that one check may take.
const MEMORY_KIB: std::ops::RangeInclusive<u32> = 7 * 1024..=128 * 1024;
/// More lanes than this are no faster anywhere.
const MOST_LANES: u32 = 16;
/// Bytes of salt, and of the hash itself.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=64;

/// A hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    cost: Cost,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

/// What it costs to check a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB (`m`).
    pub memory_kib: u32,
    /// Passes over it (`t`).
    pub passes: u32,
    /// Lanes (`p`).
    pub lanes: u32,
}

impl Cost {
    /// What new hashes cost: OWASP's first advice for Argon2id.
    pub const STANDARD: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

    fn check(self) -> Result<Self, BadHash> {
        let work = u64::from(self.memory_kib) * u64::from(self.passes);
        if work < LEAST_WORK_KIB || self.memory_kib < *MEMORY_KIB.start() {
            return Err(BadHash::Cheap);
        }
        let lanes = (1..=MOST_LANES).contains(&self.lanes);
        if work > MOST_WORK_KIB || self.memory_kib > *MEMORY_KIB.end() || !lanes {
            return Err(BadHash::Dear);
        }
        Ok(self)
    }
}

/// Why a text is no hash that can be used. Nothing of it is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadHash {
    /// Something else altogether.
    #[error("this is no hash of a password")]
    Form,
    /// Another algorithm, or another version of it.
    #[error("this hash is not one of Argon2id, version 19")]
    Algorithm,
    /// It is guessed too cheaply.
    #[error("this hash is too cheap to keep its password: m × t is below 35840, or m below 7168")]
    Cheap,
    /// It costs the gateway too much.
    #[error("to check this hash would cost too much: m is above 131072, m × t above 524288, or p above 16")]
    Dear,
    /// Salt or hash are of a length that nobody should use.
    #[error("the salt or the hash itself has less than 16 bytes or more than 64")]
    Length,
}

impl PasswordHash {
    /// Reads a hash in its usual form, parameters in their usual order.
    pub fn parse(text: &str) -> Result<Self, BadHash> {
        let mut parts = text.strip_prefix('$').ok_or(BadHash::Form)?.split('$');
        let mut next = || parts.next().ok_or(BadHash::Form);
        if next()? != "argon2id" {
            return Err(BadHash::Algorithm);
        }
        let (version, parameters, salt, digest) = (next()?, next()?, next()?, next()?);
        if next().is_ok() {
            return Err(BadHash::Form);
        }
        if version != "v=19" {
            return Err(BadHash::Algorithm);
        }
        let mut parameters = parameters.split(',');
        let mut number = |name: &str| {
            let digits = parameters.next()?.strip_prefix(name)?.strip_prefix('=')?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>().ok())?
        };
        let cost = Cost {
            memory_kib: number("m").ok_or(BadHash::Form)?,
            passes: number("t").ok_or(BadHash::Form)?,
            lanes: number("p").ok_or(BadHash::Form)?,
        };
        if parameters.next().is_some() {
            return Err(BadHash::Form);
        }
        let decode = |text: &str| Base64Unpadded::decode_vec(text).map_err(|_| BadHash::Form);
        Self::new(cost, decode(salt)?, decode(digest)?)
    }

    fn new(cost: Cost, salt: Vec<u8>, digest: Vec<u8>) -> Result<Self, BadHash> {
        if !LENGTH.contains(&salt.len()) || !LENGTH.contains(&digest.len()) {
            return Err(BadHash::Length);
        }
        Ok(Self { cost: cost.check()?, salt, digest })
    }

    /// What a check costs.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// What was hashed besides the password.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// What must come of hashing the password.
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }
}

/// The text as it is written into configurations.
impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let (salt, digest) =
            (Base64Unpadded::encode_string(&self.salt), Base64Unpadded::encode_string(&self.digest));
        write!(f, "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${digest}")
    }
}

/// Hashes of passwords can be guessed at, so they get nowhere by accident.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

/// The arithmetic, for hosts that can afford it.
#[cfg(feature = "password")]
pub mod pure {
    use argon2::{Algorithm, Argon2, Params, Version};
    use subtle::ConstantTimeEq;

    use super::{Cost, PasswordHash};

    /// Whether it is the hash of this password. As expensive as the hash says, right or wrong; none where there is
    /// no memory for it.
    pub fn check(hash: &PasswordHash, password: &[u8]) -> Option<bool> {
        let digest = digest(hash.cost, &hash.salt, password, hash.digest.len())?;
        Some(digest.ct_eq(&hash.digest).into())
    }

    /// The hash of a password. None where there is no memory for it, or the salt is too short.
    pub fn hash(cost: Cost, salt: &[u8], password: &[u8]) -> Option<PasswordHash> {
        let digest = digest(cost, salt, password, 32)?;
        PasswordHash::new(cost, salt.to_vec(), digest).ok()
    }

    fn digest(cost: Cost, salt: &[u8], password: &[u8], length: usize) -> Option<Vec<u8>> {
        let parameters = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(length)).ok()?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
        let mut digest = vec![0; length];
        argon2.hash_password_into(password, salt, &mut digest).ok()?;
        Some(digest)
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const SALT: &str = "c29tZXNhbHRzb21lc2FsdA";
    const DIGEST: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";

    fn parse(parameters: &str) -> Result<PasswordHash, BadHash> {
        PasswordHash::parse(&format!("$argon2id$v=19${parameters}${SALT}${DIGEST}"))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_hash_is_written_as_it_was_read() {
        let text = format!("$argon2id$v=19$m=19456,t=2,p=1${SALT}${DIGEST}");
        assert_eq!(PasswordHash::parse(&text).unwrap().to_string(), text);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_file_makes_a_check_cost_seconds_or_gigabytes_and_none_makes_it_cheap() {
        for (parameters, wanted) in [
            ("m=7168,t=5,p=1", None),
            ("m=65536,t=3,p=4", None),
            ("m=131072,t=4,p=16", None),
            ("m=7168,t=4,p=1", Some(BadHash::Cheap)),
            ("m=4096,t=40,p=1", Some(BadHash::Cheap)),
            ("m=0,t=4294967295,p=1", Some(BadHash::Cheap)),
            ("m=131073,t=1,p=1", Some(BadHash::Dear)),
            ("m=4194304,t=1,p=1", Some(BadHash::Dear)),
            ("m=7168,t=4294967295,p=1", Some(BadHash::Dear)),
            ("m=65536,t=9,p=1", Some(BadHash::Dear)),
            ("m=65536,t=3,p=0", Some(BadHash::Dear)),
            ("m=65536,t=3,p=17", Some(BadHash::Dear)),
            ("m=65536,t=3", Some(BadHash::Form)),
            ("t=3,m=65536,p=1", Some(BadHash::Form)),
            ("m=65536,t=3,p=1,data=eA", Some(BadHash::Form)),
            ("m=+65536,t=3,p=1", Some(BadHash::Form)),
            ("m=99999999999,t=3,p=1", Some(BadHash::Form)),
        ] {
            assert_eq!(parse(parameters).err(), wanted, "{parameters}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_argon2id_hash_is_none() {
        for (text, wanted) in [
            ("", BadHash::Form),
            ("secret", BadHash::Form),
            ("$", BadHash::Algorithm),
            ("$2b$12$abc", BadHash::Algorithm),
            (&format!("$argon2i$v=19$m=65536,t=3,p=1${SALT}${DIGEST}"), BadHash::Algorithm),
            (&format!("$argon2id$v=16$m=65536,t=3,p=1${SALT}${DIGEST}"), BadHash::Algorithm),
            (&format!("$argon2id$m=65536,t=3,p=1${SALT}${DIGEST}"), BadHash::Form),
            (&format!("$argon2id$v=19$m=65536,t=3,p=1${SALT}${DIGEST}$x"), BadHash::Form),
            (&format!("$argon2id$v=19$m=65536,t=3,p=1$c2FsdA${DIGEST}"), BadHash::Length),
            (&format!("$argon2id$v=19$m=65536,t=3,p=1${SALT}$c2hvcnQ"), BadHash::Length),
            (&format!("$argon2id$v=19$m=65536,t=3,p=1${SALT}$!"), BadHash::Form),
        ] {
            assert_eq!(PasswordHash::parse(text).err(), Some(wanted), "{text}");
        }
    }

    #[cfg(feature = "password")]
    #[wasm_bindgen_test(unsupported = test)]
    fn the_hash_of_a_password_is_that_of_no_other() {
        // Made with the reference implementation's parameters; the test of the arithmetic is the crate's.
        let cost = Cost { memory_kib: 7168, passes: 5, lanes: 1 };
        let hash = pure::hash(cost, b"somesaltsomesalt", b"pass:word").unwrap();
        assert_eq!(pure::check(&hash, b"pass:word"), Some(true));
        assert_eq!(pure::check(&hash, b"pass:worD"), Some(false));
        assert_eq!(PasswordHash::parse(&hash.to_string()), Ok(hash));
    }
}
