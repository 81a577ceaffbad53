//! `AnyOf`: several types of credentials on the same routes. The first of them that a request carries decides, and
//! a bad one is not made good by another.

use http::request;

use super::Authentication;
use crate::refusal::Refusal;

/// Several ways to prove an identity, in the order of the file.
#[derive(Debug)]
pub struct AnyOf {
    pub(crate) ways: Vec<Authentication>,
}

impl AnyOf {
    /// The way whose credential the request carries. `None` where it carries none.
    pub(crate) fn present(&self, request: &request::Parts) -> Result<Option<&Authentication>, Refusal> {
        for way in &self.ways {
            if way.is_present(request)? {
                return Ok(Some(way));
            }
        }
        Ok(None)
    }
}
