//! What policies may look at: the request's head as it came, and what was found out about it.
//! Nothing here can be changed; time is a fact like any other.

use std::net::IpAddr;

use http::{HeaderValue, request};

use crate::{host::Timestamp, identity::Identity, route::Route};

/// The facts of one request.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'r> {
    /// The head as the client sent it, hop-by-hop fields included.
    pub head: &'r request::Parts,
    /// The normalised path.
    pub path: &'r str,
    /// The host asked for: lower-case, without port.
    pub host: &'r str,
    /// The `Host` field as it came, or the authority that stood in its place.
    pub host_field: &'r HeaderValue,
    /// Whether a body follows the head, or may: of HTTP/2 and of platforms the head does not always tell.
    pub has_body: bool,
    /// Whether the client speaks TLS, to us or to a trusted proxy.
    pub encrypted: bool,
    /// Whom the request comes from, trusted proxies looked through.
    pub client: IpAddr,
    /// When the request arrived.
    pub now: Timestamp,
    /// Identifies the request.
    pub request_id: &'r str,
    /// The route that serves it.
    pub route: &'r Route,
    /// Who makes it, once that is known.
    pub identity: Option<&'r Identity>,
}
