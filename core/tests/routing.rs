//! Routing as a whole, from a configuration: most specific wins, and the look-up agrees with the plain
//! reading of the rules on patterns and paths of all shapes.
#![cfg(feature = "yaml")]

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use http::{Method, Request};
use tollgate_core::{
    config::{self, NoFiles},
    gateway::Gateway,
    pattern::Pattern,
};
use wasm_bindgen_test::wasm_bindgen_test;

fn load(text: &str) -> Gateway {
    let loaded = config::load("t.yaml", text.to_owned(), &NoFiles, &|_: &str| None, config::Host::Native);
    loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()))
}

fn errors(text: &str) -> String {
    let loaded = config::load("t.yaml", text.to_owned(), &NoFiles, &|_: &str| None, config::Host::Native);
    assert!(loaded.gateway.is_none());
    loaded.report.render()
}

fn routes(routes: &[&str]) -> String {
    let list: Vec<String> =
        routes.iter().map(|route| format!("  - {{target_service: s, {route}}}\n")).collect();
    format!("services: {{s: {{endpoints: ['http://s']}}}}\nroutes:\n{}", list.concat())
}

#[track_caller]
fn check(gateway: &Gateway, request: &str, wanted: Result<&str, &[Method]>) {
    let (method, url) = request.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(url);
    let head = request.header("x-version", "2").body(()).unwrap().into_parts().0;
    let host = head.uri.host().unwrap_or("any");
    let found = gateway.router().find(host, head.uri.path(), &head);
    match (found, wanted) {
        (Ok(found), Ok(wanted)) => {
            let described = found.route.description.as_deref();
            assert_eq!(described.unwrap_or(found.route.pattern.as_str()), wanted, "{method} {url}");
        }
        (Err(miss), Err(wanted)) => assert_eq!(miss.allow, wanted, "{method} {url}"),
        (found, _) => {
            panic!("{method} {url}: {:?}", found.map(|found| found.route.pattern.as_str().to_owned()))
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn most_specific_wins_whatever_the_order() {
    let mut written = [
        "path: '/*'",
        "path: '/a/*'",
        "path: '/a/{x}'",
        "path: '/a/b'",
        "path: '/a/{x}/c'",
        "path: '/{x}/b/c'",
        "path: '/a/b/*'",
    ];
    for _ in 0..2 {
        let gateway = load(&routes(&written));
        for (path, wanted) in [
            ("/", "/*"),
            ("/x", "/*"),
            ("/a", "/a/*"),
            ("/a/", "/a/*"),
            ("/a/x", "/a/{x}"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b"),
            ("/a/x/c", "/a/{x}/c"),
            ("/a/b/c", "/a/b/*"),
            ("/a/b/d", "/a/b/*"),
            ("/a/x/d", "/a/*"),
            ("/x/b/c", "/{x}/b/c"),
        ] {
            check(&gateway, &format!("GET {path}"), Ok(wanted));
        }
        written.reverse();
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_route_whose_matchers_fail_makes_way_for_the_next() {
    let gateway = load(&routes(&[
        "path: '/a/*', description: any",
        "path: '/a/b', methods: [POST], description: post",
        "path: '/a/b', methods: [POST], headers: {x-version: '2'}, description: version 2",
        "path: '/{x}/b', methods: [DELETE], description: delete",
        "path: '/only', methods: [GET, PUT], description: only",
        "path: '/q', query: {v: '1'}, description: q1",
    ]));
    check(&gateway, "POST /a/b", Ok("version 2"));
    check(&gateway, "GET /a/b", Ok("any"));
    check(&gateway, "DELETE /x/b", Ok("delete"));
    check(&gateway, "HEAD /only", Ok("only"));
    check(&gateway, "POST /only", Err(&[Method::GET, Method::PUT, Method::HEAD]));
    check(&gateway, "GET /q?v=1", Ok("q1"));
    check(&gateway, "GET /q?v=2", Err(&[]));
    check(&gateway, "GET /nowhere", Err(&[]));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_host_is_looked_at_first() {
    let gateway = load(&routes(&[
        "path: '/*', description: any",
        "path: '/*', hosts: ['*.example.com'], description: below",
        "path: '/*', hosts: [api.example.com], description: api",
        "path: '/deep/er', description: deeper",
    ]));
    check(&gateway, "GET http://api.example.com/deep/er", Ok("api"));
    check(&gateway, "GET http://x.example.com/", Ok("below"));
    check(&gateway, "GET http://example.com/", Ok("any"));
    check(&gateway, "GET http://other/deep/er", Ok("deeper"));
}

#[wasm_bindgen_test(unsupported = test)]
fn ambiguous_routes_are_errors_that_name_both_lines() {
    let report = errors(&routes(&["path: '/a/{x}'", "path: '/a/{y}'"]));
    assert!(report.contains("t.yaml:3:") && report.contains("t.yaml:4:"), "{report}");
    for fine in [
        ["path: '/a', methods: [GET]", "path: '/a', methods: [POST]"],
        ["path: '/a', headers: {v: '1'}", "path: '/a', headers: {v: '2'}"],
        ["path: '/a'", "path: '/a', headers: {v: '1'}"],
        ["path: '/a', hosts: [x]", "path: '/a', hosts: [y]"],
        ["path: '/a/{x}/c'", "path: '/{x}/b/c'"],
    ] {
        load(&routes(&fine));
    }
    for ambiguous in [
        ["path: '/a', methods: [GET, POST]", "path: '/a', methods: [POST]"],
        ["path: '/a', headers: {v: '1'}", "path: '/a', headers: {w: '2'}"],
        ["path: '/a', hosts: [x, y]", "path: '/a', hosts: [y]"],
        ["path: '/a/'", "path: '/a'"],
    ] {
        errors(&routes(&ambiguous));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn of_two_overrides_the_one_for_fewer_methods_has_the_last_word() {
    let mut overrides = [
        "{path: '/a', timeout_ms: 10}",
        "{path: '/a', methods: [POST], timeout_ms: 5}",
        "{path: '/*', timeout_ms: 20}",
    ];
    for _ in 0..2 {
        let text = format!("{}route_overrides: [{}]\n", routes(&["path: '/*'"]), overrides.join(", "));
        let gateway = load(&text);
        for (method, path, wanted) in [("POST", "/a", 5), ("GET", "/a", 10), ("POST", "/b", 20)] {
            let head = Request::builder().method(method).uri(path).body(()).unwrap().into_parts().0;
            let found = gateway.router().find("any", path, &head).unwrap();
            assert_eq!(found.plan.patience.head_ms, wanted, "{method} {path}");
        }
        overrides.reverse();
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn enable_compression_is_a_policy_that_overrides_replace_and_remove() {
    let squeeze = "policies: [{name: squeeze, type: Compression}]";
    let text = routes(&[
        "path: '/a/*', enable_compression: true",
        "path: '/b/*'",
        &format!("path: '/c/*', {squeeze}"),
    ]) + "route_overrides:
  - {path: '/a/plain', policies: [{name: compression, disabled: true}]}
  - {path: '/c/*', enable_compression: true}
  - {path: '/c/plain', enable_compression: false}
";
    let gateway = load(&text);
    for (path, wanted) in
        [("/a/x", true), ("/a/plain", false), ("/b/x", false), ("/c/x", true), ("/c/plain", false)]
    {
        let head = Request::get(path).body(()).unwrap().into_parts().0;
        let found = gateway.router().find("any", path, &head).unwrap();
        assert_eq!(found.plan.compression.is_some(), wanted, "{path}");
    }
}

/// A small generator of its own: the same cases on every platform, and no dependency on dice.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pattern(&mut self) -> String {
        let mut text = String::new();
        for at in 0..self.roll(4) {
            text.push('/');
            match self.roll(4) {
                0 => text.push_str(&format!("{{p{at}}}")),
                letter => text.push(char::from(b'a' + letter as u8)),
            }
        }
        match self.roll(3) {
            0 => text.push_str("/*"),
            _ if text.is_empty() => text.push('/'),
            _ => {}
        }
        text
    }

    fn path(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.roll(5) {
            text.push('/');
            text.push(char::from(b'a' + self.roll(5) as u8));
        }
        if text.is_empty() || self.roll(6) == 0 {
            text.push('/');
        }
        text
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_lookup_agrees_with_the_plain_reading_of_the_rules() {
    let mut dice = Dice(42);
    for round in 0..300 {
        let texts: BTreeSet<String> = (0..1 + dice.roll(9)).map(|_| dice.pattern()).collect();
        let mut patterns: Vec<Pattern> = Vec::new();
        for pattern in texts.iter().map(|text| Pattern::parse(text).unwrap()) {
            // Two spellings of one shape would rightly be refused.
            let shape = |p: &Pattern| p.as_str().replace(|c: char| c.is_ascii_digit(), "");
            if patterns.iter().all(|other| shape(other) != shape(&pattern)) {
                patterns.push(pattern);
            }
        }
        // One in three serves a single method, so that look-ups have to fall through.
        let methods: Vec<bool> = patterns.iter().map(|_| dice.roll(3) == 0).collect();
        let written: Vec<String> = patterns
            .iter()
            .zip(&methods)
            .map(|(pattern, post)| {
                format!("path: '{pattern}'{}", if *post { ", methods: [POST]" } else { "" })
            })
            .collect();
        let gateway = load(&routes(&written.iter().map(String::as_str).collect::<Vec<_>>()));
        for _ in 0..40 {
            let path = dice.path();
            let wanted = patterns
                .iter()
                .zip(&methods)
                .filter(|(pattern, post)| !**post && pattern.matches(&path))
                .map(|(pattern, _)| pattern)
                .max_by(|a, b| more_specific(a, b));
            let head = Request::get(&path).body(()).unwrap().into_parts().0;
            let found = gateway.router().find("any", &path, &head).ok();
            let found = found.map(|found| found.route.pattern.as_str().to_owned());
            assert_eq!(
                found.as_deref(),
                wanted.map(Pattern::as_str),
                "round {round}: {path} among {patterns:?}"
            );
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn every_plan_that_a_request_gets_is_met_on_a_walk() {
    let mut dice = Dice(7);
    let mut looked_up = 0;
    let methods = ["", ", methods: [GET]", ", methods: [POST]", ", methods: [GET, POST]"];
    let headers = ["", "", ", headers: {x-version: '2'}", ", headers: {x-version: '*'}"];
    for round in 0..300 {
        let mut pick = |list: [&'static str; 4]| list[dice.roll(4) as usize];
        let facets: Vec<_> = (0..10).map(|_| (pick(methods), pick(headers))).collect();
        let written: Vec<String> = facets
            .iter()
            .map(|(methods, headers)| format!("path: '{}'{methods}{headers}", dice.pattern()))
            .collect();
        let written: Vec<&str> = written.iter().take(1 + dice.roll(9) as usize).map(String::as_str).collect();
        let overrides = format!(
            "route_overrides: [{{path: '{}', methods: [POST], timeout_ms: 5}}, {{path: '{}', timeout_ms: 7}}]\n",
            dice.pattern(),
            dice.pattern()
        );
        let text = routes(&written) + &overrides;
        let loaded = config::load("t.yaml", text, &NoFiles, &|_: &str| None, config::Host::Native);
        // What is ambiguous has no look-up.
        let Some(gateway) = loaded.gateway else { continue };
        let router = gateway.router();
        for _ in 0..40 {
            let path = dice.path();
            let method = if dice.roll(2) == 0 { Method::GET } else { Method::POST };
            let request = Request::builder().method(&method).uri(&path);
            let versioned = if dice.roll(2) == 0 { request } else { request.header("x-version", "2") };
            let head = versioned.body(()).unwrap().into_parts().0;
            let Ok(found) = router.find("any", &path, &head) else { continue };
            let met = router.plans().any(|holding| {
                Arc::ptr_eq(holding.plan, found.plan)
                    && std::ptr::eq(holding.route, found.route)
                    && holding.serves(&method)
            });
            assert!(met, "round {round}: {method} {path} among {written:?}");
            looked_up += 1;
        }
    }
    assert!(looked_up > 1_000, "{looked_up}");
}

/// The rule, written a second time and plainly: from left to right, literal before parameter before `*`.
fn more_specific(a: &Pattern, b: &Pattern) -> Ordering {
    let ranks = |pattern: &Pattern| -> Vec<u8> {
        let inside = pattern.as_str().trim_matches('/').to_owned();
        let parts = inside.split('/').filter(|part| !part.is_empty());
        let mut ranks: Vec<u8> = parts
            .map(|part| {
                if part == "*" {
                    1
                } else if part.starts_with('{') {
                    2
                } else {
                    3
                }
            })
            .collect();
        if !ranks.ends_with(&[1]) {
            ranks.push(4);
        }
        ranks
    };
    ranks(a).cmp(&ranks(b))
}
