//! Every policy type explains itself: one that notes no step where it decides fails here, as does one that is
//! missing from the table.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use serde_json::json;
use tollgate_core::{
    config::{self, Host, NoFiles, policy::Kind},
    host::Peer,
    password::{Cost, pure},
    policy::api_key::ApiKey,
    trail::Verdict,
};
use tollgate_rehearsal::{
    case::certificate::Certificate,
    keys::{self, Key},
    play::Sent,
    signature::Signing,
    supposed::{Answer, Bearer, Supposed, World},
};

/// By type: the policies of a route on which it decides. All are global, in the order of their stages.
const DECIDING: &[(&str, &str)] = &[
    ("JWT_Validation", ""),
    // In the place of the token: what is asked of all routes before.
    (
        "ApiKey",
        "- {name: authentication, type: ApiKey, keys: [{hash: '${HASH}', subject: alice}], description: why}",
    ),
    (
        "OAuthIntrospection",
        "- {name: authentication, type: OAuthIntrospection, introspection_endpoint: 'http://issuer/ask', client_id: c, client_secret: s, scopes: [read], audience: api, description: why}",
    ),
    (
        "OidcLogin",
        "- {name: authentication, type: OidcLogin, issuer: 'https://i', client_id: c, external_url: 'https://h', cookie_secret: '${SECRET}', description: why}",
    ),
    (
        "AnyOf",
        "- {name: authentication, type: AnyOf, policies: [{type: ApiKey, keys: [{hash: '${HASH}', subject: alice}]}], description: why}",
    ),
    (
        "BasicAuth",
        "- {name: authentication, type: BasicAuth, users: [{name: alice, hash: '${PASSWORD}'}], description: why}",
    ),
    (
        "Hmac",
        "- {name: authentication, type: Hmac, keys: [{id: k, secret: '${SECRET}', subject: alice}], description: why}",
    ),
    ("Mtls", "- {name: authentication, type: Mtls, issuers: [{issuer: 'CN=Test CA'}], description: why}"),
    ("FixedWindow", "- {name: x, type: FixedWindow, rate: 5, per: ip, description: why}"),
    ("SlidingWindow", "- {name: x, type: SlidingWindow, rate: 5, per: ip, description: why}"),
    ("TokenBucket", "- {name: x, type: TokenBucket, rate: 5, per: ip, description: why}"),
    ("Concurrency", "- {name: x, type: Concurrency, limit: 5, per: ip, description: why}"),
    ("Budget", "- {name: x, type: Budget, limit: 5, per: ip, description: why}"),
    ("RBAC", "- {name: x, type: RBAC, policy_engine_endpoint: 'http://engine/', description: why}"),
    ("Cel", "- {name: x, type: Cel, expression: 'request.method == \"GET\"', description: why}"),
    ("TTL", "- {name: x, type: TTL, ttl_seconds: 5, description: why}"),
    ("Compression", "- {name: x, type: Compression, min_bytes: 1, description: why}"),
];

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The fields by which the request that is asked about is signed.
fn signed(now: u64) -> Vec<(String, String)> {
    let mut sent = Sent {
        method: "GET".to_owned(),
        target: "/a".to_owned(),
        headers: vec![("host".to_owned(), "h".to_owned())],
        pieces: Vec::new(),
        peer: [127, 0, 0, 1].into(),
        certificate: None,
        trailers: Vec::new(),
        over: Default::default(),
    };
    let signing: Signing = serde_json::from_value(json!({"key": "k", "secret": SECRET})).unwrap();
    signing.sign(&mut sent, now).unwrap();
    sent.headers.split_off(1)
}

#[test]
fn every_policy_type_explains_what_it_decides() {
    for kind in Kind::TYPES {
        let (_, policies) = DECIDING
            .iter()
            .find(|(own, _)| own == kind)
            .unwrap_or_else(|| panic!("`{kind}` is not in the table of this test"));
        let token = "- {name: authentication, type: JWT_Validation, jwks: '${JWKS}', description: why}";
        let authentication = if policies.contains("authentication") { "" } else { token };
        // The host that has it.
        let target = if *kind == "Mtls" { Host::Workers } else { Host::Native };
        let scheme = if target == Host::Workers { "https" } else { "http" };
        let text = format!(
            "routes: [{{path: /a, target_service: s}}]\nservices: {{s: {{endpoints: ['{scheme}://s']}}}}\n\
             policies:\n  {authentication}\n  {policies}\n"
        );
        let jwks = keys::set(&[Key::Main]).to_string();
        let digest: String = ApiKey::digest("right").iter().map(|byte| format!("{byte:02x}")).collect();
        let password = pure::hash(Cost::STANDARD, b"salt of sixteen.", b"right").unwrap().to_string();
        let variables = |name: &str| match name {
            "JWKS" => Some(jwks.clone()),
            "HASH" => Some(format!("sha256:{digest}")),
            "PASSWORD" => Some(password.clone()),
            "SECRET" => Some(SECRET.to_owned()),
            _ => None,
        };
        let loaded = config::load("t.yaml", text, &NoFiles, &variables, target);
        let gateway = loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()));
        let bearer = Bearer::User { subject: "alice".to_owned(), claims: serde_json::Map::new() };
        let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = Answer { headers: vec![json], body: Bytes::from(vec![b' '; 100]), ..Answer::default() };
        let world = World::new(&gateway, Supposed { bearer, answer: Some(answer), ..Supposed::default() });
        let request = Request::get("/a")
            .header("host", "h")
            .header("accept-encoding", "gzip")
            .header("x-api-key", "right");
        let request = match *kind {
            "BasicAuth" => request.header("authorization", "Basic YWxpY2U6cmlnaHQ="),
            "Hmac" => {
                signed(0).into_iter().fold(request, |request, (name, value)| request.header(name, value))
            }
            _ => request,
        };
        let mut request = request.body(Bytes::new()).unwrap();
        Arc::new(Certificate::default().facts()).attach(request.extensions_mut());
        let peer = Peer::new([127, 0, 0, 1].into(), false);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let explained = runtime.block_on(world.explain(&peer, request)).unwrap();
        let step = explained.trail.steps.iter().find(|step| step.room == *kind);
        let step = step.unwrap_or_else(|| panic!("`{kind}` notes no step: {:#?}", explained.trail));
        assert_eq!(step.verdict, Verdict::Pass, "{step:?}");
        assert_eq!(step.description.as_deref(), Some("why"), "{step:?}");
        assert!(step.at.line >= 4 && !step.text.is_empty(), "{step:?}");
    }
}
