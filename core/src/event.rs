//! What is recorded of one request: the source of access log, metrics and, later, traces.
//!
//! The reason for a failure (`detail`) stands here and nowhere else: clients never see it.

pub(crate) mod time;

use std::net::IpAddr;

use http::{Method, StatusCode};
use serde::{Serialize, Serializer, ser::SerializeStruct};

pub use self::time::Rfc3339;
use crate::{host::Timestamp, trail::Placed};

/// One request and what became of it. Borrowed from the request: a host that keeps it copies what it needs.
#[derive(Debug)]
pub struct Event<'a> {
    /// When the request's head had arrived.
    pub at: Timestamp,
    /// Milliseconds until the response's head was ready.
    pub took_ms: u64,
    /// Identifies the request in answers and logs.
    pub request_id: &'a str,
    /// Whom the request comes from, trusted proxies looked through.
    pub client: IpAddr,
    /// The request's method.
    pub method: &'a Method,
    /// The host asked for.
    pub host: &'a str,
    /// The path, normalised where that succeeded; never the query, which may hold secrets.
    pub path: &'a str,
    /// The pattern of the route that matched.
    pub route: Option<&'a str>,
    /// The service the request was meant for.
    pub service: Option<&'a str>,
    /// The authenticated subject.
    pub user: Option<&'a str>,
    /// The answer's status.
    pub status: StatusCode,
    /// Why Tollgate itself refused, as `policy.reason`.
    pub refusal: Option<&'static str>,
    /// With what code it would have been refused by a policy that is in shadow: recorded, and not carried out.
    pub shadow: Option<&'static str>,
    /// More about a failure, for the log alone.
    pub detail: Option<&'a str>,
    /// `hit`, `miss`, `bypass`: what the cache did, where one was asked.
    pub cache: Option<&'static str>,
    /// How it was decided, where that was wanted. Not for logs.
    pub trail: Option<Placed<'a>>,
}

/// As logs have it: in a fixed order, without what is not known.
impl Serialize for Event<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Event", 15)?;
        fields.serialize_field("time", &Rfc3339(self.at))?;
        fields.serialize_field("request_id", self.request_id)?;
        fields.serialize_field("client", &self.client)?;
        fields.serialize_field("method", self.method.as_str())?;
        fields.serialize_field("host", self.host)?;
        fields.serialize_field("path", self.path)?;
        let named = [("route", self.route), ("service", self.service), ("user", self.user)];
        let why = [
            ("refusal", self.refusal),
            ("shadow", self.shadow),
            ("detail", self.detail),
            ("cache", self.cache),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                fields.serialize_field(name, value)?;
            }
        }
        fields.serialize_field("status", &self.status.as_u16())?;
        fields.serialize_field("took_ms", &self.took_ms)?;
        for (name, value) in why {
            if let Some(value) = value {
                fields.serialize_field(name, value)?;
            }
        }
        fields.end()
    }
}
