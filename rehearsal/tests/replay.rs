//! What a replay says of single requests: each fault of a token, and what policies make of what was recorded.

use tollgate_core::{
    config::{self, Host, NoFiles},
    gateway::Gateway,
};
use tollgate_rehearsal::replay::{replay, tally::Tally};

fn gateway(policies: &str) -> Gateway {
    let text = format!(
        "routes: [{{path: /a/*, target_service: a, query: {{v: '1'}}, headers: {{x-kind: '*'}}}}]\npolicies: [{policies}]\n"
    );
    let loaded = config::load("t.yaml", text, &NoFiles, &|_: &str| None, Host::Native);
    loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()))
}

fn line(second: u32, end: &str) -> String {
    format!(
        r#"{{"time":"2026-03-01T12:00:{second:02}.000Z","client":"192.0.2.7","method":"GET","host":"h.example","path":"/a/x","route":"/a/*","service":"a",{end}}}"#
    )
}

fn run(old: &str, new: &str, log: &str) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(replay(&gateway(old), &gateway(new), log.as_bytes())).unwrap()
}

/// How one request ends under both, where that is not the same; and that it ends under the old as recorded.
fn ends(old: &str, new: &str, end: &str) -> Option<(String, String)> {
    let tally = run(old, new, &line(0, end));
    assert_eq!((tally.replayed, tally.unlike_log), (1, 0), "{end}: {}", tally.render(false));
    tally.groups().first().map(|(before, after, _)| (before.to_string(), after.to_string()))
}

const JWT: &str = "{name: auth, type: JWT_Validation, jwks_uri: 'http://issuer/keys', issuer: 'https://i', audience: [x, y], required_claims: {tier: [gold, silver]}}";
const ADA: &str = r#""user":"ada","status":200"#;

#[test]
fn each_fault_of_a_token_is_the_recorded_one_and_ends_with_its_check() {
    let without = |part: &str| JWT.replace(part, "");
    let relaxed = [
        ("issuer", without(", issuer: 'https://i'")),
        ("audience", without(", audience: [x, y]")),
        ("claims", without(", required_claims: {tier: [gold, silver]}")),
        ("expired", JWT.replace("audience", "leeway_seconds: 9000000000, audience")),
        ("not_yet_valid", JWT.replace("audience", "leeway_seconds: 9000000000, audience")),
    ];
    for fault in [
        "missing_token",
        "ambiguous_token",
        "malformed",
        "algorithm",
        "critical",
        "unknown_key",
        "signature",
        "expired",
        "not_yet_valid",
        "issuer",
        "audience",
        "claims",
    ] {
        let status = if fault == "ambiguous_token" { 400 } else { 401 };
        let end = format!(r#""status":{status},"refusal":"jwt_validation.{fault}""#);
        for source in ["header: X-Token", "cookie: t", "query: t"] {
            let old = JWT.replace("issuer:", &format!("token_from: {{{source}}}, issuer:"));
            assert_eq!(ends(&old, &old, &end), None);
        }
        assert_eq!(ends(JWT, JWT, &end), None);
        let refused = format!("{status} jwt_validation.{fault}");
        if let Some((_, new)) = relaxed.iter().find(|(own, _)| *own == fault) {
            assert_eq!(ends(JWT, new, &end), Some((refused.clone(), "passed to a".to_owned())));
        }
        assert_eq!(ends(JWT, "", &end), Some((refused, "passed to a".to_owned())));
    }
}

const ASK: &str = "{name: auth, type: OAuthIntrospection, introspection_endpoint: 'http://issuer/ask', client_id: c, client_secret: s, issuer: 'https://i', audience: [x, y], scopes: [read, write], required_claims: {tier: [gold, silver]}}";

#[test]
fn each_fault_of_a_token_that_only_its_issuer_can_read_is_the_recorded_one() {
    for fault in [
        "missing_token",
        "ambiguous_token",
        "malformed",
        "inactive",
        "expired",
        "not_yet_valid",
        "issuer",
        "audience",
        "claims",
        "scope",
    ] {
        let status = match fault {
            "ambiguous_token" => 400,
            "scope" => 403,
            _ => 401,
        };
        let end = format!(r#""status":{status},"refusal":"oauth_introspection.{fault}""#);
        for source in ["header: X-Token", "cookie: t", "query: t"] {
            let old = ASK.replace("issuer:", &format!("token_from: {{{source}}}, issuer:"));
            assert_eq!(ends(&old, &old, &end), None);
        }
        let refused = format!("{status} oauth_introspection.{fault}");
        assert_eq!(ends(ASK, "", &end), Some((refused, "passed to a".to_owned())));
    }
    let wider = ASK.replace("scopes: [read, write], ", "");
    let end = r#""status":403,"refusal":"oauth_introspection.scope""#;
    let refused = "403 oauth_introspection.scope".to_owned();
    assert_eq!(ends(ASK, &wider, end), Some((refused, "passed to a".to_owned())));
}

#[test]
fn readable_tokens_can_be_asked_about_and_others_can_not_be_read() {
    assert_eq!(ends(ASK, ASK, ADA), None);
    assert_eq!(ends(ASK, &ASK.replace("[read, write]", "[admin]"), ADA), None);
    assert_eq!(ends(JWT, ASK, ADA), None);
    let malformed = "401 jwt_validation.malformed".to_owned();
    assert_eq!(ends(ASK, JWT, ADA), Some(("passed to a".to_owned(), malformed)));
}

#[test]
fn a_token_is_admitted_by_both_where_that_can_be() {
    for (from, to) in [
        ("audience: [x, y]", "audience: [y, z]"),
        ("[gold, silver]", "[silver]"),
        ("required_claims: {tier: [gold, silver]}", "required_claims: {tenant: [t]}"),
        ("issuer:", "algorithms: [ES384], issuer:"),
        ("issuer:", "algorithms: [PS512], issuer:"),
    ] {
        assert_eq!(ends(JWT, &JWT.replace(from, to), ADA), None, "{to}");
    }
    for (from, to, fault) in [
        ("issuer: 'https://i'", "issuer: 'https://j'", "401 jwt_validation.issuer"),
        ("[x, y]", "[z]", "401 jwt_validation.audience"),
        ("issuer:", "token_from: {cookie: t}, issuer:", "401 jwt_validation.missing_token"),
    ] {
        let ends = ends(JWT, &JWT.replace(from, to), ADA);
        assert_eq!(ends, Some(("passed to a".to_owned(), fault.to_owned())));
    }
}

#[test]
fn the_policy_engine_says_again_what_it_said() {
    let rbac = format!("{JWT}, {{name: may, type: RBAC, policy_engine_endpoint: 'http://a/allowed'}}");
    let open = rbac.replace("'http://a/allowed'", "'http://a/allowed', on_error: allow");
    let denied = r#""user":"ada","status":403,"refusal":"rbac.denied""#;
    let down = r#""user":"ada","status":503,"refusal":"rbac.unavailable""#;
    assert_eq!(ends(&rbac, &rbac, ADA), None);
    assert_eq!(ends(&rbac, JWT, denied), Some(("403 rbac.denied".to_owned(), "passed to a".to_owned())));
    assert_eq!(ends(&rbac, &open, denied), None);
    assert_eq!(ends(&rbac, &open, down), Some(("503 rbac.unavailable".to_owned(), "passed to a".to_owned())));
}

#[test]
fn limits_count_along_the_time_of_the_log() {
    let limit = |rate: u64| format!("{JWT}, {{name: limit, type: FixedWindow, rate: {rate}, window: 10s}}");
    let log: String = [0, 1, 2, 9, 10, 11].map(|second| line(second, ADA) + "\n").concat();
    assert_eq!(run(&limit(4), &limit(3), &log).otherwise(), 1);
    assert_eq!(run(&limit(4), &limit(1), &log).otherwise(), 4);
    let half = limit(4).replace("10s", "5s");
    assert_eq!(run(&limit(4), &half, &log).otherwise(), 0);
}

#[test]
fn users_are_counted_apart_however_many_there_are() {
    let limit = format!("{JWT}, {{name: limit, type: FixedWindow, rate: 1}}");
    let log: String = (0..3_000)
        .map(|number| line(number % 60, &format!(r#""user":"u{number}","status":200"#)) + "\n")
        .collect();
    let tally = run(&limit, JWT, &log);
    assert_eq!((tally.replayed, tally.otherwise(), tally.unlike_log), (3_000, 0, 0));
}
