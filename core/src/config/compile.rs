//! From the document to the gateway: meaning given, relations checked, everything derivable computed.
//!
//! Works through to the end whatever it finds, so that all mistakes come to light at once.

mod acme;
mod chain;
mod checks;
mod https;
mod identity_token;
mod kinds;
mod link;
mod listener;
mod listener_tls;
mod route;
mod told;

use std::{cell::Cell, net::IpAddr, sync::Arc};

use ipnet::IpNet;

use self::{chain::Chains, kinds::Kinds};
use super::{
    Files, Host,
    document::Whole,
    findings::Findings,
    node::{Node, Span, Value},
    places::Places,
    problem::{Problem, SourceFile},
    services::Services,
};
use crate::{
    failures::Failures,
    gateway::{Gateway, Settings},
    identity::{X_USER_ID, X_USER_ROLES},
    overload::Overload,
    pattern::Pattern,
    route::{OverrideOn, Route, normalised_host},
    trail::Guard,
    transform::{forwarded::Trusted, trailers::Trailers},
};

/// What compiling needs besides the document.
struct Bench<'b> {
    files: &'b dyn Files,
    sources: &'b [SourceFile],
    /// Whether every file could be read.
    complete: bool,
    host: Host,
    findings: &'b Findings,
    /// Whether there are expressions.
    expressions: Cell<bool>,
    /// Whether any listener asks clients for certificates.
    client_auth: bool,
}

impl Bench<'_> {
    fn note(&self, problem: Problem) {
        self.findings.push(problem);
    }

    /// Notes that something is nowhere to be found, unless it may be in a file that could not be read.
    fn miss(&self, problem: Problem) {
        if self.complete {
            self.note(problem);
        }
    }

    /// A network, or a single address.
    fn network(&self, text: &str, node: &Node) -> Option<IpNet> {
        let network = text.parse().or_else(|_| text.parse().map(|address: IpAddr| address.into())).ok();
        if network.is_none() {
            self.note(
                Problem::error(node.span, format!("`{}` is no network", node.shown()))
                    .cure("write it as `10.0.0.0/8`, or a single address"),
            );
        }
        network
    }

    /// Notes a list that says nothing where leaving it out would say "all".
    fn not_empty(&self, node: &Node, key: &str) {
        if let Some(list) = node.get(key)
            && matches!(&list.value, Value::List(items) if items.is_empty())
        {
            let problem = Problem::error(list.span, format!("`{key}` is empty"));
            self.note(problem.cure("name at least one, or leave the key out"));
        }
    }

    /// Notes a text that is empty, as the value of a variable may be, where that could mean nothing good.
    fn not_blank(&self, node: &Node, keys: &[&str]) {
        for key in keys {
            if let Some(value) = node.get(key).filter(|value| value.text() == Some("")) {
                self.note(
                    Problem::error(value.span, format!("`{key}` is empty"))
                        .cure("give it a value, or leave the key out"),
                );
            }
        }
    }

    /// A file's name relative to the file in which it is written at `span`.
    fn beside(&self, span: Span, name: &str) -> String {
        let file = self.sources.get(span.file).map_or("", |source| source.name.as_str());
        super::beside(file, name)
    }

    fn pattern(&self, node: &Node, text: &str) -> Option<Pattern> {
        match Pattern::parse(text) {
            Ok(pattern) => Some(pattern),
            Err(_) if node.is_filled() => {
                self.note(Problem::error(
                    node.span,
                    format!("`{}` is no path once it is filled in", node.shown()),
                ));
                None
            }
            Err(error) => {
                self.note(Problem::error(node.span, format!("`{text}` is no path: {error}")));
                None
            }
        }
    }
}

pub(super) fn compile(
    whole: &Whole<'_>,
    files: &dyn Files,
    sources: &[SourceFile],
    complete: bool,
    host: Host,
    findings: &Findings,
) -> Option<Gateway> {
    let client_auth = listener_tls::asks_clients(whole);
    let bench =
        Bench { files, sources, complete, host, findings, expressions: Cell::new(false), client_auth };
    let folder = |span: Span, name: &str| bench.beside(span, name);
    let mut services = Services::compile(whole, complete, &folder, files, host, findings);
    let mut kinds = Kinds { public_domain: whole.top.public_domain.clone(), ..Kinds::default() };
    checks::top(whole, &bench);
    let listeners = listener::listeners(whole, &mut services, &bench);
    let https = https::https(whole, &bench);
    let acme = acme::acme(whole, &bench);
    let identity_token = identity_token::identity_token(whole, &bench);

    // A route or override that can't be read keeps its place, so that indices stay those of the lists.
    let routes: Vec<Option<Route>> =
        whole.routes.iter().map(|written| route::route(written, &mut services, &bench)).collect();
    identity_token::check_routes(whole, &routes, &bench);
    let overrides: Vec<Option<OverrideOn>> = whole
        .overrides
        .iter()
        .map(|written| {
            let node = written.item.node;
            let pattern = bench.pattern(node.get("path").unwrap_or(node), &written.item.value.path);
            let methods = route::methods(node, &written.item.value.methods, &bench);
            Some(OverrideOn { pattern: pattern?, methods: methods? })
        })
        .collect();
    let chains = Chains::compile(whole, &mut services, &mut kinds, &bench);
    let router = link::link(whole, routes, overrides, &chains, &bench);
    checks::domain(whole, &bench);
    checks::doors(whole, &kinds.doors, &bench);

    let mut identity_headers = vec![X_USER_ID, X_USER_ROLES];
    identity_headers.extend(kinds.identity_headers);
    // Clients need `Authorization` for themselves; it is taken off where a token would stand.
    let told_by = identity_token.as_ref().map(|token| token.header.clone());
    identity_headers.extend(told_by.filter(|name| *name != http::header::AUTHORIZATION));
    if let Some(router) = &router {
        told::check_credentials(router, &identity_headers, &bench);
    }
    let mut own_cookies: Vec<String> = kinds.doors.iter().map(|door| door.policy.cookie.clone()).collect();
    own_cookies.sort();
    own_cookies.dedup();
    let top = &whole.top;
    let proxies = whole.root.members("trusted_proxies", &top.trusted_proxies);
    let networks = proxies.filter_map(|(text, node)| bench.network(text, node)).collect();
    let admin = top.admin.clone().map(|mut admin| {
        admin.token = admin.token.filter(|token| !token.is_empty());
        admin
    });
    let rings: Vec<_> = kinds.rings.into_values().collect();
    let every_ring = rings.iter().chain(&kinds.fixed).cloned().collect();
    let token_field = identity_token.as_ref().map(|token| token.header.clone());
    let trailers = Trailers::new(identity_headers.iter().cloned().chain(token_field));
    Some(Gateway {
        router: router?,
        public_domain: top.public_domain.clone(),
        only_host: top.public_domain.as_deref().filter(|_| top.enforce_domain).and_then(host_of),
        trusted: Trusted(networks),
        limits: top.limits.clone(),
        overload: Overload::new(&top.limits.overload),
        failures: Failures::new(top.limits.failed_auth_per_minute),
        https,
        identity_headers,
        trailers,
        certified: kinds.certified,
        has_expressions: bench.expressions.get(),
        identity_token,
        doors: kinds.doors,
        own_cookies,
        rings,
        every_ring,
        guard: guard(whole, &bench),
        files: sources.iter().map(|source| source.name.clone()).collect(),
        place: Span { line: 1, column: 1, length: 1, file: whole.root.span.file },
        places: Places::of(whole.root),
        settings: Settings {
            listeners,
            acme: acme.map(Arc::new),
            admin,
            telemetry: top.telemetry.clone(),
            store: top.store.clone(),
        },
    })
}

fn guard(whole: &Whole<'_>, bench: &Bench<'_>) -> Option<Guard> {
    let secret = whole.top.explain.as_ref()?.secret.as_deref().filter(|secret| !secret.is_empty())?;
    let guard = Guard::new(secret);
    if guard.is_none() {
        let span = whole.root.get("explain").map_or(whole.root.span, |explain| explain.span_of("secret"));
        bench.note(
            Problem::error(span, "this `secret` is too short: it could be guessed")
                .cure("use 32 bytes at least, such as what `openssl rand -hex 32` prints"),
        );
    }
    guard
}

fn host_of(domain: &str) -> Option<String> {
    normalised_host(domain).map(std::borrow::Cow::into_owned)
}
