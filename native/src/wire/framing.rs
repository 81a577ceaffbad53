//! Where a request ends, by its fields (RFC 9112 §6.3): only where there is one way to read them.

use tollgate_core::malformed::Fault;

use super::field::{is, members, trim_spaces};

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes; maybe none.
    Length(u64),
    Chunked,
}

/// What the fields have said so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Framed {
    length: Option<u64>,
    is_chunked: bool,
}

impl Framed {
    /// A `Content-Length`. One, whose value is a number in plain digits: with a second, even of the same value, and with
    /// a sign, a comma or a leading zero there are readers who disagree.
    pub(super) fn length(&mut self, value: &[u8]) -> Result<(), Fault> {
        let digits = trim_spaces(value);
        let is_plain = match digits {
            [] | [b'0', _, ..] => false,
            // Fewer than would overflow anybody's number.
            _ => digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit),
        };
        if !is_plain || self.length.is_some() {
            return Err(Fault::Length);
        }
        self.length = Some(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')));
        Ok(())
    }

    /// A `Transfer-Encoding`: `chunked` and nothing else, once.
    pub(super) fn coding(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.is_chunked {
            return Err(Fault::Coding);
        }
        let value = trim_spaces(value);
        if !is(value, b"chunked") {
            return Err(not_chunked(value));
        }
        self.is_chunked = true;
        Ok(())
    }

    /// What follows, when all fields are known.
    pub(super) fn framing(self, is_11: bool) -> Result<Framing, Fault> {
        match (self.is_chunked, self.length) {
            (true, Some(_)) => Err(Fault::Framing),
            // RFC 9112 §6.1: whoever wrote it might not be who frames the message.
            (true, None) if !is_11 => Err(Fault::Coding),
            (true, None) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// What is wrong with a coding: it may be well-formed and only unknown here (RFC 9112 §6.1).
fn not_chunked(value: &[u8]) -> Fault {
    let known = |name: &[u8]| {
        [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"].iter().any(|own| is(name, own))
    };
    let mut codings: Vec<&[u8]> = members(value).collect();
    let last = codings.pop().unwrap_or_default();
    let is_known = !codings.is_empty() && codings.into_iter().all(known);
    if is(last, b"chunked") && is_known { Fault::UnknownCoding } else { Fault::Coding }
}
