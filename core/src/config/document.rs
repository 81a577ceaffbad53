//! The written form of a configuration: one type a mapping, one field a key. The comments on the fields
//! are the reference and the editor's help (they become the JSON Schema).
//!
//! Nothing here is checked beyond its type: meaning is [`super::compile`]'s.

mod acme;
mod https;
mod identity_token;
mod limits;
mod listener;
mod service;
mod store;

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

pub use self::{
    acme::{Acme, AcmeChallenge, ExternalAccount, Secret},
    https::{Hsts, Https},
    identity_token::IdentityToken,
    limits::{Http2Limits, Limits, Overload},
    listener::{
        CertificateFiles, ClientAuth, ClientAuthMode, HttpProtocol, Listener, ListenerTls, ProxyProtocol,
        ProxyVersion, Tcp, TlsProfile,
    },
    service::{Endpoint, LongEndpoint, Protocol, Service, ServiceTls, Timeouts},
    store::{Store, StoreType, StoreUrl},
};
use super::{
    decode::decode,
    findings::Findings,
    node::{Node, Value},
    policy::{Policy, policies},
    problem::Problem,
};

/// A member of the document together with the node it was read from.
#[derive(Debug)]
pub struct Item<'n, T> {
    /// What was written.
    pub value: T,
    /// Where it was written.
    pub node: &'n Node,
}

/// A whole configuration.
#[derive(Debug)]
pub struct Whole<'n> {
    /// The tree it was read from.
    pub root: &'n Node,
    /// The keys at the top.
    pub top: Document,
    /// `services`, by name.
    pub services: Vec<(String, Item<'n, Service>)>,
    /// `routes`.
    pub routes: Vec<Routed<'n, Route>>,
    /// `policies`.
    pub policies: Vec<Item<'n, Policy>>,
    /// `route_overrides`.
    pub overrides: Vec<Routed<'n, Override>>,
}

/// A route or an override, and the policies that stand in it.
#[derive(Debug)]
pub struct Routed<'n, T> {
    /// What was written, without the policies.
    pub item: Item<'n, T>,
    /// `policies`.
    pub policies: Vec<Item<'n, Policy>>,
}

impl<'n> Whole<'n> {
    /// Reads the document; what can't be read is noted and left out.
    pub(crate) fn read(root: &'n Node, findings: &Findings) -> Self {
        let services = match root.get("services") {
            Some(Node { value: Value::Map(entries), .. }) => entries
                .iter()
                .filter_map(|(key, node)| Some((key.name.clone(), item(node, findings)?)))
                .collect(),
            other => {
                wrong_shape(other, "a mapping from names to services", findings);
                Vec::new()
            }
        };
        Self {
            root,
            top: decode(root, &[], findings).unwrap_or_default(),
            services,
            routes: routed(root.get("routes"), "a list of routes", findings),
            policies: policies(root.get("policies"), findings),
            overrides: routed(root.get("route_overrides"), "a list of overrides", findings),
        }
    }
}

fn item<'n, T: DeserializeOwned>(node: &'n Node, findings: &Findings) -> Option<Item<'n, T>> {
    Some(Item { value: decode(node, &[], findings)?, node })
}

fn routed<'n, T: DeserializeOwned>(
    list: Option<&'n Node>,
    wanted: &str,
    findings: &Findings,
) -> Vec<Routed<'n, T>> {
    members(list, wanted, findings)
        .iter()
        .filter_map(|node| {
            let policies = policies(node.get("policies"), findings);
            Some(Routed { item: item(node, findings)?, policies })
        })
        .collect()
}

/// The members of a list that is read member by member.
pub(super) fn members<'n>(list: Option<&'n Node>, wanted: &str, findings: &Findings) -> &'n [Node] {
    match list {
        Some(Node { value: Value::List(items), .. }) => items,
        other => {
            wrong_shape(other, wanted, findings);
            &[]
        }
    }
}

/// A key without value is noted where its mapping is decoded.
fn wrong_shape(node: Option<&Node>, wanted: &str, findings: &Findings) {
    if let Some(node) = node.filter(|node| node.value != Value::Null) {
        let message = format!("expected {wanted}, found {}", node.kind());
        findings.unreadable(node.span, Problem::error(node.span, message));
    }
}

/// The keys at the top of `tollgate.yaml`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Document {
    /// The public host of the gateway: used in challenges and links; with `enforce_domain`, the only one served.
    pub public_domain: Option<String>,
    /// Answer requests for any other host than `public_domain` with 421.
    pub enforce_domain: bool,
    /// Files or globs, relative to this file, whose routes, policies, overrides and services are added.
    pub include: Vec<String>,
    /// Where to listen (native host). `tollgate run --listen` replaces them.
    pub listeners: Vec<Listener>,
    /// What clients are told of encryption.
    pub https: Https,
    /// Where certificates are ordered for listeners (native host; ACME).
    pub acme: Option<Acme>,
    /// The admin listener (native host): health, metrics. None unless written.
    pub admin: Option<Admin>,
    /// Networks (CIDR) of proxies in front, whose `X-Forwarded-*`, `Forwarded` and `X-Request-Id` are believed.
    pub trusted_proxies: Vec<String>,
    /// Bounds on requests.
    pub limits: Limits,
    /// Where counters live.
    pub store: Store,
    /// Access log and metrics.
    pub telemetry: Telemetry,
    /// Who may have single requests explained while serving. Nobody unless written.
    pub explain: Option<Explain>,
    /// Signed tokens by which services are told who makes a request. None unless written.
    pub identity_token: Option<IdentityToken>,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            public_domain: None,
            enforce_domain: false,
            include: Vec::new(),
            listeners: vec![Listener::at("127.0.0.1:8080")],
            https: Https::default(),
            acme: None,
            admin: None,
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            store: Store::default(),
            telemetry: Telemetry::default(),
            explain: None,
            identity_token: None,
        }
    }
}

/// The admin listener.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Admin {
    /// Address and port; loopback unless said otherwise.
    pub address: String,
    /// Asked for as a bearer token, except for health. An empty one counts as missing.
    pub token: Option<String>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { address: "127.0.0.1:9901".to_owned(), token: None }
    }
}

/// Explanations of requests while serving: a request with a pass in `X-Tollgate-Explain` is answered with its
/// decision trail in `X-Tollgate-Trail`. `tollgate pass` makes passes.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Explain {
    /// Signs passes; at least 32 bytes. An empty one counts as missing, and then nobody may.
    pub secret: Option<String>,
}

/// Access log and metrics.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Telemetry {
    /// One line a request; `null` turns it off.
    pub access_log: Option<AccessLog>,
    /// Serve Prometheus metrics on the admin listener.
    pub prometheus: bool,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { access_log: Some(AccessLog::default()), prometheus: true }
    }
}

/// Where and how requests are logged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AccessLog {
    /// `Json` or `Text`.
    pub format: LogFormat,
    /// A file, or `-` for standard output.
    pub path: String,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self { format: LogFormat::Json, path: "-".to_owned() }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For reading.
    Text,
}

/// Which requests go where.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Route {
    /// Literal segments, `{name}` for one segment, a final `*` for the prefix itself and all below it.
    pub path: String,
    /// Hosts served: exact, or `*.example.com` for any name below. All when absent.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Methods served; `GET` includes `HEAD`. All when absent.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Header values that must be there; `"*"` means present with any value.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Query parameters that must be there; `"*"` means present with any value.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// The service that answers.
    pub target_service: String,
    /// Removed from the front of the path before it is sent on.
    #[serde(default)]
    pub strip_prefix: Option<String>,
    /// The path sent on, in which `{name}` and a final `*` stand for what the pattern matched.
    #[serde(default)]
    pub rewrite: Option<String>,
    /// For people; shown by explain and the admin API.
    #[serde(default)]
    pub description: Option<String>,
    /// Milliseconds until the response's head must be there.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Keep the client's `Host` instead of naming the endpoint.
    #[serde(default)]
    pub preserve_host: bool,
    /// Don't pass the credentials that Tollgate has checked on to the service.
    #[serde(default)]
    pub hide_credentials: bool,
    /// `keep`: allow `%2F`, `%5C` in the path and pass them on. Otherwise they are answered 400.
    #[serde(default)]
    pub encoded_slash: EncodedSlash,
    /// Compress responses (the policy named `compression`).
    #[serde(default)]
    pub enable_compression: Option<bool>,
}

/// What to do with encoded separators in a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EncodedSlash {
    /// Answer 400.
    #[default]
    Reject,
    /// Leave them as they are.
    Keep,
}

/// What is different on some paths.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Override {
    /// The paths, written as in routes.
    pub path: String,
    /// The methods; all when absent.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Milliseconds until the response's head must be there.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Compress responses (the policy named `compression`).
    #[serde(default)]
    pub enable_compression: Option<bool>,
    /// For people; shown by explain and the admin API.
    #[serde(default)]
    pub description: Option<String>,
}

/// A text, or a list of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub enum OneOrMany {
    /// None.
    #[default]
    #[cfg_attr(feature = "schema", schemars(skip))]
    None,
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// As a list.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<OneOrMany, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(access)).map(OneOrMany::Many)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
