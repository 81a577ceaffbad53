//! A login that is under way: what the browser was sent away with, and what it must come back with.
//!
//! `state`, `nonce` and the code verifier (RFC 7636) all follow from one random number, which only the sealed cookie of
//! this login holds.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, Mac};
use http::HeaderMap;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{OidcLogin, Purpose, cookies, form::form};
use crate::host::Timestamp;

/// How long a person may take to log in.
pub(crate) const PATIENCE_MS: u64 = 10 * 60 * 1000;
/// Logins of one browser that are under way, at most: those of its tabs.
const MAX_UNDER_WAY: usize = 5;
/// Where browsers go back to is no longer than this, or the cookie would be too large.
const MAX_BACK_BYTES: usize = 1_024;
/// How much of the `state` names the login's cookie.
const NAME_CHARS: usize = 8;

/// A login that is under way.
pub(crate) struct Begun {
    at: Timestamp,
    seed: Zeroizing<[u8; 32]>,
    /// Path and query of the page that was wanted.
    pub(crate) back_to: String,
}

/// A browser that is sent to log in.
pub(crate) struct Departure {
    /// Where to.
    pub(crate) location: String,
    /// The cookie of this login, and how those are cleared that are one too many.
    pub(crate) cookies: Vec<http::HeaderValue>,
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("at", &self.at).field("back_to", &self.back_to).finish_non_exhaustive()
    }
}

impl Begun {
    /// A login that begins now; `seed` is used for nothing else.
    pub(crate) fn new(at: Timestamp, seed: [u8; 32], path: &str, query: Option<&str>) -> Self {
        let back_to = match query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let back_to = if is_own_path(&back_to) { back_to } else { "/".to_owned() };
        Self { at, seed: Zeroizing::new(seed), back_to }
    }

    /// What the browser must come back with.
    pub(crate) fn state(&self) -> String {
        self.derived(b"state")
    }

    /// What the provider must say of this login.
    pub(crate) fn nonce(&self) -> String {
        self.derived(b"nonce")
    }

    /// What proves that whoever has the code is who began.
    pub(crate) fn verifier(&self) -> Zeroizing<String> {
        Zeroizing::new(self.derived(b"verifier"))
    }

    fn challenge(&self) -> String {
        Base64UrlUnpadded::encode_string(&Sha256::digest(self.verifier().as_bytes()))
    }

    fn derived(&self, what: &[u8]) -> String {
        // Of 32 bytes a key can always be made.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*self.seed) else { return String::new() };
        mac.update(what);
        Base64UrlUnpadded::encode_string(&mac.finalize().into_bytes())
    }

    /// Whether `state` is this login's. Takes as long for a wrong one as for the right one.
    fn is_named(&self, state: &str) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*self.seed) else { return false };
        mac.update(b"state");
        Base64UrlUnpadded::decode_vec(state).is_ok_and(|state| mac.verify_slice(&state).is_ok())
    }

    fn write(&self) -> Vec<u8> {
        [&self.at.to_be_bytes()[..], &*self.seed, self.back_to.as_bytes()].concat()
    }

    fn read(content: &[u8]) -> Option<Self> {
        let (at, rest) = content.split_first_chunk::<8>()?;
        let (seed, back_to) = rest.split_first_chunk::<32>()?;
        let back_to = std::str::from_utf8(back_to).ok().filter(|path| is_own_path(path))?.to_owned();
        Some(Self { at: Timestamp::from_be_bytes(*at), seed: Zeroizing::new(*seed), back_to })
    }
}

/// Whether browsers take a text for a path on the host that they are at, and for nothing else: no other host
/// (`//host`, `/\host`), and nothing that they would leave out (tabs, line breaks) to find one.
fn is_own_path(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next() == Some(b'/')
        && text.len() <= MAX_BACK_BYTES
        && !text.starts_with("//")
        && bytes.all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'\\')
}

impl OidcLogin {
    /// Sends a browser away to log in at `endpoint`.
    pub(crate) fn depart(
        &self,
        begun: &Begun,
        endpoint: &str,
        random: &[u8; 32],
        headers: &HeaderMap,
    ) -> Option<Departure> {
        let state = begun.state();
        let sealed = self.seal.seal(Purpose::Login, random, &begun.write())?;
        let own = cookies::set(&self.login_cookie(&state)?, &sealed, PATIENCE_MS / 1000)?;
        // The first are the oldest.
        let too_many = (cookies::under_way(headers, &self.cookie).count() + 1).saturating_sub(MAX_UNDER_WAY);
        let forgotten = cookies::under_way(headers, &self.cookie).take(too_many).filter_map(cookies::clear);
        let own_query = form(&[
            ("redirect_uri", &self.callback()),
            ("state", &state),
            ("nonce", &begun.nonce()),
            ("code_challenge", &begun.challenge()),
        ]);
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        let location = format!("{endpoint}{separator}{}&{own_query}", self.request);
        Some(Departure { location, cookies: std::iter::once(own).chain(forgotten).collect() })
    }

    /// The name of the cookie of the login that goes by a `state`; none for what is no `state`.
    pub(crate) fn login_cookie(&self, state: &str) -> Option<String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let name = state.get(..NAME_CHARS).filter(|name| name.bytes().all(is_plain))?;
        Some(format!("{}.{name}", self.cookie))
    }

    /// The login of this browser that goes by a `state`, if it is still under way.
    pub(crate) fn begun(&self, state: &str, headers: &HeaderMap, now: Timestamp) -> Option<Begun> {
        let name = self.login_cookie(state)?;
        let sealed = cookies::values(headers, &name).take(cookies::MAX_LOOKED_AT);
        let mut opened = sealed.filter_map(|text| Begun::read(&self.seal.open(Purpose::Login, text)?));
        opened.find(|begun| begun.is_named(state) && now >= begun.at && now - begun.at < PATIENCE_MS)
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn nobody_is_sent_back_to_another_host() {
        let back = |path: &str, query: Option<&str>| Begun::new(0, [1; 32], path, query).back_to;
        assert_eq!(back("/a/b", Some("c=//d&e=f")), "/a/b?c=//d&e=f");
        for path in
            ["//evil.test", "/\\evil.test", "/a\\b", "https://evil.test", "evil", "", "/a b", "/\tb", "/é"]
        {
            assert_eq!(back(path, None), "/", "{path}");
        }
        assert_eq!(back("/a", Some("\\")), "/");
        assert_eq!(back(&format!("/{}", "a".repeat(2_000)), None), "/");
        let mut forged = Begun::new(0, [1; 32], "/", None).write();
        forged.extend_from_slice(b"/evil.test");
        assert!(Begun::read(&forged).is_none());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn all_that_must_not_be_known_differs() {
        let one = Begun::new(0, [1; 32], "/", None);
        let two = Begun::new(0, [2; 32], "/", None);
        let all =
            [one.state(), one.nonce(), one.verifier().to_string(), one.challenge(), two.state(), two.nonce()];
        for (at, text) in all.iter().enumerate() {
            assert_eq!(text.len(), 43);
            assert!(all.iter().skip(at + 1).all(|other| other != text));
        }
        assert!(one.is_named(&one.state()) && !one.is_named(&two.state()) && !one.is_named(""));
        assert!(!format!("{one:?}").contains("seed"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_challenge_is_the_digest_of_its_verifier() {
        // RFC 7636 appendix B.
        let digest = Sha256::digest(b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(Base64UrlUnpadded::encode_string(&digest), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_written_is_read() {
        let begun = Begun::new(7, [1; 32], "/a", Some("b"));
        let read = Begun::read(&begun.write()).unwrap();
        assert_eq!((read.at, read.state(), &*read.back_to), (7, begun.state(), "/a?b"));
        assert!(Begun::read(b"short").is_none());
    }
}
