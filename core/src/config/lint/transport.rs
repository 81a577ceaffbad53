//! What must not be read or changed on its way, and goes there in plain text: credentials, keys, permissions.

use http::Uri;

use super::{
    hosts::is_near,
    rule::Rule,
    subject::{Subject, path},
};
use crate::{
    config::{
        Host,
        document::{Item, Route, Routed, Service},
        node::{Node, Span},
        problem::{Problem, Severity},
    },
    route::Holding,
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "plain-text-upstream",
        level: Severity::Warning,
        what: "credentials passed on over `http:` to a host that is neither near nor private",
        why: "Whoever sees the traffic between gateway and service can read the tokens, and use them here until they \
              expire. Near are loopback and private addresses, names without dots, and ends such as `.internal`.",
        cure: "write `https:`, or `hide_credentials: true` on the route",
        check: upstreams,
    },
    Rule {
        id: "plain-text-keys",
        level: Severity::Warning,
        what: "an issuer's keys or a policy engine's answers fetched over `http:` from such a host",
        why: "Whoever can change that traffic puts keys of their own in the place of the issuer's, and every token \
              they sign is good; or answers in the engine's place that everything is permitted.",
        cure: "write `https:`; through a declared service, its endpoints are what counts",
        check: keys,
    },
];

/// Whether a URL leads over plain text to where others may listen.
fn is_exposed(url: &str) -> bool {
    url.parse::<Uri>()
        .is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !is_near(host)))
}

/// Where a service's endpoints are exposed.
fn exposed<'s>(service: &'s Item<'_, Service>) -> impl Iterator<Item = Span> + use<'s> {
    let endpoints = service.node.members("endpoints", &service.value.endpoints);
    let exposed = endpoints.filter(|(endpoint, _)| is_exposed(endpoint.url()));
    exposed.map(|(_, node)| node.span_of("url"))
}

fn declared<'s>(subject: &'s Subject<'_>, name: &str) -> Option<&'s Item<'s, Service>> {
    subject.whole.services.iter().find(|(own, _)| own == name).map(|(_, item)| item)
}

fn upstreams(subject: &Subject<'_>) -> Vec<Problem> {
    let message = "credentials are passed on in plain text, and others may listen";
    let mut found: Vec<Problem> = Vec::new();
    for (written, holdings) in subject.routes() {
        let passes_on = |on: &Holding<'_>| on.plan.authentication.is_some() && !on.route.hide_credentials;
        let Some(holding) = holdings.iter().find(|holding| passes_on(holding)) else { continue };
        let fresh = match declared(subject, &holding.route.service.name) {
            Some(service) => exposed(service).map(|at| Problem::note(at, message)).collect(),
            // On Workers the name is that of a binding, or of a variable that holds the URL.
            None if subject.host == Host::Workers => Vec::new(),
            None => implied(written, holding, message).into_iter().collect(),
        };
        for problem in fresh {
            if found.iter().all(|other| other.span != problem.span) {
                found.push(problem.related(path(written), "those of this route"));
            }
        }
    }
    found
}

/// A service that is not declared is reached by its name, without TLS.
fn implied(written: &Routed<'_, Route>, holding: &Holding<'_>, message: &str) -> Option<Problem> {
    let far = holding.route.service.endpoints.iter().any(|endpoint| !is_near(endpoint.hostname()));
    far.then(|| {
        Problem::note(written.item.node.span_of("target_service"), message)
            .cure("declare the service with an `https:` endpoint, or write `hide_credentials: true`")
    })
}

fn keys(subject: &Subject<'_>) -> Vec<Problem> {
    let asked = subject.policies().flat_map(|policy| policy.asks());
    asked.filter_map(|asked| fetched(subject, &asked.url, asked.node, asked.what)).collect()
}

/// How a policy's URL is exposed: through the declared service that has its host's name, or there directly.
fn fetched(subject: &Subject<'_>, url: &str, node: &Node, what: &str) -> Option<Problem> {
    let message = format!("{what} come in plain text, and others may change them");
    let host = url.parse::<Uri>().ok()?.host()?.to_owned();
    match declared(subject, &host) {
        Some(service) => exposed(service)
            .next()
            .map(|at| Problem::note(node.span, message).related(at, "they come through this service")),
        None => is_exposed(url).then(|| Problem::note(node.span, message)),
    }
}
