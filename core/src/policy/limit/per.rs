//! Whom a limit counts: the parts of a counter's name.

use std::{
    fmt::{self, Write},
    net::IpAddr,
};

use http::HeaderName;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{facts::Facts, failures::write_network, policy::cel::formula::Formula};

/// A part of the key by which requests are counted.
#[derive(Debug, PartialEq)]
pub(crate) enum Per {
    User,
    Ip,
    ApiKey,
    Route,
    Service,
    Header(HeaderName),
    Claim(String),
    Cel(Formula),
}

impl Per {
    /// What is written without an expression.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "user_id" => Some(Self::User),
            "ip" => Some(Self::Ip),
            "api_key" => Some(Self::ApiKey),
            "route" => Some(Self::Route),
            "service" => Some(Self::Service),
            _ => {
                if let Some(name) = text.strip_prefix("header:") {
                    return HeaderName::from_bytes(name.as_bytes()).ok().map(Self::Header);
                }
                let claim = text.strip_prefix("claim:")?;
                (!claim.is_empty()).then(|| Self::Claim(claim.to_owned()))
            }
        }
    }

    /// As it is written.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::User => "user_id".to_owned(),
            Self::Ip => "ip".to_owned(),
            Self::ApiKey => "api_key".to_owned(),
            Self::Route => "route".to_owned(),
            Self::Service => "service".to_owned(),
            Self::Header(name) => format!("header:{name}"),
            Self::Claim(name) => format!("claim:{name}"),
            Self::Cel(formula) => format!("cel:{}", formula.shown()),
        }
    }

    /// Writes whom a request counts for. Why that can't be told is for the log.
    pub(crate) fn write(&self, facts: &Facts<'_>, ipv6_prefix: u8, key: &mut String) -> Result<(), String> {
        let written = match (self, facts.identity) {
            (Self::User, Some(identity)) => write!(key, "{}", identity.key),
            // All keys of one holder are one: while they are exchanged, there are two of them.
            (Self::ApiKey, Some(identity)) if identity.key.starts_with("key:") => {
                write!(key, "{}", identity.key)
            }
            // A request without a user is counted by address; the prefix keeps the two kinds apart.
            (Self::User | Self::Ip | Self::ApiKey, _) => write_address(facts.client, ipv6_prefix, key),
            (Self::Route, _) => write!(key, "route:{}", facts.route.pattern),
            (Self::Service, _) => write!(key, "service:{}", facts.route.service.name),
            // A digest, so that no client decides how long keys are or what stands in them.
            (Self::Header(name), _) => {
                let mut digest = Sha256::new();
                for value in facts.head.headers.get_all(name) {
                    digest.update(value.as_bytes());
                    digest.update(b"\n");
                }
                write!(key, "header:{:x}", digest.finalize())
            }
            (Self::Claim(name), Some(identity)) => {
                let value = identity.claims.get(name).unwrap_or(&Value::Null);
                write!(key, "claim:{:x}", Sha256::digest(value.to_string()))
            }
            (Self::Claim(_), None) => write!(key, "claim:"),
            (Self::Cel(formula), _) => {
                let text = formula.text(facts)?;
                write!(key, "cel:{:x}", Sha256::digest(text))
            }
        };
        written.map_err(|error| error.to_string())
    }
}

/// One customer of an IPv6 network has a whole network, so that is what counts.
fn write_address(address: IpAddr, ipv6_prefix: u8, key: &mut String) -> fmt::Result {
    match address {
        IpAddr::V6(address) if ipv6_prefix != 64 => {
            let kept = u128::MAX.checked_shl(u32::from(128 - ipv6_prefix.min(128))).unwrap_or(0);
            write!(key, "ip:{}/{ipv6_prefix}", std::net::Ipv6Addr::from(u128::from(address) & kept))
        }
        _ => write_network(address, key),
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn an_address_counts_as_its_network() {
        for (prefix, text) in [
            (64, "ip:2001:db8:1:2::/64"),
            (56, "ip:2001:db8:1::/56"),
            (128, "ip:2001:db8:1:2:3::4/128"),
            (0, "ip:::/0"),
        ] {
            let mut key = String::new();
            write_address("2001:db8:1:2:3::4".parse().unwrap(), prefix, &mut key).unwrap();
            assert_eq!(key, text);
        }
        let mut key = String::new();
        write_address("192.0.2.1".parse().unwrap(), 48, &mut key).unwrap();
        assert_eq!(key, "ip:192.0.2.1");
    }
}
