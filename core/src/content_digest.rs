//! `Content-Digest` (RFC 9530): what a body must hash to. Bodies pass by on the host, which feeds a [`Checker`] or
//! lets its platform do the arithmetic.

use base64ct::{Base64, Encoding};
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256, Sha512};

use crate::policy::hmac::structured::{self, Bare, Member};

/// The field.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// What a body must hash to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentDigest {
    /// `sha-256`
    Sha256([u8; 32]),
    /// `sha-512`
    Sha512([u8; 64]),
}

impl ContentDigest {
    /// The digest that a head declares: the strongest of those that are known. `None` where there is none, or the
    /// field is malformed.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let field = structured::joined(headers, &CONTENT_DIGEST)?;
        let members = structured::dictionary(&field)?;
        let named = |wanted: &str| {
            let (_, member) = members.iter().find(|(name, _)| name == wanted)?;
            match member {
                Member::Item(item) => match &item.value {
                    Bare::Bytes(bytes) => Some(bytes.as_slice()),
                    _ => None,
                },
                Member::List(_) => None,
            }
        };
        match named("sha-512") {
            Some(digest) => digest.try_into().ok().map(Self::Sha512),
            None => named("sha-256")?.try_into().ok().map(Self::Sha256),
        }
    }

    /// The algorithm's name, as platforms have it.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "SHA-256",
            Self::Sha512(_) => "SHA-512",
        }
    }

    /// The digest in base64.
    pub fn base64(&self) -> String {
        Base64::encode_string(self.bytes())
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(digest) => digest,
            Self::Sha512(digest) => digest,
        }
    }

    /// Watches a body pass by.
    pub fn checker(&self) -> Checker {
        let state = match self {
            Self::Sha256(_) => State::Sha256(Sha256::new()),
            Self::Sha512(_) => State::Sha512(Sha512::new()),
        };
        Checker { wanted: self.clone(), state }
    }
}

/// What has passed of a body, and what it must have been in the end.
#[derive(Debug, Clone)]
pub struct Checker {
    wanted: ContentDigest,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Checker {
    /// A piece passes.
    pub fn update(&mut self, piece: &[u8]) {
        match &mut self.state {
            State::Sha256(state) => state.update(piece),
            State::Sha512(state) => state.update(piece),
        }
    }

    /// Whether what has passed is the body that was meant.
    pub fn is_whole(&self) -> bool {
        let made = match &self.state {
            State::Sha256(state) => state.clone().finalize().to_vec(),
            State::Sha512(state) => state.clone().finalize().to_vec(),
        };
        // No secret: the client has sent it.
        made == self.wanted.bytes()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    // RFC 9530 Appendix D and RFC 9421 Appendix B.2.
    const SHA_256: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
    const SHA_512: &str =
        "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

    fn of(lines: &[&str]) -> Option<ContentDigest> {
        let field = |line: &&str| (CONTENT_DIGEST, HeaderValue::from_str(line).unwrap());
        ContentDigest::of(&lines.iter().map(field).collect())
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_body_is_whole_when_all_its_pieces_have_passed() {
        for field in [SHA_256, SHA_512] {
            let mut checker = of(&[field]).unwrap().checker();
            checker.update(b"{\"hello\": ");
            assert!(!checker.is_whole());
            checker.update(b"\"world\"}");
            assert!(checker.is_whole());
            checker.update(b" ");
            assert!(!checker.is_whole());
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_strongest_digest_counts() {
        let algorithm = |lines: &[&str]| of(lines).map(|digest| digest.algorithm());
        assert_eq!(algorithm(&[SHA_256, SHA_512]), Some("SHA-512"));
        assert_eq!(algorithm(&[SHA_256, "md5=:AAAA:"]), Some("SHA-256"));
        for lines in [&[][..], &["md5=:AAAA:"], &["sha-256=abc"], &["sha-256=:AAAA:"], &["sha-256=(:AAAA:)"]]
        {
            assert_eq!(algorithm(lines), None, "{lines:?}");
        }
        // Not less than what the strongest says, however malformed that is.
        assert_eq!(algorithm(&[SHA_256, "sha-512=:AAAA:"]), None);
        // Which of two was meant is not known.
        assert_eq!(algorithm(&[SHA_256, SHA_256]), None);
    }
}
