//! What the gateway shows of itself, and under which names it answers.

use super::{hosts::is_reachable, rule::Rule, subject::Subject};
use crate::config::{
    Host,
    problem::{Problem, Severity},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "wide-open-admin",
        level: Severity::Warning,
        what: "an admin listener that other machines can reach",
        why: "The admin listener speaks no TLS: whoever sees the traffic reads its token, and with it the metrics and \
              whatever later versions show there.",
        cure: "listen on 127.0.0.1, and let an agent on this machine or a proxy with TLS fetch the metrics",
        check: admin,
    },
    Rule {
        id: "no-enforce-domain",
        level: Severity::Hint,
        what: "a `public_domain` without `enforce_domain: true`",
        why: "Requests that name any other host are served too, which lets strangers point their names here and makes \
              `Host` a value that services can't rely on. Behind a proxy that checks it, nothing is lost.",
        cure: "add `enforce_domain: true`",
        check: domain,
    },
];

fn admin(subject: &Subject<'_>) -> Vec<Problem> {
    let (Some(admin), Some(node)) = (&subject.whole.top.admin, subject.whole.root.get("admin")) else {
        return Vec::new();
    };
    // Workers have no such listener.
    if subject.host == Host::Workers || !is_reachable(&admin.address) {
        return Vec::new();
    }
    let message = "other machines can reach the admin listener, which speaks no TLS";
    vec![Problem::note(node.span_of("address"), message)]
}

fn domain(subject: &Subject<'_>) -> Vec<Problem> {
    let top = &subject.whole.top;
    if top.public_domain.is_none() || top.enforce_domain {
        return Vec::new();
    }
    let message = "requests for any other host are served too";
    vec![Problem::note(subject.whole.root.span_of("public_domain"), message)]
}
