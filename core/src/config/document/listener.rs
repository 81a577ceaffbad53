//! Listeners as written: where to listen, what is spoken there, and with whom.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::OneOrMany;

/// One address to listen on.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Listener {
    /// Address and port, such as `127.0.0.1:8080` or `[::]:8080`; `unix:/run/tollgate.sock` for a socket in the file
    /// system; `systemd:NAME` for a socket that systemd hands over, by its `FileDescriptorName`.
    pub address: String,
    /// End TLS here. Without it, what is spoken is not encrypted.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
    /// Hosts served here: exact, or `*.example.com` for any name below; requests for others are answered 421. All
    /// when absent.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// What is spoken: `Http1`, `Http2` or both. Both when absent: over TLS the client chooses (ALPN), otherwise it may
    /// begin with HTTP/2's preface.
    #[serde(default)]
    pub protocols: Vec<HttpProtocol>,
    /// Connections begin with a PROXY protocol header (version 1 or 2) that tells whose they are.
    #[serde(default)]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Forward bytes instead of requests.
    #[serde(default)]
    pub tcp: Option<Tcp>,
}

impl Listener {
    /// A plain one.
    pub fn at(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            tls: None,
            hosts: Vec::new(),
            protocols: Vec::new(),
            proxy_protocol: None,
            tcp: None,
        }
    }
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum HttpProtocol {
    /// HTTP/1.1 (RFC 9112), and 1.0.
    Http1,
    /// HTTP/2 (RFC 9113).
    Http2,
}

/// Who may say in a PROXY protocol header whose a connection is.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProxyProtocol {
    /// Networks (CIDR) of the proxies that send the header. Connections from elsewhere are closed: they could claim to
    /// be anybody's.
    pub from: Vec<String>,
}

/// Connections forwarded byte by byte, to one service or by the name that the client asks for in TLS.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Tcp {
    /// The service that connections go to; where `server_names` stands, those that name none of them. Without it,
    /// such connections are closed.
    pub target_service: Option<String>,
    /// By the name in the client's TLS greeting (SNI), exact or `*.example.com`: the service. TLS passes as it is, to be
    /// ended by the service. Not together with `tls`.
    pub server_names: BTreeMap<String, String>,
    /// Tell the service whose the connection is, in a PROXY protocol header of this version.
    pub send_proxy_protocol: Option<ProxyVersion>,
    /// Milliseconds without a byte in either direction after which a connection is closed. An hour when absent.
    pub idle_timeout_ms: Option<u64>,
}

/// A version of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ProxyVersion {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// TLS that ends at a listener.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ListenerTls {
    /// The certificate and its chain, PEM. With `key_file` the short form of one of the `certificates`.
    pub cert_file: Option<String>,
    /// Its private key, PEM.
    pub key_file: Option<String>,
    /// Certificates for several names; which one a client gets says the name it asks for (SNI). The first is also for
    /// clients that ask for none, or for one that no certificate has. Files are looked at again every few seconds.
    pub certificates: Vec<CertificateFiles>,
    /// Names for which certificates are ordered from the authority in `acme` at the top.
    pub acme: Vec<String>,
    /// Close connections that ask for a name that no certificate has.
    pub strict_sni: bool,
    /// Which versions and ciphers are spoken.
    pub profile: TlsProfile,
    /// Ask clients for certificates.
    pub client_auth: Option<ClientAuth>,
    /// Let clients resume sessions by tickets, whose keys change every few hours.
    #[serde(default = "yes")]
    pub session_tickets: bool,
}

fn yes() -> bool {
    true
}

/// A certificate and its key, in files.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CertificateFiles {
    /// The certificate and its chain, PEM.
    pub cert_file: String,
    /// Its private key, PEM.
    pub key_file: String,
}

/// What of TLS is spoken, after Mozilla's recommendations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TlsProfile {
    /// TLS 1.3 alone.
    Modern,
    /// TLS 1.2 and 1.3, forward secrecy and authenticated encryption alone.
    #[default]
    Intermediate,
}

/// Which clients' certificates are believed.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClientAuth {
    /// `Required`: connections without a good certificate fail. `Optional`: they go on, and policies decide.
    #[serde(default)]
    pub mode: ClientAuthMode,
    /// PEM of the authorities that vouch for clients.
    pub ca_file: OneOrMany,
    /// PEM of revocation lists of those authorities. A certificate whose authority has none here is refused, unless
    /// there are none at all.
    #[serde(default)]
    pub crl_file: OneOrMany,
}

/// Whether clients need a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ClientAuthMode {
    /// They do.
    #[default]
    Required,
    /// They may have one; a bad one fails.
    Optional,
}
