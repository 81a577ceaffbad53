//! A route compiled: what it matches, and where its requests go.

use http::{HeaderName, Method};

use super::Bench;
use crate::{
    config::{
        Host,
        document::{EncodedSlash, Item, Route as WrittenRoute, Routed},
        node::Node,
        places::Places,
        problem::Problem,
        services::Services,
    },
    path::NormalPath,
    pattern::{Pattern, Segment},
    route::{Fields, HostPattern, Methods, Route, Wanted},
    transform::rewrite::Target,
};

/// A route, or none where mistakes were noted.
pub(super) fn route(
    written: &Routed<'_, WrittenRoute>,
    services: &mut Services,
    bench: &Bench<'_>,
) -> Option<Route> {
    let Item { value, node } = &written.item;
    let target_node = node.get("target_service").unwrap_or(node);
    let service = services.named(target_node, &value.target_service, bench.host, bench.findings);
    if let Some(service) = service.as_ref().filter(|service| service.endpoints.iter().any(|one| one.is_raw)) {
        bench.note(
            Problem::error(target_node.span, format!("requests can't be sent to `{}`", target_node.shown()))
                .related(service.span, "its endpoints are for bytes: they are `tcp:`")
                .cure(
                    "write its endpoints as `http://host:port`, or forward to it from a listener with `tcp`",
                ),
        );
    }
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

pub(super) fn check_timeout(node: &Node, timeout: Option<u64>, bench: &Bench<'_>) {
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
/// Methods; all of them where none are written.
pub(super) fn methods(node: &Node, written: &[String], bench: &Bench<'_>) -> Option<Option<Methods>> {
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
pub(super) fn method(node: &Node, text: &str, bench: &Bench<'_>) -> Option<Method> {
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

/// Hosts; all of them where none are written.
pub(super) fn hosts(node: &Node, written: &[String], bench: &Bench<'_>) -> Option<Vec<HostPattern>> {
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
