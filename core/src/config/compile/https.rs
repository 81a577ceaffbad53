//! `https` compiled: that redirects lead somewhere, and what browsers are told.

use http::HeaderValue;

use super::Bench;
use crate::{
    config::{
        Host,
        document::{Hsts, Whole},
        node::Node,
        problem::Problem,
    },
    https::{Https, Redirect},
};

/// The port of `https:` (RFC 9110 §4.2.2).
const PORT: u16 = 443;

pub(super) fn https(whole: &Whole<'_>, bench: &Bench<'_>) -> Https {
    let written = &whole.top.https;
    let Some(node) = whole.root.get("https") else { return Https::default() };
    if let Some(port) = node.get("port") {
        if written.port == Some(0) {
            bench.note(Problem::error(port.span, "`port` must be at least 1"));
        } else if !written.redirect {
            bench.note(
                Problem::note(port.span, "nothing is redirected, so this `port` has no effect")
                    .cure("add `redirect: true`, or leave it out"),
            );
        }
    }
    if written.redirect && bench.host == Host::Native && !can_come_by_tls(whole) {
        bench.miss(
            Problem::error(
                node.span_of("redirect"),
                "every request would be redirected, over and over: none comes by TLS here",
            )
            .cure(
                "add `tls` to a listener; or where a proxy in front ends TLS, name its network in `trusted_proxies`",
            ),
        );
    }
    Https {
        redirect: written.redirect.then(|| Redirect { port: written.port.filter(|port| *port != PORT) }),
        hsts: written.hsts.as_ref().and_then(hsts),
    }
}

/// Whether anybody ends TLS who is believed. What can't be read may.
fn can_come_by_tls(whole: &Whole<'_>) -> bool {
    let is_there = |key: &str| whole.root.get(key).map_or(&[][..], Node::items);
    let trusts = !is_there("trusted_proxies").is_empty();
    trusts || is_there("listeners").iter().any(|listener| listener.get("tls").is_some())
}

fn hsts(hsts: &Hsts) -> Option<HeaderValue> {
    let below = if hsts.include_subdomains { "; includeSubDomains" } else { "" };
    let preload = if hsts.preload { "; preload" } else { "" };
    HeaderValue::try_from(format!("max-age={}{below}{preload}", hsts.max_age_seconds)).ok()
}
