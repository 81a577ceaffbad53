//! `BasicAuth`: who makes a request, by a name and a password (RFC 7617).
//!
//! The configuration holds Argon2id hashes. Checking one is the dearest thing that a request can ask for, and anybody
//! may ask: so the host bounds how many are checked at once, and what was good is remembered. A name that nobody has
//! is checked against somebody's hash all the same, so that the time an answer takes tells no names.

mod credentials;

use std::{collections::HashMap, sync::Arc};

use hmac::{Hmac, Mac};
use http::{header, request};
use sha2::{Digest, Sha256};
use thiserror::Error;

pub(crate) use self::credentials::Credentials;
use crate::{
    host::Timestamp, identity::Identity, password::PasswordHash, policy::jwt_validation::TokenSource,
    recent::Recent, refusal::Refusal,
};

/// Good passwords remembered at most.
pub(crate) const REMEMBERED: usize = 16_384;
/// For how long they are.
const REMEMBERED_MS: u64 = 5 * 60 * 1000;
/// Where the credentials stand: in `Authorization`.
static SOURCE: TokenSource = TokenSource::Bearer;

/// Proves identities by passwords.
#[derive(Debug)]
pub struct BasicAuth {
    /// As it stands between quotes.
    pub(crate) realm: String,
    pub(crate) users: HashMap<String, User>,
    /// All hashes, for names that nobody has, and one of them.
    decoys: Vec<PasswordHash>,
    decoy: PasswordHash,
    /// The digest of all hashes, which nobody outside knows: it chooses among them.
    choice: [u8; 32],
    good: Recent<[u8; 32], Good>,
}

/// A user.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) hash: PasswordHash,
    pub(crate) identity: Arc<Identity>,
    /// From then on the password is none any more.
    pub(crate) expires_at: Option<Timestamp>,
}

/// A password that was good a moment ago.
#[derive(Debug, Clone)]
struct Good {
    identity: Arc<Identity>,
    until: Timestamp,
}

/// Why credentials prove nothing. Clients are not told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum PasswordFault {
    #[error("the credentials are malformed")]
    Malformed,
    #[error("there is no such user")]
    Unknown,
    #[error("the password is wrong")]
    Wrong,
    #[error("the password has expired")]
    Expired,
}

impl BasicAuth {
    /// `None` without users.
    pub(crate) fn new(realm: String, users: HashMap<String, User>) -> Option<Self> {
        let mut decoys: Vec<PasswordHash> = users.values().map(|user| user.hash.clone()).collect();
        // The same choice in every process that has the same file.
        decoys.sort_by(|one, other| one.digest().cmp(other.digest()));
        let mut choice = Sha256::new();
        for hash in &decoys {
            choice.update(hash.digest());
        }
        let (choice, good) = (choice.finalize().into(), Recent::new(REMEMBERED));
        let decoy = decoys.first()?.clone();
        Some(Self { realm, users, decoys, decoy, choice, good })
    }

    /// What stands after `Basic` in a request, if that is there. Two are refused: who knows which one the service
    /// would believe.
    pub(crate) fn offered<'r>(&self, request: &'r request::Parts) -> Result<Option<&'r str>, Refusal> {
        let mut fields = request.headers.get_all(header::AUTHORIZATION).iter();
        let Some(first) = fields.next() else { return Ok(None) };
        // A platform may have joined two lines into one (RFC 9110 §5.3).
        if first.as_bytes().contains(&b',') || fields.next().is_some() {
            return Err(Refusal::AmbiguousPassword);
        }
        let Ok(text) = first.to_str() else { return Ok(None) };
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        Ok(scheme.eq_ignore_ascii_case("basic").then(|| rest.trim()))
    }

    /// The hash to check the password against.
    pub(crate) fn hash(&self, credentials: &Credentials) -> &PasswordHash {
        match self.users.get(&credentials.name) {
            Some(user) => &user.hash,
            None => self.decoy(&credentials.name),
        }
    }

    /// Somebody's hash, always the same for the same name: then a name that nobody has looks like somebody's also
    /// where hashes differ in what they cost.
    fn decoy(&self, name: &str) -> &PasswordHash {
        let digest = Sha256::new().chain_update(self.choice).chain_update(name).finalize();
        let number = digest.iter().take(4).fold(0, |number, byte| number << 8 | usize::from(*byte));
        self.decoys.get(number % self.decoys.len()).unwrap_or(&self.decoy)
    }

    /// The name under which good credentials are remembered: nothing that a password could be read from, or looked
    /// up by in a table made beforehand.
    pub(crate) fn digest(&self, credentials: &Credentials) -> [u8; 32] {
        let key = self.hash(credentials).digest();
        // A key of any length will do, so that the other case does not come up.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return self.choice };
        mac.update(&(credentials.name.len() as u64).to_be_bytes());
        mac.update(credentials.name.as_bytes());
        mac.update(credentials.password.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Whose credentials they are, if that was found out a moment ago.
    pub(crate) fn recall(&self, digest: &[u8; 32], now: Timestamp) -> Option<Arc<Identity>> {
        self.good.get(digest).filter(|good| now < good.until).map(|good| good.identity)
    }

    /// Judges credentials whose password was checked, and remembers good ones.
    pub(crate) fn admit(
        &self,
        credentials: &Credentials,
        is_right: bool,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Arc<Identity>, PasswordFault> {
        let user = self.users.get(&credentials.name).ok_or(PasswordFault::Unknown)?;
        if !is_right {
            return Err(PasswordFault::Wrong);
        }
        let end = user.expires_at.unwrap_or(Timestamp::MAX);
        if now >= end {
            return Err(PasswordFault::Expired);
        }
        let identity = user.identity.clone();
        let until = end.min(now.saturating_add(REMEMBERED_MS));
        self.good.insert(digest, Good { identity: identity.clone(), until });
        Ok(identity)
    }

    pub(crate) fn source(&self) -> &TokenSource {
        &SOURCE
    }

    /// What a client is told that sent no good credentials (RFC 7617 §2).
    pub(crate) fn challenge(&self) -> String {
        format!("Basic realm=\"{}\", charset=\"UTF-8\"", self.realm)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::Map;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn hash(last: u8, memory: u32) -> PasswordHash {
        let digest = "MDEyMzQ1Njc4OWFiY2Rl";
        let last = char::from(last);
        PasswordHash::parse(&format!(
            "$argon2id$v=19$m={memory},t=5,p=1$c29tZXNhbHRzb21lc2FsdA${digest}{last}A"
        ))
        .unwrap()
    }

    fn user(name: &str, hash: PasswordHash, expires_at: Option<Timestamp>) -> (String, User) {
        let identity = Identity::of_key(name, &[], Map::new(), &[]).unwrap();
        (name.to_owned(), User { hash, identity: identity.into(), expires_at })
    }

    fn policy() -> BasicAuth {
        let users = [user("alice", hash(b'A', 7168), None), user("bob", hash(b'Q', 8192), Some(400_000))];
        BasicAuth::new("r".to_owned(), HashMap::from(users)).unwrap()
    }

    fn credentials(name: &str, password: &str) -> Credentials {
        Credentials { name: name.to_owned(), password: password.to_owned() }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn good_passwords_are_remembered_for_a_while_and_no_others() {
        let policy = policy();
        let (good, bad) = (credentials("alice", "right"), credentials("alice", "wrong"));
        let (key, other) = (policy.digest(&good), policy.digest(&bad));
        assert_ne!(key, other);
        assert_eq!(policy.admit(&bad, false, other, 0), Err(PasswordFault::Wrong));
        assert!(policy.recall(&other, 0).is_none());
        assert_eq!(policy.admit(&good, true, key, 0).unwrap().subject, "alice");
        assert!(policy.recall(&key, REMEMBERED_MS - 1).is_some());
        assert!(policy.recall(&key, REMEMBERED_MS).is_none());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_password_is_not_remembered_past_its_end() {
        let policy = policy();
        let bob = credentials("bob", "right");
        let digest = policy.digest(&bob);
        assert!(policy.admit(&bob, true, digest, 399_000).is_ok());
        assert!(policy.recall(&digest, 399_999).is_some());
        assert!(policy.recall(&digest, 400_000).is_none());
        assert_eq!(policy.admit(&bob, true, digest, 400_000), Err(PasswordFault::Expired));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_name_that_nobody_has_costs_what_somebodys_does_and_is_never_let_in() {
        let policy = policy();
        let costs = |name: &str| policy.hash(&credentials(name, "")).cost().memory_kib;
        let names: Vec<String> = (0..64).map(|n| format!("nobody{n}")).collect();
        for cost in [7168, 8192] {
            assert!(names.iter().any(|name| costs(name) == cost), "{cost}");
        }
        assert_eq!(costs("nobody1"), costs("nobody1"));
        let nobody = credentials("nobody", "right");
        let digest = policy.digest(&nobody);
        // Even where the password is that of the hash it was checked against.
        assert_eq!(policy.admit(&nobody, true, digest, 0), Err(PasswordFault::Unknown));
        assert!(policy.recall(&digest, 0).is_none());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn two_users_with_one_password_are_two() {
        let policy = policy();
        assert_ne!(policy.digest(&credentials("ab", "c")), policy.digest(&credentials("a", "bc")));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn one_field_of_the_scheme_is_credentials() {
        let policy = policy();
        let offered = |fields: &[&str]| {
            let mut request = Request::get("/");
            for field in fields {
                request = request.header("authorization", *field);
            }
            let head = request.body(()).unwrap().into_parts().0;
            policy.offered(&head).map(|found| found.map(str::to_owned))
        };
        let found = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(offered(&[]), Ok(None));
        assert_eq!(offered(&["Basic YQ=="]), found("YQ=="));
        assert_eq!(offered(&["bAsIc   YQ== "]), found("YQ=="));
        assert_eq!(offered(&["Basic"]), found(""));
        assert_eq!(offered(&["Bearer YQ=="]), Ok(None));
        assert_eq!(offered(&["Basic YQ==", "Basic YQ=="]), Err(Refusal::AmbiguousPassword));
        assert_eq!(offered(&["Basic YQ==", "Bearer a"]), Err(Refusal::AmbiguousPassword));
        assert_eq!(offered(&["Basic YQ==, Bearer a"]), Err(Refusal::AmbiguousPassword));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn nothing_secret_is_shown() {
        let shown = format!("{:?} {:?}", policy(), credentials("alice", "pass"));
        assert!(!shown.contains("MDEy") && !shown.contains("pass\""), "{shown}");
    }
}
