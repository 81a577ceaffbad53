//! How clients are spoken to: in plain text where they show credentials, or told what no browser keeps to.

use super::{rule::Rule, subject::Subject};
use crate::{
    config::{
        Host,
        node::{Node, Span},
        problem::{Problem, Severity},
    },
    listener::Address,
};

/// What lists that browsers come with ask for (hstspreload.org).
const PRELOADED_SECONDS: u64 = 31_536_000;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "plain-text-clients",
        level: Severity::Hint,
        what: "a listener without TLS that other machines can reach, while policies ask for credentials and no proxy \
               in front is trusted",
        why: "Whoever sees the traffic between clients and gateway can read keys, passwords and tokens, and use them. \
              Behind a proxy that ends TLS, its network belongs in `trusted_proxies`.",
        cure: "add `tls` to the listener, and `https: {redirect: true}` where it has to stay",
        check: plain,
    },
    Rule {
        id: "redirect-in-vain",
        level: Severity::Hint,
        what: "`https.redirect` where every listener ends TLS and no proxy in front is trusted",
        why: "Nobody can come without TLS, so nobody is ever redirected: who types the address into a browser finds \
              nothing on port 80.",
        cure: "add a listener without `tls`, such as `{address: \"0.0.0.0:80\"}`",
        check: redirect,
    },
    Rule {
        id: "hsts-not-preloaded",
        level: Severity::Warning,
        what: "`https.hsts.preload` without `include_subdomains` or with less than a year",
        why: "The lists that browsers come with take nobody who does not say both, so it says something that does not \
              come about.",
        cure: "add `include_subdomains: true` and leave `max_age_seconds` out, or leave `preload` out",
        check: preload,
    },
];

/// Listeners that are written, with their nodes and whether TLS ends there.
fn listeners<'s>(subject: &'s Subject<'_>) -> impl Iterator<Item = (&'s str, &'s Node, bool)> {
    let whole = subject.whole;
    whole
        .root
        .members("listeners", &whole.top.listeners)
        .map(|(one, node)| (one.address.as_str(), node, one.tls.is_some()))
}

fn trusts_proxies(subject: &Subject<'_>) -> bool {
    !subject.whole.top.trusted_proxies.is_empty()
}

fn plain(subject: &Subject<'_>) -> Vec<Problem> {
    let asks = |(_, holdings): (_, &[crate::route::Holding<'_>])| {
        holdings.iter().any(|holding| holding.plan.authentication.is_some())
    };
    if subject.host == Host::Workers || trusts_proxies(subject) || !subject.routes().any(asks) {
        return Vec::new();
    }
    let is_open = |address: &str| Address::parse(address).is_some_and(|address| !address.is_local());
    // All requests that come there are sent on, before anything is looked at.
    let redirects = subject.whole.top.https.redirect;
    listeners(subject)
        .filter(|(address, node, tls)| !tls && !redirects && node.get("tcp").is_none() && is_open(address))
        .map(|(_, node, _)| {
            Problem::note(node.span_of("address"), "credentials of clients come here in plain text")
        })
        .collect()
}

fn redirect(subject: &Subject<'_>) -> Vec<Problem> {
    let top = &subject.whole.top;
    let all_end_tls = listeners(subject).all(|(_, _, tls)| tls);
    if !top.https.redirect || subject.host == Host::Workers || trusts_proxies(subject) || !all_end_tls {
        return Vec::new();
    }
    vec![Problem::note(at(subject, "redirect"), "no request comes without TLS, so none is redirected")]
}

fn preload(subject: &Subject<'_>) -> Vec<Problem> {
    let Some(hsts) = &subject.whole.top.https.hsts else { return Vec::new() };
    if !hsts.preload || hsts.include_subdomains && hsts.max_age_seconds >= PRELOADED_SECONDS {
        return Vec::new();
    }
    let node = subject.whole.root.get("https").and_then(|https| https.get("hsts"));
    let span = node.map_or(at(subject, "hsts"), |node| node.span_of("preload"));
    vec![Problem::note(span, "no list of browsers takes this host: they ask for a year, and all names below")]
}

fn at(subject: &Subject<'_>, key: &str) -> Span {
    let root = subject.whole.root;
    root.get("https").map_or(root.span, |https| https.span_of(key))
}
