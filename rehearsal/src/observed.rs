//! What came of a request, in a form in which hosts can be compared: what differs from run to run (addresses,
//! identifiers, dates) is replaced or left out, and everything else is as it was.

use std::collections::BTreeMap;

use bytes::Bytes;
use tollgate_core::{event::Event, trail::Trail};

use crate::{case::request::Over, coding, play::Sent, upstream::Seen};

/// Stands for an identifier that the gateway made up.
const NEW_ID: &str = "<request-id>";
/// Stands for a trace that the gateway began.
const NEW_TRACE: &str = "<traceparent>";
/// Stands for a signature that is another each time.
const NEW_SIGNATURE: &str = "<signature>";
/// Fields that concern a connection, or the moment.
const PASSING: [&str; 4] = ["connection", "date", "keep-alive", "transfer-encoding"];

/// What a host saw come of a request, as it was.
#[derive(Debug, Default)]
pub struct Raw {
    /// The status.
    pub status: u16,
    /// The fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The content, as far as it came.
    pub body: Bytes,
    /// Whether the content broke off.
    pub broken: bool,
    /// The fields after the content, names in lower case.
    pub trailers: Vec<(String, String)>,
    /// What upstreams were asked meanwhile, and which.
    pub seen: Vec<(String, Seen)>,
    /// What was recorded.
    pub event: Option<Noted>,
    /// How it was decided, where the host tells.
    pub trail: Option<Trail>,
    /// Services that were asked though nothing is given for them, where the host knows.
    pub unknown: Vec<String>,
    /// Texts that were captured, each with what is shown in its place.
    pub captured: Vec<(String, String)>,
}

/// What came of a request.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The status.
    pub status: u16,
    /// The fields.
    pub headers: Fields,
    /// The content, decoded.
    pub body: Bytes,
    /// Whether the content broke off.
    pub broken: bool,
    /// The fields after the content.
    pub trailers: Fields,
    /// What each upstream was asked.
    pub upstream: BTreeMap<String, Vec<Shown>>,
    /// What was recorded.
    pub event: Option<Noted>,
    /// How it was decided, where the host tells. Hosts are compared without it.
    pub trail: Option<Trail>,
    /// Services that were asked though nothing is given for them, where the host knows.
    pub unknown: Vec<String>,
}

/// Field lines by name.
pub type Fields = BTreeMap<String, Vec<String>>;
/// What was recorded of a request, by name; what says why in words of a library's is not among it.
pub type Noted = BTreeMap<String, String>;

/// A request as an upstream saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The method.
    pub method: String,
    /// The target.
    pub path: String,
    /// The fields.
    pub headers: Fields,
    /// The content.
    pub body: Bytes,
    /// The fields after the content.
    pub trailers: Fields,
    /// Which HTTP it came in, where the host tells. Hosts are compared without it.
    pub over: Option<Over>,
}

/// The parts of an event that hosts agree on.
pub fn noted(event: &Event<'_>) -> Noted {
    let known = [
        ("client", Some(event.client.to_string())),
        ("method", Some(event.method.to_string())),
        ("host", Some(event.host.to_owned())),
        ("path", Some(event.path.to_owned())),
        ("route", event.route.map(str::to_owned)),
        ("service", event.service.map(str::to_owned)),
        ("user", event.user.map(str::to_owned)),
        ("status", Some(event.status.as_u16().to_string())),
        ("refusal", event.refusal.map(str::to_owned)),
        ("shadow", event.shadow.map(str::to_owned)),
        ("cache", event.cache.map(str::to_owned)),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

impl Observed {
    /// Makes what a host saw comparable.
    pub fn new(sent: &Sent, raw: Raw) -> Self {
        let mut made_up: Vec<(String, &str)> =
            raw.captured.iter().map(|(text, name)| (text.clone(), name.as_str())).collect();
        let id = raw.headers.iter().find(|(name, _)| name == "x-request-id").map(|(_, value)| value.clone());
        if let Some(id) = id.filter(|id| is_made_up(id) && sent.field("x-request-id") != Some(id)) {
            made_up.push((id, NEW_ID));
        }
        for (_, value) in
            raw.seen.iter().flat_map(|(_, seen)| &seen.headers).filter(|(name, _)| name == "traceparent")
        {
            if is_new_trace(value) && sent.field("traceparent") != Some(value) {
                made_up.push((value.clone(), NEW_TRACE));
            }
        }
        let tokens = raw.seen.iter().flat_map(|(_, seen)| &seen.headers);
        for (_, token) in tokens.filter(|(name, _)| name == "x-tollgate-identity") {
            made_up.extend(random_signature(token).map(|signature| (signature.to_owned(), NEW_SIGNATURE)));
        }
        let plain = |text: &str| {
            made_up
                .iter()
                .fold(text.to_owned(), |text, (id, placeholder)| text.replace(id.as_str(), placeholder))
        };
        let plain_body = |body: &Bytes| match str::from_utf8(body) {
            Ok(text) if made_up.iter().any(|(id, _)| text.contains(id.as_str())) => Bytes::from(plain(text)),
            _ => body.clone(),
        };
        let fields = |lines: &[(String, String)]| {
            let mut fields = Fields::new();
            for (name, value) in lines.iter().filter(|(name, _)| !PASSING.contains(&name.as_str())) {
                fields.entry(name.clone()).or_default().push(plain(value));
            }
            fields
        };
        let mut headers = fields(&raw.headers);
        let mut body = raw.body;
        let codings = headers.get("content-encoding").map(Vec::as_slice).unwrap_or_default();
        if let [token] = codings
            && let Some(coding) = coding::named(token)
            && let Ok(decoded) = coding::decode(coding, &body)
        {
            body = decoded;
            // Encoders may differ in how well they do.
            headers.remove("content-length");
        }
        let mut upstream: BTreeMap<String, Vec<Shown>> = BTreeMap::new();
        for (name, seen) in &raw.seen {
            let mut headers = fields(&seen.headers);
            // Whether a message without content says so is the sender's choice (RFC 9110 §8.6).
            if headers.get("content-length").is_some_and(|lines| *lines == ["0"]) {
                headers.remove("content-length");
            }
            // A field without a value says nothing, and not every host passes it on.
            headers.retain(|_, lines| lines.iter().any(|line| !line.is_empty()));
            let shown = Shown {
                method: seen.method.clone(),
                path: plain(&seen.path),
                headers,
                body: plain_body(&seen.body),
                trailers: fields(&seen.trailers),
                over: seen.over,
            };
            upstream.entry(name.clone()).or_default().push(shown);
        }
        Self {
            status: raw.status,
            headers,
            body: plain_body(&body),
            broken: raw.broken,
            trailers: fields(&raw.trailers),
            upstream,
            event: raw.event,
            trail: raw.trail,
            unknown: raw.unknown,
        }
    }
}

/// The signature of a token by an algorithm that has a new one each time: of those that sign identity tokens, ES256.
fn random_signature(token: &str) -> Option<&str> {
    let (message, signature) = token.rsplit_once('.')?;
    // What `{"alg":"ES256",` begins with, encoded.
    (message.starts_with("eyJhbGciOiJFUzI1NiIs") && signature.len() == 86).then_some(signature)
}

/// Whether an identifier has the form of those that the gateway makes up.
fn is_made_up(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(is_hex)
}

/// Whether a `traceparent` has the form of those that the gateway begins.
fn is_new_trace(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), ["00", trace, span, "00"]
        if trace.len() == 32 && span.len() == 16 && trace.bytes().chain(span.bytes()).all(is_hex))
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn sent(headers: &[(&str, &str)]) -> Sent {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Sent {
            method: "GET".to_owned(),
            target: "/".to_owned(),
            headers: headers.iter().map(owned).collect(),
            pieces: Vec::new(),
            peer: Ipv4Addr::LOCALHOST.into(),
            certificate: None,
            trailers: Vec::new(),
            over: Default::default(),
        }
    }

    fn id_of(sent: &Sent, id: &str) -> (String, Bytes) {
        let raw = Raw {
            headers: vec![("x-request-id".to_owned(), id.to_owned()), ("date".to_owned(), "now".to_owned())],
            body: Bytes::from(format!("urn:{id}")),
            ..Raw::default()
        };
        let observed = Observed::new(sent, raw);
        assert!(!observed.headers.contains_key("date"));
        (observed.headers["x-request-id"].join("|"), observed.body)
    }

    #[test]
    fn only_signatures_that_can_not_be_told_in_advance_are_left_out() {
        let signature = "s".repeat(86);
        let of = |head: &str| random_signature(&format!("{head}.claims.{signature}")).is_some();
        // {"alg":"ES256","kid":"k"} and {"alg":"EdDSA","kid":"k"}
        assert!(of("eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ"));
        assert!(!of("eyJhbGciOiJFZERTQSIsImtpZCI6ImsifQ"));
    }

    #[test]
    fn made_up_identifiers_look_alike_everywhere_and_others_stay() {
        assert_eq!(id_of(&sent(&[]), ID), (NEW_ID.to_owned(), Bytes::from("urn:<request-id>")));
        assert_eq!(id_of(&sent(&[]), "short").0, "short");
        assert_eq!(id_of(&sent(&[("X-Request-Id", ID)]), ID).0, ID);
    }

    #[test]
    fn compressed_content_is_compared_as_what_it_was() {
        let body = coding::encode(tollgate_core::body::Coding::Gzip, b"hello").unwrap();
        let headers = [("content-encoding", "gzip"), ("content-length", "25")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let observed = Observed::new(&sent(&[]), Raw { headers, body, ..Raw::default() });
        assert_eq!(observed.body, "hello");
        assert!(!observed.headers.contains_key("content-length"));
    }
}
