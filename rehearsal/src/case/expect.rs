//! What must come of a request, as written in a case.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

use super::text::scalar;

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
    /// What the upstreams were asked.
    pub upstream: UpstreamWish,
    /// What was recorded of the request.
    pub event: BTreeMap<String, String>,
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
    upstream: UpstreamWish,
    #[serde(default)]
    event: BTreeMap<String, String>,
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
                    upstream: UpstreamWish::Unchecked,
                    event: BTreeMap::new(),
                })
            }
            fn visit_i64<E: de::Error>(self, status: i64) -> Result<Expect, E> {
                self.visit_u64(
                    u64::try_from(status).map_err(|_| E::custom(format!("`{status}` is no status")))?,
                )
            }
            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Expect, A::Error> {
                let written = Written::deserialize(MapAccessDeserializer::new(access))?;
                let Written { status, headers, body, refusal, broken, upstream, event } = written;
                let headers =
                    headers.into_iter().map(|(name, wish)| (name.to_ascii_lowercase(), wish)).collect();
                Ok(Expect { status, headers, body, refusal, broken, upstream, event })
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
            Some(("json", value)) => Some(Self::Json(value.clone())),
            Some(("size", value)) => {
                value.as_u64().and_then(|size| usize::try_from(size).ok()).map(Self::Generated)
            }
            _ => None,
        }
        .ok_or_else(|| {
            D::Error::custom(
                "expected a text, or one of `contains: TEXT`, `lacks: TEXT`, `json: SUBSET`, `size: BYTES`",
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
