//! Each policy type compiled from its keys: values parsed, sources found, limits named.

mod any_of;
mod api_key;
mod basic_auth;
mod cel;
mod engine;
mod forward;
mod hmac;
mod jwt_validation;
mod limit;
mod mtls;
mod oauth_introspection;
mod oidc_login;
mod rbac;
mod roles;
mod tokens;

use std::{collections::HashMap, sync::Arc};

use http::HeaderName;

use super::Bench;
use crate::{
    body::Coding,
    config::{
        Host,
        node::Node,
        policy::{self as written, Kind},
        problem::Problem,
        services::Services,
    },
    gateway::Door,
    keys::KeyRing,
    policy::{
        Authentication, Authorizer, Way,
        any_of::AnyOf,
        compression::{Compression, MediaRange},
        limit::Limit,
        ttl::Ttl,
    },
};

/// A compiled policy.
#[derive(Debug, Clone)]
pub(super) enum Compiled {
    Authentication(Arc<Authentication>),
    Limit(Arc<Limit>),
    Authorization(Arc<Authorizer>),
    Ttl(Arc<Ttl>),
    Compression(Arc<Compression>),
}

/// What policies share.
#[derive(Default)]
pub(super) struct Kinds {
    /// One ring an address, however many policies use it.
    pub(super) rings: HashMap<String, Arc<KeyRing>>,
    /// Rings of keys that are never fetched.
    pub(super) fixed: Vec<Arc<KeyRing>>,
    pub(super) identity_headers: Vec<HeaderName>,
    /// The host by which browsers know the gateway, unless a policy says otherwise.
    pub(super) public_domain: Option<String>,
    /// Where policies answer themselves.
    pub(super) doors: Vec<Door>,
    /// Whether any policy looks at client certificates.
    pub(super) certified: bool,
}

impl Kinds {
    pub(super) fn compile(
        &mut self,
        kind: &Kind,
        name: &str,
        id: &str,
        node: &Node,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Compiled> {
        match kind {
            Kind::JwtValidation(_)
            | Kind::ApiKey(_)
            | Kind::BasicAuth(_)
            | Kind::Hmac(_)
            | Kind::Mtls(_)
            | Kind::OAuthIntrospection(_)
            | Kind::OidcLogin(_)
            | Kind::AnyOf(_) => self
                .authentication(kind, name, node, services, bench)
                .map(|policy| Compiled::Authentication(policy.into())),
            Kind::FixedWindow(_)
            | Kind::SlidingWindow(_)
            | Kind::TokenBucket(_)
            | Kind::Concurrency(_)
            | Kind::Budget(_) => {
                limit::limit(kind, name, id, node, bench).map(|policy| Compiled::Limit(policy.into()))
            }
            Kind::Rbac(keys) => self
                .rbac(keys, node, services, bench)
                .map(|policy| Compiled::Authorization(Authorizer::Rbac(policy).into())),
            Kind::Cel(keys) => cel::cel(keys, node, bench)
                .map(|policy| Compiled::Authorization(Authorizer::Cel(policy).into())),
            Kind::Ttl(keys) => ttl(keys, id, node, bench).map(|policy| Compiled::Ttl(policy.into())),
            Kind::Compression(keys) => {
                compression(keys, node, bench).map(|policy| Compiled::Compression(policy.into()))
            }
        }
    }

    fn authentication(
        &mut self,
        kind: &Kind,
        name: &str,
        node: &Node,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Authentication> {
        if !matches!(kind, Kind::AnyOf(_)) {
            return self.way(kind, name, node, services, bench).map(Authentication::By);
        }
        let items = node.get("policies").map_or(&[][..], Node::items);
        if items.is_empty() {
            let span = node.span_of("policies");
            let cure = "name the ways: `policies: [{type: JWT_Validation, …}, {type: ApiKey, …}]`";
            bench.note(Problem::error(span, "`AnyOf` has no `policies` to choose from").cure(cure));
            return None;
        }
        let way = |item: &Node| self.way(&written::way(item, bench.findings)?, name, item, services, bench);
        // All of them are looked at, so that every mistake is told.
        let ways: Vec<Option<Way>> = items.iter().map(way).collect();
        let ways = ways.into_iter().collect::<Option<Vec<_>>>()?;
        any_of::reachable(&ways, items, bench);
        Some(Authentication::AnyOf(AnyOf { ways }))
    }

    /// `None` also for a policy that is no way to prove an identity, which has been said.
    fn way(
        &mut self,
        kind: &Kind,
        name: &str,
        node: &Node,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Way> {
        match kind {
            Kind::JwtValidation(keys) => {
                self.jwt_validation(keys, node, services, bench).map(Way::JwtValidation)
            }
            Kind::ApiKey(keys) => {
                api_key::api_key(keys, node, &mut self.identity_headers, bench).map(Way::ApiKey)
            }
            Kind::BasicAuth(keys) => {
                basic_auth::basic_auth(keys, node, &mut self.identity_headers, bench).map(Way::BasicAuth)
            }
            Kind::Hmac(keys) => hmac::hmac(keys, node, &mut self.identity_headers, bench).map(Way::Hmac),
            Kind::Mtls(keys) => {
                self.certified = true;
                mtls::mtls(keys, node, &mut self.identity_headers, bench).map(Way::Mtls)
            }
            Kind::OAuthIntrospection(keys) => {
                let headers = &mut self.identity_headers;
                oauth_introspection::oauth_introspection(keys, node, services, headers, bench)
                    .map(Way::OAuthIntrospection)
            }
            Kind::OidcLogin(keys) => self.oidc_login(keys, name, node, services, bench).map(Way::OidcLogin),
            _ => None,
        }
    }

    /// What `enable_compression: true` stands for.
    pub(super) fn standard_compression(&self, keys: &written::Compression) -> Compiled {
        let policy = Compression {
            codings: keys.algorithms.iter().filter_map(|name| coding(name)).collect(),
            min_bytes: keys.min_bytes,
            types: keys.content_types.iter().filter_map(|text| MediaRange::parse(text)).collect(),
        };
        Compiled::Compression(policy.into())
    }
}

fn ttl(keys: &written::Ttl, id: &str, node: &Node, bench: &Bench<'_>) -> Option<Ttl> {
    if keys.ttl_seconds == 0 {
        bench.note(Problem::error(node.span_of("ttl_seconds"), "a `ttl_seconds` of 0 would keep nothing"));
    }
    if keys.max_bytes == 0 {
        bench.note(Problem::error(node.span_of("max_bytes"), "a `max_bytes` of 0 would keep nothing"));
    }
    let mut vary_by = Vec::new();
    for (name, node) in node.members("vary_by", &keys.vary_by) {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => vary_by.push(name),
            Err(_) => bench.note(Problem::error(node.span, format!("`{}` is no header name", node.shown()))),
        }
    }
    Some(Ttl {
        id: id.to_owned(),
        ttl_ms: keys.ttl_seconds.saturating_mul(1000),
        shared: keys.shared,
        force: keys.force,
        vary_by,
        max_bytes: keys.max_bytes,
    })
}

fn coding(name: &str) -> Option<Coding> {
    match name {
        "gzip" => Some(Coding::Gzip),
        "br" => Some(Coding::Brotli),
        "zstd" => Some(Coding::Zstd),
        _ => None,
    }
}

fn compression(keys: &written::Compression, node: &Node, bench: &Bench<'_>) -> Option<Compression> {
    let span = node.span_of("algorithms");
    let mut codings = Vec::new();
    bench.not_empty(node, "algorithms");
    bench.not_empty(node, "content_types");
    for (name, node) in node.members("algorithms", &keys.algorithms) {
        match coding(name) {
            Some(coding) => codings.push(coding),
            None => {
                let problem =
                    Problem::error(node.span, format!("the algorithm `{}` can't be used", node.shown()));
                bench.note(problem.cure("known are: br, zstd, gzip"));
            }
        }
    }
    if bench.host == Host::Workers && !codings.is_empty() && !codings.contains(&Coding::Gzip) {
        let problem =
            Problem::error(span, "Workers compress with gzip only, which is not among these algorithms");
        bench.note(problem.cure("add `gzip`"));
    }
    let mut types = Vec::new();
    for (text, node) in node.members("content_types", &keys.content_types) {
        match MediaRange::parse(text) {
            Some(range) => types.push(range),
            None => {
                let problem = Problem::error(node.span, format!("`{}` is no media type", node.shown()));
                bench.note(problem.cure("write `type/subtype` or `type/*`"));
            }
        }
    }
    Some(Compression { codings, min_bytes: keys.min_bytes, types })
}
