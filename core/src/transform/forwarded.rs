//! Whom a request comes from, and telling the service: `X-Forwarded-*`, `Forwarded` (RFC 7239), `Via`.
//!
//! What a client claims here is believed only when it stands behind a trusted proxy.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;

use crate::host::Peer;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const VIA: HeaderValue = HeaderValue::from_static("1.1 tollgate");
/// What others write about the same, and what clients could therefore lie with.
const RELATIVES: [HeaderName; 6] = [
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-forwarded-ssl"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-original-url"),
];

/// Networks whose word counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trusted(pub(crate) Vec<IpNet>);

impl Trusted {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The nearest address that is not one of our proxies, read from the right: what stands further left
    /// can be made up by anyone.
    pub(crate) fn client(&self, peer: &Peer, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.address;
        if self.0.is_empty() || !self.contains(client) {
            return client;
        }
        // Bytes that are no text end the search where they stand: what a proxy has written after them is still its word.
        let lines: Vec<&[u8]> = headers.get_all(&X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
            let Some(address) = std::str::from_utf8(hop).ok().and_then(|hop| address(hop.trim())) else {
                break;
            };
            client = address;
            if !self.contains(client) {
                break;
            }
        }
        client
    }
}

/// Whether the client speaks TLS: to us, or to a trusted proxy that says so.
pub(crate) fn is_encrypted(peer: &Peer, trusted: bool, headers: &HeaderMap) -> bool {
    let told = trusted.then(|| headers.get(&X_FORWARDED_PROTO)).flatten();
    told.map_or(peer.encrypted, |proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// An address of `X-Forwarded-For`, with or without port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let text = bare.unwrap_or(text);
    let parsed = text.parse().ok().or_else(|| text.rsplit_once(':').and_then(|(host, _)| host.parse().ok()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

/// Writes the fields for the service. `host` is the `Host` field as it came.
pub(crate) fn write(headers: &mut HeaderMap, peer: &Peer, trusted: bool, host: &HeaderValue) {
    let proto = HeaderValue::from_static(if peer.encrypted { "https" } else { "http" });
    let mut element = String::with_capacity(peer.node.len() + host.len() + 20);
    element.push_str(&peer.node);
    if let Ok(host) = host.to_str() {
        // A host that was let in holds no quote and no backslash.
        element.push_str(";host=\"");
        element.push_str(host);
        element.push('"');
    }
    element.push_str(if peer.encrypted { ";proto=https" } else { ";proto=http" });
    if trusted {
        append(headers, X_FORWARDED_FOR, peer.text.to_str().unwrap_or_default());
        append(headers, header::FORWARDED, &element);
        headers.entry(X_FORWARDED_HOST).or_insert_with(|| host.clone());
        headers.entry(X_FORWARDED_PROTO).or_insert(proto);
    } else {
        headers.insert(X_FORWARDED_FOR, peer.text.clone());
        headers.insert(X_FORWARDED_HOST, host.clone());
        headers.insert(X_FORWARDED_PROTO, proto);
        if let Ok(value) = HeaderValue::try_from(element) {
            headers.insert(header::FORWARDED, value);
        }
    }
    headers.append(header::VIA, VIA);
}

/// Whether a field of that name tells whom a request comes from.
pub(crate) fn concerns(name: &str) -> bool {
    let own = [&X_FORWARDED_FOR, &X_FORWARDED_HOST, &X_FORWARDED_PROTO, &header::FORWARDED];
    own.into_iter().chain(&RELATIVES).any(|own| own.as_str() == name)
}

/// Removes what a client says about itself beyond the fields that are written over anyway.
pub(crate) fn remove_relatives(headers: &mut HeaderMap) {
    for name in RELATIVES {
        headers.remove(name);
    }
}

/// Notes on a response that it came through here (RFC 9110 §7.6.3).
pub(crate) fn note_via(headers: &mut HeaderMap) {
    headers.append(header::VIA, VIA);
}

/// Adds an element to a list that may stand on several lines, and joins them.
fn append(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let mut list = Vec::new();
    for line in headers.get_all(&name) {
        list.extend_from_slice(line.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(element.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&list) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn client(trusted: &[&str], peer: &str, lines: &[&'static str]) -> String {
        let trusted = Trusted(trusted.iter().map(|network| network.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        trusted.client(&Peer::new(peer.parse().unwrap(), false), &headers).to_string()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_trusted_proxies_are_believed() {
        let inside = ["10.0.0.0/8"];
        assert_eq!(client(&[], "10.0.0.1", &["1.1.1.1"]), "10.0.0.1");
        assert_eq!(client(&inside, "2.2.2.2", &["1.1.1.1"]), "2.2.2.2");
        assert_eq!(client(&inside, "10.0.0.1", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(client(&inside, "10.0.0.1", &["9.9.9.9, 1.1.1.1, 10.0.0.2"]), "1.1.1.1");
        assert_eq!(client(&inside, "10.0.0.1", &["9.9.9.9", "1.1.1.1:443"]), "1.1.1.1");
        assert_eq!(client(&inside, "10.0.0.1", &["1.1.1.1, nonsense"]), "10.0.0.1");
        // Nobody becomes a proxy by writing what is no text before its word.
        assert_eq!(client(&inside, "10.0.0.1", &["\u{e9}, 1.1.1.1, 10.0.0.2"]), "1.1.1.1");
        assert_eq!(client(&inside, "10.0.0.1", &["9.9.9.9", "\u{e9}, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client(&inside, "::ffff:10.0.0.1", &["[2001:db8::1]:80"]), "2001:db8::1");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_client_cannot_lie_about_itself() {
        let mut headers = HeaderMap::new();
        for name in ["x-forwarded-for", "forwarded", "x-forwarded-proto", "x-real-ip", "x-forwarded-host"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("lie"));
        }
        remove_relatives(&mut headers);
        write(
            &mut headers,
            &Peer::new("::1".parse().unwrap(), true),
            false,
            &HeaderValue::from_static("a.b"),
        );
        assert!(headers.values().all(|value| value != "lie"), "{headers:?}");
        assert_eq!(headers[header::FORWARDED], "for=\"[::1]\";host=\"a.b\";proto=https");
        assert_eq!(headers[X_FORWARDED_FOR], "::1");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_trusted_chain_grows() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("1.1.1.1"));
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        write(
            &mut headers,
            &Peer::new("10.0.0.1".parse().unwrap(), false),
            true,
            &HeaderValue::from_static("a.b"),
        );
        assert_eq!(headers[X_FORWARDED_FOR], "1.1.1.1, 10.0.0.1");
        assert_eq!(headers[X_FORWARDED_PROTO], "https");
    }
}
