//! What must come of a request, as written in a case.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};
use tollgate_core::trail::Verdict;

use super::{request::Over, text::scalar};

/// What must come of a request. What is not written may be anything.
#[derive(Debug, Clone)]
pub struct Expect {
    /// The status.
    pub status: u16,
    /// Fields of the answer.
    pub headers: BTreeMap<String, FieldWish>,
    /// The content, decoded.
    pub body: Option<BodyWish>,
    /// The gateway itself refuses, with this code: content, type and recorded event must all say so.
    pub refusal: Option<String>,
    /// The content breaks off.
    pub broken: bool,
    /// Fields after the content.
    pub trailers: BTreeMap<String, FieldWish>,
    /// What the upstreams were asked.
    pub upstream: UpstreamWish,
    /// What was recorded of the request.
    pub event: BTreeMap<String, String>,
    /// What limits have left, by the name of the policy.
    pub counters: BTreeMap<String, u64>,
    /// Steps of the decision, in this order; there may be others before, between and after.
    pub trail: Vec<StepWish>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, FieldWish>,
    body: Option<BodyWish>,
    refusal: Option<String>,
    #[serde(default)]
    broken: bool,
    #[serde(default)]
    trailers: BTreeMap<String, FieldWish>,
    #[serde(default)]
    upstream: UpstreamWish,
    #[serde(default)]
    event: BTreeMap<String, String>,
    #[serde(default)]
    counters: BTreeMap<String, u64>,
    #[serde(default)]
    trail: Vec<StepWish>,
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Expect;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status, or a mapping with `status`")
            }
            fn visit_u64<E: de::Error>(self, status: u64) -> Result<Expect, E> {
                let status =
                    u16::try_from(status).map_err(|_| E::custom(format!("`{status}` is no status")))?;
                Ok(Expect {
                    status,
                    headers: BTreeMap::new(),
                    body: None,
                    refusal: None,
                    broken: false,
                    trailers: BTreeMap::new(),
                    upstream: UpstreamWish::Unchecked,
                    event: BTreeMap::new(),
                    counters: BTreeMap::new(),
                    trail: Vec::new(),
                })
            }
            fn visit_i64<E: de::Error>(self, status: i64) -> Result<Expect, E> {
                self.visit_u64(
                    u64::try_from(status).map_err(|_| E::custom(format!("`{status}` is no status")))?,
                )
            }
            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Expect, A::Error> {
                let written = Written::deserialize(MapAccessDeserializer::new(access))?;
                let headers = written.headers.into_iter();
                Ok(Expect {
                    status: written.status,
                    headers: headers.map(|(name, wish)| (name.to_ascii_lowercase(), wish)).collect(),
                    body: written.body,
                    refusal: written.refusal,
                    broken: written.broken,
                    trailers: written.trailers,
                    upstream: written.upstream,
                    event: written.event,
                    counters: written.counters,
                    trail: written.trail,
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What a header field must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldWish {
    /// There, on just these lines.
    Lines(Vec<String>),
    /// There, with this in one of its lines.
    Contains(String),
    /// There on one line, which is this; `*` stands for any text.
    Matches(String),
    /// There.
    Present,
    /// Not there.
    Absent,
}

impl<'de> Deserialize<'de> for FieldWish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Some(text) = scalar(&value) {
            return Ok(Self::Lines(vec![text]));
        }
        if let Value::Array(lines) = &value {
            let lines: Option<Vec<String>> = lines.iter().map(scalar).collect();
            return lines.map(Self::Lines).ok_or_else(|| D::Error::custom("expected a list of texts"));
        }
        match sole(&value) {
            Some(("contains", value)) => scalar(value).map(Self::Contains),
            Some(("matches", value)) => scalar(value).map(Self::Matches),
            Some(("present", Value::Bool(true))) => Some(Self::Present),
            Some(("absent", Value::Bool(true))) => Some(Self::Absent),
            _ => None,
        }
        .ok_or_else(|| {
            D::Error::custom(
                "expected a text, a list of texts, or one of `contains: TEXT`, `matches: TEXT`, `present: true`, \
                 `absent: true`",
            )
        })
    }
}

/// What content must be.
#[derive(Debug, Clone, PartialEq)]
pub enum BodyWish {
    /// Just this.
    Exact(String),
    /// This is in it.
    Contains(String),
    /// This is not in it.
    Lacks(String),
    /// It is of this form; `*` stands for any text.
    Matches(String),
    /// JSON that holds at least this.
    Json(Value),
    /// The generated content of so many bytes.
    Generated(usize),
}

impl<'de> Deserialize<'de> for BodyWish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Some(text) = scalar(&value) {
            return Ok(Self::Exact(text));
        }
        match sole(&value) {
            Some(("contains", value)) => scalar(value).map(Self::Contains),
            Some(("lacks", value)) => scalar(value).map(Self::Lacks),
            Some(("matches", value)) => scalar(value).map(Self::Matches),
            Some(("json", value)) => Some(Self::Json(value.clone())),
            Some(("size", value)) => {
                value.as_u64().and_then(|size| usize::try_from(size).ok()).map(Self::Generated)
            }
            _ => None,
        }
        .ok_or_else(|| {
            D::Error::custom(
                "expected a text, or one of `contains: TEXT`, `lacks: TEXT`, `matches: TEXT`, `json: SUBSET`, \
                 `size: BYTES`",
            )
        })
    }
}

fn sole(value: &Value) -> Option<(&str, &Value)> {
    let map: &Map<String, Value> = value.as_object()?;
    let (key, value) = map.iter().next()?;
    (map.len() == 1).then_some((key.as_str(), value))
}

/// What the upstreams must have been asked in a step.
#[derive(Debug, Clone, Default)]
pub enum UpstreamWish {
    /// Anything.
    #[default]
    Unchecked,
    /// Nothing at all.
    Nothing,
    /// This, by upstream; others may have been asked anything.
    Asked(BTreeMap<String, Asked>),
}

/// What one upstream must have been asked in a step.
#[derive(Debug, Clone)]
pub enum Asked {
    /// So many times.
    Times(usize),
    /// Just this, in this order.
    Requests(Vec<SeenWish>),
}

/// What a request must look like to an upstream.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeenWish {
    /// The method.
    pub method: Option<String>,
    /// The target: path and query.
    pub path: Option<String>,
    /// Fields.
    pub headers: BTreeMap<String, FieldWish>,
    /// The content.
    pub body: Option<BodyWish>,
    /// Fields after the content.
    pub trailers: BTreeMap<String, FieldWish>,
    /// Which HTTP it comes in, on hosts that tell.
    pub over: Option<Over>,
}

impl<'de> Deserialize<'de> for UpstreamWish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = UpstreamWish;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none`, or a mapping from upstream to what it was asked")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<UpstreamWish, E> {
                match text {
                    "none" => Ok(UpstreamWish::Nothing),
                    _ => Err(E::custom(format!("`{text}` is neither `none` nor a mapping"))),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<UpstreamWish, A::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(access)).map(UpstreamWish::Asked)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Asked;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none`, a number of requests, or a list of them")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Asked, E> {
                match text {
                    "none" => Ok(Asked::Times(0)),
                    _ => Err(E::custom(format!("`{text}` is neither `none`, a number, nor a list"))),
                }
            }
            fn visit_u64<E: de::Error>(self, times: u64) -> Result<Asked, E> {
                usize::try_from(times).map(Asked::Times).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, times: i64) -> Result<Asked, E> {
                usize::try_from(times).map(Asked::Times).map_err(E::custom)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, access: A) -> Result<Asked, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(access)).map(Asked::Requests)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What a step of the decision must be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenStep")]
pub struct StepWish {
    /// What decided: `request`, `route`, `override`, `authentication`,
    /// `identity_token`, `upstream`, `answer`, or a policy's type.
    pub room: Option<String>,
    /// The name of the policy.
    pub policy: Option<String>,
    /// `pass`, `skip`, `refuse` or `fail`.
    pub verdict: Option<Verdict>,
    /// This is in what it says.
    pub contains: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    room: Option<String>,
    policy: Option<String>,
    verdict: Option<String>,
    contains: Option<String>,
}

impl TryFrom<WrittenStep> for StepWish {
    type Error = String;

    fn try_from(written: WrittenStep) -> Result<Self, String> {
        const KNOWN: [Verdict; 4] = [Verdict::Pass, Verdict::Skip, Verdict::Refuse, Verdict::Fail];
        let WrittenStep { room, policy, verdict, contains } = written;
        let named = |text: String| {
            let found = KNOWN.into_iter().find(|verdict| verdict.name() == text);
            found.ok_or_else(|| format!("`{text}` is none of `pass`, `skip`, `refuse`, `fail`"))
        };
        let wish = Self { room, policy, verdict: verdict.map(named).transpose()?, contains };
        if wish == Self::default() {
            return Err("a step has one at least of `room`, `policy`, `verdict`, `contains`".to_owned());
        }
        Ok(wish)
    }
}

/// As it is written.
impl fmt::Display for StepWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = self.verdict.map(|verdict| verdict.name().to_owned());
        let parts = [
            ("room", &self.room),
            ("policy", &self.policy),
            ("verdict", &verdict),
            ("contains", &self.contains),
        ];
        let parts =
            parts.into_iter().filter_map(|(name, value)| Some(format!("{name}: {}", value.as_ref()?)));
        write!(f, "{{{}}}", parts.collect::<Vec<_>>().join(", "))
    }
}
