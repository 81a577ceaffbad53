//! Where clients come in, compiled: what is spoken there, which hosts are served, where bytes are forwarded to. Sockets
//! are the host's.

use std::{net::SocketAddr, sync::Arc};

use ipnet::IpNet;

use crate::{
    config::{document::ProxyVersion, node::Span},
    listener_tls::ListenerTls,
    route::{HostPattern, Hosts},
    upstream::Service,
};

/// One place to listen.
#[derive(Debug)]
pub struct Listener {
    /// Where.
    pub address: Address,
    /// How TLS ends here; without it, nothing is encrypted.
    pub tls: Option<Arc<ListenerTls>>,
    /// What is spoken.
    pub speaks: Speaks,
    /// Which hosts are served; all when absent.
    pub hosts: Option<Arc<ServedHosts>>,
    /// Who begins connections with a PROXY protocol header, if anybody does.
    pub proxies: Option<Vec<IpNet>>,
    /// Where bytes go; without it, requests are answered.
    pub forward: Option<Forward>,
    /// Where it is written.
    pub span: Span,
}

impl Listener {
    /// One for plain requests, such as a command line asks for.
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address: Address::Ip(address),
            tls: None,
            speaks: Speaks::default(),
            hosts: None,
            proxies: None,
            forward: None,
            span: Span::default(),
        }
    }
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A socket in the file system.
    Unix(String),
    /// A socket that systemd hands over, by its `FileDescriptorName`.
    Systemd(String),
}

impl Address {
    /// Reads an address as it is written in configurations.
    pub fn parse(text: &str) -> Option<Self> {
        let named = |name: &str| (!name.is_empty() && !name.contains('\0')).then(|| name.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return named(path).map(Self::Unix);
        }
        if let Some(name) = text.strip_prefix("systemd:") {
            return named(name).filter(|name| !name.contains(':')).map(Self::Systemd);
        }
        text.parse().ok().map(Self::Ip)
    }

    /// Whether it can only be reached from this machine, as far as the address tells.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Ip(at) => at.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
            Self::Systemd(_) => false,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(at) => at.fmt(f),
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// Which versions of HTTP are spoken: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaks {
    /// HTTP/1.1 and 1.0.
    pub http1: bool,
    /// HTTP/2.
    pub http2: bool,
}

impl Default for Speaks {
    fn default() -> Self {
        Self { http1: true, http2: true }
    }
}

/// The hosts that are served at a listener.
#[derive(Debug)]
pub struct ServedHosts(Hosts<()>);

impl ServedHosts {
    pub(crate) fn new(patterns: Vec<HostPattern>) -> Self {
        Self(Hosts::new(patterns.into_iter().map(|pattern| (pattern, ())).collect()))
    }

    /// Whether `host` (lower case, without port) is one of them.
    pub(crate) fn contain(&self, host: &str) -> bool {
        self.0.matching(host).next().is_some()
    }
}

/// Where the bytes of connections go.
#[derive(Debug)]
pub struct Forward {
    pub(crate) by_name: Option<Hosts<Arc<Service>>>,
    pub(crate) otherwise: Option<Arc<Service>>,
    /// Which PROXY protocol header the service gets, if any.
    pub header: Option<ProxyVersion>,
    /// Milliseconds without a byte in either direction after which a connection ends.
    pub idle_ms: u64,
}

impl Forward {
    /// Whether the name counts that a client asks for in its TLS greeting.
    pub fn asks_for_name(&self) -> bool {
        self.by_name.is_some()
    }

    /// The service for a connection whose client asks for `name` in TLS. None: the connection is to be closed.
    pub fn service(&self, name: Option<&str>) -> Option<&Arc<Service>> {
        let name = name.map(str::to_ascii_lowercase);
        let named = name.as_deref().zip(self.by_name.as_ref());
        named.and_then(|(name, hosts)| hosts.matching(name).next()).or(self.otherwise.as_ref())
    }
}
