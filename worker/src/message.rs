//! Heads of messages as they cross between JavaScript and here: one text each way, a line for each name and each
//! value, since every crossing costs more than the text does.
//!
//! JavaScript's runtime takes field values for UTF-8, so UTF-8 is what they are here. No value holds a line
//! break: the runtime refuses them, in both directions.

use std::{net::IpAddr, str};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request, response,
    uri::PathAndQuery,
};
use tollgate_core::{host::Peer, refusal::Refusal};

use crate::certificate;

/// The client's address, from Cloudflare. It is taken off: what services are told is core's to say.
const CLIENT: HeaderName = HeaderName::from_static("cf-connecting-ip");

/// What stands before the fields where the client presented a certificate. No field has such a name.
const CERTIFICATE: &str = ":certificate";

/// A request as it came.
pub(crate) struct Received {
    pub(crate) head: request::Parts,
    pub(crate) peer: Peer,
    /// The authority of the URL asked for.
    pub(crate) authority: String,
}

/// Reads a request's head: method, URL, maybe a certificate, names and values.
pub(crate) fn received(text: String) -> Result<Received, Refusal> {
    let mut lines = Lines::new(text);
    let method = lines.next().and_then(|method| Method::from_bytes(&method).ok()).ok_or(Refusal::Framing)?;
    let url = lines.next().ok_or(Refusal::Framing)?;
    let malformed = || Refusal::Path(tollgate_core::path::BadPath::Malformed);
    let (scheme, authority, target) = split(&url).ok_or_else(malformed)?;
    let encrypted = scheme == b"https";
    let authority = String::from_utf8_lossy(authority).into_owned();
    let target = match target.first() {
        Some(b'/' | b'*') => PathAndQuery::from_maybe_shared(url.slice_ref(target)),
        // A URL may end after its authority, or go on with a query.
        _ => PathAndQuery::try_from([b"/", target].concat().as_slice()),
    };
    let mut head = Request::new(()).into_parts().0;
    head.method = method;
    head.uri = target.map_err(|_| malformed())?.into();
    if lines.skip_if(CERTIFICATE) {
        certificate::told(&lines.next().unwrap_or_default()).attach(&mut head.extensions);
    }
    head.headers = lines.fields()?;
    let address = head.headers.remove(CLIENT);
    let address = address.as_ref().and_then(|address| address.to_str().ok()?.trim().parse().ok());
    // Without Cloudflare in front, whoever calls stands beside the runtime.
    let peer = Peer::new(address.unwrap_or(IpAddr::from([127, 0, 0, 1])), encrypted);
    Ok(Received { head, peer, authority })
}

/// Scheme, authority, and the rest.
fn split(url: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let colon = url.windows(3).position(|three| three == b"://")?;
    let (scheme, rest) = (url.get(..colon)?, url.get(colon + 3..)?);
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end)?;
    Some((scheme, authority, target))
}

/// Reads a response's head: status, names and values. `None` for one that is no response.
pub(crate) fn answered(text: String) -> Option<response::Parts> {
    let mut lines = Lines::new(text);
    let mut head = Response::new(()).into_parts().0;
    head.status = StatusCode::from_bytes(&lines.next()?).ok()?;
    head.headers = lines.fields().ok()?;
    Some(head)
}

/// Writes a head: its first line, names and values.
pub(crate) fn written(first: &str, headers: &HeaderMap) -> String {
    let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 2).sum();
    let mut text = String::with_capacity(first.len() + length);
    text.push_str(first);
    for (name, value) in headers {
        text.push('\n');
        text.push_str(name.as_str());
        text.push('\n');
        // What came in from JavaScript is UTF-8, and so is what core writes.
        text.push_str(&String::from_utf8_lossy(value.as_bytes()));
    }
    text
}

/// The length that a head declares.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

struct Lines(Option<Bytes>);

impl Lines {
    fn new(text: String) -> Self {
        Self(Some(text.into()))
    }

    /// Whether this line is next, which is then passed.
    fn skip_if(&mut self, line: &str) -> bool {
        let is_next = self.0.as_ref().is_some_and(|rest| {
            rest.strip_prefix(line.as_bytes()).is_some_and(|rest| matches!(rest.first(), None | Some(b'\n')))
        });
        is_next && self.next().is_some()
    }

    fn fields(&mut self) -> Result<HeaderMap, Refusal> {
        let mut headers = HeaderMap::with_capacity(32);
        while let (Some(name), Some(value)) = (self.next(), self.next()) {
            let name = HeaderName::from_bytes(&name).map_err(|_| Refusal::Framing)?;
            let value = HeaderValue::from_maybe_shared(value).map_err(|_| Refusal::Framing)?;
            headers.try_append(name, value).map_err(|_| Refusal::HeadersTooLarge)?;
        }
        Ok(headers)
    }
}

impl Iterator for Lines {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut rest = self.0.take()?;
        match rest.iter().position(|&byte| byte == b'\n') {
            Some(end) => {
                let line = rest.split_to(end);
                self.0 = Some(rest.slice(1..));
                Some(line)
            }
            None => Some(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::certificate::ClientCertificate;

    use super::*;

    fn head(url: &str) -> Result<Received, Refusal> {
        received(format!("GET\n{url}\nhost\na.example"))
    }

    #[test]
    fn a_request_comes_with_method_target_fields_and_peer() {
        let text = "PROPFIND\nhttps://a.example:8443/x/../y?q=1\nhost\na.example:8443\ncf-connecting-ip\n192.0.2.7\nx-empty\n";
        let Received { head, peer, authority } = received(text.to_owned()).unwrap();
        assert_eq!((head.method.as_str(), head.uri.to_string().as_str()), ("PROPFIND", "/x/../y?q=1"));
        assert_eq!((authority.as_str(), peer.address.to_string().as_str()), ("a.example:8443", "192.0.2.7"));
        assert!(peer.encrypted);
        assert_eq!(head.headers.len(), 2);
        assert_eq!(head.headers["x-empty"], "");
    }

    #[test]
    fn every_url_has_a_target_that_begins_with_a_slash() {
        for (url, wanted) in [
            ("http://a", "/"),
            ("http://a/", "/"),
            ("http://a?q=http://b/c", "/?q=http://b/c"),
            ("http://a//b//c", "//b//c"),
            ("http://a/x#fragment", "/x"),
            ("http://[::1]:80/x", "/x"),
        ] {
            assert_eq!(head(url).unwrap().head.uri, *wanted, "{url}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in
            ["", "GET", "GET\nx", "G T\nhttp://a/", "GET\nhttp://a/\na b\nc", "GET\nhttp://a/\nx\n\u{1}"]
        {
            assert!(received(text.to_owned()).is_err(), "{text:?}");
        }
        assert!(head("http://a/\u{7f}").is_err());
    }

    #[test]
    fn without_cloudflare_the_client_is_here() {
        for address in ["", "nonsense", "192.0.2.1, 192.0.2.2"] {
            let text = format!("GET\nhttp://a/\ncf-connecting-ip\n{address}");
            assert!(received(text).unwrap().peer.address.is_loopback(), "{address}");
        }
    }

    #[test]
    fn a_certificate_comes_before_the_fields_and_is_no_field() {
        let text = "GET\nhttp://a/\n:certificate\n{\"certVerified\":\"SUCCESS\"}\nhost\na.example";
        let head = received(text.to_owned()).unwrap().head;
        let certificate = head.extensions.get::<std::sync::Arc<ClientCertificate>>().unwrap();
        assert!(certificate.is_verified && head.headers.len() == 1);
        let text = "GET\nhttp://a/\nx\n:certificate\n:certificate\n{}";
        assert!(received(text.to_owned()).is_err());
        assert!(self::head("http://a/").unwrap().head.extensions.is_empty());
    }

    #[test]
    fn a_head_that_was_written_is_read_as_it_was() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-empty", ""), ("x-text", "é, ü")]
        {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let read = answered(written("203", &headers)).unwrap();
        assert_eq!((read.status.as_u16(), &read.headers), (203, &headers));
        assert!(answered("20".to_owned()).is_none());
    }
}
