//! The fields after chunked content (RFC 9110 §6.5). There they come after everything that was decided, so none may be
//! among them that decides something: where a request ends, where it goes, how its content is read, or who asks.

use tollgate_core::malformed::Fault;

use super::{
    field::{self, is_alike},
    section::Lines,
};

/// The most of them.
const MAX_FIELDS: u16 = 64;

/// In all their bytes.
pub(super) const MAX_BYTES: usize = 8 << 10;

/// Those that never come after the content (RFC 9110 §6.5.1).
const NEVER: [&[u8]; 31] = [
    b"authorization",
    b"cache-control",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"if-match",
    b"if-none-match",
    b"if-range",
    b"keep-alive",
    b"max-forwards",
    b"pragma",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"range",
    b"set-cookie",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"via",
    b"www-authenticate",
    b"x-api-key",
    b"x-original-url",
    b"x-real-ip",
];

/// What is told in fields that begin so is told by those who pass a request on.
const NEVER_BEGINS: [&[u8]; 2] = [b"x-forwarded-", b"x-user-"];

/// The lines so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Trailers {
    fields: u16,
}

impl Lines for Trailers {
    fn line(&mut self, line: &[u8], _: usize) -> Result<bool, Fault> {
        if line.is_empty() {
            return Ok(true);
        }
        let (name, _) = field::split(line)?;
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(Fault::TooLarge);
        }
        let begins = |start: &&[u8]| name.get(..start.len()).is_some_and(|begin| is_alike(begin, start));
        if NEVER.iter().any(|never| is_alike(name, never)) || NEVER_BEGINS.iter().any(begins) {
            return Err(Fault::Field);
        }
        Ok(false)
    }
}
