//! From the document to the gateway: meaning given, relations checked, everything derivable computed.
//!
//! Works through to the end whatever it finds, so that all mistakes come to light at once.

mod chain;
mod identity_token;
mod kinds;
mod link;
mod told;

use std::cell::Cell;

use http::{HeaderName, Method};

use self::{chain::Chains, kinds::Kinds};
use super::{
    Files, Host,
    document::{EncodedSlash, Item, Route as WrittenRoute, Routed, StoreType, Whole},
    findings::Findings,
    node::{Node, Span, Value},
    places::Places,
    problem::{Problem, SourceFile},
    services::Services,
};
use crate::{
    failures::Failures,
    gateway::{Door, Gateway, Settings},
    identity::{X_USER_ID, X_USER_ROLES},
    path::NormalPath,
    pattern::{Pattern, Segment},
    route::{Fields, HostPattern, Methods, OverrideOn, Route, Wanted, normalised_host},
    trail::Guard,
    transform::{forwarded::Trusted, rewrite::Target},
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
    let bench = Bench { files, sources, complete, host, findings, expressions: Cell::new(false) };
    let folder = |span: Span, name: &str| bench.beside(span, name);
    let mut services = Services::compile(whole, complete, &folder, files, host, findings);
    let mut kinds = Kinds { public_domain: whole.top.public_domain.clone(), ..Kinds::default() };
    check_top(whole, &bench);
    let identity_token = identity_token::identity_token(whole, &bench);

    // A route or override that can't be read keeps its place, so that indices stay those of the lists.
    let routes: Vec<Option<Route>> =
        whole.routes.iter().map(|written| compile_route(written, &mut services, &bench)).collect();
    identity_token::check_routes(whole, &routes, &bench);
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
    let router = link::link(whole, routes, overrides, &chains, &bench);
    check_domain(whole, &bench);
    check_doors(whole, &kinds.doors, &bench);

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
    let admin = top.admin.clone().map(|mut admin| {
        admin.token = admin.token.filter(|token| !token.is_empty());
        admin
    });
    let rings: Vec<_> = kinds.rings.into_values().collect();
    let every_ring = rings.iter().chain(&kinds.fixed).cloned().collect();
    Some(Gateway {
        router: router?,
        public_domain: top.public_domain.clone(),
        only_host: top.public_domain.as_deref().filter(|_| top.enforce_domain).and_then(host_of),
        trusted: Trusted(networks(whole, &bench)),
        limits: top.limits.clone(),
        failures: Failures::new(top.limits.failed_auth_per_minute),
        identity_headers,
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
            listeners: top.listeners.clone(),
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

fn check_top(whole: &Whole<'_>, bench: &Bench<'_>) {
    let top = &whole.top;
    if whole.root.get("routes").is_none_or(|node| node.items().is_empty()) {
        bench.miss(
            Problem::error(whole.root.span_of("routes"), "there are no `routes`, so nothing would be served")
                .cure("add one: `routes: [{path: \"/*\", target_service: my-service}]`"),
        );
    }
    bench.not_empty(whole.root, "listeners");
    if let Some(log) = whole.root.get("telemetry").and_then(|telemetry| telemetry.get("access_log")) {
        bench.not_blank(log, &["path"]);
    }
    let mut taken = Vec::new();
    for (listener, node) in whole.root.members("listeners", &top.listeners) {
        check_address(&listener.address, node, &mut taken, bench);
    }
    if let (Some(admin), Some(node)) = (&top.admin, whole.root.get("admin")) {
        check_address(&admin.address, node, &mut taken, bench);
        let open = admin.token.as_deref().is_none_or(str::is_empty);
        // What is no address was just said to be none.
        let reachable = admin.address.parse().is_ok_and(|at: std::net::SocketAddr| !at.ip().is_loopback());
        if open && reachable {
            bench.note(
                Problem::error(node.span, "an admin listener that others can reach needs a `token`")
                    .cure("set `token: \"${ADMIN_TOKEN}\"`, or listen on 127.0.0.1"),
            );
        }
    }
    check_store(whole, bench);
    let (limits, store) = (&top.limits, &top.store);
    for (owner, key, value) in [
        ("limits", "header_timeout_ms", limits.header_timeout_ms),
        ("limits", "max_header_bytes", limits.max_header_bytes),
        ("limits", "max_target_bytes", limits.max_target_bytes),
        ("limits", "max_connections", limits.max_connections),
        ("store", "max_counters", store.max_counters),
    ] {
        if value == 0 {
            let span = whole.root.get(owner).map_or(whole.root.span, |limits| limits.span_of(key));
            bench.note(Problem::error(span, format!("`{key}` must be at least 1")));
        }
    }
}

fn check_store(whole: &Whole<'_>, bench: &Bench<'_>) {
    let (store, Some(node)) = (&whole.top.store, whole.root.get("store")) else { return };
    if store.r#type == StoreType::Memory {
        for key in ["url", "timeout_ms", "prefix", "cluster"] {
            if node.get(key).is_some() {
                bench.note(
                    Problem::error(node.span_of(key), format!("`{key}` is for a store that processes share"))
                        .cure("write `type: Redis` beside it, or leave it out"),
                );
            }
        }
        return;
    }
    // No message repeats a `url`: a password may stand in it.
    match &store.url {
        None => bench.miss(
            Problem::error(node.span_of("type"), "the store type `Redis` needs a `url`")
                .cure("say where it is: `url: \"${REDIS_URL}\"`, such as `redis://127.0.0.1:6379`"),
        ),
        Some(url) => {
            if let Some((what, cure)) = url.fault(store.cluster) {
                bench.note(Problem::error(node.span_of("url"), what).cure(cure));
            }
        }
    }
    if !(1..=10_000).contains(&store.patience_ms()) {
        bench.note(Problem::error(node.span_of("timeout_ms"), "`timeout_ms` must be from 1 to 10000"));
    }
    let prefix = store.key_prefix();
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '{' | '}');
    if prefix.is_empty() || prefix.len() > 64 || !prefix.chars().all(is_plain) {
        bench.note(
            Problem::error(node.span_of("prefix"), "`prefix` must be of 1 to 64 visible ASCII characters")
                .cure("braces are not among them: what stands in braces says which node has a key"),
        );
    }
}

fn check_address(
    address: &str,
    node: &Node,
    taken: &mut Vec<(std::net::SocketAddr, Span)>,
    bench: &Bench<'_>,
) {
    let node = node.get("address").unwrap_or(node);
    match address.parse::<std::net::SocketAddr>() {
        Ok(address) => {
            // Port 0 is a fresh one each time.
            if let Some((_, first)) = taken.iter().find(|(other, _)| *other == address && address.port() != 0)
            {
                let problem = Problem::error(node.span, format!("`{}` is listened on already", node.shown()));
                bench.note(problem.related(*first, "by this"));
            }
            taken.push((address, node.span));
        }
        Err(_) => bench.note(
            Problem::error(node.span, format!("`{}` is no address to listen on", node.shown()))
                .cure("write an IP address and a port, such as `127.0.0.1:8080` or `[::]:8080`"),
        ),
    }
}

fn check_domain(whole: &Whole<'_>, bench: &Bench<'_>) {
    let node = whole.root.get("public_domain").unwrap_or(whole.root);
    match &whole.top.public_domain {
        Some(domain) if host_of(domain).is_none() => {
            bench.note(
                Problem::error(node.span, format!("`{}` is no host", node.shown()))
                    .cure("write a name, such as `api.example.com`"),
            );
        }
        None if whole.top.enforce_domain && whole.root.get("public_domain").is_none() => {
            let span = whole.root.span_of("enforce_domain");
            bench.miss(
                Problem::error(span, "`enforce_domain` needs a `public_domain`")
                    .cure("say which: `public_domain: api.example.com`"),
            );
        }
        _ => {}
    }
}

/// Notes routes that are never asked because a login answers at their path itself.
fn check_doors(whole: &Whole<'_>, doors: &[Door], bench: &Bench<'_>) {
    let published = whole.top.identity_token.as_ref().and_then(|token| token.publish_at.as_ref());
    let is_published = |door: &&Door| {
        published.is_some_and(|path| [&door.policy.callback_path, &door.policy.logout_path].contains(&path))
    };
    if let Some(door) = doors.iter().find(is_published) {
        let node = whole.root.get("identity_token").unwrap_or(whole.root);
        let problem = Problem::error(node.span_of("publish_at"), "a login answers at this path itself");
        let cure = "give the login a `callback_path` and a `logout_path` of its own";
        bench.note(problem.related(door.span, "the login is here").cure(cure));
    }
    for Routed { item: Item { value, node }, .. } in &whole.routes {
        let path = value.path.as_str();
        let is_at = |door: &&Door| {
            let own = [&door.policy.callback_path, &door.policy.logout_path];
            own.contains(&&value.path)
                && (value.hosts.is_empty() || value.hosts.iter().any(|host| *host == door.policy.host))
        };
        if let Some(door) = doors.iter().find(is_at) {
            let message =
                format!("on `{}`, the login `{}` answers at `{path}` itself", door.policy.host, door.name);
            let problem =
                Problem::error(node.span_of("path"), message).related(door.span, "the login is here");
            bench.note(problem.cure("give the login a `callback_path` and a `logout_path` of its own"));
        }
    }
}

fn networks(whole: &Whole<'_>, bench: &Bench<'_>) -> Vec<ipnet::IpNet> {
    let mut networks = Vec::new();
    for (text, node) in whole.root.members("trusted_proxies", &whole.top.trusted_proxies) {
        match text.parse().or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into())) {
            Ok(network) => networks.push(network),
            Err(_) => bench.note(
                Problem::error(node.span, format!("`{}` is no network", node.shown()))
                    .cure("write it as `10.0.0.0/8`, or a single address"),
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
        preserve_host: preserves_host(node, value.preserve_host, bench),
        hide_credentials: value.hide_credentials,
        keeps_encoded_slash: value.encoded_slash == EncodedSlash::Keep,
        span: node.span,
        places: Places::of(node),
    })
}

fn check_timeout(node: &Node, timeout: Option<u64>, bench: &Bench<'_>) {
    if timeout == Some(0) {
        bench.note(Problem::error(node.span_of("timeout_ms"), "`timeout_ms` must be at least 1"));
    }
}

fn preserves_host(node: &Node, wanted: bool, bench: &Bench<'_>) -> bool {
    if wanted && bench.host == Host::Workers {
        bench.note(
            Problem::error(node.span_of("preserve_host"), "Workers name the endpoint in `Host`, always")
                .cure("leave the key out; the service finds the client's host in `X-Forwarded-Host`"),
        );
    }
    wanted
}

/// `Some(None)` where all methods are meant.
fn methods(node: &Node, written: &[String], bench: &Bench<'_>) -> Option<Option<Methods>> {
    bench.not_empty(node, "methods");
    if written.is_empty() {
        return Some(None);
    }
    let mut methods = Vec::new();
    for (text, node) in node.members("methods", written) {
        methods.extend(method(node, text, bench));
    }
    (methods.len() == written.len()).then(|| Some(Methods::new(methods)))
}

/// The method in `text`, which stands at `node`.
fn method(node: &Node, text: &str, bench: &Bench<'_>) -> Option<Method> {
    let upper = text.to_ascii_uppercase();
    let is_capital = text == upper && text.starts_with(|c: char| c.is_ascii_uppercase());
    let method = Method::from_bytes(text.as_bytes());
    // Methods are case-sensitive (RFC 9110 §9.1), and `get` is never what was meant.
    if is_capital && let Ok(method) = method {
        return Some(method);
    }
    bench.note(if method.is_ok() && text != upper && !node.is_filled() {
        Problem::error(node.span, format!("`{text}` is no method")).cure(format!("did you mean `{upper}`?"))
    } else {
        let shown = if node.is_filled() { node.shown() } else { text };
        Problem::error(node.span, format!("`{shown}` is no method"))
            .cure("write one in capitals, such as `GET`")
    });
    None
}

fn hosts(node: &Node, written: &[String], bench: &Bench<'_>) -> Option<Vec<HostPattern>> {
    bench.not_empty(node, "hosts");
    let mut hosts = Vec::new();
    for (text, node) in node.members("hosts", written) {
        match HostPattern::parse(text) {
            Some(host) => hosts.push(host),
            None => bench.note(
                Problem::error(node.span, format!("`{}` is no host", node.shown()))
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
    let mut fields: Vec<(String, Wanted)> = Vec::new();
    let map = node.get(key).unwrap_or(node);
    for (name, wanted) in written {
        let span = map.entry(name).map_or(map.span, |(key, _)| key.span);
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) if fields.iter().any(|(other, _)| other == name.as_str()) => {
                bench.note(Problem::error(span, format!("the header `{name}` stands here twice")));
            }
            Ok(name) => fields.push((name.as_str().to_owned(), Wanted::new(wanted))),
            Err(_) => bench.note(Problem::error(span, format!("`{name}` is no header name"))),
        }
    }
    (fields.len() == written.len()).then_some(Fields(fields))
}

fn target(written: &Routed<'_, WrittenRoute>, pattern: &Pattern, bench: &Bench<'_>) -> Option<Target> {
    let Item { value, node } = &written.item;
    let at = |key: &str| node.get(key).unwrap_or(node);
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
            .and_then(|target| not_sendable(template).map_or(Ok(target), |why| Err(why.to_owned())))
            .map_err(|why| {
                let node = at("rewrite");
                // The reason quotes the text.
                let why = if node.is_filled() { "it does not fit the `path`" } else { &why };
                bench.note(Problem::error(node.span, format!("`{}` can't be used: {why}", node.shown())));
            })
            .ok(),
        (Some(prefix), None) => {
            let trimmed = prefix.trim_end_matches('/');
            if is_front_of(trimmed, pattern) {
                return Some(Target::Stripped(trimmed.to_owned()));
            }
            let (path, node) = (at("path"), at("strip_prefix"));
            bench.note(
                Problem::error(
                    node.span,
                    format!(
                        "`{}` is not the front of `{}`, so it would never be stripped",
                        node.shown(),
                        path.shown()
                    ),
                )
                .cure(match prefix.contains('{') {
                    true => "only literal segments can be stripped; use `rewrite`",
                    false => "write the first segments of `path`; for anything else use `rewrite`",
                }),
            );
            None
        }
    }
}

/// Why what `rewrite` makes is no path that can be sent, whatever its parameters are.
fn not_sendable(template: &str) -> Option<&'static str> {
    let mut pieces = template.strip_suffix("/*").unwrap_or(template).split('{');
    let mut probe = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // Any segment will do for a parameter.
        probe.push('x');
        probe.push_str(piece.split_once('}').map_or(piece, |(_, after)| after));
    }
    if probe.is_empty() {
        probe.push('/');
    }
    if probe.contains('?') {
        Some("a query can't be rewritten")
    } else if probe.contains('*') {
        Some("`*` may only be the last segment")
    } else if NormalPath::new(&probe).is_ok_and(|normal| normal.text == probe) {
        None
    } else {
        Some("it is not normalised: resolve dots, merge slashes, percent-encode what can't stand in a path")
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
