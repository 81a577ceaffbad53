//! The admin listener: health for whoever asks, metrics for whoever has the token. On loopback unless the
//! configuration says otherwise. Nothing here can change the gateway.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use tokio::net::TcpListener;
use tollgate_core::config::document::Admin as Settings;

use crate::metrics::Metrics;

/// What the admin listener shows.
#[derive(Debug, Clone)]
pub struct Admin {
    metrics: Option<Arc<Metrics>>,
    token: Option<Arc<str>>,
}

impl Admin {
    /// `metrics` is what to show; none where they are switched off.
    pub fn new(settings: &Settings, metrics: Option<Arc<Metrics>>) -> Self {
        Self { metrics, token: settings.token.as_deref().map(Arc::from) }
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
            .route("/version", get(|| async { concat!("tollgate ", env!("CARGO_PKG_VERSION"), "\n") }))
            .route_layer(from_fn_with_state(self.clone(), guard));
        Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(|| async { "ok\n" }))
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

async fn metrics(State(admin): State<Admin>) -> Response {
    match &admin.metrics {
        Some(metrics) => {
            let kind = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
            ([kind], Body::from(metrics.render())).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
