//! What an upstream answers, as written in a case.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use super::{
    request::{Lies, Signed},
    text::{Content, Fields, OneOrMany},
};
use crate::keys::Key;

/// The answers of an upstream. Each request gets an answer whose `when` it satisfies, the first of the file
/// among those; answers with the same `when` are used in turn, and the last of them again and again.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "OneOrMany<Answer>")]
pub struct Script(pub Vec<Answer>);

impl TryFrom<OneOrMany<Answer>> for Script {
    type Error = &'static str;

    fn try_from(OneOrMany(answers): OneOrMany<Answer>) -> Result<Self, &'static str> {
        if answers.is_empty() {
            return Err("an upstream needs at least one answer");
        }
        let refuses = |answer: &Answer| matches!(answer.kind, Kind::Fault(Fault::Refuse));
        if answers
            .iter()
            .any(|answer| refuses(answer) && (answers.len() > 1 || answer.when != When::default()))
        {
            return Err("an upstream that refuses connections never sees a request: `refuse` stands alone");
        }
        Ok(Self(answers))
    }
}

impl Script {
    /// Whether there is nobody to connect to.
    pub fn refuses(&self) -> bool {
        self.0.iter().any(|answer| matches!(answer.kind, Kind::Fault(Fault::Refuse)))
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The requests it is for.
    pub when: When,
    /// The status.
    pub status: u16,
    /// Fields besides those that follow from the content.
    pub headers: Fields,
    /// Fields after the content. In HTTP/1.1 `Trailer` has to announce them.
    pub trailers: Fields,
    /// A content coding in which the content is sent.
    pub encode: Option<Encoding>,
    /// What it consists of.
    pub kind: Kind,
}

/// What an answer consists of.
#[derive(Debug, Clone)]
pub enum Kind {
    /// What is written.
    Fixed(Option<Content>),
    /// What was asked.
    Echo(Echo),
    /// A set of public keys.
    KeySet(Vec<Key>),
    /// A policy engine's decision.
    Decision(Opa),
    /// What an issuer says of a token: claims of those that are active, by token.
    Introspection(BTreeMap<String, Map<String, Value>>),
    /// What a provider of logins gives for a code.
    IdToken(Signed),
    /// No answer, or no good one.
    Fault(Fault),
}

/// The requests that an answer is for: all that agree with what is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// The method.
    pub method: Option<String>,
    /// The path, without the query.
    pub path: Option<String>,
}

/// What is sent back of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Echo {
    /// All of it, as JSON: `method`, `path`, `headers`, `body`.
    Request,
    /// Its content, in pieces as it came.
    Body,
}

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// `gzip`
    Gzip,
    /// `br`
    Br,
    /// `zstd`
    Zstd,
}

/// Decides by the question's `roles`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opa {
    /// Whoever has one of these may.
    pub allow_roles: Vec<String>,
    /// Fields for the service.
    #[serde(default)]
    pub headers: Map<String, Value>,
}

/// How an upstream fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nobody listens.
    Refuse,
    /// The connection is reset when the request has been read.
    Reset,
    /// No answer ever comes.
    Stall,
    /// What comes back is not HTTP.
    Garbage,
    /// The connection ends before the content does.
    CloseMidBody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    when: When,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: Fields,
    #[serde(default)]
    trailers: Fields,
    body: Option<Value>,
    body_size: Option<usize>,
    stream: Option<Vec<String>>,
    encode: Option<Encoding>,
    echo: Option<Echo>,
    jwks: Option<Vec<Key>>,
    opa: Option<Opa>,
    introspection: Option<BTreeMap<String, Map<String, Value>>>,
    id_token: Option<Map<String, Value>>,
    signed: Option<Lies>,
    fault: Option<Fault>,
}

fn ok() -> u16 {
    200
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let content = Content::read(written.body, written.body_size, written.stream)?;
        if written.signed.is_some() && written.id_token.is_none() {
            return Err(D::Error::custom("`signed` says more about an `id_token`"));
        }
        let lies = written.signed.unwrap_or_default();
        let others = [
            written.echo.map(Kind::Echo),
            written.jwks.map(Kind::KeySet),
            written.opa.map(Kind::Decision),
            written.introspection.map(Kind::Introspection),
            written.id_token.map(|claims| Kind::IdToken(Signed { claims, lies })),
            written.fault.map(Kind::Fault),
        ];
        let mut others = others.into_iter().flatten();
        let kind = match (content, others.next(), others.next()) {
            (content, None, _) => Kind::Fixed(content),
            (None, Some(kind), None) => kind,
            _ => {
                return Err(D::Error::custom(
                    "content, `echo`, `jwks`, `opa`, `introspection`, `id_token` and `fault` exclude one another",
                ));
            }
        };
        let Written { when, status, headers, trailers, encode, .. } = written;
        if !(100..=999).contains(&status) {
            return Err(D::Error::custom(format!("`{status}` is no status")));
        }
        Ok(Self { when, status, headers, trailers, encode, kind })
    }
}
