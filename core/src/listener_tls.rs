//! TLS that ends at a listener, compiled: where certificates are, what is spoken, which clients are believed. No
//! certificate and no key is kept here: files are the host's to read, again and again, as they change while serving.

pub use crate::config::document::TlsProfile;

/// What a host needs to end TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// Certificates in files, in the order of the configuration. The first is also for clients that ask for no name, or
    /// for one that no certificate has.
    pub certificates: Vec<CertificateFiles>,
    /// Names for which certificates are ordered, in lower case.
    pub acme: Vec<String>,
    /// Whether connections end that ask for a name that no certificate has.
    pub strict_sni: bool,
    /// Versions and ciphers.
    pub profile: TlsProfile,
    /// Which clients' certificates are believed; none are asked for without it.
    pub client_auth: Option<ClientAuth>,
    /// Whether clients may resume sessions.
    pub session_tickets: bool,
    /// Where it is written, as `file:line`.
    pub place: String,
}

/// A certificate and its key. Names of files are relative to the working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate and its chain, PEM.
    pub cert_file: String,
    /// Its private key, PEM.
    pub key_file: String,
    /// Where that is written, as `file:line`.
    pub place: String,
}

/// Who vouches for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// Whether connections without a certificate fail.
    pub required: bool,
    /// Files with authorities, PEM.
    pub ca_files: Vec<String>,
    /// Files with revocation lists, PEM. Nothing is revoked where there are none.
    pub crl_files: Vec<String>,
    /// Where it is written, as `file:line`.
    pub place: String,
}
