//! Listeners compiled: that each can be listened on, that what is spoken there is possible, and where bytes go.

use std::sync::Arc;

use super::{Bench, listener_tls::listener_tls};
use crate::{
    config::{
        Host,
        document::{HttpProtocol, Listener as Written, Tcp, Whole},
        node::{Node, Span},
        problem::Problem,
        services::Services,
    },
    listener::{Address, Forward, Listener, ServedHosts, Speaks},
    route::{HostPattern, Hosts},
    upstream::Service,
};

/// How long a forwarded connection may be silent, unless the configuration says otherwise.
const IDLE_MS: u64 = 3_600_000;

/// All listeners; those with mistakes, which are noted, are left out.
pub(super) fn listeners(whole: &Whole<'_>, services: &mut Services, bench: &Bench<'_>) -> Vec<Arc<Listener>> {
    bench.not_empty(whole.root, "listeners");
    let mut taken = Vec::new();
    if let (Some(admin), Some(node)) = (&whole.top.admin, whole.root.get("admin")) {
        let node = node.get("address").unwrap_or(node);
        if let Some(address) = Address::parse(&admin.address) {
            taken.push((address, node.span));
        }
    }
    let written = whole.root.members("listeners", &whole.top.listeners);
    written
        .filter_map(|(written, node)| {
            listener(written, node, &mut taken, whole, services, bench).map(Arc::new)
        })
        .collect()
}

fn listener(
    written: &Written,
    node: &Node,
    taken: &mut Vec<(Address, Span)>,
    whole: &Whole<'_>,
    services: &mut Services,
    bench: &Bench<'_>,
) -> Option<Listener> {
    let address = address(&written.address, node.get("address").unwrap_or(node), taken, bench);
    let hosts = super::route::hosts(node, &written.hosts, bench);
    let tls = listener_tls(written, node, whole, bench).map(Arc::new);
    let speaks = speaks(written, node, bench);
    let proxies = proxies(written, node, bench);
    let forward = written.tcp.as_ref().map(|tcp| forward(tcp, written, node, services, bench));
    Some(Listener {
        address: address?,
        tls,
        speaks: speaks?,
        hosts: hosts.map(|hosts| (!hosts.is_empty()).then(|| Arc::new(ServedHosts::new(hosts))))?,
        proxies: proxies?,
        forward: match forward {
            None => None,
            Some(forward) => Some(forward?),
        },
        span: node.span,
    })
}

fn address(text: &str, node: &Node, taken: &mut Vec<(Address, Span)>, bench: &Bench<'_>) -> Option<Address> {
    let Some(address) = Address::parse(text) else {
        bench.note(
            Problem::error(node.span, format!("`{}` is no address to listen on", node.shown()))
                .cure("write an IP address and a port, such as `127.0.0.1:8080` or `[::]:8080`, `unix:` and a path, or `systemd:` and a socket's name"),
        );
        return None;
    };
    // Port 0 is a fresh one each time.
    let is_fresh = matches!(&address, Address::Ip(at) if at.port() == 0);
    if let Some((_, first)) = taken.iter().find(|(other, _)| *other == address && !is_fresh) {
        let problem = Problem::error(node.span, format!("`{}` is listened on already", node.shown()));
        bench.note(problem.related(*first, "by this"));
    }
    taken.push((address.clone(), node.span));
    Some(address)
}

fn speaks(written: &Written, node: &Node, bench: &Bench<'_>) -> Option<Speaks> {
    bench.not_empty(node, "protocols");
    let all = &written.protocols;
    if all.is_empty() {
        return Some(Speaks::default());
    }
    Some(Speaks { http1: all.contains(&HttpProtocol::Http1), http2: all.contains(&HttpProtocol::Http2) })
}

/// `Some(None)` where connections begin with what clients send themselves.
#[expect(clippy::option_option, reason = "a mistake is not the same as nothing")]
fn proxies(written: &Written, node: &Node, bench: &Bench<'_>) -> Option<Option<Vec<ipnet::IpNet>>> {
    let Some(proxy) = &written.proxy_protocol else { return Some(None) };
    let node = node.get("proxy_protocol").unwrap_or(node);
    if proxy.from.is_empty() {
        bench.note(
            Problem::error(
                node.span_of("from"),
                "`from` names no proxy, so every connection would be closed",
            )
            .cure("name the networks of the proxies, such as `[\"10.0.0.0/8\"]`"),
        );
        return None;
    }
    let networks: Vec<_> =
        node.members("from", &proxy.from).filter_map(|(text, node)| bench.network(text, node)).collect();
    (networks.len() == proxy.from.len()).then_some(Some(networks))
}

fn forward(
    tcp: &Tcp,
    written: &Written,
    listener: &Node,
    services: &mut Services,
    bench: &Bench<'_>,
) -> Option<Forward> {
    let node = listener.get("tcp").unwrap_or(listener);
    for (key, is_there) in
        [("hosts", !written.hosts.is_empty()), ("protocols", !written.protocols.is_empty())]
    {
        if is_there {
            bench.note(
                Problem::error(
                    listener.span_of(key),
                    format!("`{key}` is about requests, and this listener forwards bytes"),
                )
                .cure("leave it out, or leave `tcp` out"),
            );
        }
    }
    if tcp.target_service.is_none() && tcp.server_names.is_empty() {
        bench.miss(
            Problem::error(node.span, "it is not said where bytes go")
                .cure("name a `target_service`, or services by `server_names`"),
        );
        return None;
    }
    if written.tls.is_some() && !tcp.server_names.is_empty() {
        bench.note(
            Problem::error(
                node.span_of("server_names"),
                "TLS can't both end here and be passed on by its name",
            )
            .cure("leave `tls` out to pass it on, or name one `target_service`"),
        );
        return None;
    }
    if tcp.idle_timeout_ms == Some(0) {
        bench.note(Problem::error(node.span_of("idle_timeout_ms"), "`idle_timeout_ms` must be at least 1"));
    }
    let otherwise = tcp
        .target_service
        .as_ref()
        .map(|name| byte_service(name, node.get("target_service").unwrap_or(node), services, bench));
    let names = node.get("server_names").unwrap_or(node);
    let mut by_name = Vec::new();
    for (pattern, name) in &tcp.server_names {
        let (at, value) = names.entry(pattern).map_or((names.span, names), |(key, value)| (key.span, value));
        let service = byte_service(name, value, services, bench);
        match HostPattern::parse(pattern) {
            Some(pattern) => by_name.extend(service.map(|service| (pattern, service))),
            None => bench.note(
                Problem::error(at, format!("`{pattern}` is no name of a server"))
                    .cure("write a name, such as `db.example.com` or `*.example.com`"),
            ),
        }
    }
    (by_name.len() == tcp.server_names.len()).then_some(())?;
    Some(Forward {
        by_name: (!by_name.is_empty()).then(|| Hosts::new(by_name)),
        otherwise: match otherwise {
            None => None,
            Some(service) => Some(service?),
        },
        header: tcp.send_proxy_protocol,
        idle_ms: tcp.idle_timeout_ms.unwrap_or(IDLE_MS),
    })
}

/// A service to which bytes may go: all its endpoints are `tcp:`.
fn byte_service(name: &str, node: &Node, services: &mut Services, bench: &Bench<'_>) -> Option<Arc<Service>> {
    if !services.declares(name) {
        bench.miss(
            Problem::error(node.span, format!("the service `{}` is not declared", node.shown()))
                .cure("declare it, with endpoints such as `tcp://127.0.0.1:5432`"),
        );
        return None;
    }
    let service = services.named(node, name, Host::Native, bench.findings)?;
    if service.endpoints.iter().all(|endpoint| endpoint.is_raw) {
        return Some(service);
    }
    bench.note(
        Problem::error(
            node.span,
            format!("bytes can't be forwarded to `{}`: its endpoints are for requests", node.shown()),
        )
        .related(service.span, "the service")
        .cure("write its endpoints as `tcp://host:port`"),
    );
    None
}
