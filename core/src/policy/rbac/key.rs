//! The name under which an engine's answer is remembered: the parts of the question on which it depends.

use serde_json::to_writer;
use sha2::{Digest, Sha256};

use crate::facts::Facts;

/// What must be the same for an answer to hold again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheKey(pub(crate) Vec<Part>);

/// A part of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    User,
    Roles,
    Claims,
    Claim(String),
    Method,
    Path,
    Route,
    Service,
    ClientIp,
}

/// The digest of such parts.
pub(crate) type Name = [u8; 32];

impl Default for CacheKey {
    /// All of the question but the request's identifier, which no two requests have in common.
    fn default() -> Self {
        let (who, what) = ([Part::User, Part::Roles, Part::Claims], [Part::Method, Part::Path, Part::Route]);
        Self(who.into_iter().chain(what).chain([Part::Service, Part::ClientIp]).collect())
    }
}

impl CacheKey {
    /// The name of answers about such a request. Each part is one line of JSON, so no two lists of values share one.
    pub(crate) fn name(&self, facts: &Facts<'_>) -> Name {
        let mut text = Vec::with_capacity(256);
        for part in &self.0 {
            // INVARIANT: all keys of these are texts, so there is nothing that JSON could not hold.
            let _ = part.write(facts, &mut text);
            text.push(b'\n');
        }
        Sha256::digest(&text).into()
    }

    /// The parts, as written.
    pub(crate) fn words(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|part| match part {
            Part::User => "user".to_owned(),
            Part::Roles => "roles".to_owned(),
            Part::Claims => "claims".to_owned(),
            Part::Claim(name) => format!("claim:{name}"),
            Part::Method => "method".to_owned(),
            Part::Path => "path".to_owned(),
            Part::Route => "route".to_owned(),
            Part::Service => "service".to_owned(),
            Part::ClientIp => "client_ip".to_owned(),
        })
    }

    /// Whether answers are told apart by who asks.
    pub(crate) fn tells_users_apart(&self) -> bool {
        let is_about_who = |part: &Part| {
            matches!(part, Part::User | Part::Roles | Part::Claims | Part::Claim(_) | Part::ClientIp)
        };
        self.0.iter().any(is_about_who)
    }
}

impl Part {
    /// The words that are parts, besides `claim:NAME`.
    pub(crate) const WORDS: [&str; 8] =
        ["user", "roles", "claims", "method", "path", "route", "service", "client_ip"];

    /// Reads a part.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "user" => Self::User,
            "roles" => Self::Roles,
            "claims" => Self::Claims,
            "method" => Self::Method,
            "path" => Self::Path,
            "route" => Self::Route,
            "service" => Self::Service,
            "client_ip" => Self::ClientIp,
            _ => Self::Claim(text.strip_prefix("claim:").filter(|name| !name.is_empty())?.to_owned()),
        })
    }

    fn write(&self, facts: &Facts<'_>, text: &mut Vec<u8>) -> serde_json::Result<()> {
        let identity = facts.identity;
        match self {
            // With the issuer: the same subject of another one is another user.
            Self::User => to_writer(text, &identity.map(|identity| &identity.key)),
            Self::Roles => to_writer(text, &identity.map(|identity| &identity.roles)),
            Self::Claims => to_writer(text, &identity.map(|identity| &identity.claims)),
            Self::Claim(name) => to_writer(text, &identity.and_then(|identity| identity.claims.get(name))),
            Self::Method => to_writer(text, facts.head.method.as_str()),
            Self::Path => to_writer(text, facts.path),
            Self::Route => to_writer(text, facts.route.pattern.as_str()),
            Self::Service => to_writer(text, &*facts.route.service.name),
            Self::ClientIp => to_writer(text, &facts.client),
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_word_is_a_part_and_all_of_them_are_the_default() {
        let parts: Vec<Part> = Part::WORDS.iter().map(|word| Part::parse(word).unwrap()).collect();
        assert_eq!(CacheKey(parts), CacheKey::default());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_claim_is_a_part_by_its_name() {
        assert_eq!(Part::parse("claim:tenant"), Some(Part::Claim("tenant".to_owned())));
        for text in ["claim:", "Claim:x", "request_id", "", "User"] {
            assert_eq!(Part::parse(text), None, "{text}");
        }
    }
}
