//! Pretend services on loopback: agents, orchestrator, login, key set, policy engine. Each says who it was
//! called for, so that what the gateway does can be seen.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    process::ExitCode,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use http::{HeaderMap, HeaderValue, Uri, header};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    time::{Interval, interval},
};
use tollgate_core::{
    body::Body as _,
    upstream::{Endpoint, Patience, Protocol},
};

use super::issuer::Issuer;
use crate::{body::NativeBody, client::Client};

/// The services, running.
pub(super) struct Agents {
    addresses: Vec<(&'static str, SocketAddr)>,
    gateway: Arc<OnceLock<SocketAddr>>,
}

impl Agents {
    /// Starts all of them in a thread of their own: on ports that the system chooses or, where `fixed`, on those
    /// that the example's configuration names when no variable says otherwise.
    pub(super) fn start(issuer: Arc<Issuer>, fixed: bool) -> std::io::Result<Self> {
        let gateway = Arc::new(OnceLock::new());
        let services = [
            (&["RESEARCH_AGENT_URL"][..], 9001, research()),
            (&["CODE_AGENT_URL"], 9002, code()),
            (&["ORCHESTRATOR_URL"], 9003, orchestrator(gateway.clone())),
            (&["AUTH_URL", "ISSUER_URL"], 9004, login(issuer)),
            (&["IMAGE_AGENT_URL"], 9005, image()),
            (&["POLICY_ENGINE_URL"], 9006, policy_engine()),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut addresses = Vec::new();
        for (variables, port, router) in services {
            let address = SocketAddr::from(([127, 0, 0, 1], if fixed { port } else { 0 }));
            let listener = runtime.block_on(TcpListener::bind(address))?;
            let address = listener.local_addr()?;
            addresses.extend(variables.iter().map(|variable| (*variable, address)));
            runtime.spawn(async move {
                if let Err(error) = axum::serve(listener, router).await {
                    crate::notice::say(format_args!("a pretend service ended: {error}"));
                }
            });
        }
        thread::Builder::new().name("pretend-agents".to_owned()).spawn(move || {
            runtime.block_on(std::future::pending::<()>());
        })?;
        Ok(Self { addresses, gateway })
    }

    /// Waits until told to end.
    pub(super) fn until_stopped(self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let waited = runtime.and_then(|runtime| runtime.block_on(super::super::serve::wait_for_signal()));
        match waited {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => super::super::fail(1, format_args!("signals can't be waited for: {error}")),
        }
    }

    /// What the configuration's variables are set to.
    pub(super) fn variables(&self) -> HashMap<&'static str, String> {
        self.addresses.iter().map(|(variable, address)| (*variable, format!("http://{address}"))).collect()
    }

    /// Where the orchestrator finds the other agents: behind the gateway, like everybody else.
    pub(super) fn tell_gateway(&self, address: SocketAddr) {
        let _ = self.gateway.set(address);
    }
}

fn json_response(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

/// Who the gateway says it is called for.
fn acting_for(headers: &HeaderMap) -> Value {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    json!({"user": text("x-user-id"), "roles": text("x-user-roles")})
}

fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn research() -> Router {
    let query = |uri: Uri, headers: HeaderMap| async move {
        let question = parameter(&uri, "q").unwrap_or_else(|| "anything".to_owned());
        json_response(&json!({
            "agent": "research", "question": question, "answer": "42, with three sources", "for": acting_for(&headers),
        }))
    };
    let stream = || async {
        let events = Events { next: 1, last: 5, pace: interval(Duration::from_millis(500)) };
        (
            [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")],
            Body::new(events),
        )
            .into_response()
    };
    Router::new().route("/query", any(query)).route("/stream", get(stream)).fallback(any(query))
}

fn code() -> Router {
    Router::new().fallback(any(|headers: HeaderMap| async move {
        json_response(&json!({"agent": "code", "code": "fn main() {}", "for": acting_for(&headers)}))
    }))
}

fn image() -> Router {
    Router::new().fallback(any(|headers: HeaderMap| async move {
        // Text that stands for a picture: large, and worth compressing.
        let picture = "<path d=\"M10 10 L90 90\"/>".repeat(4000);
        json_response(&json!({"agent": "image", "svg": picture, "for": acting_for(&headers)}))
    }))
}

fn login(issuer: Arc<Issuer>) -> Router {
    let keys = |State(issuer): State<Arc<Issuer>>| async move {
        (
            [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=300")],
            issuer.key_set(),
        )
    };
    let login = |State(issuer): State<Arc<Issuer>>, uri: Uri| async move {
        let user = parameter(&uri, "user").unwrap_or_else(|| "anonymous".to_owned());
        let role = parameter(&uri, "role").unwrap_or_else(|| "guest".to_owned());
        json_response(&json!({"token": issuer.token(&user, &role)}))
    };
    Router::new().route("/.well-known/jwks.json", get(keys)).route("/login", any(login)).with_state(issuer)
}

/// Guests may look, but make no images and write no code.
fn policy_engine() -> Router {
    let authorize = |body: Bytes| async move {
        let question: Value = serde_json::from_slice(&body).unwrap_or_default();
        let input = question.get("input").cloned().unwrap_or_default();
        let has = |role: &str| {
            input
                .get("roles")
                .and_then(Value::as_array)
                .is_some_and(|roles| roles.iter().any(|own| own == role))
        };
        let path = input.get("path").and_then(Value::as_str).unwrap_or_default();
        let costly = path.starts_with("/agents/image/") || path.starts_with("/agents/code/");
        let known = has("researcher") || has("artist") || has("guest");
        json_response(&json!({"result": {"allow": known && !(costly && has("guest"))}}))
    };
    Router::new().route("/authorize", post(authorize))
}

/// What the orchestrator needs to call others.
#[derive(Clone)]
struct Orchestrator {
    gateway: Arc<OnceLock<SocketAddr>>,
    client: Client,
    checks: Arc<AtomicU64>,
}

fn orchestrator(gateway: Arc<OnceLock<SocketAddr>>) -> Router {
    let state = Orchestrator { gateway, client: Client::default(), checks: Arc::default() };
    let status = |State(own): State<Orchestrator>| async move {
        let checks = own.checks.fetch_add(1, Ordering::Relaxed) + 1;
        json_response(&json!({"status": "all agents idle", "checks": checks}))
    };
    Router::new().route("/status", get(status)).route("/plan", any(plan)).with_state(state)
}

/// Hands the user's own token on, so the gateway counts and judges the call as the user's.
async fn plan(State(own): State<Orchestrator>, request: Request) -> Response {
    let asked = ask_research(&own, request.headers()).await;
    json_response(&json!({
        "agent": "orchestrator",
        "for": acting_for(request.headers()),
        "research": asked.unwrap_or_else(|error| json!({"error": error})),
    }))
}

async fn ask_research(own: &Orchestrator, headers: &HeaderMap) -> Result<Value, String> {
    let gateway = own.gateway.get().ok_or("the gateway is not up yet")?;
    let authority: http::uri::Authority = gateway.to_string().parse().map_err(|error| format!("{error}"))?;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
    let pool = format!("http://{authority}").into();
    let service = "gateway".into();
    let endpoint = Endpoint {
        service,
        authority,
        tls: None,
        protocol: Protocol::Http1,
        base_path: String::new(),
        host: host.clone(),
        pool,
        is_raw: false,
    };
    let mut request = http::Request::new(NativeBody::empty());
    *request.uri_mut() = Uri::from_static("/agents/research/query?q=plan");
    request.headers_mut().insert(header::HOST, host);
    if let Some(token) = headers.get(header::AUTHORIZATION) {
        request.headers_mut().insert(header::AUTHORIZATION, token.clone());
    }
    let fetched = own.client.fetch(&endpoint, request, Patience::default()).await;
    let (head, body) = fetched.map_err(|error| error.to_string())?.into_parts();
    let content = body.read(64 * 1024).await.map_err(|error| error.to_string())?;
    let counted = head.headers.get("ratelimit").and_then(|value| value.to_str().ok());
    Ok(json!({
        "status": head.status.as_u16(),
        "counted": counted,
        "answer": serde_json::from_slice::<Value>(&content).unwrap_or_default(),
    }))
}

/// Events, one at a time.
struct Events {
    next: u32,
    last: u32,
    pace: Interval,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        if self.next > self.last {
            return Poll::Ready(None);
        }
        ready!(self.pace.poll_tick(context));
        let event = format!("event: finding\ndata: {{\"step\": {}, \"of\": {}}}\n\n", self.next, self.last);
        self.next += 1;
        Poll::Ready(Some(Ok(http_body::Frame::data(event.into()))))
    }
}
