//! Speaks HTTP/1.1 to upstreams, over pooled connections, with deadlines that cancel for real.
//!
//! Which endpoint, and whether to try again after a failure, is core's to decide: here nothing that may have
//! reached an upstream is ever sent twice. HTTP/2 would be a second kind of connection beside `connect`.

mod connect;
pub(crate) mod pool;
#[cfg(test)]
mod tests;
mod trust;
mod tunnel;

use std::sync::Arc;

use http::{Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio::{sync::oneshot, time::Instant};
use tollgate_core::{
    body::{Body, BodyError},
    host::{HostError, HostErrorKind},
    upstream::{Endpoint, Patience},
};

pub(crate) use self::{connect::dial, tunnel::join};
use self::{
    pool::{Lease, Pools},
    trust::Trust,
};
use crate::{body::NativeBody, cause, idle::span};

/// Sends requests to upstreams. Clones share connections and trust.
#[derive(Clone, Default)]
pub struct Client {
    pools: Arc<Pools>,
    trust: Arc<Trust>,
}

impl Client {
    /// Sends `request` to `endpoint` and returns when the response's head has arrived. Its target must be in
    /// origin form and its `Host` set.
    ///
    /// Dropping the future, or later the response's body, cuts the upstream's connection. A `101` to a request
    /// that asked for an upgrade is tunnelled in the background.
    pub async fn fetch(
        &self,
        endpoint: &Endpoint,
        mut request: Request<NativeBody>,
        patience: Patience,
    ) -> Result<Response<NativeBody>, HostError> {
        if let Some(error) = request.body().failure() {
            return Err(request_failure(error));
        }
        // The version is that of one hop; this hop speaks 1.1.
        *request.version_mut() = Version::HTTP_11;
        let wants_upgrade = request.headers().contains_key(header::UPGRADE);
        let downstream = request.extensions_mut().remove::<OnUpgrade>().filter(|_| wants_upgrade);
        let idle = span(patience.idle_ms);
        let request = request.map(|body| body.idle_after(idle));

        let deadline = Instant::now() + span(patience.head_ms);
        let exchange = self.exchange(endpoint, request, patience);
        let (mut response, lease) = tokio::time::timeout_at(deadline, exchange).await.map_err(|_| {
            let detail = format!("{}: no response within {} ms", endpoint.authority, patience.head_ms);
            HostError::new(HostErrorKind::Timeout, detail)
        })??;

        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let upstream = response.extensions_mut().remove::<OnUpgrade>();
            let (Some(downstream), Some(upstream)) = (downstream, upstream) else {
                let detail = format!("{}: switches protocols, which was not asked for", endpoint.authority);
                return Err(HostError::new(HostErrorKind::Protocol, detail));
            };
            let (over, end) = oneshot::channel();
            tokio::spawn(async move {
                tunnel::run(downstream, upstream, lease, idle).await;
                // Most often nobody wants to know.
                let _ = over.send(());
            });
            return Ok(response.map(|_| NativeBody::switched(end)));
        }
        Ok(response.map(|incoming| {
            if incoming.is_end_stream() {
                lease.release();
                NativeBody::empty()
            } else {
                NativeBody::from(incoming).leased(lease).idle_after(idle)
            }
        }))
    }

    /// Sends `request` over a connection that is there, or else over a new one.
    async fn exchange(
        &self,
        endpoint: &Endpoint,
        mut request: Request<NativeBody>,
        patience: Patience,
    ) -> Result<(Response<Incoming>, Lease), HostError> {
        loop {
            let pooled = self.pools.take(&endpoint.pool);
            let fresh = pooled.is_none();
            let connection = match pooled {
                Some(connection) => connection,
                // Boxed: it is rare and large, and every request would carry room for it.
                None => Box::pin(connect::connect(endpoint, &self.trust, patience.connect_ms)).await?,
            };
            let mut lease = Lease::new(connection, &self.pools, &endpoint.pool);
            let mut failure = match lease.send(request).await {
                Ok(response) => return Ok((response, lease)),
                Err(failure) => failure,
            };
            match failure.take_message() {
                // The connection was dead before anything was written. Every round takes one from the pool.
                Some(unsent) if !fresh => request = unsent,
                _ => return Err(exchange_failure(endpoint, &failure.into_error())),
            }
        }
    }
}

/// Whose fault it is that no response's head has come.
fn exchange_failure(endpoint: &Endpoint, error: &hyper::Error) -> HostError {
    // hyper reports what our own body said while it was being sent as an error of the exchange.
    if let Some(error) = cause::find::<BodyError>(error) {
        return request_failure(error);
    }
    let kind = if error.is_parse() { HostErrorKind::Protocol } else { HostErrorKind::Reset };
    HostError::new(kind, format!("{}: {}", endpoint.authority, cause::text(error)))
}

fn request_failure(error: &BodyError) -> HostError {
    let kind = match error {
        BodyError::TooLarge => HostErrorKind::RequestTooLarge,
        BodyError::Broken(_) => HostErrorKind::RequestBroken,
        BodyError::Unproven => HostErrorKind::RequestUnproven,
    };
    HostError::new(kind, error.to_string())
}
