//! The fields after chunked content (RFC 9110 §6.5). There they come after everything that was decided, so none may be
//! among them that decides something: where a request ends, where it goes, how its content is read, or who asks.

use http::HeaderName;
use tollgate_core::{malformed::Fault, trailers::steers};

use super::{field, section::Lines};

/// The most of them.
const MAX_FIELDS: u16 = 64;

/// In all their bytes.
pub(super) const MAX_BYTES: usize = 8 << 10;

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
        // In any version of HTTP the same names; here, where a reader may merge them, they are not merely dropped.
        match HeaderName::from_bytes(name) {
            Ok(name) if !steers(&name) => {}
            _ => return Err(Fault::Field),
        }
        Ok(false)
    }
}
