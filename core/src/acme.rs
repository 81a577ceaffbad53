//! Which certificates are ordered, from whom, and where they are kept (ACME, RFC 8555), as hosts carry it out. No order
//! is placed here.

use std::{fmt, sync::Arc};

use http::uri::PathAndQuery;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use crate::config::document::AcmeChallenge;
use crate::{config::services, upstream::Endpoint};

/// The authority that is asked when none is written.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// What is ordered, and how.
#[derive(Debug, Clone)]
pub struct Acme {
    /// Where the authority says what it offers.
    pub directory_url: String,
    /// Where it may write to.
    pub contact: Vec<String>,
    /// How it is shown that a name is ours.
    pub challenge: AcmeChallenge,
    /// Where account and certificates are kept.
    pub kept: Kept,
    /// The account elsewhere to which ours is bound.
    pub external_account: Option<ExternalAccount>,
    /// For each of these a certificate of its own. In order, each once.
    pub names: Vec<String>,
    /// PEM of the authorities to trust when the directory is spoken to, instead of the system's.
    pub(crate) authorities: Option<Arc<str>>,
}

/// Where something is kept that several processes may share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In this folder.
    Folder(String),
    /// In the store that counters are in.
    Store,
}

/// An account that the authority knows already.
#[derive(Clone)]
pub struct ExternalAccount {
    /// Its name.
    pub key_id: String,
    /// Its key. Shown to nobody.
    pub hmac_key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Acme {
    /// Where a URL leads that the authority has given, and what to ask for there. Without TLS only this machine is
    /// spoken to.
    pub fn endpoint(&self, url: &str) -> Result<(Endpoint, PathAndQuery), &'static str> {
        endpoint(url, self.authorities.clone())
    }

    /// Names the authority and the account there that things belong to, as a file may be called: what one authority
    /// has issued is no other's, and a staging environment's not that of production.
    pub fn account(&self) -> String {
        let host = self.endpoint(&self.directory_url).map(|(endpoint, _)| endpoint.hostname().to_owned());
        let mut digest = Sha256::new();
        digest.update(&self.directory_url);
        if let Some(external) = &self.external_account {
            digest.update([0]);
            digest.update(&external.key_id);
        }
        let digits: String = digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let host: String = host.unwrap_or_default().chars().map(plain).collect();
        format!("{host}-{digits}")
    }

    /// Tells authorities of one's own apart.
    pub(crate) fn trusted(&self) -> Option<String> {
        let pem = self.authorities.as_deref()?;
        let digits: String = Sha256::digest(pem).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Some(format!("authorities of its own, {digits}"))
    }
}

pub(crate) fn endpoint(
    url: &str,
    authorities: Option<Arc<str>>,
) -> Result<(Endpoint, PathAndQuery), &'static str> {
    let (endpoint, target) = services::origin(url, authorities)?;
    if endpoint.tls.is_none() && !is_here(endpoint.hostname()) {
        return Err("an authority is spoken to over TLS");
    }
    Ok((endpoint, target))
}

fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' }
}

/// Whether a host is this machine, whatever a name service says.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn acme(directory_url: &str, key_id: Option<&str>) -> Acme {
        Acme {
            directory_url: directory_url.to_owned(),
            contact: Vec::new(),
            challenge: AcmeChallenge::Http01,
            kept: Kept::Store,
            external_account: key_id.map(|key_id| ExternalAccount {
                key_id: key_id.to_owned(),
                hmac_key: Zeroizing::new(b"hunter2".to_vec()),
            }),
            names: Vec::new(),
            authorities: None,
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_belongs_to_one_account_is_no_others() {
        let staging = acme("https://a.test/staging", None);
        let production = acme("https://a.test/directory", None);
        let bound = acme("https://a.test/directory", Some("one"));
        let otherwise = acme("https://a.test/directory", Some("two"));
        let names = [&staging, &production, &bound, &otherwise].map(Acme::account);
        for (at, name) in names.iter().enumerate() {
            assert!(name.starts_with("a.test-"), "{name}");
            assert_eq!(names.iter().position(|other| other == name), Some(at));
        }
        assert_eq!(acme("http://[::1]:14000/dir", None).account().split('-').next(), Some("__1"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn without_tls_only_this_machine_is_spoken_to() {
        let acme = acme(LETS_ENCRYPT, None);
        for url in ["https://a.test/x", "http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]/x"] {
            assert_eq!(acme.endpoint(url).unwrap().1, "/x", "{url}");
        }
        for url in ["http://a.test/x", "http://10.0.0.1/", "http://localhost.a.test/", "ftp://a.test/", "x"] {
            assert!(acme.endpoint(url).is_err(), "{url}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_key_of_an_external_account_is_not_shown() {
        let shown = format!("{:?}", acme(LETS_ENCRYPT, Some("one")));
        assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
    }
}
