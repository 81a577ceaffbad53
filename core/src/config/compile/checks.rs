//! What must hold of the configuration as a whole: that it serves something, that its store and its limits are possible, that nothing answers where something else does.

use super::{Bench, host_of};
use crate::{
    config::{
        document::{Item, Routed, StoreType, Whole},
        node::Node,
        problem::Problem,
    },
    gateway::Door,
};

pub(super) fn top(whole: &Whole<'_>, bench: &Bench<'_>) {
    let top = &whole.top;
    if whole.root.get("routes").is_none_or(|node| node.items().is_empty()) {
        bench.miss(
            Problem::error(whole.root.span_of("routes"), "there are no `routes`, so nothing would be served")
                .cure("add one: `routes: [{path: \"/*\", target_service: my-service}]`"),
        );
    }
    if let Some(log) = whole.root.get("telemetry").and_then(|telemetry| telemetry.get("access_log")) {
        bench.not_blank(log, &["path"]);
    }
    if let (Some(admin), Some(node)) = (&top.admin, whole.root.get("admin")) {
        check_admin_address(&admin.address, node.get("address").unwrap_or(node), bench);
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
        ("limits", "handshake_timeout_ms", limits.handshake_timeout_ms),
        ("limits", "idle_timeout_ms", limits.idle_timeout_ms),
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

fn check_admin_address(address: &str, node: &Node, bench: &Bench<'_>) {
    if address.parse::<std::net::SocketAddr>().is_err() {
        bench.note(
            Problem::error(node.span, format!("`{}` is no address to listen on", node.shown()))
                .cure("write an IP address and a port, such as `127.0.0.1:9901` or `[::1]:9901`"),
        );
    }
}

pub(super) fn domain(whole: &Whole<'_>, bench: &Bench<'_>) {
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
pub(super) fn doors(whole: &Whole<'_>, doors: &[Door], bench: &Bench<'_>) {
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
