//! Who may ask a serving gateway for the trail of their own request: whoever sends a pass that was signed with
//! the configuration's secret and has not run out.
//!
//! A pass is `SECONDS.SIGNATURE`: when it ends, as seconds since 1970, and the HMAC-SHA-256 (RFC 2104) of
//! `tollgate-explain:SECONDS` in hexadecimal. A shell with openssl can make one.

use std::fmt;

use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName};
use sha2::Sha256;

use crate::host::Timestamp;

/// The request's field that holds the pass. It never reaches a service.
pub const HEADER: HeaderName = HeaderName::from_static("x-tollgate-explain");
/// The answer's fields that hold the trail, one line a step.
pub const TRAIL_HEADER: HeaderName = HeaderName::from_static("x-tollgate-trail");

/// A shorter secret can be guessed.
pub(crate) const MIN_SECRET_BYTES: usize = 32;
/// A pass that is good for longer than this is none: it would be a password.
const MAX_LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// Checks passes.
#[derive(Clone)]
pub struct Guard {
    keyed: Hmac<Sha256>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard(***)")
    }
}

impl Guard {
    /// A guard that knows this secret. `None` where it is too short.
    pub fn new(secret: &str) -> Option<Self> {
        if secret.len() < MIN_SECRET_BYTES {
            return None;
        }
        Hmac::new_from_slice(secret.as_bytes()).ok().map(|keyed| Self { keyed })
    }

    /// A pass that is good until `until`.
    pub fn pass(&self, until: Timestamp) -> String {
        let seconds = until / 1000;
        let signature: String =
            self.signed(seconds).finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{seconds}.{signature}")
    }

    /// Whether the request holds a pass that is good now.
    pub(crate) fn admits(&self, headers: &HeaderMap, now: Timestamp) -> bool {
        let mut fields = headers.get_all(HEADER).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else { return false };
        field.to_str().is_ok_and(|pass| self.is_good(pass, now))
    }

    fn is_good(&self, pass: &str, now: Timestamp) -> bool {
        let Some((seconds, signature)) = pass.split_once('.') else { return false };
        let Ok(until) = seconds.parse::<u64>() else { return false };
        let Some(signature) = unhex(signature) else { return false };
        let end = until.saturating_mul(1000);
        // Constant in time, and before anything is said about the rest.
        let signed = self.signed(until).verify_slice(&signature).is_ok();
        signed && now < end && end - now <= MAX_LIFE_MS
    }

    fn signed(&self, seconds: u64) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(format!("tollgate-explain:{seconds}").as_bytes());
        mac
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != 32 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[wasm_bindgen_test(unsupported = test)]
    fn a_pass_is_good_until_it_ends_and_no_longer_than_a_day() {
        let guard = Guard::new(SECRET).unwrap();
        let pass = guard.pass(100_000);
        assert!(guard.is_good(&pass, 99_999));
        assert!(!guard.is_good(&pass, 100_000));
        let forever = guard.pass(1_000_000_000_000);
        assert!(!guard.is_good(&forever, 0));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_pass_can_be_made_without_the_secret() {
        let guard = Guard::new(SECRET).unwrap();
        let other = Guard::new("another secret, also thirty-two bytes").unwrap();
        let pass = guard.pass(100_000);
        let longer = pass.replacen("100", "200", 1);
        for wrong in [other.pass(100_000), longer, pass[..20].to_owned(), String::new(), "100.".to_owned()] {
            assert!(!guard.is_good(&wrong, 0), "{wrong}");
        }
        assert!(Guard::new("short").is_none());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_pass_is_the_hmac_that_openssl_makes() {
        // printf 'tollgate-explain:100' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let guard = Guard::new(SECRET).unwrap();
        assert_eq!(
            guard.pass(100_000),
            "100.02ac5cfbfc682c8dd7a4ed1a9ac97cd3c09d0c0c2552fee6b3a8894902f8a064"
        );
    }
}
