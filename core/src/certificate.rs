//! A client's certificate, as the platform that ended TLS tells of it. Nothing is decided here, and nothing of a
//! certificate is parsed: a platform verifies, [`crate::policy::mtls`] judges whose it is.

use std::sync::Arc;

use http::{Extensions, request};

use crate::host::Timestamp;

/// What a platform knows of the certificate that a client presented.
///
/// A host attaches it to the requests of a connection. No client can: extensions are no part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The SHA-256 digest of the certificate. None, here and below, where what the platform tells can't be read.
    pub fingerprint: Option<[u8; 32]>,
    /// The subject's distinguished name, as RFC 4514 writes it.
    pub subject: String,
    /// The issuer's.
    pub issuer: String,
    /// The serial number, as the platform writes it.
    pub serial: String,
    /// From when on it is valid.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub not_after: Option<Timestamp>,
    /// Whether the platform has verified it, its chain included.
    pub is_verified: bool,
    /// Whether it was revoked, or that can't be known.
    pub is_revoked: bool,
}

impl ClientCertificate {
    /// Tells of it to whoever gets a request with these extensions.
    pub fn attach(self: Arc<Self>, extensions: &mut Extensions) {
        extensions.insert(self);
    }

    /// The certificate that came with a request, good or bad.
    pub(crate) fn of(head: &request::Parts) -> Option<&Self> {
        head.extensions.get::<Arc<Self>>().map(|certificate| &**certificate)
    }

    /// Reads a SHA-256 digest in hexadecimal, colons between the bytes or not.
    pub fn read_fingerprint(text: &str) -> Option<[u8; 32]> {
        const BYTES: usize = 32;
        let step = match text.len() {
            len if len == BYTES * 2 => 2,
            len if len == BYTES * 3 - 1 => 3,
            _ => return None,
        };
        let mut bytes = [0; BYTES];
        for (byte, piece) in bytes.iter_mut().zip(text.as_bytes().chunks(step)) {
            let &[high, low, ref colon @ ..] = piece else { return None };
            if !matches!(colon, [] | [b':']) {
                return None;
            }
            let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_fingerprint_is_thirty_two_bytes_and_nothing_else() {
        let plain = "0aF9".repeat(16);
        let mut wanted = [0x0a; 32];
        wanted.iter_mut().skip(1).step_by(2).for_each(|byte| *byte = 0xf9);
        assert_eq!(ClientCertificate::read_fingerprint(&plain), Some(wanted));
        let colons = vec!["0A:F9"; 16].join(":");
        assert_eq!(ClientCertificate::read_fingerprint(&colons), Some(wanted));
        let (short, long) = (&plain[1..], format!("{plain}0"));
        let (other, late) = (colons.replacen(':', "-", 1), format!("{}:", &colons[..94]));
        for bad in ["", short, &long, &other, &late, &plain.replacen('0', "g", 1), &"é".repeat(32)] {
            assert_eq!(ClientCertificate::read_fingerprint(bad), None, "{bad}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_a_client_sends_is_no_certificate() {
        let names = ["cf-client-cert-sha256", "x-client-cert", "x-forwarded-client-cert", "client-cert"];
        let request = names.iter().fold(http::Request::get("/"), |request, name| request.header(*name, "x"));
        assert_eq!(ClientCertificate::of(&request.body(()).unwrap().into_parts().0), None);
    }
}
