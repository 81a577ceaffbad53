//! What a user is told about a configuration: for each file in `broken/` exactly what stands in the `.expected`
//! beside it, places, carets and cures included.
#![cfg(feature = "yaml")]

use tollgate_core::config::{self, Files, Loaded, problem::Severity};
use wasm_bindgen_test::wasm_bindgen_test;

/// A configuration and all that is to be said of it.
struct Case {
    name: &'static str,
    text: &'static str,
    expected: &'static str,
}

/// Embedded, as a test in WebAssembly has no files.
macro_rules! cases {
    ($($name:literal)*) => {
        &[$(Case {
            name: concat!($name, ".yaml"),
            text: include_str!(concat!("broken/", $name, ".yaml")),
            expected: include_str!(concat!("broken/", $name, ".expected")),
        }),*]
    };
}

const CASES: &[Case] = cases! {
    "01-syntax"
    "02-indentation"
    "03-tab"
    "04-second-document"
    "05-not-a-mapping"
    "06-unknown-top-level-keys"
    "07-unknown-route-keys"
    "08-unknown-policy-types"
    "09-not-carried-out"
    "10-missing-keys"
    "11-wrong-types"
    "12-no-value"
    "13-ambiguous-routes"
    "14-bad-patterns"
    "15-patterns-that-are-not-normal"
    "16-strip-prefix"
    "17-rewrite"
    "18-repeated-keys"
    "19-repeated-names"
    "20-another-stage"
    "21-authorization-without-authentication"
    "22-two-caches"
    "23-variables"
    "24-secrets"
    "25-addresses"
    "26-networks-and-domain"
    "27-numbers"
    "28-tokens"
    "29-endpoints"
    "30-compression"
    "31-include-missing"
    "32-include-twice"
    "33-key-in-two-files"
    "34-included-file-is-broken"
    "35-removals"
    "36-values"
    "37-workers"
    "38-enforce-domain"
    "39-ten-mistakes"
    "40-matchers"
    "41-anchors"
    "42-aliases"
    "43-empty-lists"
    "44-no-routes"
    "45-overrides"
    "46-unknown-nested-keys"
    "47-shapes"
    "48-members"
    "49-tags"
    "50-one-mistake-is-one-error"
    "51-notes"
    "52-variable-without-quotes"
    "53-keys"
    "54-merged-values"
    "55-block-texts"
    "56-compression-as-a-policy"
    "57-roles"
    "58-roles-and-engines"
    "59-engine-answers"
    "60-cel"
    "61-api-keys"
    "62-any-of"
    "63-shared-secrets"
    "64-demands-on-tokens"
    "65-issuers"
    "66-exponents-on-workers"
    "67-told-headers"
    "70-passwords"
    "71-passwords-on-workers"
    "72-shared-secrets"
    "75-introspection"
    "76-introspection-secrets"
    "77-ways-in-one-place"
    "80-failed-auth"
    "81-identity-token-in-vain"
    "82-identity-token"
    "83-identity-token-keys"
    "84-identity-token-workers"
    "85-logins"
    "86-doors"
    "90-mtls-native"
    "91-mtls-workers"
    "92-mtls-of-nobody-workers"
    "93-limits"
    "94-many-at-once-workers"
    "95-tiers"
    "100-store-without-url"
    "101-store-of-this-process"
    "102-store-url"
    "103-store-url-of-a-cluster"
    "104-store-url-insecure"
    "132-listeners"
    "120-listener-tls"
    "121-listener-acme"
    "122-client-auth"
    "123-https"
    "124-https-port-in-vain"
    "125-tls-workers"
    "128-acme"
    "129-acme-workers"
    "130-acme-kept"
    "131-acme-in-vain"
    "115-protocols"
    "116-protocols-on-workers"
};

/// What the cases include.
struct Folder;

const FOLDER: &[(&str, &str)] = &[
    ("include/broken.yaml", include_str!("broken/include/broken.yaml")),
    ("include/list.yaml", include_str!("broken/include/list.yaml")),
    ("include/more.yaml", include_str!("broken/include/more.yaml")),
    ("include/services.yaml", include_str!("broken/include/services.yaml")),
    ("include/certificate.pem", "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n"),
    ("include/key.pem", "-----BEGIN PRIVATE KEY-----\nMAo=\n-----END PRIVATE KEY-----\n"),
    ("include/locked.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAo=\n"),
    ("include/crl.pem", "-----BEGIN X509 CRL-----\nMAo=\n-----END X509 CRL-----\n"),
];

impl Files for Folder {
    fn read(&self, name: &str) -> Result<String, String> {
        let found = FOLDER.iter().find(|(file, _)| *file == name);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| "there is no such file".to_owned())
    }

    fn expand(&self, pattern: &str) -> Result<Vec<String>, String> {
        // No glob matches any of these files.
        Ok(if pattern.contains('*') { Vec::new() } else { vec![pattern.to_owned()] })
    }
}

/// A value that no message may show.
const SECRET: &str = "hunter2";

fn variable(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some(SECRET.to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn load(name: &str, text: &str) -> Loaded {
    let host = if name.contains("workers") { config::Host::Workers } else { config::Host::Native };
    config::load(name, text.to_owned(), &Folder, &variable, host)
}

/// Writes what is said where the variable `BLESS` asks for it.
fn bless(name: &str, report: &str) -> bool {
    let file =
        format!("{}/tests/broken/{}.expected", env!("CARGO_MANIFEST_DIR"), name.trim_end_matches(".yaml"));
    std::env::var_os("BLESS").is_some() && std::fs::write(file, report).is_ok()
}

#[wasm_bindgen_test(unsupported = test)]
fn every_mistake_is_named_at_its_place_and_nothing_else_is() {
    for Case { name, text, expected } in CASES {
        let report = load(name, text).report.render();
        if !bless(name, &report) {
            assert!(report == *expected, "{name} is answered with\n\n{report}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_has_an_error_makes_no_gateway_and_what_has_none_makes_one() {
    for Case { name, text, .. } in CASES {
        let Loaded { gateway, report } = load(name, text);
        assert_eq!(gateway.is_none(), report.has_errors(), "{name}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_value_of_a_variable_is_never_shown() {
    for Case { name, text, expected } in CASES {
        let report = load(name, text).report;
        assert!(!format!("{:?}", report.problems).contains(SECRET), "{name}");
        assert!(!expected.contains(SECRET), "{name}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn ten_mistakes_are_ten_errors() {
    let case = CASES.iter().find(|case| case.name.contains("ten-mistakes")).unwrap();
    assert_eq!(load(case.name, case.text).report.count(Severity::Error), 10);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_too_deep_or_too_large_is_refused_in_time() {
    let deep = format!("routes: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let dashes = format!("routes:\n{}x\n", "- ".repeat(10_000));
    let indented: String = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(", ")));
    }
    for text in [deep, dashes, indented, laughs] {
        let report = load("t.yaml", &text).report;
        assert_eq!(report.count(Severity::Error), 1, "{}", report.render());
        assert!(report.render().len() < 1_000, "{}", report.render());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_text_keeps_its_spelling() {
    let text = "\u{feff}services: {no: {endpoints: ['http://a']}, 007: {endpoints: ['http://b']}}\r\n\
        routes:\r\n\
        - {path: /a, target_service: no, description: 1.10, headers: {x: Yes, y: 0x10, z: 1e3}, timeout_ms: &t 1_0}\r\n\
        - {path: /b, target_service: 007, description: True, timeout_ms: *t}\r\n";
    let Loaded { gateway, report } = load("t.yaml", text);
    assert_eq!(report.render(), "");
    let gateway = gateway.unwrap();
    let seen: Vec<_> = gateway
        .router()
        .routes()
        .iter()
        .map(|route| (&*route.service.name, route.description.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(seen, [("no", "1.10"), ("007", "True")]);
}

/// The agent platform, as its readers first see it: in four pieces, to be put together in one file.
const PLATFORM: [&str; 4] = [
    "public_domain: api.myagentplatform.com
     routes:
     - path: /agents/research/*
     target_service: research-agent-service
     strip_prefix: /agents/research
     description: Routes requests to the AI Research Agent
     - path: /agents/code/*
     target_service: code-gen-agent-service
     strip_prefix: /agents/code
     description: Routes requests to the AI Code Generation Agent
     - path: /orchestrator/*
     target_service: orchestration-service
     strip_prefix: /orchestrator
     description: Routes requests to the main Orchestration Agent
     - path: /auth/*
     target_service: auth-service
     strip_prefix: /auth
     description: Routes authentication requests to the Authentication Service",
    "policies:
     - name: authentication
     type: JWT_Validation
     jwks_uri: https://auth.myagentplatform.com/.well-known/jwks.json
     required_claims:
     - sub
     - role
     exclude_paths: [\"/auth/*\"]
     description: Validates JWT tokens for all API requests.
     - name: authorization
     type: RBAC
     policy_engine_endpoint: http://internal-policy-service/authorize
     description: Checks user roles against resource permissions using an internal policy service.
     - name: rate_limiting
     type: FixedWindow
     rate: 100 # requests per minute
     per: user_id # Apply this limit per authenticated user
     description: Limits requests to 100 per minute per user globally.",
    "route_overrides:
     - path: /agents/research/query
     timeout_ms: 60000 # 60 seconds
     policies:
     - name: rate_limiting
     type: FixedWindow
     rate: 10 # requests per minute
     per: user_id
     description: Stricter limit for intensive research queries (10/min).
     - path: /orchestrator/status
     policies:
     - name: caching
     type: TTL
     ttl_seconds: 5 # Cache for 5 seconds
     description: Caches orchestration status responses to improve performance.",
    "routes:
     - path: /agents/image/*
     target_service: image-gen-agent-service
     strip_prefix: /agents/image
     description: Routes requests to the AI Image Generation Agent
     route_overrides:
     - path: /agents/image/generate
     policies:
     - name: rate_limiting
     type: FixedWindow
     rate: 5 # requests per minute
     per: user_id
     description: Stricter limit for resource-intensive image generation (5/min).
     enable_compression: true",
];

const EXAMPLE: &str = include_str!("../../examples/agent-platform/tollgate.yaml");

#[wasm_bindgen_test(unsupported = test)]
fn the_agent_platform_is_valid_key_for_key() {
    for piece in PLATFORM {
        for line in piece.lines().map(str::trim) {
            assert!(EXAMPLE.lines().any(|written| written.trim() == line), "{line}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn of_the_agent_platform_there_is_nothing_to_say_on_any_host() {
    for name in ["tollgate.yaml", "workers/tollgate.yaml"] {
        let Loaded { gateway, report } = load(name, EXAMPLE);
        assert_eq!(report.render(), "");
        assert_eq!(gateway.unwrap().router().routes().len(), 5);
    }
}
