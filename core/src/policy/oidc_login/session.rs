//! A session: the claims of a person who has logged in, sealed into a cookie until it ends.
//!
//! What a person must have to be let in is asked each time: a session of another policy may be good here too.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{LoginFault, OidcLogin, Purpose};
use crate::{host::Timestamp, identity::Identity};

/// A cookie is 4096 bytes with its name and all attributes, or browsers drop it without a word.
const MAX_BYTES: usize = 3_584;

/// Claims about the message that brought the others, not about the person.
const PASSING: [&str; 7] = ["at_hash", "c_hash", "exp", "iat", "nbf", "nonce", "s_hash"];

/// A session that was opened.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) identity: Arc<Identity>,
    pub(crate) ends_at: Timestamp,
}

/// What a request shows of whoever makes it.
#[derive(Debug)]
pub(crate) enum Seen {
    /// No session, or none that is good.
    Nobody,
    /// A good session.
    Somebody(Session),
    /// A good session of a person who lacks a claim that is needed here.
    Lacking(Session),
}

impl OidcLogin {
    /// Seals a session for these claims: the cookie's value.
    pub(crate) fn seal_session(
        &self,
        mut claims: Map<String, Value>,
        now: Timestamp,
        random: &[u8; 32],
    ) -> Result<String, LoginFault> {
        claims.retain(|name, _| !PASSING.contains(&name.as_str()));
        let content = json!([now.saturating_add(self.session_ms), claims]).to_string();
        let value =
            self.seal.seal(Purpose::Session, random, content.as_bytes()).ok_or(LoginFault::Randomness)?;
        if value.len() > MAX_BYTES { Err(LoginFault::TooLarge) } else { Ok(value) }
    }

    /// Opens what calls itself a session.
    pub(super) fn open(&self, value: &str, now: Timestamp) -> Seen {
        let digest: [u8; 32] = Sha256::digest(value).into();
        if let Some(session) = self.sessions.get(&digest) {
            return if now < session.ends_at { Seen::Somebody(session) } else { Seen::Nobody };
        }
        let Some(session) = self.opened(value, now) else { return Seen::Nobody };
        if !self.required.iter().all(|required| required.holds(&session.identity.claims)) {
            return Seen::Lacking(session);
        }
        self.sessions.insert(digest, session.clone());
        Seen::Somebody(session)
    }

    fn opened(&self, value: &str, now: Timestamp) -> Option<Session> {
        let content = self.seal.open(Purpose::Session, value)?;
        let Value::Array(parts) = serde_json::from_slice(&content).ok()? else { return None };
        let [ends_at, Value::Object(claims)] = <[Value; 2]>::try_from(parts).ok()? else { return None };
        let ends_at: Timestamp = ends_at.as_u64()?;
        // One that was made for longer than is allowed now is none.
        if now >= ends_at || ends_at - now > self.session_ms {
            return None;
        }
        Some(Session { identity: self.identity(claims)?, ends_at })
    }
}
