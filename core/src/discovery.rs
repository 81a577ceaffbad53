//! What an issuer says about itself (OpenID Connect Discovery 1.0 §4, RFC 8414 §3): where its keys are.
//!
//! Only an issuer that names itself as the configuration does is believed. What was found stays when the issuer is
//! down. When to ask is decided by whoever needs to know: see [`crate::keys`].

use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, StatusCode};
use serde::Deserialize;

use crate::{
    config::services::Directory,
    host::Host,
    remote::{Answer, Question, Remote},
    upstream::Service,
};

/// What follows an issuer's name in the address at which it tells of itself.
pub(crate) const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// A document larger than this is refused: they have a few thousand bytes.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// An issuer that is asked where its keys are.
#[derive(Debug)]
pub(crate) struct Discovery {
    issuer: String,
    document: Remote,
    directory: Directory,
    keys: Mutex<Option<Remote>>,
}

/// What is read of the document.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Discovery {
    pub(crate) fn new(issuer: String, document: Remote, directory: Directory) -> Self {
        Self { issuer, document, directory, keys: Mutex::default() }
    }

    /// Whose keys are looked for.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The service through which it is asked.
    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.document.service
    }

    /// Where its keys are now, or were when it last said so.
    pub(crate) async fn keys<H: Host>(&self, host: &H) -> Result<Remote, String> {
        let asked = self.document.ask(host, Question::Keys, Method::GET, None, MAX_DOCUMENT_BYTES).await;
        let found = match asked {
            Ok(answer) => self.read(&answer),
            Err(error) => Err(error.to_string()),
        };
        let mut known = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match (found, known.as_ref()) {
            (Ok(keys), _) => {
                *known = Some(keys.clone());
                Ok(keys)
            }
            (Err(_), Some(earlier)) => Ok(earlier.clone()),
            (Err(why), None) => Err(format!("discovery: {why}")),
        }
    }

    fn read(&self, answer: &Answer) -> Result<Remote, String> {
        if answer.status() != StatusCode::OK {
            return Err(format!("the issuer's configuration was answered with {}", answer.status()));
        }
        let address = believed(answer.body(), &self.issuer)?;
        let remote = self.directory.remote(&address, self.document.patience.head_ms);
        remote.map_err(|why| format!("`jwks_uri` can't be used: {why}"))
    }
}

/// The address of the keys, if the document is the issuer's own.
fn believed(document: &[u8], issuer: &str) -> Result<String, String> {
    let document: Document = serde_json::from_slice(document).map_err(|error| error.to_string())?;
    // Character by character (OpenID Connect Discovery §4.3): another's document must not speak for this one.
    if document.issuer != issuer {
        return Err("the issuer calls itself by another name".to_owned());
    }
    if issuer.starts_with("https:") && !document.jwks_uri.starts_with("https:") {
        return Err("`jwks_uri` is not encrypted, though the issuer is".to_owned());
    }
    Ok(document.jwks_uri)
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

    #[wasm_bindgen_test(unsupported = test)]
    fn only_an_issuers_own_document_is_believed() {
        let read = |issuer: &str, keys: &str| {
            let document = json!({"issuer": issuer, "jwks_uri": keys, "token_endpoint": "x"});
            believed(document.to_string().as_bytes(), "https://issuer/a")
        };
        assert_eq!(read("https://issuer/a", "https://keys/"), Ok("https://keys/".to_owned()));
        for other in ["https://issuer/a/", "https://issuer", "https://ISSUER/a", ""] {
            assert!(read(other, "https://keys/").is_err(), "{other}");
        }
        assert!(read("https://issuer/a", "http://keys/").is_err());
        assert!(believed(b"{}", "https://issuer/a").is_err() && believed(b"", "https://issuer/a").is_err());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_issuer_tells_of_itself_below_its_own_address() {
        assert_eq!(address("https://i"), "https://i/.well-known/openid-configuration");
        assert_eq!(address("https://i/a/"), "https://i/a/.well-known/openid-configuration");
    }
}
