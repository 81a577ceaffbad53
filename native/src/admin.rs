//! The admin listener: health for whoever asks, metrics for whoever has the token. On loopback unless the
//! configuration says otherwise. Nothing here can change what the gateway does.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tollgate_core::{config::document::Admin as Settings, pattern::Pattern};

use crate::{
    clock::Clock,
    metrics::{CONTENT_TYPE, Metrics},
    server::Snapshot,
    trails::{MAX_WANTED, Trails},
};

/// All that the page of metrics tells of.
#[derive(Debug, Clone)]
pub struct MetricsPage {
    /// What this process counts.
    pub metrics: Arc<Metrics>,
    /// The configuration in force, whose issuers have keys.
    pub gateway: Snapshot,
    /// By which keys are old.
    pub clock: Clock,
}

impl MetricsPage {
    fn render(&self) -> String {
        let standings: Vec<_> = self.gateway.load().key_standings(self.clock.now()).collect();
        self.metrics.render(&standings)
    }
}

/// What the admin listener shows.
#[derive(Debug, Clone)]
pub struct Admin {
    metrics: Option<MetricsPage>,
    trails: Arc<Trails>,
    token: Option<Arc<str>>,
    ready: Arc<AtomicBool>,
}

impl Admin {
    /// `metrics` is what to show; none where they are switched off. `ready` falls when the gateway drains.
    pub fn new(
        settings: &Settings,
        metrics: Option<MetricsPage>,
        trails: Arc<Trails>,
        ready: Arc<AtomicBool>,
    ) -> Self {
        Self { metrics, trails, token: settings.token.as_deref().map(Arc::from), ready }
    }

    /// Binds the listener.
    pub async fn bind(address: &str) -> std::io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    /// Serves until dropped.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        axum::serve(listener, self.router()).await
    }

    fn router(self) -> Router {
        let guarded = Router::new()
            .route("/metrics", get(metrics))
            .route("/trails", get(trails).post(want_trails))
            .route("/trails/{request_id}", get(trail))
            .route("/version", get(|| async { concat!("tollgate ", env!("CARGO_PKG_VERSION"), "\n") }))
            .route_layer(from_fn_with_state(self.clone(), guard));
        Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readiness))
            .merge(guarded)
            .with_state(self)
    }
}

async fn guard(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let Some(token) = &admin.token else { return next.run(request).await };
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let right = given.is_some_and(|given| {
        aws_lc_rs::constant_time::verify_slices_are_equal(given, token.as_bytes()).is_ok()
    });
    if right {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer realm=\"tollgate admin\"")])
            .into_response()
    }
}

/// Whether new requests are welcome: whoever balances load is to look elsewhere while the gateway drains.
async fn readiness(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if admin.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match &admin.metrics {
        Some(page) => {
            let kind = (header::CONTENT_TYPE, CONTENT_TYPE);
            ([kind], Body::from(page.render())).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What is kept of requests that were explained.
async fn trails(State(admin): State<Admin>) -> Response {
    json(StatusCode::OK, &admin.trails.list())
}

async fn trail(State(admin): State<Admin>, Path(request_id): Path<String>) -> Response {
    match admin.trails.of(&request_id) {
        Some(trail) => json(StatusCode::OK, &trail),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Which requests are to be explained.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// How many of the next ones.
    #[serde(default = "one")]
    next: u32,
    /// Only those on these paths, written as in routes.
    path: Option<String>,
}

fn one() -> u32 {
    1
}

/// `POST /trails?next=20&path=/agents/*`: the next requests are to be explained.
async fn want_trails(
    State(admin): State<Admin>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, (StatusCode, String)> {
    let wrong = |why: String| (StatusCode::BAD_REQUEST, format!("{why}\n"));
    let Query(Wanted { next, path }) = wanted.map_err(|error| wrong(error.body_text()))?;
    if next > MAX_WANTED {
        return Err(wrong(format!("`next` is a number up to {MAX_WANTED}")));
    }
    let only = path.as_deref().map(Pattern::parse).transpose();
    admin.trails.want(next, only.map_err(|error| wrong(format!("`path`: {error}")))?);
    Ok(json(StatusCode::ACCEPTED, &json!({"wanted": next})))
}

fn json(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use tollgate_core::config::{self, Host, NoFiles};

    use super::*;

    async fn ask(address: SocketAddr, path: &str, token: Option<&str>) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let credentials = token.map_or(String::new(), |token| format!("authorization: Bearer {token}\r\n"));
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{credentials}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_need_the_token_and_health_does_not() {
        let settings = Settings { token: Some("right".to_owned()), ..Settings::default() };
        let ready = Arc::new(AtomicBool::new(true));
        let text = "services: {a: {endpoints: [\"http://a\"]}}\nroutes: [{path: /, target_service: a}]\npolicies:\n- \
                    {name: authentication, type: JWT_Validation, issuer: \"http://issuer.test/\"}\n";
        let loaded = config::load("t", text.to_owned(), &NoFiles, &|_: &str| None, Host::Native);
        let gateway = loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()));
        let page = MetricsPage {
            metrics: Arc::default(),
            gateway: Arc::new(ArcSwap::from_pointee(gateway)),
            clock: Clock::System,
        };
        let admin = Admin::new(&settings, Some(page), Arc::default(), ready.clone());
        let (listener, address) = Admin::bind("127.0.0.1:0").await.unwrap();
        let serving = tokio::spawn(admin.serve(listener));
        assert!(ask(address, "/healthz", None).await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/readyz", None).await.starts_with("HTTP/1.1 200"));
        for (token, wanted) in [(None, "401"), (Some("wrong"), "401"), (Some("right"), "200")] {
            let answer = ask(address, "/metrics", token).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {wanted}")), "{answer}");
        }
        let page = ask(address, "/metrics", Some("right")).await;
        assert!(page.contains("# TYPE "));
        assert!(page.contains("\ntollgate_keys_serving{source=\"http://issuer.test/\"} 0\n"), "{page}");
        ready.store(false, Ordering::Relaxed);
        assert!(ask(address, "/readyz", None).await.starts_with("HTTP/1.1 503"));
        assert!(ask(address, "/healthz", None).await.starts_with("HTTP/1.1 200"));
        serving.abort();
    }
}
