//! A policy engine that decides in Rego: the data API of Open Policy Agent over HTTP, evaluated by regorus.
//!
//! Whatever the policy says is answered as it is; nothing here knows what the gateway wants to hear.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use regorus::{Engine, Value};
use serde_json::json;
use tokio::net::TcpListener;

/// An engine that runs until the test's runtime ends.
pub(super) struct Rego {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Rego {
    /// An engine with one policy, which takes its time for each answer.
    pub(super) async fn open(policy: &str, delay: Duration) -> Self {
        let mut engine = Engine::new();
        engine.add_policy("authz.rego".to_owned(), policy.to_owned()).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (engine, count) = (engine.clone(), count.clone());
                let service = service_fn(move |request| {
                    count.fetch_add(1, Ordering::Relaxed);
                    answer(engine.clone(), delay, request)
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, asked }
    }

    /// Where a rule is asked about.
    pub(super) fn url(&self, rule: &str) -> String {
        format!("http://{}/v1/data/{rule}", self.address)
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn answer(
    engine: Engine,
    delay: Duration,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    tokio::time::sleep(delay).await;
    let (head, body) = request.into_parts();
    let rule =
        head.uri.path().strip_prefix("/v1/data/").map(|rule| format!("data.{}", rule.replace('/', ".")));
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let (status, answer) = match rule {
        Some(rule) if head.method == Method::POST => evaluate(engine, rule, &body),
        _ => (StatusCode::NOT_FOUND, json!({"code": "resource_not_found"})),
    };
    let mut response = Response::new(Full::from(answer.to_string()));
    *response.status_mut() = status;
    Ok(response)
}

fn evaluate(mut engine: Engine, rule: String, body: &[u8]) -> (StatusCode, serde_json::Value) {
    let Ok(question) = serde_json::from_slice::<serde_json::Value>(body) else {
        return (StatusCode::BAD_REQUEST, json!({"code": "invalid_parameter"}));
    };
    let input = Value::from_json_str(&question["input"].to_string()).unwrap();
    engine.set_input(input);
    match engine.eval_rule(rule) {
        Ok(Value::Undefined) => (StatusCode::OK, json!({})),
        Ok(value) => {
            let result: serde_json::Value = serde_json::from_str(&value.to_json_str().unwrap()).unwrap();
            (StatusCode::OK, json!({"result": result}))
        }
        // To OPA a rule that is nowhere is undefined like any other.
        Err(error) if error.to_string().contains("not a valid rule path") => (StatusCode::OK, json!({})),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            json!({"code": "internal_error", "message": error.to_string()}),
        ),
    }
}
