//! The first look at a request, before any route: is it one request, of bearable size, for a host and a path
//! that can be named?

use std::{borrow::Cow, net::IpAddr};

use http::{HeaderValue, Method, Uri, Version, header, request};

use crate::{
    gateway::Gateway,
    host::{Peer, Timestamp},
    path::NormalPath,
    refusal::Refusal,
    route::normalised_host,
    trail::{Said, Step, Verdict},
    transform::{hygiene, trace_context},
};

/// No method that is registered has half as many letters.
const MAX_METHOD: usize = 32;

/// A request that may be looked at further.
#[derive(Debug)]
pub(super) struct Entrance<'r> {
    pub(super) now: Timestamp,
    pub(super) path: NormalPath<'r>,
    /// Lower-case, without port.
    pub(super) host: Cow<'r, str>,
    /// The `Host` field as it came, or the authority that stood in its place.
    pub(super) host_field: &'r HeaderValue,
    /// Whom the request comes from, trusted proxies looked through.
    pub(super) client: IpAddr,
    /// Some field may have to be removed or looked at before the request is sent on. Most requests have none.
    pub(super) needs_hygiene: bool,
    /// There is more than one line of cookies.
    pub(super) has_crumbs: bool,
    /// Some field claims to tell which trace the request belongs to.
    pub(super) has_trace: bool,
}

pub(super) fn enter<'r>(
    gateway: &Gateway,
    peer: &Peer,
    head: &request::Parts,
    uri: &'r Uri,
    host_field: &'r Result<HeaderValue, Refusal>,
    now: Timestamp,
) -> Result<Entrance<'r>, Refusal> {
    let limits = &gateway.limits;
    if !is_plain(&head.method) {
        return Err(Refusal::Method);
    }
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target as u64 > limits.max_target_bytes {
        return Err(Refusal::TargetTooLong);
    }
    let (mut bytes, mut cookies, mut needs_hygiene, mut has_trace) = (0u64, 0u64, false, false);
    for (name, value) in &head.headers {
        // As on the wire: name, colon, space, value, line end.
        bytes += (name.as_str().len() + value.len() + 4) as u64;
        cookies += u64::from(*name == header::COOKIE);
        needs_hygiene |= hygiene::concerns(name);
        has_trace |= trace_context::concerns(name);
    }
    if bytes > limits.max_header_bytes {
        return Err(Refusal::HeadersTooLarge);
    }
    if head.method == Method::CONNECT {
        return Err(Refusal::Tunnel);
    }
    check_framing(head, limits.max_body_bytes)?;
    if needs_hygiene {
        check_expectation(head)?;
    }
    let host_field = host_field.as_ref().map_err(Clone::clone)?;
    let host = host_field.to_str().ok().and_then(normalised_host).ok_or(Refusal::Host)?;
    if gateway.only_host.as_deref().is_some_and(|only| only != host) {
        return Err(Refusal::Misdirected);
    }
    if peer.served.as_deref().is_some_and(|served| !served.contain(&host)) {
        return Err(Refusal::Misdirected);
    }
    let path = NormalPath::new(uri.path()).map_err(Refusal::Path)?;
    let client = gateway.trusted.client(peer, &head.headers);
    Ok(Entrance { now, path, host, host_field, client, needs_hygiene, has_crumbs: cookies > 1, has_trace })
}

/// What explanations say of it.
pub(super) fn step(
    gateway: &Gateway,
    peer: &Peer,
    method: &Method,
    uri: &Uri,
    entered: &Result<Entrance<'_>, Refusal>,
) -> Step {
    match entered {
        Ok(entrance) => {
            let client = entrance.client;
            let through = match client == peer.address {
                true => String::new(),
                false => format!(" through the trusted proxy {}", peer.address),
            };
            let (host, path) = (&entrance.host, &entrance.path.text);
            let text = format!("{method} http://{host}{path} from {client}{through}");
            let mut said = Said::new(Verdict::Pass, text)
                .fact("method", method.as_str())
                .fact("host", &**host)
                .fact("path", &**path)
                .fact("client", client.to_string());
            if uri.path() != &**path {
                said = said.fact("sent_as", uri.path());
            }
            Step::new("request", gateway.place, said)
        }
        Err(refusal) => {
            let at = match refusal {
                Refusal::TargetTooLong | Refusal::HeadersTooLarge | Refusal::BodyTooLarge => {
                    gateway.places.at("limits")
                }
                _ => gateway.place,
            };
            let text =
                format!("{method} {} is no request to look at further: {}", uri.path(), refusal.detail());
            Step::new("request", at, Said::new(Verdict::Refuse, text).fact("refusal", refusal.code()))
        }
    }
}

/// Methods are told apart by case (RFC 9110 §9.1), but not by everybody: `post` must not slip past a rule about `POST`
/// to a service that takes it for one.
fn is_plain(method: &Method) -> bool {
    let fine = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    method.as_str().len() <= MAX_METHOD && method.as_str().bytes().all(fine)
}

/// RFC 9110 §10.1.1: what else is expected may be answered 417, and would not be met by passing it on.
fn check_expectation(head: &request::Parts) -> Result<(), Refusal> {
    let fine = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    let mut lines = head.headers.get_all(header::EXPECT).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(()),
        (Some(value), None) if fine(value) => Ok(()),
        _ => Err(Refusal::Expectation),
    }
}

fn check_framing(head: &request::Parts, max_body_bytes: u64) -> Result<(), Refusal> {
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    if head.headers.contains_key(header::TRANSFER_ENCODING) || lengths.any(|other| other != length) {
        return Err(Refusal::Framing);
    }
    let digits = length.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length: u64 = digits.and_then(|text| text.parse().ok()).ok_or(Refusal::Framing)?;
    if max_body_bytes > 0 && length > max_body_bytes {
        return Err(Refusal::BodyTooLarge);
    }
    Ok(())
}

/// The host asked for. An authority in the target counts more than the field (RFC 9112 §3.2.2); two fields
/// count as none.
pub(super) fn host_field(head: &request::Parts, uri: &Uri) -> Result<HeaderValue, Refusal> {
    let mut fields = head.headers.get_all(header::HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(Refusal::Host);
    }
    if let Some(authority) = uri.authority() {
        // In HTTP/2 a field that says otherwise makes a request malformed (RFC 9113 §8.3.1).
        let differs =
            |field: &HeaderValue| !field.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
        if head.version == Version::HTTP_2 && field.is_some_and(differs) {
            return Err(Refusal::Host);
        }
        return HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::Host);
    }
    field.cloned().ok_or(Refusal::Host)
}
