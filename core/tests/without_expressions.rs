//! A build without expressions says so of each one, at its place, and serves all that has none.
#![cfg(all(feature = "yaml", not(feature = "expressions")))]

use tollgate_core::config::{self, Host, Loaded, NoFiles};

fn load(policy: &str) -> Loaded {
    let text = format!(
        "services: {{s: {{endpoints: ['http://s']}}}}\nroutes: [{{path: /a, target_service: s}}]\npolicies: [{policy}]\n"
    );
    config::load("t.yaml", text, &NoFiles, &|_: &str| None, Host::Workers)
}

#[test]
fn whatever_has_an_expression_is_refused_by_name() {
    for policy in [
        "{name: x, type: Cel, expression: 'true'}",
        "{name: x, type: FixedWindow, rate: 1, per: 'cel:request.path'}",
        "{name: x, type: Budget, limit: 9, cost: 'size(request.path)'}",
        "{name: x, type: Budget, limit: 9, cost: {reserve: 1, settle: 'reserved'}}",
    ] {
        let loaded = load(policy);
        assert!(loaded.gateway.is_none(), "{policy}");
        let told = loaded.report.render();
        assert!(told.contains("this build has no expressions") && told.contains("t.yaml:3:"), "{told}");
    }
}

#[test]
fn limits_without_one_are_served() {
    for policy in [
        "{name: x, type: FixedWindow, rate: 1, per: [ip, 'header:X-A']}",
        "{name: x, type: Budget, limit: 9, cost: {reserve: 1, settle: usage}}",
        "{name: x, type: TokenBucket, rate: 9, cost: 3, accuracy: leased, max_overshoot: 40}",
    ] {
        let loaded = load(policy);
        assert!(loaded.gateway.is_some(), "{}", loaded.report.render());
    }
}
