//! A request as written in a case.

use std::{fmt, net::IpAddr};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

use super::{
    certificate::Certificate,
    text::{Content, Fields},
};
use crate::{
    keys::{Half, Key},
    signature::Signing,
    tamper::Tamper,
};

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method, sent as written.
    pub method: String,
    /// The target, sent as written.
    pub path: String,
    /// The `Host` field; [`Request::DEFAULT_HOST`] unless `headers` hold one.
    pub host: Option<String>,
    /// More fields, sent as written.
    pub headers: Fields,
    /// The content.
    pub content: Option<Content>,
    /// What goes into `Authorization: Bearer`.
    pub bearer: Option<Bearer>,
    /// How the request is signed.
    pub signing: Option<Signing>,
    /// The certificate that the client presents.
    pub certificate: Option<Certificate>,
    /// Where the request comes from.
    pub peer: IpAddr,
    /// Fields after the content.
    pub trailers: Fields,
    /// Which HTTP it is made in.
    pub over: Over,
}

/// A version of HTTP. Where nothing goes over a wire it is without meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Over {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, without asking first.
    Http2,
}

/// A bearer token.
#[derive(Debug, Clone)]
pub enum Bearer {
    /// As it is.
    Raw(String),
    /// Made by the suite.
    Signed(Signed),
}

/// A token made by the suite.
#[derive(Debug, Clone, Default)]
pub struct Signed {
    /// Its claims.
    pub claims: Map<String, Value>,
    /// What is said about it besides.
    pub lies: Lies,
}

/// Who signs a token, and how it differs from what such a one would make of those claims.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lies {
    /// The key that signs it.
    pub key: Key,
    /// Members of its header, over those that follow from the key; `null` removes one.
    pub header: Map<String, Value>,
    /// The header as it is, in the place of all that.
    pub header_text: Option<String>,
    /// The claims as they are.
    pub claims_text: Option<String>,
    /// What of the key is the secret, where the header says HMAC and the key is none.
    pub hmac: Half,
    /// What is done to it, in this order.
    pub tamper: Vec<Tamper>,
}

impl Request {
    /// The host asked for when a case does not care.
    pub const DEFAULT_HOST: &str = "gateway.test";
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "get")]
    method: String,
    #[serde(default = "root")]
    path: String,
    host: Option<String>,
    #[serde(default)]
    headers: Fields,
    body: Option<Value>,
    body_size: Option<usize>,
    stream: Option<Vec<String>>,
    r#as: Option<Map<String, Value>>,
    signed: Option<Lies>,
    token: Option<String>,
    sign_with: Option<Signing>,
    certificate: Option<Certificate>,
    #[serde(default = "loopback")]
    peer: IpAddr,
    #[serde(default)]
    trailers: Fields,
    #[serde(default)]
    over: Over,
}

fn get() -> String {
    "GET".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn loopback() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Request;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`METHOD /path`, or a mapping with `method` and `path`")
            }
            fn visit_str<E: de::Error>(self, line: &str) -> Result<Request, E> {
                let (method, path) = line
                    .split_once(' ')
                    .ok_or_else(|| E::custom(format!("`{line}` is not of the form `METHOD /path`")))?;
                Ok(Request {
                    method: method.to_owned(),
                    path: path.to_owned(),
                    host: None,
                    headers: Fields::default(),
                    content: None,
                    bearer: None,
                    signing: None,
                    certificate: None,
                    peer: loopback(),
                    trailers: Fields::default(),
                    over: Over::default(),
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Request, A::Error> {
                read(Written::deserialize(MapAccessDeserializer::new(access))?)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

fn read<E: de::Error>(written: Written) -> Result<Request, E> {
    let bearer = match (written.r#as, written.signed, written.token) {
        (None, None, None) => None,
        (None, None, Some(token)) => Some(Bearer::Raw(token)),
        (Some(claims), signed, None) => {
            Some(Bearer::Signed(Signed { claims, lies: signed.unwrap_or_default() }))
        }
        _ => return Err(E::custom("a request has `as`, which `signed` may say more about, or `token`")),
    };
    Ok(Request {
        method: written.method,
        path: written.path,
        host: written.host,
        headers: written.headers,
        content: Content::read(written.body, written.body_size, written.stream)?,
        bearer,
        signing: written.sign_with,
        certificate: written.certificate,
        peer: written.peer,
        trailers: written.trailers,
        over: written.over,
    })
}
