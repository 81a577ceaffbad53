//! Which name a TLS client asks for (SNI, RFC 6066 §3), from its first bytes, without ending TLS: for connections that
//! are passed on as they are.
//!
//! By hand and not with rustls' `Acceptor`: what is passed on may be TLS that rustls would not agree to (old versions,
//! unknown groups), which is between the client and the service; nothing of the greeting matters here but its frame and
//! one extension. What does not fit its frame is not TLS.

/// How much of a greeting is looked at. (With keys that resist quantum computers they have some 2 KiB.)
pub const MAX_BYTES: usize = 16 << 10;

/// What the beginning of a connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// A greeting as far as it goes. There is more to come.
    Incomplete,
    /// A greeting that asks for this name, which is in lower case.
    Named(String),
    /// A greeting that asks for no name.
    None,
    /// No greeting, or a larger one than is looked at.
    NotTls,
}

/// Reads the greeting with which `bytes`, all that has come so far, begin.
pub fn read(bytes: &[u8]) -> Read {
    match greeting(bytes) {
        Ok(greeting) => match name(&greeting) {
            Some(Some(name)) => Read::Named(name),
            Some(None) => Read::None,
            None => Read::NotTls,
        },
        Err(Short::MoreToCome) if bytes.len() < MAX_BYTES => Read::Incomplete,
        Err(_) => Read::NotTls,
    }
}

enum Short {
    MoreToCome,
    NotTls,
}

/// The body of the `ClientHello`, which may be split over several records (RFC 8446 §5.1).
fn greeting(bytes: &[u8]) -> Result<Vec<u8>, Short> {
    let mut message = Vec::new();
    let mut rest = &bytes[..bytes.len().min(MAX_BYTES)];
    loop {
        // Type, version, length. The type is that of a handshake, the version any of TLS.
        let fits = |at: usize, fits: fn(u8) -> bool| rest.get(at).is_none_or(|&byte| fits(byte));
        if !fits(0, |byte| byte == 22) || !fits(1, |byte| byte == 3) || !fits(2, |byte| byte <= 4) {
            return Err(Short::NotTls);
        }
        let Some((&[_, _, _, high, low], after)) = rest.split_first_chunk() else {
            return Err(Short::MoreToCome);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        // Empty ones say nothing, and would never end.
        if length == 0 || length > 1 << 14 {
            return Err(Short::NotTls);
        }
        let fragment = &after[..after.len().min(length)];
        message.extend_from_slice(fragment);
        // Its own type and length, before the body.
        if message.first().is_some_and(|&kind| kind != 1) {
            return Err(Short::NotTls);
        }
        if let Some((&[_, a, b, c], body)) = message.split_first_chunk() {
            let whole = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
            if whole > MAX_BYTES {
                return Err(Short::NotTls);
            }
            if let Some(body) = body.get(..whole) {
                return Ok(body.to_vec());
            }
        }
        if fragment.len() < length {
            return Err(Short::MoreToCome);
        }
        rest = &after[length..];
    }
}

/// The name in a `ClientHello` (RFC 8446 §4.1.2). `None` when its parts do not fit, or a name is none.
fn name(body: &[u8]) -> Option<Option<String>> {
    // Version, random.
    let rest = body.get(34..)?;
    let (_session, rest) = short(rest)?;
    let (_ciphers, rest) = long(rest)?;
    let (_compressions, rest) = short(rest)?;
    if rest.is_empty() {
        // Before TLS 1.3 there may be no extensions.
        return Some(None);
    }
    let (mut extensions, rest) = long(rest)?;
    if !rest.is_empty() {
        return None;
    }
    let mut found = None;
    while !extensions.is_empty() {
        let (kind, after) = extensions.split_first_chunk::<2>()?;
        let (content, after) = long(after)?;
        extensions = after;
        if *kind == [0, 0] {
            // RFC 8446 §4.2: no extension stands twice.
            if found.is_some() {
                return None;
            }
            found = Some(server_name(content)?);
        }
    }
    Some(found)
}

/// The list in the extension: one name of a host (RFC 6066 §3 has no other type).
fn server_name(content: &[u8]) -> Option<String> {
    let (list, rest) = long(content)?;
    let (&kind, entry) = list.split_first()?;
    let (name, more) = long(entry)?;
    if kind != 0 || !rest.is_empty() || !more.is_empty() {
        return None;
    }
    let fine = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if name.is_empty() || name.len() > 255 || !name.iter().all(fine) {
        return None;
    }
    // A name is the same with the dot of the root after it.
    let text = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    let text = text.strip_suffix('.').unwrap_or(&text);
    (!text.is_empty()).then(|| text.to_owned())
}

/// What has its length in one byte before it, and what follows.
fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// What has its length in two bytes before it, and what follows.
fn long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{ClientConfig, ClientConnection, RootCertStore, pki_types::ServerName};

    use super::*;

    /// What rustls says first to a server of that name, or address.
    fn greeting(name: &str) -> Vec<u8> {
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        connection.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// The same message in records of so many bytes.
    fn split(greeting: &[u8], size: usize) -> Vec<u8> {
        let records = greeting[5..].chunks(size).map(|piece| {
            let [high, low] = u16::try_from(piece.len()).unwrap().to_be_bytes();
            [&[22, 3, 1, high, low], piece].concat()
        });
        records.collect::<Vec<_>>().concat()
    }

    #[test]
    fn the_name_is_found_however_the_greeting_is_split() {
        let whole = greeting("Www.Example.com");
        let wanted = Read::Named("www.example.com".to_owned());
        for bytes in [whole.clone(), split(&whole, 1), split(&whole, 7), split(&whole, 100)] {
            assert_eq!(read(&bytes), wanted);
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), Read::Incomplete, "{end} of {}", bytes.len());
            }
        }
        // What follows does not matter.
        assert_eq!(read(&[&whole[..], b"anything"].concat()), wanted);
    }

    #[test]
    fn a_client_may_ask_for_no_name() {
        assert_eq!(read(&greeting("192.0.2.1")), Read::None);
    }

    #[test]
    fn what_is_no_greeting_is_not_tls() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x16\x02\x01",
            b"\x16\x03\x05",
            b"\x17\x03\x01\x00\x05",
            b"\x16\x03\x01\x00\x00",
            b"\x16\x03\x01\xff\xff",
            b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
            b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
            b"\x80\x2e\x01\x03\x01",
        ] {
            assert_eq!(read(bytes), Read::NotTls, "{bytes:?}");
        }
    }

    #[test]
    fn a_greeting_without_end_is_not_waited_for() {
        let mut bytes = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xff".to_vec();
        assert_eq!(read(&bytes), Read::Incomplete);
        bytes.resize(MAX_BYTES, 0);
        assert_eq!(read(&bytes), Read::NotTls);
    }

    #[test]
    fn whatever_is_changed_a_name_is_a_name() {
        let whole = greeting("www.example.com");
        for at in 0..whole.len() {
            for change in [1u8, 0x80] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                // No panic; and what is read is a name, if it is one at all.
                if let Read::Named(name) = read(&bytes) {
                    assert!(
                        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
                        "{name}"
                    );
                }
            }
        }
    }
}
