//! `AnyOf`: several types of credentials on the same routes. The first of them that a request carries decides, and
//! a bad one is not made good by another.

use http::request;

use super::Way;
use crate::refusal::Refusal;

/// Several ways to prove an identity, in the order of the file.
#[derive(Debug)]
pub struct AnyOf {
    pub(crate) ways: Vec<Way>,
}

impl AnyOf {
    /// The way whose credential the request carries.
    pub(crate) fn way(&self, request: &request::Parts) -> Result<&Way, Refusal> {
        for way in &self.ways {
            if way.is_present(request)? {
                return Ok(way);
            }
        }
        // Whoever sits at a browser can get a credential in one of the ways.
        let login = |way: &&Way| matches!(way, Way::OidcLogin(policy) if policy.is_navigation(request));
        if let Some(way) = self.ways.iter().find(login) {
            return Ok(way);
        }
        Err(Refusal::MissingCredentials(self.ways.iter().map(Way::challenge).collect()))
    }
}
