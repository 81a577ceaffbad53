//! A name and a password as `Authorization: Basic` carries them (RFC 7617 §2). What they prove is not told here.

use std::fmt;

use base64ct::{Base64, Encoding};

/// Longer credentials are not looked at.
const MAX_BYTES: usize = 2 * 1024;

/// A name and a password.
pub(crate) struct Credentials {
    pub(crate) name: String,
    pub(crate) password: String,
}

impl Credentials {
    /// Reads what stands after the scheme. The name ends at the first colon; neither holds control characters, and
    /// both are UTF-8, as the challenge says.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let bytes = Base64::decode_vec(text).ok()?;
        let pair = String::from_utf8(bytes).ok()?;
        if pair.chars().any(char::is_control) {
            return None;
        }
        let (name, password) = pair.split_once(':')?;
        Some(Self { name: name.to_owned(), password: password.to_owned() })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_first_colon_ends_the_name() {
        let read = |pair: &[u8]| {
            let found = Credentials::parse(&Base64::encode_string(pair));
            found.map(|found| (found.name, found.password))
        };
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(read(b"a:b"), pair("a", "b"));
        assert_eq!(read(b"a:b:c:"), pair("a", "b:c:"));
        assert_eq!(read("ü:£".as_bytes()), pair("ü", "£"));
        assert_eq!(read(b":b"), pair("", "b"));
        assert_eq!(read(b"a:"), pair("a", ""));
        for bad in [&b"a"[..], b"", b"a:\n", b"a\0:b", "a:\u{85}".as_bytes(), b"a:\xa3"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_base64_is_nothing() {
        for text in ["", "YTpi!", "YTpi=", "YTp", "YTpi YTpi", "-_-_", &"YTpi".repeat(1000)] {
            assert!(Credentials::parse(text).is_none(), "{text}");
        }
        assert!(Credentials::parse("YTpi").is_some());
        // RFC 7617 §2 and §2.1.
        assert_eq!(Credentials::parse("QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap().password, "open sesame");
        assert_eq!(Credentials::parse("dGVzdDoxMjPCow==").unwrap().password, "123£");
    }
}
