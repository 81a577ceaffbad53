//! What two configurations mean differently: told once, with its kind, its routes and both places.
#![cfg(feature = "yaml")]

use tollgate_core::{
    compare::{Changes, Kind, compare},
    config::{self, Files, Host},
    gateway::Gateway,
};
use wasm_bindgen_test::wasm_bindgen_test;

const PLATFORM: &str = include_str!("../../examples/agent-platform/tollgate.yaml");

/// The one file that may be included.
struct Included(&'static str);

impl Files for Included {
    fn read(&self, _: &str) -> Result<String, String> {
        Ok(self.0.to_owned())
    }

    fn expand(&self, pattern: &str) -> Result<Vec<String>, String> {
        Ok(vec![pattern.to_owned()])
    }
}

fn gateway(name: &str, text: &str, included: &'static str) -> Gateway {
    let variables = |name: &str| (name == "SECRET").then(|| "0123456789abcdef0123456789abcdef".to_owned());
    let loaded = config::load(name, text.to_owned(), &Included(included), &variables, Host::Native);
    loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()))
}

fn differences(old: &str, new: &str) -> Changes {
    compare(&gateway("old", old, ""), &gateway("new", new, ""))
}

/// The differences as people read them.
fn told(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (gateway("old", old, ""), gateway("new", new, ""));
    let changes = compare(&old, &new);
    let text = changes.placed(old.files(), new.files()).render(false);
    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// A configuration with one route of each of three services, and these lines at the top.
fn with(top: &str) -> String {
    let routes = "routes: [{path: /a/*, target_service: a}, {path: /b/*, target_service: b}, {path: /c/*, target_service: c}]";
    format!("{routes}\n{top}\n")
}

const JWT: &str = "{name: auth, type: JWT_Validation, jwks_uri: 'http://issuer/keys', required_claims: [sub, role], issuer: 'https://i', audience: [x]}";

#[wasm_bindgen_test(unsupported = test)]
fn the_same_meaning_in_other_words_is_no_difference() {
    let old = "
public_domain: api.example.com
routes:
  - {path: /a/*, target_service: a, methods: [GET, POST], strip_prefix: /a}
  - {path: '/b/{id}', target_service: b}
policies:
  - {name: limit, type: FixedWindow, rate: 10}
  - {name: zip, type: Compression}
";
    let new = "
# Moved, quoted, with defaults written down.
include: [others.yaml]
limits: {max_header_bytes: 65536}
routes:
  - path: '/b/{user}'
    target_service: 'b'
    preserve_host: false
    description: Somebody
policies:
  - {name: compression, type: Compression, min_bytes: 1024}
  - {type: FixedWindow, per: [user_id], name: limit, window: 1m, rate: 10, on_error: deny}
public_domain: \"api.example.com\"
";
    let included = "routes: [{rewrite: /*, methods: [POST, HEAD, GET], path: /a/*, target_service: a}]";
    let changes = compare(&gateway("old", old, ""), &gateway("new", new, included));
    assert_eq!(changes.list, [], "{:#?}", changes.list);
    assert_eq!(differences(PLATFORM, PLATFORM).list, []);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_one_place_does_to_many_routes_is_told_once() {
    let old = with("policies: [{name: limit, type: FixedWindow, rate: 10}]");
    let new = with("\npolicies: [{name: limit, type: FixedWindow, rate: 100}]");
    assert_eq!(
        told(&old, &new),
        ["loosened (1)", "limit rate: 10 → 100, on 3 routes: /a/*, /b/*, /c/*  old:2 → new:3"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_limit_that_counts_otherwise_is_told_with_what_it_weakens_by_the_way() {
    let fixed = with("policies: [{name: limit, type: FixedWindow, rate: 10}]");
    let sliding = with("\npolicies: [{name: limit, type: SlidingWindow, rate: 10}]");
    let kinds = |old: &str, new: &str| -> Vec<(Kind, Option<String>)> {
        differences(old, new).list.into_iter().map(|change| (change.kind, change.key)).collect()
    };
    assert_eq!(kinds(&fixed, &sliding), [(Kind::Tightened, None)]);
    assert_eq!(kinds(&sliding, &fixed), [(Kind::Loosened, None)]);
    let tried = with("policies: [{name: limit, type: SlidingWindow, rate: 99, shadow: true}]");
    let key = |kind, key: &str| (kind, Some(key.to_owned()));
    let told = [(Kind::Tightened, None), key(Kind::Loosened, "rate"), key(Kind::Loosened, "shadow")];
    let mut found = kinds(&fixed, &tried);
    found.sort_by_key(|(_, key)| key.clone());
    assert_eq!(found, told);
    let budget = with("policies: [{name: limit, type: Budget, limit: 10, period: month, on_error: allow}]");
    let mut found = kinds(&fixed, &budget);
    found.sort_by_key(|(_, key)| key.clone());
    assert_eq!(found, [(Kind::Changed, None), key(Kind::Loosened, "on_error")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tier_that_comes_or_goes_is_held_against_what_the_others_have() {
    let limit = |rates: &str| {
        let tiers = format!("tiers: {{by: 'claim:plan', rates: {{mid: 10, {rates}}}}}");
        with(&format!("policies: [{{name: limit, type: FixedWindow, rate: 10, {tiers}}}]"))
    };
    for (tier, kind) in [("pro: 99", Kind::Loosened), ("free: 1", Kind::Tightened)] {
        let kinds = |old: &str, new: &str| -> Vec<Kind> {
            differences(&limit(old), &limit(new)).list.into_iter().map(|change| change.kind).collect()
        };
        assert_eq!(kinds("", tier), [kind]);
        assert_ne!(kinds(tier, ""), [kind]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_override_is_told_where_it_holds_and_nowhere_else() {
    let over = "policies: [{name: limit, type: FixedWindow, rate: 10}]\nroute_overrides:\n  - {path: /a/x, methods: [POST], policies: [{name: limit, disabled: true}]}";
    let old = with("policies: [{name: limit, type: FixedWindow, rate: 10}]");
    assert_eq!(
        told(&old, &with(over)),
        ["loosened (1)", "limit removed (FixedWindow 10 in 60s), on /a/x (POST)  old:2 → new:4"]
    );
    let timeout = with("route_overrides: [{path: /b/slow/*, timeout_ms: 90000}]");
    assert_eq!(
        told(&with(""), &timeout),
        ["changed (1)", "timeout_ms: 30000 → 90000, on /b/slow/*  old:1 → new:2"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn each_weakening_of_authentication_is_loosened_and_each_strengthening_tightened() {
    let whole = with(&format!("policies: [{JWT}]"));
    for (from, to) in [
        ("required_claims: [sub, role]", "required_claims: [sub]"),
        ("issuer: 'https://i', ", ""),
        (", audience: [x]", ""),
        ("audience: [x]", "audience: [x, y]"),
        ("audience: [x]", "audience: [x], leeway_seconds: 600"),
        ("audience: [x]", "audience: [x], exclude_paths: [/a/*]"),
    ] {
        let weak = whole.replace(from, to);
        let changes = differences(&whole, &weak);
        assert_eq!((changes.list.len(), changes.count(Kind::Loosened)), (1, 1), "{to}: {:?}", changes.list);
        let back = differences(&weak, &whole);
        assert_eq!((back.list.len(), back.count(Kind::Tightened)), (1, 1), "{to}: {:?}", back.list);
    }
    let removed = differences(&whole, &with(""));
    assert_eq!((removed.list.len(), removed.count(Kind::Loosened)), (1, 1), "{:?}", removed.list);
}

const ASK: &str = "{name: auth, type: OAuthIntrospection, introspection_endpoint: 'http://issuer/ask', client_id: c, client_secret: hunter2, issuer: 'https://i', audience: [x], scopes: [read, write], required_claims: [role]}";

#[wasm_bindgen_test(unsupported = test)]
fn each_weakening_of_introspection_is_loosened_and_each_strengthening_tightened() {
    let whole = with(&format!("policies: [{ASK}]"));
    for (from, to) in [
        (", required_claims: [role]", ""),
        ("issuer: 'https://i', ", ""),
        (", audience: [x]", ""),
        ("[read, write]", "[read]"),
        ("audience: [x]", "audience: [x], leeway_seconds: 600"),
        ("audience: [x]", "audience: [x], cache_ttl_seconds: 600"),
        ("audience: [x]", "audience: [x], serve_stale_seconds: 600"),
    ] {
        let weak = whole.replace(from, to);
        let changes = differences(&whole, &weak);
        assert_eq!((changes.list.len(), changes.count(Kind::Loosened)), (1, 1), "{to}: {:?}", changes.list);
        let back = differences(&weak, &whole);
        assert_eq!((back.list.len(), back.count(Kind::Tightened)), (1, 1), "{to}: {:?}", back.list);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clients_secret_is_compared_and_never_shown() {
    let old = with(&format!("policies: [{ASK}]"));
    let told = told(&old, &old.replace("hunter2", "hunter3"));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].starts_with("auth client_secret: a secret → a secret"), "{told:?}");
    let changes = differences(&old, &old.replace("hunter2", "hunter3"));
    assert!(!format!("{changes:?}").contains("hunter"), "{changes:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_excluded_path_is_told_with_the_routes_that_lose_the_policy() {
    let old = with(&format!("policies: [{JWT}]"));
    let new = old.replace("audience: [x]", "audience: [x], exclude_paths: ['/b/*', '/c/open']");
    assert_eq!(
        told(&old, &new),
        [
            "loosened (2)",
            "auth does not hold any more: /b/* is excluded, on /b/*  old:2 → new:2",
            "auth does not hold any more: /c/open is excluded, on /c/open  old:2 → new:2",
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_route_that_takes_paths_from_another_is_compared_with_it() {
    let old = with(&format!("policies: [{JWT}]"));
    let new = "routes: [{path: /a/*, target_service: a}, {path: /b/*, target_service: b}, {path: /c/*, target_service: c}, {path: /a/open, target_service: a, policies: [{name: auth, disabled: true}]}]";
    let new = format!("{new}\npolicies: [{JWT}]\n");
    assert_eq!(
        told(&old, &new),
        [
            "loosened (1)",
            "auth removed (JWT_Validation), on /a/open  old:2 → new:1",
            "changed (1)",
            "route added: `/a/open` to a, before served by `/a/*` to a  old:1 → new:1",
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_moved_route_takes_its_overrides_along() {
    let old = "routes: [{path: /a/*, target_service: s, strip_prefix: /a}, {path: /z, target_service: z}]
policies: [{name: limit, type: FixedWindow, rate: 10}]
route_overrides: [{path: /a/x, timeout_ms: 5}]";
    let moved = old.replace("/a", "/v2/a");
    assert_eq!(told(old, &moved), ["changed (1)", "route moved: /a/* → /v2/a/*  old:1 → new:1"]);
    let retargeted = old.replace("target_service: s", "target_service: t");
    assert_eq!(told(old, &retargeted), ["changed (1)", "target_service: s → t, on /a/*  old:1 → new:1"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_matchers_of_a_route_are_compared_and_its_rewriting_by_what_it_does() {
    let old =
        "routes: [{path: /a/*, target_service: s, methods: [GET], hide_credentials: true, rewrite: /in/*}]";
    let new = "routes: [{path: /a/*, target_service: s, methods: [POST, GET], hosts: [x.org], rewrite: /out/*, preserve_host: true}]";
    assert_eq!(
        told(old, new),
        [
            "loosened (1)",
            "hide_credentials: true → false, on /a/*  old:1 → new:1",
            "changed (4)",
            "hosts: all → [x.org], on /a/*  old:1 → new:1",
            "methods: [GET, HEAD] → [GET, HEAD, POST], on /a/*  old:1 → new:1",
            "preserve_host: false → true, on /a/*  old:1 → new:1",
            "rewrite: /in/* → /out/*, on /a/*  old:1 → new:1",
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn services_and_the_gateway_as_a_whole_are_compared() {
    let old = with(
        "public_domain: x.org\nenforce_domain: true\ntrusted_proxies: [10.0.0.0/24]\nlimits: {max_body_bytes: 100}\nservices: {a: {endpoints: ['https://a.example'], timeouts: {idle_ms: 5}}}",
    );
    let new = with(
        "public_domain: x.org\ntrusted_proxies: [10.0.0.0/8]\nservices: {a: {endpoints: ['http://a.example']}}",
    );
    assert_eq!(
        told(&old, &new),
        [
            "loosened (4)",
            "service a endpoints: [https://a.example:443] → [http://a.example:80]  old:6 → new:4",
            "enforce_domain: true → false  old:3 → new:1",
            "limits.max_body_bytes: 100 → 0  old:5 → new:1",
            "trusted_proxies: [10.0.0.0/24] → [10.0.0.0/8]  old:4 → new:3",
            "changed (1)",
            "service a timeouts.idle_ms: 5 → 60000  old:6 → new:4",
        ]
    );
    // The same addresses in other networks.
    let split = old.replace("[10.0.0.0/24]", "[10.0.0.0/24, 10.0.0.7]");
    assert_eq!(differences(&old, &split).list, []);
}

#[wasm_bindgen_test(unsupported = test)]
fn values_of_variables_and_secrets_are_never_shown() {
    let old =
        with("admin: {address: '127.0.0.1:9901', token: abc}\nservices: {a: {endpoints: ['http://a']}}");
    let new = with(
        "admin: {address: '127.0.0.1:9901', token: '${SECRET}'}\nexplain: {secret: '${SECRET}'}\nservices: {a: {endpoints: ['http://${SECRET}']}}",
    );
    let lines = told(&old, &new);
    assert!(!lines.iter().any(|line| line.contains("abc") || line.contains("0123")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("→ [http://${SECRET}]")), "{lines:?}");
    assert_eq!(lines.len(), 5, "{lines:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_store_is_compared_and_its_password_never_shown() {
    let old =
        with("store: {type: Redis, url: 'redis://:hunter2@a/1'}\nservices: {a: {endpoints: ['http://a']}}");
    let moved =
        told(&old, &old.replace("hunter2@a", "hunter3@b").replace("'}", "', timeout_ms: 9, prefix: p}"));
    let changed = [
        "changed (3)",
        "store.prefix: tollgate → p  old:2 → new:2",
        "store.timeout_ms: 50 → 9  old:2 → new:2",
        "store.url: redis://a/1 → redis://b/1  old:2 → new:2",
    ];
    assert_eq!(moved, changed);
    let another = told(&old, &old.replace("hunter2", "hunter3"));
    assert_eq!(another[1], "store.url: redis://a/1 → redis://a/1, with another password  old:2 → new:2");
    let filled = told(&old, &old.replace("hunter2", "${SECRET:-hunter3}"));
    assert!(!format!("{filled:?}").contains("hunter"), "{filled:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn who_issues_certificates_is_compared_and_the_key_of_an_account_never_shown() {
    let old = with(
        "services: {a: {endpoints: ['http://a']}}\n\
         listeners: [{address: '127.0.0.1:8443', tls: {acme: [a.test]}}]\n\
         acme: {terms_agreed: true, folder: one, external_account: {key_id: x, hmac_key: aHVudGVyMg}}",
    );
    let new =
        old.replace("folder: one", "folder: two, challenge: Http01").replace("aHVudGVyMg", "aHVudGVyMw");
    let lines = told(&old, &new);
    let changed = [
        "changed (3)",
        "acme.challenge: TlsAlpn01 → Http01  old:4 → new:4",
        "acme.external_account.hmac_key: a secret → another secret  old:4 → new:4",
        "acme.folder: one → two  old:4 → new:4",
    ];
    assert_eq!(lines, changed);
}
