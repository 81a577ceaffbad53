//! The first line of a request (RFC 9112 §3): method, target and version, one space apart.

use std::net::Ipv6Addr;

use tollgate_core::malformed::Fault;

use super::field::is_token;

/// The longest target that can be read.
const MAX_TARGET: usize = 65_534;

/// What the line says about the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestLine {
    pub(super) is_11: bool,
    /// `CONNECT`: what follows the head may be a tunnel.
    pub(super) is_connect: bool,
    pub(super) is_trace: bool,
}

/// In what part of a target a character may stand: path 1, query 2. What `http` reads as either.
static TARGET: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0x21;
    while byte < 256 {
        table[byte] = match byte {
            0x7f => 0,
            // `#` begins what is never sent; the others are to be encoded by everybody's rules.
            0x23 | 0x3c | 0x3e => 0,
            0x60 => 2,
            0x22 => 1,
            _ => 3,
        };
        byte += 1;
    }
    table
};

pub(super) fn read(line: &[u8]) -> Result<RequestLine, Fault> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::RequestLine);
    };
    if !is_token(method) || target.is_empty() {
        return Err(Fault::RequestLine);
    }
    let is_11 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Fault::Version);
        }
        _ => return Err(Fault::RequestLine),
    };
    if target.len() > MAX_TARGET {
        return Err(Fault::TargetTooLong);
    }
    let line = RequestLine { is_11, is_connect: method == b"CONNECT", is_trace: method == b"TRACE" };
    let fine = match target {
        [b'/', ..] if !line.is_connect => is_path(target),
        b"*" => method == b"OPTIONS",
        _ if line.is_connect => is_authority(target),
        _ => is_absolute(target),
    };
    if fine { Ok(line) } else { Err(Fault::Target) }
}

/// Path and query.
fn is_path(target: &[u8]) -> bool {
    let mut part = 1;
    let mut is_plain = true;
    for &byte in target {
        if TARGET[usize::from(byte)] & part == 0 {
            return false;
        }
        is_plain &= byte < 0x80;
        if byte == b'?' {
            part = 2;
        }
    }
    // What is no ASCII is read as UTF-8, and encoded before it is sent on.
    is_plain || std::str::from_utf8(target).is_ok()
}

/// `http://` or `https://`, a host, and maybe path and query (RFC 9112 §3.2.2).
fn is_absolute(target: &[u8]) -> bool {
    let scheme = |scheme: &[u8]| {
        target.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).map(<[u8]>::len)
    };
    let Some(rest) = scheme(b"http://").or_else(|| scheme(b"https://")).and_then(|end| target.get(end..))
    else {
        return false;
    };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // A query without a path would be one that others read otherwise.
    is_authority(authority) && (path.is_empty() || (path[0] == b'/' && is_path(path)))
}

/// A host and maybe a port, and nobody's name or password before them (RFC 9110 §4.2.4).
fn is_authority(authority: &[u8]) -> bool {
    let (is_host, port) = match authority {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
            let literal =
                std::str::from_utf8(&rest[..end]).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
            (literal.is_some(), &rest[end + 1..])
        }
        _ => {
            let end = authority.iter().position(|&byte| byte == b':').unwrap_or(authority.len());
            let named = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            (end > 0 && authority[..end].iter().all(named), &authority[end..])
        }
    };
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_host && is_port
}
