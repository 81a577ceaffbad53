//! The written form of cases: one type a mapping, one field a key. `README.md` says the same for people.
//!
//! Nothing is played here, and nothing is known here of the hosts that cases are played on.

pub mod certificate;
pub mod expect;
pub mod find;
pub mod read;
pub mod request;
pub mod script;
pub mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;
use serde_saphyr::Spanned;
use tollgate_core::config::Host;

use self::{expect::Expect, request::Request, script::Script};
use crate::{captured::Capture, span};

/// A file of cases about one topic, and what they have in common.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// For people.
    pub description: Option<String>,
    /// The configuration of all cases that have none of their own.
    pub config: Option<Config>,
    /// What is given in all cases; a case adds to it, and replaces what goes by the same name.
    #[serde(default)]
    pub given: Given,
    /// The cases.
    pub cases: Vec<Spanned<Case>>,
}

/// A claim about the gateway, and what shows that it is true.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The claim, in snake case.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Hosts on which the case can't be played, each with the reason.
    #[serde(default)]
    pub skip: BTreeMap<HostName, String>,
    /// The gateway's configuration.
    pub config: Option<Config>,
    /// The world around it.
    #[serde(default)]
    pub given: Given,
    /// What happens, in this order.
    pub steps: Vec<Spanned<Step>>,
}

/// A host of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostName {
    /// Everything in memory.
    Fake,
    /// The self-hosted server, over sockets.
    Native,
    /// Cloudflare Workers.
    Workers,
}

impl HostName {
    /// As written in cases and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fake => "fake",
            Self::Native => "native",
            Self::Workers => "workers",
        }
    }
}

impl Case {
    /// The host whose configuration it has: the native one, unless the case is played on Workers and not there.
    pub fn target(&self) -> Host {
        let skips = |host| self.skip.contains_key(&host);
        if skips(HostName::Native) && !skips(HostName::Workers) { Host::Workers } else { Host::Native }
    }
}

/// The gateway's configuration: the mapping itself, or where it is.
#[derive(Debug, Clone)]
pub enum Config {
    /// A file, relative to the file of the case.
    File(String),
    /// The configuration.
    Inline(Value),
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let Value::Object(map) = &value else {
            return Err(D::Error::custom("`config` is a configuration, or `{file: PATH}`"));
        };
        match map.get("file") {
            None => Ok(Self::Inline(value)),
            Some(Value::String(path)) if map.len() == 1 => Ok(Self::File(path.clone())),
            Some(_) => Err(D::Error::custom("`file` is a path, and stands alone in `config`")),
        }
    }
}

/// The world around the gateway.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Given {
    /// What the clock shows at the beginning.
    pub time: Option<Instant>,
    /// The services behind the gateway, by name, and what they answer.
    pub upstreams: BTreeMap<String, Script>,
    /// What all services answer that are not among them. Only the fake host has it.
    pub default_upstream: Option<Script>,
    /// Variables of the configuration. `${UPSTREAM_NAME}` in a value is the URL of that upstream.
    pub vars: BTreeMap<String, String>,
    /// What the platform fails to lend. Only the fake host can be made to fail.
    pub failing: Vec<Facility>,
}

/// What a platform lends and may fail to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Facility {
    /// Where limits are counted.
    Counters,
    /// Where answers are kept.
    Cache,
    /// What checks signatures.
    Verification,
    /// What signs identity tokens.
    Signing,
}

/// A point in time: RFC 3339 in UTC, or milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Instant(pub u64);

impl Default for Instant {
    fn default() -> Self {
        Self(1_893_456_000_000) // 2030-01-01T00:00:00Z
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let at = value.as_u64().or_else(|| span::instant(value.as_str()?));
        at.map(Self)
            .ok_or_else(|| D::Error::custom("expected a time such as 2030-01-01T00:00:00Z, or milliseconds"))
    }
}

/// Something that happens.
#[derive(Debug, Clone)]
pub enum Step {
    /// So many milliseconds pass.
    Advance(u64),
    /// These upstreams answer otherwise from now on.
    Change(BTreeMap<String, Script>),
    /// A request is made.
    Ask(Box<Ask>),
}

/// A request, and what must come of it.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The request.
    pub request: Request,
    /// How many times it is made.
    pub repeat: usize,
    /// What must hold each time. Without it the hosts are only compared with one another.
    pub expect: Option<Expect>,
    /// What is taken out of the answer, by the name under which it is said again.
    pub capture: BTreeMap<String, Capture>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    advance: Option<String>,
    upstreams: Option<BTreeMap<String, Script>>,
    request: Option<Request>,
    repeat: Option<usize>,
    expect: Option<Expect>,
    capture: Option<BTreeMap<String, Capture>>,
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = WrittenStep::deserialize(deserializer)?;
        match written {
            WrittenStep {
                request: Some(request),
                advance: None,
                upstreams: None,
                repeat,
                expect,
                capture,
            } => {
                let capture = capture.unwrap_or_default();
                let one_place = |capture: &Capture| capture.header.is_some() != capture.upstream.is_some();
                if !capture.values().all(one_place) {
                    return Err(D::Error::custom("a text is captured from a `header` or an `upstream`"));
                }
                Ok(Self::Ask(Box::new(Ask { request, repeat: repeat.unwrap_or(1), expect, capture })))
            }
            WrittenStep {
                advance: Some(text),
                request: None,
                upstreams: None,
                repeat: None,
                expect: None,
                capture: None,
            } => {
                let milliseconds = tollgate_core::config::length::milliseconds(&text);
                milliseconds
                    .map(Self::Advance)
                    .ok_or_else(|| D::Error::custom(format!("`{text}` is no length of time")))
            }
            WrittenStep {
                upstreams: Some(scripts),
                request: None,
                advance: None,
                repeat: None,
                expect: None,
                capture: None,
            } => Ok(Self::Change(scripts)),
            _ => Err(D::Error::custom(
                "a step is one of `request`, with `repeat`, `expect` and `capture`, `advance`, `upstreams`",
            )),
        }
    }
}
