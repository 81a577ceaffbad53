//! What browsers keep for the gateway and can neither read nor change: XChaCha20-Poly1305, whose nonces are long enough
//! to be drawn at random.
//!
//! What is sealed is not known here. A text opens for the purpose, the cookie's name, the provider and the client that
//! it was sealed for, and for no other.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::verify::Secret;

/// A shorter secret can be guessed.
pub(crate) const MIN_SECRET_BYTES: usize = 32;
/// More secrets than this are nobody's rotation, and each costs the opening of a bad cookie a try.
pub(crate) const MAX_SECRETS: usize = 8;
/// The first byte of what is sealed: how the rest is to be read.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
/// A longer text was not sealed here.
const MAX_TEXT_BYTES: usize = 4096;

/// What something is sealed for. Each purpose has keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Who somebody is.
    Session,
    /// A login that is under way.
    Login,
}

impl Purpose {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Session => b"session",
            Self::Login => b"login",
        }
    }
}

/// Seals with the first secret, opens with all of them.
pub(crate) struct Seal {
    keys: Vec<Keys>,
    /// What every sealed text is bound to.
    bound_to: Vec<u8>,
}

struct Keys {
    session: XChaCha20Poly1305,
    login: XChaCha20Poly1305,
    /// Tells the secret from others and gives nothing of it away: derived from it for that alone.
    mark: [u8; 16],
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// A seal by these secrets for what goes by these names. `None` without a secret.
    pub(crate) fn new(secrets: &[Secret], bound_to: &[&str]) -> Option<Self> {
        let keys: Vec<Keys> = secrets.iter().filter_map(Keys::new).collect();
        let mut bytes = Vec::new();
        for name in bound_to {
            // No two lists of names are written alike.
            bytes.extend_from_slice(&(name.len() as u64).to_be_bytes());
            bytes.extend_from_slice(name.as_bytes());
        }
        (!keys.is_empty() && keys.len() == secrets.len()).then_some(Self { keys, bound_to: bytes })
    }

    /// Seals; `random` is never used twice.
    pub(crate) fn seal(&self, purpose: Purpose, random: &[u8; 32], content: &[u8]) -> Option<String> {
        let (nonce, _) = random.split_first_chunk::<NONCE_BYTES>()?;
        let associated = self.associated(purpose);
        let payload = Payload { msg: content, aad: &associated };
        let sealed = self.keys.first()?.of(purpose).encrypt(&XNonce::from(*nonce), payload).ok()?;
        let mut whole = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        whole.push(VERSION);
        whole.extend_from_slice(nonce);
        whole.extend_from_slice(&sealed);
        Some(Base64UrlUnpadded::encode_string(&whole))
    }

    /// What was sealed, if it was sealed here and for this.
    pub(crate) fn open(&self, purpose: Purpose, text: &str) -> Option<Vec<u8>> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let whole = Base64UrlUnpadded::decode_vec(text).ok()?;
        let (&VERSION, rest) = whole.split_first()? else { return None };
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let (nonce, associated) = (XNonce::from(*nonce), self.associated(purpose));
        self.keys
            .iter()
            .find_map(|keys| keys.of(purpose).decrypt(&nonce, Payload { msg: sealed, aad: &associated }).ok())
    }

    /// Whether each of the two opens what the other one seals.
    pub(super) fn opens_what_seals(&self, other: &Self) -> bool {
        let opens = |one: &Self, two: &Self| {
            two.keys.first().is_some_and(|first| one.keys.iter().any(|keys| keys.mark == first.mark))
        };
        self.bound_to == other.bound_to && opens(self, other) && opens(other, self)
    }

    /// How many secrets there are, for comparisons.
    pub(crate) fn marks(&self) -> Vec<String> {
        self.keys
            .iter()
            .map(|keys| keys.mark.iter().take(2).map(|byte| format!("{byte:02x}")).collect())
            .collect()
    }

    fn associated(&self, purpose: Purpose) -> Vec<u8> {
        [b"tollgate oidc_login ", purpose.name(), b" ", &self.bound_to[..]].concat()
    }
}

impl Keys {
    fn new(secret: &Secret) -> Option<Self> {
        let derived = Hkdf::<Sha256>::new(Some(b"tollgate oidc_login"), secret.bytes());
        let key = |purpose: &[u8]| {
            let mut key = zeroize::Zeroizing::new([0; 32]);
            derived.expand(purpose, &mut *key).ok()?;
            XChaCha20Poly1305::new_from_slice(&*key).ok()
        };
        let mut mark = [0; 16];
        derived.expand(b"mark", &mut mark).ok()?;
        Some(Self { session: key(Purpose::Session.name())?, login: key(Purpose::Login.name())?, mark })
    }

    fn of(&self, purpose: Purpose) -> &XChaCha20Poly1305 {
        match purpose {
            Purpose::Session => &self.session,
            Purpose::Login => &self.login,
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn seal(secrets: &[u8], names: &[&str]) -> Seal {
        let secrets: Vec<Secret> = secrets.iter().map(|byte| Secret::new(vec![*byte; 32])).collect();
        Seal::new(&secrets, names).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_sealed_opens_here_and_nowhere_else() {
        let own = seal(&[1], &["cookie", "issuer", "client"]);
        let text = own.seal(Purpose::Session, &[7; 32], b"content").unwrap();
        assert_eq!(own.open(Purpose::Session, &text).as_deref(), Some(&b"content"[..]));
        assert_eq!(own.open(Purpose::Login, &text), None);
        for other in [
            seal(&[2], &["cookie", "issuer", "client"]),
            seal(&[1], &["cookies", "issuer", "client"]),
            seal(&[1], &["cookie", "issuerclient", ""]),
            seal(&[1], &["cookie", "issuer", "client", ""]),
        ] {
            assert_eq!(other.open(Purpose::Session, &text), None);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_bit_of_it_can_be_changed() {
        let own = seal(&[1], &["cookie"]);
        let text = own.seal(Purpose::Session, &[7; 32], b"content").unwrap();
        let whole = Base64UrlUnpadded::decode_vec(&text).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(own.open(Purpose::Session, &Base64UrlUnpadded::encode_string(&changed)), None, "{at}");
        }
        for length in 0..whole.len() {
            let cut = Base64UrlUnpadded::encode_string(&whole[..length]);
            assert_eq!(own.open(Purpose::Session, &cut), None, "{length}");
        }
        for nonsense in ["", "=", "AQ", "é", &"A".repeat(5_000)] {
            assert_eq!(own.open(Purpose::Session, nonsense), None);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn secrets_rotate_without_logging_anybody_out() {
        let (old, both, new) = (seal(&[1], &[]), seal(&[2, 1], &[]), seal(&[2], &[]));
        let before = old.seal(Purpose::Login, &[7; 32], b"x").unwrap();
        let after = both.seal(Purpose::Login, &[8; 32], b"y").unwrap();
        assert!(both.open(Purpose::Login, &before).is_some() && new.open(Purpose::Login, &before).is_none());
        assert!(new.open(Purpose::Login, &after).is_some() && old.open(Purpose::Login, &after).is_none());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_secret_is_shown_to_nobody() {
        assert_eq!(format!("{:?}", seal(&[1], &["cookie"])), "Seal(…)");
    }
}
