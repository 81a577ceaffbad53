//! Sessions that a policy would admit, for rehearsals that have no provider to log in at.

use serde_json::{Map, Value};

use super::OidcLogin;
use crate::host::Timestamp;

impl OidcLogin {
    /// Claims of `subject` that are admitted. Where one of several values is wanted, all of them stand there.
    pub fn sample_claims(&self, subject: &str) -> Map<String, Value> {
        let mut claims = Map::new();
        for required in &self.required {
            let value: Value =
                if required.values.is_empty() { "assumed".into() } else { required.values.clone().into() };
            claims.insert(required.claim.clone(), value);
        }
        claims.insert("iss".to_owned(), self.issuer.as_str().into());
        claims.insert("aud".to_owned(), self.client_id.as_str().into());
        claims.insert("sub".to_owned(), subject.into());
        claims
    }

    /// A session with these claims, as a browser sends it: name and value. `None` where it is too large for a cookie.
    pub fn sample_session(
        &self,
        claims: Map<String, Value>,
        now: Timestamp,
        random: &[u8; 32],
    ) -> Option<String> {
        let value = self.seal_session(claims, now, random).ok()?;
        Some(format!("{}={value}", self.cookie))
    }
}
