//! Services as written: where they are and how they are spoken to.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use crate::config::decode::mapping_or;

/// Where a service is and how it is spoken to.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Service {
    /// URLs, each with an optional base path; they take turns.
    pub endpoints: Vec<Endpoint>,
    /// Which HTTP it is spoken to in. On Workers the platform chooses.
    #[serde(default)]
    pub protocol: Protocol,
    /// How long to wait.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How to trust endpoints with `https:`, and how to be trusted by them.
    #[serde(default)]
    pub tls: ServiceTls,
    /// Tell it by a token who makes a request, as `identity_token` at the top says.
    #[serde(default)]
    pub identity_token: bool,
}

/// Which HTTP a service is spoken to in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Protocol {
    /// With `https:` what the endpoint chooses in TLS, HTTP/2 before HTTP/1.1 (ALPN); with `http:` HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, with `http:` without asking first (RFC 9113 §3.3). WebSockets are still asked for in HTTP/1.1.
    Http2,
}

impl Protocol {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::Http1 => "Http1",
            Self::Http2 => "Http2",
        }
    }
}

/// One address of a service: a URL, or a mapping with `url`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub enum Endpoint {
    /// `http://host:port` or `https://host:port/base`
    Short(String),
    /// The same, with room for more.
    Long(LongEndpoint),
}

/// One address of a service.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LongEndpoint {
    /// `http://host:port` or `https://host:port/base`
    pub url: String,
}

impl Endpoint {
    /// The URL as written.
    pub fn url(&self) -> &str {
        match self {
            Self::Short(url) => url,
            Self::Long(long) => &long.url,
        }
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Endpoint;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a URL or a mapping with `url`")
            }
            fn visit_str<E: de::Error>(self, url: &str) -> Result<Endpoint, E> {
                Ok(Endpoint::Short(url.to_owned()))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Endpoint, D::Error> {
                LongEndpoint::deserialize(deserializer).map(Endpoint::Long)
            }
        }
        mapping_or(deserializer, Either)
    }
}

/// How long to wait for a service.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Timeouts {
    /// Milliseconds for a connection, TLS included.
    pub connect_ms: u64,
    /// Milliseconds until the response's head; a route's `timeout_ms` replaces it.
    pub first_byte_ms: u64,
    /// Milliseconds between two pieces of a stream that has begun.
    pub idle_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect_ms: 1_000, first_byte_ms: 30_000, idle_ms: 60_000 }
    }
}

/// How to trust endpoints with `https:`, and how to be trusted by them.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ServiceTls {
    /// PEM file of the authorities to trust instead of the system's, relative to the configuration.
    pub ca_file: Option<String>,
    /// The name that the certificate must carry, where it is not the endpoint's host.
    pub server_name: Option<String>,
    /// PEM file of the certificate to present, and its chain, relative to the configuration. With `client_key_file`.
    pub client_cert_file: Option<String>,
    /// PEM file of its private key, relative to the configuration.
    pub client_key_file: Option<String>,
}
