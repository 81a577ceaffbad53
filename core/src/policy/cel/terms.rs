//! What stands between expressions and whoever has one: what can be named, what an answer is to them, what is wrong with
//! one. Known to builds without expressions too.

use http::HeaderMap;

use crate::usage::Usage;

/// What expressions can name, and what is in it.
pub(crate) type Vocabulary = &'static [(&'static str, &'static [&'static str])];
/// What expressions over a request can name.
pub(crate) const VARIABLES: Vocabulary = &[
    ("request", &["method", "path", "host", "headers", "query", "client_ip"]),
    ("auth", &["user", "roles", "claims"]),
    ("route", &["path", "service"]),
    ("now", &[]),
];
/// What expressions over an answer can name.
pub(crate) const OF_ANSWERS: Vocabulary = &[
    ("response", &["status", "headers"]),
    ("usage", &["input_tokens", "output_tokens", "total_tokens", "cached_tokens"]),
    ("reserved", &[]),
];
/// What expressions over an answer see.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "expressions"), expect(dead_code, reason = "nothing looks at it"))]
pub(crate) struct Answered<'a> {
    pub(crate) status: u16,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) usage: Usage,
    pub(crate) reserved: u64,
}

/// What is wrong with an expression.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) cure: Option<String>,
    /// Line and column within the expression, from 1, where that is known.
    pub(crate) at: Option<(u32, u32)>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), cure: None, at: None }
    }

    pub(crate) fn cure(self, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..self }
    }
}
