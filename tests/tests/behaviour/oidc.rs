//! The gateway with a real OpenID provider: its keys are found by its name alone, change under load, and serve on when it
//! is gone. At home and at the edge.

pub(crate) mod provider;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value;
use tokio::task::JoinSet;
use tollgate::{host::Settings, server::Running};
use tollgate_core::config::{self, Host, NoFiles};
use tollgate_tests::stage::{
    native::{client::exchange, start},
    workers::{self, process::Process},
};

use self::provider::{Clerk, Provider};
use crate::around::{answering, request, soon};

/// How many clients make requests while keys change.
const CLIENTS: usize = 8;
/// How often keys change, and how many requests with new tokens are made at least between.
const ROTATIONS: usize = 3;
const BETWEEN: usize = 100;

async fn configuration(issuer: &str) -> String {
    format!(
        "services: {{app: {{endpoints: ['http://{}']}}}}\nroutes: [{{path: '/app/*', target_service: app}}]\n\
         policies: [{{name: authentication, type: JWT_Validation, issuer: '{issuer}', audience: api, typ: at+jwt, scopes: api}}]\n",
        answering().await
    )
}

async fn native(issuer: &str) -> Running {
    let text = configuration(issuer).await;
    let loaded = config::load("test", text, &NoFiles, &|_: &str| None, Host::Native);
    let gateway = loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()));
    start(gateway, Settings::default()).unwrap().0
}

/// None where there is no workerd.
async fn worker(issuer: &str) -> Option<Process> {
    if let Some(why) = workers::unavailable() {
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("SKIPPED: {why}");
        return None;
    }
    Some(workers::start(&configuration(issuer).await).await.unwrap())
}

/// The status of a request with `token`, and the code of its refusal.
async fn ask(gateway: SocketAddr, token: &str) -> (u16, String) {
    let authorization = format!("authorization: Bearer {token}");
    let sent = request("GET /app/x", &[&authorization], "");
    let raw = soon("an answer comes", exchange(gateway, &sent)).await.unwrap();
    let problem: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
    let code = problem["type"].as_str().and_then(|name| name.rsplit(':').next()).unwrap_or_default();
    (raw.status, code.to_owned())
}

fn served() -> (u16, String) {
    (200, String::new())
}

async fn keys_change_and_nobody_is_turned_away(gateway: SocketAddr, provider: &mut Provider) {
    let clerk = provider.clerk();
    let ended = Arc::new(AtomicBool::new(false));
    let (answer, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (clerk, ended, answer): (Clerk, _, _) = (clerk.clone(), ended.clone(), answer.clone());
        clients.spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                let token = clerk.token().await;
                answer.send(ask(gateway, &token).await).unwrap();
            }
        });
    }
    drop(answer);
    for rotation in 0..=ROTATIONS {
        for _ in 0..BETWEEN {
            let answer = answers.recv().await.expect("clients go on");
            assert_eq!(answer, served(), "after {rotation} rotations");
        }
        if rotation < ROTATIONS {
            provider.rotate().await;
        }
    }
    ended.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    while let Ok(answer) = answers.try_recv() {
        assert_eq!(answer, served(), "at the end");
    }
}

/// Tokens of a provider that is gone are judged by its last keys; what nobody can judge is not called bad.
async fn its_last_keys_serve_on(gateway: SocketAddr, provider: &mut Provider) {
    let clerk = provider.clerk();
    let (mut fresh, mut with_a_new_key) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        fresh.push(clerk.token().await);
    }
    assert_eq!(ask(gateway, &clerk.token().await).await, served());
    provider.rotate().await;
    with_a_new_key.push(clerk.token().await);
    provider.kill().await;
    for token in &fresh {
        assert_eq!(ask(gateway, token).await, served());
    }
    for token in &with_a_new_key {
        assert_eq!(ask(gateway, token).await, (503, "jwt_validation.keys_unavailable".to_owned()));
    }
    let (message, _) = fresh[0].rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", "A".repeat(86));
    assert_eq!(ask(gateway, &forged).await, (401, "jwt_validation.signature".to_owned()));
}

async fn without_keys_nothing_is_said_about_a_token(gateway: SocketAddr) {
    // Of a provider that was never up: a token by anybody.
    let token = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsiLCJ0eXAiOiJhdCtqd3QifQ.e30.AAAA";
    for _ in 0..3 {
        assert_eq!(ask(gateway, token).await, (503, "jwt_validation.keys_unavailable".to_owned()));
    }
}

/// An address at which nobody is.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_home_a_provider_may_change_its_keys_under_load_and_then_die() {
    let Some(mut provider) = Provider::start().await else { return };
    let gateway = native(&provider.issuer).await;
    keys_change_and_nobody_is_turned_away(gateway.addresses()[0], &mut provider).await;
    its_last_keys_serve_on(gateway.addresses()[0], &mut provider).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_edge_a_provider_may_change_its_keys_under_load_and_then_die() {
    let Some(mut provider) = Provider::start().await else { return };
    let Some(worker) = worker(&provider.issuer).await else { return };
    keys_change_and_nobody_is_turned_away(worker.address(), &mut provider).await;
    its_last_keys_serve_on(worker.address(), &mut provider).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_was_never_up_makes_no_token_a_bad_one() {
    let issuer = nobody().await;
    without_keys_nothing_is_said_about_a_token(native(&issuer).await.addresses()[0]).await;
    if let Some(worker) = worker(&issuer).await {
        without_keys_nothing_is_said_about_a_token(worker.address()).await;
    }
}
