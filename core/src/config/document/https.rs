//! Encryption asked of clients, as written: redirects to `https:` and HSTS.

use serde::Deserialize;

/// What clients are told that come without TLS, and those that come with it.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Https {
    /// Answer requests that came without TLS with a redirect to `https:` (308). Whether TLS was used is believed of
    /// `trusted_proxies`.
    pub redirect: bool,
    /// The port in such redirects. 443 when absent.
    pub port: Option<u16>,
    /// Tell browsers to come by `https:` alone from now on (RFC 6797). Told only where TLS is used.
    pub hsts: Option<Hsts>,
}

/// `Strict-Transport-Security`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Hsts {
    /// For how long. A year when absent.
    pub max_age_seconds: u64,
    /// For all hosts below, too.
    pub include_subdomains: bool,
    /// Agree to be in the lists that browsers come with. Hard to take back.
    pub preload: bool,
}

impl Default for Hsts {
    fn default() -> Self {
        Self { max_age_seconds: 31_536_000, include_subdomains: false, preload: false }
    }
}
