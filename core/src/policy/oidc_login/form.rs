//! Names and values as browsers and providers exchange them (`application/x-www-form-urlencoded`, RFC 6749 appendix B).

use std::fmt::Write;

/// As a query, or the content of a form.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        encode(name, &mut out);
        out.push('=');
        encode(value, &mut out);
    }
    out
}

/// One name or value by itself.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode(text, &mut out);
    out
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // A space too: everybody reads `%20`, not everybody `+`.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
