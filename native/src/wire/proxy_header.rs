//! The header by which a proxy tells whose a connection is, before anything else is sent on it: HAProxy's PROXY protocol,
//! versions 1 (a line of text) and 2 (binary), read and written as its specification has them.
//!
//! Who may send one is not known here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, with its line end.
const MAX_V1: usize = 107;
/// What follows the first sixteen bytes of version 2, at most: addresses, and much more about the connection than
/// anybody tells.
const MAX_V2: usize = 2048;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What comes before the addresses in version 2.
const PREFIX: usize = 16;

/// What the beginning of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// A header as far as it goes. There is more to come.
    Incomplete,
    /// A header of `length` bytes. What follows belongs to the connection.
    Header {
        /// Whose the connection is. None where the proxy speaks for itself (`LOCAL`), or does not know.
        source: Option<SocketAddr>,
        /// Where it is over.
        length: usize,
    },
    /// No header, or none that can be read.
    Malformed,
}

/// Reads the header with which `bytes`, all that has come so far, begin.
pub fn read(bytes: &[u8]) -> Read {
    if agree(bytes, SIGNATURE) {
        return read_v2(bytes);
    }
    if agree(bytes, b"PROXY ") {
        return read_v1(bytes);
    }
    Read::Malformed
}

/// How many bytes may be needed at most until [`read`] knows.
pub const MAX_BYTES: usize = PREFIX + MAX_V2;

fn agree(bytes: &[u8], wanted: &[u8]) -> bool {
    let length = bytes.len().min(wanted.len());
    bytes[..length] == wanted[..length]
}

fn read_v1(bytes: &[u8]) -> Read {
    let there = &bytes[..bytes.len().min(MAX_V1)];
    let Some(end) = memchr::memchr(b'\n', there) else {
        return if there.len() < MAX_V1 { Read::Incomplete } else { Read::Malformed };
    };
    let line = there[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok());
    match line.and_then(|line| source_v1(line.strip_prefix("PROXY ")?)) {
        Some(source) => Read::Header { source, length: end + 1 },
        None => Read::Malformed,
    }
}

/// `TCP4 SOURCE DESTINATION PORT PORT`, or `UNKNOWN` and whatever follows.
fn source_v1(line: &str) -> Option<Option<SocketAddr>> {
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Some(None);
    }
    let mut parts = line.split(' ');
    let mut next = || parts.next();
    let (family, source, destination) = (next()?, next()?, next()?);
    let (port, other) = (port(next()?)?, port(next()?)?);
    if next().is_some() {
        return None;
    }
    let _ = other;
    let source = match family {
        "TCP4" => {
            destination.parse::<Ipv4Addr>().ok()?;
            IpAddr::from(source.parse::<Ipv4Addr>().ok()?)
        }
        "TCP6" => {
            destination.parse::<Ipv6Addr>().ok()?;
            IpAddr::from(source.parse::<Ipv6Addr>().ok()?)
        }
        _ => return None,
    };
    Some(Some(SocketAddr::new(source, port)))
}

/// A port in plain digits, without zeros before it.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

fn read_v2(bytes: &[u8]) -> Read {
    let Some((&[command, family, high, low], _)) = bytes.get(12..).and_then(<[u8]>::split_first_chunk) else {
        // What is there of them may be wrong already.
        return match bytes.get(12) {
            Some(command) if !matches!(command, 0x20 | 0x21) => Read::Malformed,
            _ => Read::Incomplete,
        };
    };
    let told = usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, 0x20 | 0x21) || told > MAX_V2 {
        return Read::Malformed;
    }
    let length = PREFIX + told;
    let Some(addresses) = bytes.get(PREFIX..length) else { return Read::Incomplete };
    if command == 0x20 {
        // `LOCAL`: the proxy itself, to see whether anybody is there.
        return Read::Header { source: None, length };
    }
    // The destinations after the sources, and whatever else is told about the connection, are skipped.
    let source = match family {
        0x11 | 0x12 => match addresses.first_chunk::<12>() {
            Some(&[a, b, c, d, _, _, _, _, high, low, _, _]) => {
                Some(SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low]))))
            }
            None => return Read::Malformed,
        },
        0x21 | 0x22 => match (addresses.first_chunk::<16>(), addresses.get(32..36)) {
            (Some(&address), Some(&[high, low, _, _])) => {
                Some(SocketAddr::from((address, u16::from_be_bytes([high, low]))))
            }
            _ => return Read::Malformed,
        },
        // Sockets of a file system: two names of 108 bytes.
        0x31 | 0x32 if addresses.len() >= 216 => None,
        0x00 => None,
        _ => return Read::Malformed,
    };
    Read::Header { source, length }
}

/// A header of version 1. Addresses of two families, or none at all, are told as unknown.
pub fn write_v1(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    match ends.map(canonical) {
        Some((source @ SocketAddr::V4(_), destination @ SocketAddr::V4(_))) => {
            line("TCP4", source, destination)
        }
        Some((source @ SocketAddr::V6(_), destination @ SocketAddr::V6(_))) => {
            line("TCP6", source, destination)
        }
        _ => b"PROXY UNKNOWN\r\n".to_vec(),
    }
}

fn line(family: &str, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

/// A header of version 2, for a stream. Addresses of two families are told as such of IPv6.
pub fn write_v2(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    match ends.map(canonical) {
        Some((SocketAddr::V4(source), SocketAddr::V4(destination))) => {
            header.extend_from_slice(&[0x21, 0x11, 0, 12]);
            header.extend_from_slice(&source.ip().octets());
            header.extend_from_slice(&destination.ip().octets());
            header.extend_from_slice(&source.port().to_be_bytes());
            header.extend_from_slice(&destination.port().to_be_bytes());
        }
        Some((source, destination)) => {
            header.extend_from_slice(&[0x21, 0x21, 0, 36]);
            header.extend_from_slice(&wide(source.ip()).octets());
            header.extend_from_slice(&wide(destination.ip()).octets());
            header.extend_from_slice(&source.port().to_be_bytes());
            header.extend_from_slice(&destination.port().to_be_bytes());
        }
        None => header.extend_from_slice(&[0x20, 0x00, 0, 0]),
    }
    header
}

/// An address of IPv4 within IPv6 is one of IPv4.
fn canonical((source, destination): (SocketAddr, SocketAddr)) -> (SocketAddr, SocketAddr) {
    let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    (canonical(source), canonical(destination))
}

fn wide(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_line_tells_whose_the_connection_is() {
        for (line, wanted) in [
            ("PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\n", source("192.0.2.1:56324")),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", source("[2001:db8::1]:1")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
        ] {
            let whole = format!("{line}GET / HTTP/1.1\r\n");
            let header = Read::Header { source: wanted, length: line.len() };
            assert_eq!(read(whole.as_bytes()), header, "{line}");
            for end in 0..line.len() {
                assert_eq!(read(&line.as_bytes()[..end]), Read::Incomplete, "{line} {end}");
            }
        }
    }

    #[test]
    fn a_line_that_is_not_just_so_is_none() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "proxy TCP4 192.0.2.1 192.0.2.9 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.9 1 2\n",
            "PROXY TCP4 192.0.2.1 192.0.2.9 1\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.9 1 2 3\r\n",
            "PROXY TCP4  192.0.2.1 192.0.2.9 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.9 01 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.9 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.9 65536 2\r\n",
            "PROXY TCP4 2001:db8::1 192.0.2.9 1 2\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.9 1 2\r\n",
            "PROXY TCP4 192.0.2.1 nobody 1 2\r\n",
            "PROXY UDP4 192.0.2.1 192.0.2.9 1 2\r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY\tTCP4 192.0.2.1 192.0.2.9 1 2\r\n",
        ] {
            assert_eq!(read(line.as_bytes()), Read::Malformed, "{line}");
        }
        let long = format!("PROXY UNKNOWN {}", "x".repeat(MAX_V1));
        assert_eq!(read(&long.as_bytes()[..MAX_V1 - 1]), Read::Incomplete);
        assert_eq!(read(&long.as_bytes()[..MAX_V1]), Read::Malformed);
    }

    fn binary(command: u8, family: u8, told: u16, addresses: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend_from_slice(&[command, family]);
        header.extend_from_slice(&told.to_be_bytes());
        header.extend_from_slice(addresses);
        header
    }

    #[test]
    fn what_else_a_binary_header_tells_is_skipped() {
        let mut addresses = vec![192, 0, 2, 1, 192, 0, 2, 9, 0, 80, 1, 187];
        // A value of type `PP2_TYPE_AUTHORITY`.
        addresses.extend_from_slice(&[2, 0, 3, b'a', b'.', b'b']);
        let mut header = binary(0x21, 0x11, 18, &addresses);
        for end in 0..header.len() {
            assert_eq!(read(&header[..end]), Read::Incomplete, "{end}");
        }
        let length = header.len();
        header.extend_from_slice(b"GET /");
        assert_eq!(read(&header), Read::Header { source: source("192.0.2.1:80"), length });
    }

    #[test]
    fn a_proxy_may_speak_for_itself() {
        let local = binary(0x20, 0x11, 12, &[9; 12]);
        assert_eq!(read(&local), Read::Header { source: None, length: 28 });
        let unknown = binary(0x21, 0, 0, &[]);
        assert_eq!(read(&unknown), Read::Header { source: None, length: 16 });
        let unix = binary(0x21, 0x31, 216, &[0; 216]);
        assert_eq!(read(&unix), Read::Header { source: None, length: 232 });
    }

    #[test]
    fn a_binary_header_that_is_not_just_so_is_none() {
        for header in [
            binary(0x11, 0x11, 12, &[0; 12]),
            binary(0x22, 0x11, 12, &[0; 12]),
            binary(0x21, 0x13, 12, &[0; 12]),
            binary(0x21, 0x41, 12, &[0; 12]),
            binary(0x21, 0x11, 11, &[0; 11]),
            binary(0x21, 0x21, 35, &[0; 35]),
            binary(0x21, 0x31, 215, &[0; 215]),
            binary(0x21, 0x11, 2049, &[]),
            b"\r\n\r\n\0\r\nQUIX".to_vec(),
        ] {
            assert_eq!(read(&header), Read::Malformed, "{header:?}");
        }
        // Known before the rest has come.
        assert_eq!(read(&binary(0x11, 0x11, 12, &[])[..13]), Read::Malformed);
    }

    #[test]
    fn what_is_written_is_read() {
        let ends = |one: &str, two: &str| Some((one.parse().unwrap(), two.parse().unwrap()));
        for (ends, v1, v2) in [
            (ends("192.0.2.1:1", "192.0.2.2:2"), source("192.0.2.1:1"), source("192.0.2.1:1")),
            (ends("[2001:db8::1]:1", "[::1]:2"), source("[2001:db8::1]:1"), source("[2001:db8::1]:1")),
            (ends("[::ffff:192.0.2.1]:1", "192.0.2.2:2"), source("192.0.2.1:1"), source("192.0.2.1:1")),
            (ends("192.0.2.1:1", "[2001:db8::1]:2"), None, source("[::ffff:192.0.2.1]:1")),
            (None, None, None),
        ] {
            let (one, two) = (write_v1(ends), write_v2(ends));
            assert_eq!(read(&one), Read::Header { source: v1, length: one.len() }, "{ends:?}");
            assert_eq!(read(&two), Read::Header { source: v2, length: two.len() }, "{ends:?}");
        }
    }
}
