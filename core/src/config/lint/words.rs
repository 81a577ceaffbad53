//! Words by which people tell what a route is for. They decide no request; they spare a reader the false alarm, or
//! raise one where nothing but a description says that a request is dear.

use crate::pattern::{Pattern, Segment};

/// Ways in: whoever comes here can't have signed in yet, or proves who they are in a way of their own.
const ENTRANCES: &[&str] = &[
    "auth",
    "authorize",
    "callback",
    "callbacks",
    "login",
    "logout",
    "oauth",
    "oauth2",
    "password-reset",
    "register",
    "saml",
    "sign-in",
    "sign-up",
    "signin",
    "signup",
    "sso",
    "token",
    "webhook",
    "webhooks",
];

/// What is asked every few seconds by machines, and costs nothing.
const PROBES: &[&str] = &[
    ".well-known",
    "favicon.ico",
    "health",
    "healthz",
    "live",
    "livez",
    "ping",
    "ready",
    "readyz",
    "robots.txt",
    "version",
];

/// What takes a model, and with it money, to answer.
const MODELS: &[&str] = &[
    "ai",
    "completion",
    "completions",
    "diffusion",
    "embedding",
    "embeddings",
    "generate",
    "generation",
    "gpt",
    "inference",
    "llm",
    "llms",
];

/// Whether a route is a way in.
pub(super) fn is_entrance(pattern: &Pattern) -> bool {
    literals(pattern).any(|segment| ENTRANCES.contains(&&*segment.to_ascii_lowercase()))
}

/// Whether a route is for probes.
pub(super) fn is_probe(pattern: &Pattern) -> bool {
    literals(pattern).any(|segment| PROBES.contains(&&*segment.to_ascii_lowercase()))
}

fn literals(pattern: &Pattern) -> impl Iterator<Item = &str> {
    pattern.segments().iter().filter_map(|segment| match segment {
        Segment::Literal(literal) => Some(literal.as_str()),
        Segment::Parameter(_) => None,
    })
}

/// The word in `text` by which it tells of a model.
pub(super) fn of_a_model(text: &str) -> Option<&'static str> {
    text.split(|c: char| !c.is_alphanumeric())
        .find_map(|word| MODELS.iter().copied().find(|known| word.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn words_are_whole_words() {
        assert_eq!(of_a_model("Asks the LLM for a summary"), Some("llm"));
        assert_eq!(of_a_model("/v1/chat/completions"), Some("completions"));
        assert_eq!(of_a_model("code-gen-ai-service"), Some("ai"));
        assert_eq!(of_a_model("said, maintained, degenerate"), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_segment_tells_what_a_route_is_for() {
        let pattern = |text| Pattern::parse(text).unwrap();
        assert!(is_entrance(&pattern("/Auth/*")) && is_entrance(&pattern("/v1/login")));
        assert!(!is_entrance(&pattern("/authors/*")) && !is_entrance(&pattern("/{login}")));
        assert!(is_probe(&pattern("/search/healthz")) && !is_probe(&pattern("/healthcare")));
    }
}
