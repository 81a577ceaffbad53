//! The head of a request, line by line (RFC 9112 §2 to §6): whether everybody who reads it reads the same.

use tollgate_core::malformed::Fault;

use super::{
    field::{self, is, is_alike, members},
    framing::{Framed, Framing},
    request_line::{self, RequestLine},
    section::Lines,
};

/// The most fields a head may have: hyper reads no more.
const MAX_FIELDS: u16 = 100;

/// What `Connection` may not take away: what is for everybody on the way, or decides what a request is.
const NEVER_LISTED: [&[u8]; 6] =
    [b"content-length", b"transfer-encoding", b"host", b"content-type", b"content-encoding", b"expect"];

/// What the lines so far have said.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Head {
    /// The first line, with its place in the head.
    request: Option<(RequestLine, usize, usize)>,
    framed: Framed,
    fields: u16,
    has_empty_line: bool,
    has_type: bool,
    wants_upgrade: bool,
}

/// What follows a head that is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct After {
    pub(super) framing: Framing,
    /// The answer may be that something else than HTTP comes next.
    pub(super) may_switch: bool,
    pub(super) is_connect: bool,
}

impl Head {
    /// Where the request line stands, if it was good.
    pub(super) fn request_line(&self) -> Option<(usize, usize)> {
        self.request.map(|(_, start, end)| (start, end))
    }

    /// What follows, after the last line.
    pub(super) fn after(&self) -> Result<After, Fault> {
        let Some((request, ..)) = self.request else { return Err(Fault::RequestLine) };
        let framing = self.framed.framing(request.is_11)?;
        // RFC 9110 §9.3.8 and §9.3.6.
        if (request.is_trace || request.is_connect) && framing != Framing::Length(0) {
            return Err(Fault::Content);
        }
        Ok(After { framing, may_switch: self.wants_upgrade && request.is_11, is_connect: request.is_connect })
    }

    #[inline]
    fn field(&mut self, line: &[u8]) -> Result<(), Fault> {
        let (name, value) = field::split(line)?;
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(Fault::TooLarge);
        }
        // By length first: most fields are none of these.
        match name.len() {
            7 if is(name, b"upgrade") => self.wants_upgrade = true,
            10 if is(name, b"connection") => return connection(value),
            // Whoever checks the first is to check what is read.
            12 if is(name, b"content-type") && std::mem::replace(&mut self.has_type, true) => {
                return Err(Fault::Repeated);
            }
            14 if is(name, b"content-length") => return self.framed.length(value),
            14 if is_alike(name, b"content-length") => return Err(Fault::Alike),
            17 if is(name, b"transfer-encoding") => return self.framed.coding(value),
            17 if is_alike(name, b"transfer-encoding") => return Err(Fault::Alike),
            _ => {}
        }
        Ok(())
    }
}

impl Lines for Head {
    #[inline]
    fn line(&mut self, line: &[u8], at: usize) -> Result<bool, Fault> {
        if self.request.is_some() {
            if line.is_empty() {
                return Ok(true);
            }
            return self.field(line).map(|()| false);
        }
        if line.is_empty() {
            // RFC 9112 §2.2: some clients send one after content.
            return if std::mem::replace(&mut self.has_empty_line, true) {
                Err(Fault::EmptyLines)
            } else {
                Ok(false)
            };
        }
        self.request = Some((request_line::read(line)?, at, at + line.len()));
        Ok(false)
    }
}

/// Fields that are for the connection alone are named in `Connection`; that takes them off the request, so none may be
/// named by which somebody else frames or understands it.
fn connection(value: &[u8]) -> Result<(), Fault> {
    let framing = |name: &[u8]| NEVER_LISTED.iter().any(|own| is(name, own));
    if members(value).any(framing) { Err(Fault::Connection) } else { Ok(()) }
}
