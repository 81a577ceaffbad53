//! From the document to the gateway: meaning given, relations checked, everything derivable computed.
//!
//! Works through to the end whatever it finds, so that all mistakes come to light at once.

mod chain;
mod kinds;

use std::collections::HashMap;

use http::{HeaderName, Method};

use self::{chain::Chains, kinds::Kinds};
use super::{
    Files, Host,
    decode::Findings,
    document::{EncodedSlash, Item, Route as WrittenRoute, Routed, Whole},
    node::{Node, Span},
    problem::{Problem, SourceFile},
    services::Services,
};
use crate::{
    gateway::{Gateway, Settings},
    identity::{X_USER_ID, X_USER_ROLES},
    pattern::{Pattern, Segment},
    route::{self, Ambiguity, Fields, HostPattern, Methods, OverrideOn, Route, Wanted, normalised_host},
    transform::{forwarded::Trusted, rewrite::Target},
};

/// What compiling needs besides the document.
struct Bench<'b> {
    files: &'b dyn Files,
    sources: &'b [SourceFile],
    host: Host,
    findings: &'b Findings,
}

impl Bench<'_> {
    fn note(&self, problem: Problem) {
        self.findings.push(problem);
    }

    /// A file's name relative to the file in which it is written at `span`.
    fn beside(&self, span: Span, name: &str) -> String {
        let file = self.sources.get(span.file).map_or("", |source| source.name.as_str());
        match file.rsplit_once('/') {
            Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
            _ => name.to_owned(),
        }
    }

    fn pattern(&self, node: &Node, text: &str) -> Option<Pattern> {
        Pattern::parse(text)
            .map_err(|error| self.note(Problem::error(node.span, format!("`{text}` is no path: {error}"))))
            .ok()
    }
}

pub(super) fn compile(
    whole: &Whole<'_>,
    files: &dyn Files,
    sources: &[SourceFile],
    host: Host,
    findings: &Findings,
) -> Option<Gateway> {
    let bench = Bench { files, sources, host, findings };
    let folder = |span: Span, name: &str| bench.beside(span, name);
    let mut services = Services::compile(&whole.services, &folder, files, host, findings);
    let mut kinds = Kinds::default();
    check_top(whole, &bench);

    // A route or override that can't be read keeps its place, so that indices stay those of the lists.
    let routes: Vec<Option<Route>> =
        whole.routes.iter().map(|written| compile_route(written, &mut services, &bench)).collect();
    let overrides: Vec<Option<OverrideOn>> = whole
        .overrides
        .iter()
        .map(|written| {
            let node = written.item.node;
            let pattern = bench.pattern(node.get("path").unwrap_or(node), &written.item.value.path);
            let methods = methods(node, &written.item.value.methods, &bench);
            Some(OverrideOn { pattern: pattern?, methods: methods? })
        })
        .collect();
    let chains = Chains::compile(whole, &mut services, &mut kinds, &bench);
    let router = link(whole, routes, overrides, &chains, &bench);
    check_domain(whole, &bench);

    let mut identity_headers = vec![X_USER_ID, X_USER_ROLES];
    identity_headers.extend(kinds.identity_headers);
    let top = &whole.top;
    let admin = top.admin.clone().map(|mut admin| {
        admin.token = admin.token.filter(|token| !token.is_empty());
        admin
    });
    Some(Gateway {
        router: router?,
        public_domain: top.public_domain.clone(),
        only_host: top.public_domain.as_deref().filter(|_| top.enforce_domain).and_then(host_of),
        trusted: Trusted(networks(whole, &bench)),
        limits: top.limits.clone(),
        identity_headers,
        rings: kinds.rings.into_values().collect(),
        settings: Settings {
            listeners: top.listeners.clone(),
            admin,
            telemetry: top.telemetry.clone(),
            store: top.store.clone(),
        },
    })
}

fn host_of(domain: &str) -> Option<String> {
    normalised_host(domain).map(std::borrow::Cow::into_owned)
}

fn check_top(whole: &Whole<'_>, bench: &Bench<'_>) {
    let top = &whole.top;
    if whole.root.get("routes").is_none_or(|node| node.items().is_empty()) {
        bench.note(
            Problem::error(whole.root.span_of("routes"), "there are no `routes`, so nothing would be served")
                .cure("add one: `routes: [{path: \"/*\", target_service: my-service}]`"),
        );
    }
    for (listener, node) in top.listeners.iter().zip(whole.root.get("listeners").map_or(&[][..], Node::items))
    {
        check_address(&listener.address, node, bench);
    }
    if let (Some(admin), Some(node)) = (&top.admin, whole.root.get("admin")) {
        check_address(&admin.address, node, bench);
        let open = admin.token.as_deref().is_none_or(str::is_empty);
        let loopback = admin.address.parse().is_ok_and(|at: std::net::SocketAddr| at.ip().is_loopback());
        if open && !loopback {
            bench.note(
                Problem::error(node.span, "an admin listener that others can reach needs a `token`")
                    .cure("set `token: \"${ADMIN_TOKEN}\"`, or listen on 127.0.0.1"),
            );
        }
    }
    if bench.host == Host::Native && top.store.r#type == super::document::StoreType::Redis {
        let span = whole.root.get("store").map_or(whole.root.span, |store| store.span_of("type"));
        bench.note(
            Problem::error(span, "the store type `Redis` is not carried out by this version")
                .cure("use `Memory`"),
        );
    }
    for (key, value) in [
        ("header_timeout_ms", top.limits.header_timeout_ms),
        ("max_header_bytes", top.limits.max_header_bytes),
        ("max_target_bytes", top.limits.max_target_bytes),
        ("max_connections", top.limits.max_connections),
    ] {
        if value == 0 {
            let span = whole.root.get("limits").map_or(whole.root.span, |limits| limits.span_of(key));
            bench.note(Problem::error(span, format!("`{key}` must be at least 1")));
        }
    }
}

fn check_address(address: &str, node: &Node, bench: &Bench<'_>) {
    if address.parse::<std::net::SocketAddr>().is_err() {
        bench.note(
            Problem::error(node.span_of("address"), format!("`{address}` is no address to listen on"))
                .cure("write an IP address and a port, such as `127.0.0.1:8080` or `[::]:8080`"),
        );
    }
}

fn check_domain(whole: &Whole<'_>, bench: &Bench<'_>) {
    let span = whole.root.span_of("public_domain");
    match &whole.top.public_domain {
        Some(domain) if host_of(domain).is_none() => {
            bench.note(Problem::error(span, format!("`{domain}` is no host")));
        }
        None if whole.top.enforce_domain => {
            let span = whole.root.span_of("enforce_domain");
            bench.note(Problem::error(span, "`enforce_domain` needs a `public_domain`"));
        }
        _ => {}
    }
}

fn networks(whole: &Whole<'_>, bench: &Bench<'_>) -> Vec<ipnet::IpNet> {
    let nodes = whole.root.get("trusted_proxies").map_or(&[][..], Node::items);
    let mut networks = Vec::new();
    for (text, node) in whole.top.trusted_proxies.iter().zip(nodes) {
        match text.parse().or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into())) {
            Ok(network) => networks.push(network),
            Err(_) => bench.note(
                Problem::error(node.span, format!("`{text}` is no network")).cure("write it as `10.0.0.0/8`"),
            ),
        }
    }
    networks
}

fn compile_route(
    written: &Routed<'_, WrittenRoute>,
    services: &mut Services,
    bench: &Bench<'_>,
) -> Option<Route> {
    let Item { value, node } = &written.item;
    let target_node = node.get("target_service").unwrap_or(node);
    let service = services.named(target_node, &value.target_service, bench.host, bench.findings);
    let methods = methods(node, &value.methods, bench);
    let hosts = hosts(node, &value.hosts, bench);
    let headers = fields(node, "headers", &value.headers, bench);
    let query =
        Fields(value.query.iter().map(|(name, wanted)| (name.clone(), Wanted::new(wanted))).collect());
    check_timeout(node, value.timeout_ms, bench);
    let pattern = bench.pattern(node.get("path").unwrap_or(node), &value.path)?;
    let target = target(written, &pattern, bench);
    Some(Route {
        pattern,
        description: value.description.clone(),
        service: service?,
        hosts: hosts?,
        methods: methods?,
        headers: headers?,
        query,
        target: target?,
        preserve_host: value.preserve_host,
        hide_credentials: value.hide_credentials,
        keeps_encoded_slash: value.encoded_slash == EncodedSlash::Keep,
        span: node.span,
    })
}

fn check_timeout(node: &Node, timeout: Option<u64>, bench: &Bench<'_>) {
    if timeout == Some(0) {
        bench.note(Problem::error(node.span_of("timeout_ms"), "`timeout_ms` must be at least 1"));
    }
}

/// `Some(None)` where all methods are meant.
fn methods(node: &Node, written: &[String], bench: &Bench<'_>) -> Option<Option<Methods>> {
    if written.is_empty() {
        return Some(None);
    }
    let nodes = node.get("methods").map_or(&[][..], Node::items);
    let mut methods = Vec::new();
    for (text, node) in written.iter().zip(nodes) {
        match Method::from_bytes(text.as_bytes()) {
            // Methods are case-sensitive (RFC 9110 §9.1), and `get` is never what was meant.
            Ok(method) if *text == text.to_ascii_uppercase() => methods.push(method),
            _ => bench.note(
                Problem::error(node.span, format!("`{text}` is no method"))
                    .cure(format!("did you mean `{}`?", text.to_ascii_uppercase())),
            ),
        }
    }
    (methods.len() == written.len()).then(|| Some(Methods::new(methods)))
}

fn hosts(node: &Node, written: &[String], bench: &Bench<'_>) -> Option<Vec<HostPattern>> {
    let nodes = node.get("hosts").map_or(&[][..], Node::items);
    let mut hosts = Vec::new();
    for (text, node) in written.iter().zip(nodes) {
        match HostPattern::parse(text) {
            Some(host) => hosts.push(host),
            None => bench.note(
                Problem::error(node.span, format!("`{text}` is no host"))
                    .cure("write a name without port, such as `api.example.com` or `*.example.com`"),
            ),
        }
    }
    (hosts.len() == written.len()).then_some(hosts)
}

fn fields(
    node: &Node,
    key: &str,
    written: &std::collections::BTreeMap<String, String>,
    bench: &Bench<'_>,
) -> Option<Fields> {
    let mut fields = Vec::new();
    for (name, wanted) in written {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => fields.push((name.as_str().to_owned(), Wanted::new(wanted))),
            Err(_) => bench.note(Problem::error(node.span_of(key), format!("`{name}` is no header name"))),
        }
    }
    (fields.len() == written.len()).then_some(Fields(fields))
}

fn target(written: &Routed<'_, WrittenRoute>, pattern: &Pattern, bench: &Bench<'_>) -> Option<Target> {
    let Item { value, node } = &written.item;
    match (&value.strip_prefix, &value.rewrite) {
        (None, None) => Some(Target::Kept),
        (Some(_), Some(_)) => {
            bench.note(
                Problem::error(node.span_of("rewrite"), "`strip_prefix` and `rewrite` exclude each other")
                    .related(node.span_of("strip_prefix"), "the other one is here"),
            );
            None
        }
        (None, Some(template)) => Target::rewritten(template, pattern)
            .map_err(|why| {
                bench.note(Problem::error(
                    node.span_of("rewrite"),
                    format!("`{template}` can't be used: {why}"),
                ))
            })
            .ok(),
        (Some(prefix), None) => {
            let trimmed = prefix.trim_end_matches('/');
            if is_front_of(trimmed, pattern) {
                return Some(Target::Stripped(trimmed.to_owned()));
            }
            bench.note(
                Problem::error(
                    node.span_of("strip_prefix"),
                    format!("`{prefix}` is not the front of `{pattern}`, so it would never be stripped"),
                )
                .cure("write the first segments of `path`; for anything else use `rewrite`"),
            );
            None
        }
    }
}

fn is_front_of(prefix: &str, pattern: &Pattern) -> bool {
    let mut segments = pattern.segments().iter();
    let inside = prefix.strip_prefix('/');
    prefix.is_empty()
        || inside.is_some_and(|inside| {
            inside
                .split('/')
                .all(|part| matches!(segments.next(), Some(Segment::Literal(literal)) if literal == part))
        })
}

/// Routes and chains into the look-up.
fn link(
    whole: &Whole<'_>,
    routes: Vec<Option<Route>>,
    overrides: Vec<Option<OverrideOn>>,
    chains: &Chains<'_>,
    bench: &Bench<'_>,
) -> Option<route::Router> {
    // Beyond this point indices are those of what could be read.
    let (route_at, routes): (Vec<usize>, Vec<Route>) =
        routes.into_iter().enumerate().filter_map(|(at, route)| Some((at, route?))).unzip();
    let (override_at, overrides): (Vec<usize>, Vec<OverrideOn>) =
        overrides.into_iter().enumerate().filter_map(|(at, on)| Some((at, on?))).unzip();
    let original = |list: &[usize], index: usize| list.get(index).copied().unwrap_or(usize::MAX);
    let mut patience = HashMap::new();
    for (index, written) in whole.overrides.iter().enumerate() {
        check_timeout(written.item.node, written.item.value.timeout_ms, bench);
        patience.insert(index, written.item.value.timeout_ms);
    }
    let built = route::build(routes, &overrides, |route, index, pattern, holding| {
        let written = original(&route_at, index);
        let holding: Vec<usize> = holding.iter().map(|index| original(&override_at, *index)).collect();
        let mut plan = chains.plan(written, pattern, &holding, bench);
        let own = whole.routes.get(written).and_then(|route| route.item.value.timeout_ms);
        let timeout = holding.iter().rev().find_map(|index| patience.get(index).copied().flatten()).or(own);
        plan.patience = route.service.patience;
        if let Some(timeout) = timeout {
            plan.patience.head_ms = timeout;
        }
        plan.into()
    });
    let place = |index: usize| {
        let node = whole.routes.get(original(&route_at, index)).map(|written| written.item.node);
        node.map_or(whole.root.span, |node| node.span_of("path"))
    };
    built
        .map_err(|ambiguities| {
            for ambiguity in ambiguities {
                bench.note(match ambiguity {
                    Ambiguity::Routes(first, second) => {
                        let (first, second) = (place(first.min(second)), place(first.max(second)));
                        Problem::error(
                            second,
                            "two routes can match the same request, and neither is more specific",
                        )
                        .related(first, "the other one is here")
                        .cure("make one more specific: by `methods`, `hosts`, `headers` or `query`")
                    }
                    Ambiguity::Refused(pattern) => Problem::error(
                        whole.root.span_of("routes"),
                        format!("`{pattern}` can't be looked up"),
                    ),
                    Ambiguity::Overrides(index) => {
                        let node = whole.overrides.get(original(&override_at, index)).map(|on| on.item.node);
                        let span = node.map_or(whole.root.span, |node| node.span_of("path"));
                        Problem::error(span, "too many overrides may or may not hold for the same requests")
                            .cure("write overrides whose paths contain one another, or fewer with `methods`")
                    }
                });
            }
        })
        .ok()
}
