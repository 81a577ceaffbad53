//! How the gateway proves to an issuer who it is (RFC 6749 §2.3.1): prepared when the configuration is loaded, and
//! never shown.

use std::fmt::{self, Write};

use base64ct::{Base64, Encoding};
use http::{HeaderMap, HeaderValue, header};

use crate::compare::setting::Veiled;

/// The gateway as a client of an issuer.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) id: String,
    /// Tells secrets apart, for comparisons.
    pub(crate) digest: Veiled,
    proof: Proof,
}

#[derive(Clone, PartialEq, Eq)]
enum Proof {
    /// `Authorization: Basic`.
    Basic(HeaderValue),
    /// What is added to the content.
    Post(String),
}

impl Client {
    /// A client that shows its secret in `Authorization`. Both halves are encoded as in forms first, so that
    /// neither can be mistaken for more than it is.
    pub(crate) fn basic(id: &str, secret: &str) -> Self {
        let mut pair = String::new();
        form(id, &mut pair);
        pair.push(':');
        form(secret, &mut pair);
        let text = format!("Basic {}", Base64::encode_string(pair.as_bytes()));
        // INVARIANT: this alphabet can stand in a field.
        let mut value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("Basic"));
        value.set_sensitive(true);
        Self { id: id.to_owned(), digest: Veiled::new(secret), proof: Proof::Basic(value) }
    }

    /// A client that shows its secret in the content.
    pub(crate) fn post(id: &str, secret: &str) -> Self {
        let mut pair = String::from("&client_id=");
        form(id, &mut pair);
        pair.push_str("&client_secret=");
        form(secret, &mut pair);
        Self { id: id.to_owned(), digest: Veiled::new(secret), proof: Proof::Post(pair) }
    }

    /// Adds the proof to a question.
    pub(super) fn prove(&self, fields: &mut HeaderMap, content: &mut String) {
        match &self.proof {
            Proof::Basic(value) => drop(fields.insert(header::AUTHORIZATION, value.clone())),
            Proof::Post(pair) => content.push_str(pair),
        }
    }

    /// How the proof is given, as written.
    pub(crate) fn way(&self) -> &'static str {
        match self.proof {
            Proof::Basic(_) => "basic",
            Proof::Post(_) => "post",
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("id", &self.id).field("way", &self.way()).finish_non_exhaustive()
    }
}

/// Adds `text` as it stands in the content of a form (`application/x-www-form-urlencoded`).
pub(super) fn form(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn proven(client: &Client) -> (Option<String>, String) {
        let (mut fields, mut content) = (HeaderMap::new(), String::from("token=t"));
        client.prove(&mut fields, &mut content);
        let value = fields.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        (value, content)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn both_halves_are_encoded_before_they_are_put_together() {
        let (value, content) = proven(&Client::basic("a:b", "p%+ \u{e9}"));
        let encoded = Base64::encode_string(b"a%3Ab:p%25%2B+%C3%A9");
        assert_eq!((value.unwrap(), content), (format!("Basic {encoded}"), "token=t".to_owned()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn in_the_content_nothing_ends_a_value_early() {
        let (value, content) = proven(&Client::post("a&token=x", "s=1"));
        assert_eq!(value, None);
        assert_eq!(content, "token=t&client_id=a%26token%3Dx&client_secret=s%3D1");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_secret_is_never_shown() {
        for client in [Client::basic("me", "hunter2"), Client::post("me", "hunter2")] {
            let shown = format!("{client:?}");
            assert!(shown.contains("me") && !shown.contains("hunter2"), "{shown}");
            assert!(!shown.contains("Basic "), "{shown}");
        }
    }
}
