//! What an issuer says about itself (OpenID Connect Discovery 1.0 §3 and §4, RFC 8414 §3): where its keys are, where
//! people log in and out, where codes are exchanged.
//!
//! Only an issuer that names itself as the configuration does is believed, and one that is encrypted leads nowhere that
//! is not. When to ask, and what to keep of it, is decided by whoever needs to know: see [`crate::keys`] and
//! [`crate::provider`].

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::{
    config::services::Directory,
    host::Host,
    remote::{Question, Remote},
    upstream::Service,
};

/// What follows an issuer's name in the address at which it tells of itself.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// A document larger than this is refused: they have a few thousand bytes.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// An issuer that can be asked about itself.
#[derive(Debug)]
pub(crate) struct Discovery {
    issuer: String,
    document: Remote,
    directory: Directory,
}

/// What it said, as far as anybody here needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) jwks_uri: Option<String>,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) token_endpoint: Option<String>,
    pub(crate) end_session_endpoint: Option<String>,
    /// Whether its answers to browsers always name it (RFC 9207 §3).
    pub(crate) names_itself: bool,
}

impl Discovery {
    pub(crate) fn new(issuer: String, document: Remote, directory: Directory) -> Self {
        Self { issuer, document, directory }
    }

    /// Who is asked.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The service through which it is asked.
    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.document.service
    }

    pub(crate) async fn ask<H: Host>(&self, host: &H, about: Question) -> Result<Metadata, String> {
        let answer = self.document.ask(host, about, Method::GET, None, MAX_DOCUMENT_BYTES).await;
        let read = match answer {
            Ok(answer) if answer.status() == StatusCode::OK => believed(answer.body(), &self.issuer),
            Ok(answer) => Err(format!("it was answered with {}", answer.status())),
            Err(error) => Err(error.to_string()),
        };
        read.map_err(|why| format!("discovery: {why}"))
    }

    /// The way to an address that it has named.
    pub(crate) fn remote(&self, name: &str, address: Option<String>) -> Result<Remote, String> {
        let address = address.ok_or_else(|| missing(name))?;
        let remote = self.directory.remote(&address, self.document.patience.head_ms);
        remote.map_err(|why| format!("discovery: `{name}` can't be used: {why}"))
    }
}

/// What is said of something that is needed and is not there.
pub(crate) fn missing(name: &str) -> String {
    format!("discovery: there is no `{name}`")
}

/// What the document says, if it is the issuer's own.
fn believed(document: &[u8], issuer: &str) -> Result<Metadata, String> {
    let document: Value = serde_json::from_slice(document).map_err(|error| error.to_string())?;
    let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
    // Character by character (OpenID Connect Discovery §4.3): another's document must not speak for this one.
    if text("issuer").as_deref() != Some(issuer) {
        return Err("the issuer calls itself by another name".to_owned());
    }
    let address = |name: &str| match text(name) {
        Some(address) if issuer.starts_with("https:") && !address.starts_with("https:") => {
            Err(format!("`{name}` is not encrypted, though the issuer is"))
        }
        address => Ok(address),
    };
    let names_itself = document.get("authorization_response_iss_parameter_supported");
    Ok(Metadata {
        jwks_uri: address("jwks_uri")?,
        authorization_endpoint: address("authorization_endpoint")?,
        token_endpoint: address("token_endpoint")?,
        end_session_endpoint: address("end_session_endpoint")?,
        names_itself: names_itself == Some(&Value::Bool(true)),
    })
}

/// The address at which an issuer tells of itself.
pub(crate) fn address(issuer: &str) -> String {
    format!("{}{WELL_KNOWN}", issuer.strip_suffix('/').unwrap_or(issuer))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn read(change: Value) -> Result<Metadata, String> {
        let mut document = json!({"issuer": "https://i/a", "jwks_uri": "https://keys/"});
        for (name, value) in change.as_object().unwrap() {
            document[name] = value.clone();
        }
        believed(document.to_string().as_bytes(), "https://i/a")
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_an_issuers_own_document_is_believed() {
        assert_eq!(read(json!({})).unwrap().jwks_uri.as_deref(), Some("https://keys/"));
        for other in ["https://i/a/", "https://i", "https://I/a", ""] {
            assert!(read(json!({"issuer": other})).is_err(), "{other}");
        }
        assert!(believed(b"{}", "https://i/a").is_err() && believed(b"", "https://i/a").is_err());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_issuer_that_is_encrypted_leads_nowhere_that_is_not() {
        for name in ["jwks_uri", "authorization_endpoint", "token_endpoint", "end_session_endpoint"] {
            assert!(read(json!({name: "http://i/x"})).is_err(), "{name}");
            assert!(read(json!({name: "https://i/x"})).is_ok(), "{name}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_issuer_tells_of_itself_below_its_own_address() {
        assert_eq!(address("https://i"), "https://i/.well-known/openid-configuration");
        assert_eq!(address("https://i/a/"), "https://i/a/.well-known/openid-configuration");
    }
}
