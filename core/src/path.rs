//! Normalisation of request paths (RFC 3986 §6.2.2), once, before anything looks at them.
//!
//! Matched, checked by policies and forwarded is this one form, so no spelling of a path slips past a
//! policy: dot segments are resolved also when percent-encoded, needless percent-encodings decoded, the
//! remaining ones upper-cased, duplicate slashes merged. A trailing slash is kept: it means something to
//! upstreams and nothing to matching.

use std::borrow::Cow;

use thiserror::Error;

/// A path in its normal form: begins with `/`, holds visible ASCII only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalPath<'r> {
    /// The path.
    pub text: Cow<'r, str>,
    /// Whether it holds an encoded `/` or `\`, which only some routes allow.
    pub has_encoded_slash: bool,
}

/// Why a path can't be served by any route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadPath {
    /// Does not begin with `/`.
    #[error("the path does not begin with a slash")]
    Relative,
    /// A `%` without two hexadecimal digits.
    #[error("the path holds a malformed percent-encoding")]
    Malformed,
    /// An encoded NUL or other control character.
    #[error("the path holds an encoded control character")]
    Control,
    /// A bare backslash, which some upstreams take for a slash.
    #[error("the path holds a backslash")]
    Backslash,
    /// A dot segment with parameters (`..;x`), which some upstreams resolve after taking the parameters away.
    #[error("the path holds a dot segment with parameters")]
    DotParameters,
}

impl<'r> NormalPath<'r> {
    /// The normal form of `raw`, without a copy where it is normal already.
    pub fn new(raw: &'r str) -> Result<Self, BadPath> {
        if !raw.starts_with('/') {
            return Err(BadPath::Relative);
        }
        if is_plain(raw.as_bytes()) {
            return Ok(Self { text: Cow::Borrowed(raw), has_encoded_slash: false });
        }
        let (decoded, has_encoded_slash) = decode(raw.as_bytes())?;
        if decoded.split('/').any(|segment| segment.starts_with(".;") || segment.starts_with("..;")) {
            return Err(BadPath::DotParameters);
        }
        Ok(Self { text: Cow::Owned(resolve(&decoded)), has_encoded_slash })
    }
}

/// Nothing to decode, to merge or to resolve. One pass, no allocation: the way of nearly all requests.
fn is_plain(raw: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in raw {
        let fine = is_unreserved(byte) || is_kept(byte) || byte == b'/';
        // A segment that begins with a dot may be a dot segment.
        if !fine || (previous == b'/' && matches!(byte, b'/' | b'.')) {
            return false;
        }
        previous = byte;
    }
    true
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Characters that may stand in a segment as they are (`pchar` without the unreserved and the encoded).
const fn is_kept(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

/// Decodes what needs no encoding, encodes what does, and refuses what no path should hold.
fn decode(raw: &[u8]) -> Result<(String, bool), BadPath> {
    let mut out = String::with_capacity(raw.len() + 16);
    let mut has_encoded_slash = false;
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => return Err(BadPath::Backslash),
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                    return Err(BadPath::Malformed);
                };
                let value = u8::try_from(high * 16 + low).map_err(|_| BadPath::Malformed)?;
                if value < 0x20 || value == 0x7f {
                    return Err(BadPath::Control);
                }
                if is_unreserved(value) {
                    out.push(char::from(value));
                } else {
                    has_encoded_slash |= matches!(value, b'/' | b'\\');
                    encode(value, &mut out);
                }
            }
            b'/' => out.push('/'),
            _ if is_unreserved(byte) || is_kept(byte) => out.push(char::from(byte)),
            _ => encode(byte, &mut out),
        }
    }
    Ok((out, has_encoded_slash))
}

fn encode(byte: u8, out: &mut String) {
    let digit = |value: u32| char::from_digit(value, 16).unwrap_or('0').to_ascii_uppercase();
    out.push('%');
    out.push(digit(u32::from(byte >> 4)));
    out.push(digit(u32::from(byte & 15)));
}

/// Resolves `.` and `..` (RFC 3986 §5.2.4) and merges slashes. Climbing above the root ends at the root.
fn resolve(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut directory = false;
    for segment in path.split('/').skip(1) {
        directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if directory || segments.is_empty() {
        out.push('/');
    }
    out
}

/// The path as patterns see it: without a trailing slash, unless it is nothing else.
pub(crate) fn for_matching(path: &str) -> &str {
    match path.strip_suffix('/') {
        Some("") | None => path,
        Some(shorter) => shorter,
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_spelling_has_one_normal_form() {
        for (raw, wanted) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("//a///b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/../../a", "/a"),
            ("/..", "/"),
            ("/%61uth/x", "/auth/x"),
            ("/a%3db", "/a%3Db"),
            ("/a b", "/a%20b"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/a/.hidden", "/a/.hidden"),
            ("/a/..b", "/a/..b"),
            ("/a%252e%252e/b", "/a%252e%252e/b"),
            ("/a;x=1/b", "/a;x=1/b"),
            ("/{x}", "/%7Bx%7D"),
        ] {
            let normal = NormalPath::new(raw).unwrap();
            assert_eq!(normal.text, wanted, "{raw}");
            assert!(!normal.has_encoded_slash, "{raw}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn encoded_separators_are_seen_and_kept() {
        for (raw, wanted) in [("/a%2fb", "/a%2Fb"), ("/a%5cb", "/a%5Cb"), ("/a/..%2fb", "/a/..%2Fb")] {
            let normal = NormalPath::new(raw).unwrap();
            assert_eq!((normal.text.as_ref(), normal.has_encoded_slash), (wanted, true), "{raw}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_no_path_should_hold_is_refused() {
        for (raw, wanted) in [
            ("a", BadPath::Relative),
            ("*", BadPath::Relative),
            ("/%", BadPath::Malformed),
            ("/%4", BadPath::Malformed),
            ("/%zz", BadPath::Malformed),
            ("/%00", BadPath::Control),
            ("/%0d%0a", BadPath::Control),
            ("/a\\..\\b", BadPath::Backslash),
            ("/auth/..;/admin", BadPath::DotParameters),
            ("/a/%2e%2e;x=1/b", BadPath::DotParameters),
            ("/a/.;/b", BadPath::DotParameters),
        ] {
            assert_eq!(NormalPath::new(raw), Err(wanted), "{raw}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_normal_path_is_not_copied() {
        assert!(matches!(NormalPath::new("/agents/research/query").unwrap().text, Cow::Borrowed(_)));
    }
}
