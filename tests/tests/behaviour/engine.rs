//! The gateway with a policy engine that is none of ours: policies in Rego, and what becomes of their answers.

mod rego;

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tollgate::server::Running;
use tollgate_rehearsal::{
    case::request::{Lies, Signed},
    keys::{self, Key},
    observed::Raw,
    token::token,
};
use tollgate_tests::stage::native::client::exchange;

use self::rego::Rego;
use crate::around::{Upstream, request, soon};

const POLICY: &str = include_str!("engine/authz.rego");

/// A gateway between a service and an engine.
struct World {
    service: Upstream,
    engine: Rego,
    gateway: Running,
}

impl World {
    /// A gateway that asks about `rule`, with more keys of the policy besides.
    async fn new(rule: &str, more: &str) -> Self {
        Self::with(Rego::open(POLICY, Duration::ZERO).await, rule, more).await
    }

    async fn with(engine: Rego, rule: &str, more: &str) -> Self {
        let service = Upstream::open().await;
        let gateway = gateway(&service, &engine.url(rule), more);
        Self { service, engine, gateway }
    }

    /// Makes a request that has to reach the service; the head that comes there, in lower case.
    async fn sent(&self, line: &str, claims: Value, fields: &[&str]) -> String {
        let answering = async {
            let mut connection = self.service.accept().await;
            let head = connection.head().await;
            connection.say("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
            head.to_ascii_lowercase()
        };
        let (raw, head) = tokio::join!(ask(&self.gateway, line, claims, fields), answering);
        assert_eq!(raw.status, 204, "{line}");
        head
    }

    /// Makes a request that has to be refused; with what status and code.
    async fn refused(&self, line: &str, claims: Value) -> (u16, String) {
        let raw = ask(&self.gateway, line, claims, &[]).await;
        let problem: Value = serde_json::from_slice(&raw.body).unwrap();
        let code = problem["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        (raw.status, code)
    }
}

fn gateway(service: &Upstream, engine: &str, more: &str) -> Running {
    let keys = keys::set(&[Key::Main]);
    service.gateway(&format!(
        "policies:\n- {{name: authentication, type: JWT_Validation, jwks: '{keys}'}}\n\
         - {{name: authorization, type: RBAC, policy_engine_endpoint: '{engine}'{more}}}\n"
    ))
}

async fn ask(gateway: &Running, line: &str, claims: Value, fields: &[&str]) -> Raw {
    let address: SocketAddr = gateway.addresses()[0];
    let Value::Object(claims) = claims else { panic!("{claims} are no claims") };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let token = token(&Signed { claims, lies: Lies::default() }, now).unwrap();
    let authorization = format!("authorization: Bearer {token}");
    let fields = [&[authorization.as_str()], fields].concat();
    soon("an answer comes", exchange(address, &request(line, &fields, ""))).await.unwrap()
}

fn reader() -> Value {
    json!({"sub": "rita", "role": ["reader"]})
}

fn denied() -> (u16, String) {
    (403, "rbac.denied".to_owned())
}

fn unavailable() -> (u16, String) {
    (503, "rbac.unavailable".to_owned())
}

#[tokio::test]
async fn what_rego_allows_is_let_through_and_what_it_denies_is_not() {
    let world = World::new("authz/allow", "").await;
    assert!(world.sent("GET /app/reports/7", reader(), &[]).await.contains("x-user-id: rita"));
    world.sent("DELETE /app/x", json!({"sub": "ada", "role": "admin"}), &[]).await;
    assert_eq!(world.refused("PUT /app/reports/7", reader()).await, denied());
    assert_eq!(world.refused("GET /app/secrets", reader()).await, denied());
    assert_eq!(world.refused("GET /app/reports/../secrets", reader()).await, denied());
    assert_eq!(world.refused("GET /app/reports/7", json!({"sub": "nobody"})).await, denied());
    assert_eq!(world.engine.asked(), 6);
}

#[tokio::test]
async fn an_undefined_rule_denies() {
    let world = World::new("authz/admitted", "").await;
    world.sent("GET /app/reports/7", reader(), &[]).await;
    assert_eq!(world.refused("PUT /app/reports/7", reader()).await, denied());
    let world = World::new("authz/no_such_rule", "").await;
    assert_eq!(world.refused("GET /app/reports/7", reader()).await, denied());
}

#[tokio::test]
async fn headers_of_a_decision_reach_the_service_and_no_client_can_send_them() {
    let world = World::new("authz/decision", ", headers: [X-Tier]").await;
    let head = world.sent("GET /app/reports/7", reader(), &["x-tier: gold"]).await;
    assert!(head.contains("x-tier: basic\r\n") && !head.contains("gold"), "{head}");
    let gold = json!({"sub": "rita", "role": "reader", "tier": "gold"});
    assert!(world.sent("GET /app/reports/7", gold.clone(), &[]).await.contains("x-tier: gold\r\n"));
    assert_eq!(world.refused("PUT /app/reports/7", gold).await, denied());
}

#[tokio::test]
async fn a_decision_with_headers_that_are_not_declared_is_none() {
    let world = World::new("authz/talkative", ", headers: [X-Tier]").await;
    assert_eq!(world.refused("GET /app/reports/7", reader()).await, unavailable());
    let world = World::new("authz/talkative", "").await;
    assert!(world.sent("GET /app/reports/7", reader(), &[]).await.contains("x-debug: rita\r\n"));
}

#[tokio::test]
async fn an_answer_about_something_else_is_none() {
    for rule in ["authz/malformed", "authz/about", "authz/grants", "authz"] {
        let world = World::new(rule, "").await;
        let refused = world.refused("GET /app/secrets", reader()).await;
        // A whole package has its `allow` in it, which is then the answer.
        let wanted = if rule == "authz" { denied() } else { unavailable() };
        assert_eq!(refused, wanted, "{rule}");
    }
}

#[tokio::test]
async fn an_engine_that_takes_too_long_has_not_answered() {
    let slow = || Rego::open(POLICY, Duration::from_secs(3));
    let world = World::with(slow().await, "authz/allow", ", timeout_ms: 100").await;
    assert_eq!(world.refused("GET /app/reports/7", reader()).await, unavailable());
    let world = World::with(slow().await, "authz/allow", ", timeout_ms: 100, on_error: allow").await;
    world.sent("PUT /app/secrets", reader(), &[]).await;
}

#[tokio::test]
async fn without_an_engine_nobody_may_unless_the_configuration_says_so() {
    // Bound and not listened on: nobody else gets the port, and nobody answers there.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let down = format!("http://{}/v1/data/authz/allow", socket.local_addr().unwrap());
    for (more, status) in [("", 503), (", on_error: deny", 503)] {
        let service = Upstream::open().await;
        let gateway = gateway(&service, &down, more);
        assert_eq!(ask(&gateway, "GET /app/reports/7", reader(), &[]).await.status, status, "{more}");
    }
    let engine = Rego::open(POLICY, Duration::ZERO).await;
    let service = Upstream::open().await;
    let gateway = gateway(&service, &down, ", on_error: allow");
    let world = World { service, engine, gateway };
    world.sent("PUT /app/secrets", reader(), &[]).await;
    assert_eq!(world.engine.asked(), 0);
}

#[tokio::test]
async fn an_answer_is_kept_for_what_its_key_names() {
    let world = World::new("authz/allow", ", cache_seconds: 60, cache_key: [roles, method, route]").await;
    world.sent("GET /app/reports/7", reader(), &[]).await;
    world.sent("GET /app/reports/8", json!({"sub": "rolf", "role": "reader"}), &[]).await;
    assert_eq!(world.engine.asked(), 1);
    assert_eq!(world.refused("PUT /app/reports/8", reader()).await, denied());
    assert_eq!(world.refused("PUT /app/reports/9", reader()).await, denied());
    assert_eq!(world.engine.asked(), 2);
}

#[tokio::test]
async fn in_shadow_the_engine_is_asked_and_nothing_is_refused() {
    let world = World::new("authz/decision", ", headers: [X-Tier], shadow: true").await;
    let head = world.sent("PUT /app/secrets", reader(), &[]).await;
    assert!(!head.contains("x-tier"), "{head}");
    assert_eq!(world.engine.asked(), 1);
}
