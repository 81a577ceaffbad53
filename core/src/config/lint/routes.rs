//! Routes that don't do what their lines say: those that are never chosen, and those whose time is up too soon.

use super::{
    rule::Rule,
    subject::{Subject, methods, path},
};
use crate::{
    config::{
        document::{Route, Routed},
        problem::{Problem, Severity},
    },
    route::Holding,
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "shadowed-route",
        level: Severity::Warning,
        what: "a route that no request comes to, because other routes or the host take them all",
        why: "The most specific route wins, and a route with `methods` is more specific than one with `headers` or \
              `query`. What was meant for this route is answered by another, under that route's policies.",
        cure: "make it more specific than those, by `methods` where they have some, or leave it out",
        check: shadowed,
    },
    Rule {
        id: "timeout-below-connect",
        level: Severity::Warning,
        what: "a `timeout_ms` shorter than the `connect_ms` that its service was given",
        why: "The time for the response's head includes connecting. A slow connection, which `connect_ms` was \
              written to allow, ends as a timeout of the route instead.",
        cure: "give the route more time, or the connection less",
        check: impatient,
    },
];

fn shadowed(subject: &Subject<'_>) -> Vec<Problem> {
    let routes = subject.gateway.router().routes();
    let mut found = Vec::new();
    for (index, (written, holdings)) in subject.routes().enumerate() {
        let Some(route) = routes.get(index) else { continue };
        let place = path(written);
        if subject.gateway.only_host.as_ref().is_some_and(|host| !route.is_for_host(host)) {
            let message = "this route is never chosen: requests for its hosts are refused";
            let problem = Problem::note(written.item.node.span_of("hosts"), message).related(
                subject.whole.root.span_of("enforce_domain"),
                "no other host than `public_domain` is served",
            );
            found.push(problem.cure("add no `hosts`, or let `enforce_domain` be false"));
        } else if holdings.is_empty() {
            let message = "this route is never chosen: more specific ones take all its requests";
            let problem = Problem::note(place, message);
            found.push(match taker(subject, index) {
                Some(taker) => problem.related(path(taker), "this one is asked before"),
                None => problem,
            });
        }
    }
    found
}

/// A route that takes what was meant for another.
fn taker<'s>(subject: &Subject<'s>, index: usize) -> Option<&'s Routed<'s, Route>> {
    let router = subject.gateway.router();
    let meant = router.plans().filter(|holding| holding.index == index);
    let by = |holding: Holding<'_>| {
        let taken = methods(holding.route).iter().find_map(|method| holding.taken_by(method))?;
        router.routes().iter().position(|route| std::ptr::eq(route, taken))
    };
    subject.whole.routes.get(meant.filter_map(by).next()?)
}

fn impatient(subject: &Subject<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    for (_, holding) in subject.holdings() {
        let Some(at) = holding.plan.provenance.timeout else { continue };
        let service = subject.whole.services.iter().find(|(name, _)| *name == *holding.route.service.name);
        // Where it is not written, nobody asked for so much time.
        let connect = service.and_then(|(_, item)| item.node.get("timeouts")?.get("connect_ms"));
        let Some(connect) = connect else { continue };
        if holding.plan.patience.head_ms < holding.plan.patience.connect_ms {
            let message = "this time is over before a connection to the service has to be there";
            found.push(Problem::note(at, message).related(connect.span, "so long may connecting take"));
        }
    }
    found
}
