//! Speaks HTTP/1.1 and HTTP/2 to upstreams, over pooled connections, with deadlines that cancel for real.
//!
//! Which endpoint, and whether to try again after a failure, is core's to decide: here nothing that may have been
//! acted upon is ever sent twice.

mod connect;
mod head;
mod origin;
pub(crate) mod pool;
mod sending;
mod shared;
#[cfg(test)]
mod tests;
mod trust;
mod tunnel;

use std::sync::Arc;

use http::{Request, Response, StatusCode, header};
use http_body::Body as _;
use hyper::{body::Incoming, ext::on_informational, upgrade::OnUpgrade};
use tokio::{
    sync::oneshot,
    time::{Instant, error::Elapsed, timeout, timeout_at},
};
use tollgate_core::{
    body::{Body, BodyError},
    host::{HostError, HostErrorKind},
    upstream::{Endpoint, Patience, Protocol},
};

use self::{
    connect::Made,
    origin::{Origin, Turn},
    pool::{Connection, Lease, Pools, Whole},
    shared::{Shared, Slot, Stream},
    trust::{Offer, Trust},
};
pub(crate) use self::{connect::dial, tunnel::join};
use crate::{body::NativeBody, cause, idle::span, interim::Interim};

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
    /// Dropping the future, or later the response's body, cuts the exchange: the upstream's connection, or where others
    /// share it, the stream. A `101` to a request that asked for an upgrade is tunnelled in the background.
    pub async fn fetch(
        &self,
        endpoint: &Endpoint,
        mut request: Request<NativeBody>,
        patience: Patience,
    ) -> Result<Response<NativeBody>, HostError> {
        if let Some(error) = request.body().failure() {
            return Err(request_failure(error));
        }
        let wants_upgrade = request.headers().contains_key(header::UPGRADE);
        let downstream = request.extensions_mut().remove::<OnUpgrade>().filter(|_| wants_upgrade);
        let interim = request.extensions_mut().remove::<Arc<Interim>>();
        // The rest concerns the connection to the client.
        request.extensions_mut().clear();
        if let Some(interim) = interim {
            on_informational(&mut request, move |answer| interim.send(answer.status(), answer.headers()));
        }
        let offer = match endpoint.protocol {
            // Only HTTP/1.1 has upgrades that everybody understands.
            _ if wants_upgrade => Offer::Http1,
            Protocol::Http2 => Offer::Http2,
            Protocol::Auto if endpoint.tls.is_some() => Offer::Both,
            Protocol::Auto | Protocol::Http1 => Offer::Http1,
        };
        let request = request.map(|body| body.idle_after(span(patience.idle_ms)));

        let deadline = Instant::now() + span(patience.head_ms);
        let answered = match offer {
            Offer::Http1 => timeout_at(deadline, self.alone(endpoint, request, &patience)).await,
            // Boxed: HTTP/1.1 is not to carry room for it.
            Offer::Http2 | Offer::Both => {
                Box::pin(self.together_until(deadline, endpoint, request, offer, patience)).await
            }
        };
        let (mut response, lease) = answered.map_err(|_| {
            let detail = format!("{}: no response within {} ms", endpoint.authority, patience.head_ms);
            HostError::new(HostErrorKind::Timeout, detail)
        })??;

        let idle = span(patience.idle_ms);
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

    /// Sends `request` over a connection of its own, in HTTP/1.1: one that is there, or else a new one.
    async fn alone(
        &self,
        endpoint: &Endpoint,
        mut request: Request<NativeBody>,
        patience: &Patience,
    ) -> Result<(Response<Incoming>, Lease), HostError> {
        head::for_http1(&mut request);
        loop {
            let fresh;
            let mut whole = {
                let connection = if let Some(pooled) = self.pools.take(&endpoint.pool) {
                    fresh = false;
                    pooled
                } else {
                    fresh = true;
                    // Boxed: it is rare and large, and every request would carry room for it.
                    Box::pin(self.own(endpoint, *patience)).await?
                };
                Whole::new(connection, &self.pools, &endpoint.pool)
            };
            let mut failure = match whole.send(request).await {
                Ok(response) => return Ok((response, Lease::Whole(whole))),
                Err(failure) => failure,
            };
            match failure.take_message() {
                // The connection was dead before anything was written. Every round takes one from the pool.
                Some(unsent) if !fresh => request = unsent,
                _ => return Err(exchange_failure(endpoint, &failure.into_error())),
            }
        }
    }

    /// A new connection that speaks HTTP/1.1.
    async fn own(&self, endpoint: &Endpoint, patience: Patience) -> Result<Connection, HostError> {
        match connect::connect(endpoint, &self.trust, Offer::Http1, patience).await? {
            Made::Own(connection) => Ok(connection),
            Made::Shared(_) => {
                let detail = format!("{}: TLS: HTTP/2 was chosen, which was not offered", endpoint.authority);
                Err(HostError::new(HostErrorKind::Connect, detail))
            }
        }
    }

    /// The same over this connection. Within, it gives `request` back where nothing of it was written.
    async fn over(
        &self,
        connection: Connection,
        endpoint: &Endpoint,
        mut request: Request<NativeBody>,
    ) -> Result<Result<(Response<Incoming>, Lease), Unsent>, HostError> {
        head::for_http1(&mut request);
        let mut whole = Whole::new(connection, &self.pools, &endpoint.pool);
        match whole.send(request).await {
            Ok(response) => Ok(Ok((response, Lease::Whole(whole)))),
            Err(mut failure) => match failure.take_message() {
                Some(unsent) => Ok(Err((unsent, failure.into_error()))),
                None => Err(exchange_failure(endpoint, &failure.into_error())),
            },
        }
    }

    /// The same over a connection that others may share, until a moment.
    async fn together_until(
        &self,
        deadline: Instant,
        endpoint: &Endpoint,
        request: Request<NativeBody>,
        offer: Offer,
        patience: Patience,
    ) -> Result<Result<(Response<Incoming>, Lease), HostError>, Elapsed> {
        let mut used = None;
        let together = self.together(endpoint, request, offer, patience, &mut used);
        let answered = timeout_at(deadline, together).await;
        if answered.is_err() {
            // It may be dead, and pass others by in silence too. Whoever is served by it goes on.
            used.iter().for_each(|connection| connection.retire());
        }
        answered
    }

    /// The same over a connection that others may share, in HTTP/2, unless the endpoint chooses HTTP/1.1. `used` is the
    /// one that it is on.
    async fn together(
        &self,
        endpoint: &Endpoint,
        mut request: Request<NativeBody>,
        offer: Offer,
        patience: Patience,
        used: &mut Option<Arc<Shared>>,
    ) -> Result<(Response<Incoming>, Lease), HostError> {
        let origin = self.pools.origin(&endpoint.pool);
        if offer == Offer::Both && origin.is_http1() {
            while let Some(connection) = self.pools.take(&endpoint.pool) {
                match self.over(connection, endpoint, request).await? {
                    Ok(answered) => return Ok(answered),
                    Err((unsent, _)) => request = unsent,
                }
            }
        }
        let mut again = true;
        loop {
            let (slot, fresh) = match origin.claim(used.as_ref()) {
                Some(slot) => (slot, false),
                None => match self.place(&origin, endpoint, offer, patience, used.as_ref()).await? {
                    Place::Shared(slot, fresh) => (slot, fresh),
                    Place::Own(connection) => {
                        let answered = self.over(connection, endpoint, request).await?;
                        return answered.map_err(|(_, error)| exchange_failure(endpoint, &error));
                    }
                },
            };
            *used = Some(Arc::clone(slot.connection()));
            head::for_http2(&mut request, endpoint)?;
            // What the endpoint says it has not looked at may go to another connection, where it is still there.
            let copy = request.body().copy().filter(|_| again);
            let copy = copy.map(|body| head::like(&request, body));
            let mut stream = Stream::new(Arc::clone(&slot));
            let mut failure = match stream.send(request).await {
                Ok(response) => return Ok((response, Lease::Stream(stream))),
                Err(failure) => failure,
            };
            if let Some(unsent) = failure.take_message() {
                slot.connection().retire();
                if fresh {
                    return Err(exchange_failure(endpoint, &failure.into_error()));
                }
                request = unsent.map(sending::Sending::into_body);
                continue;
            }
            if let Some(error) = slot.failed.get() {
                return Err(request_failure(error));
            }
            let error = failure.into_error();
            match copy {
                Some(copy) if is_unprocessed(&error) => {
                    again = false;
                    request = copy;
                }
                _ => return Err(exchange_failure(endpoint, &error)),
            }
        }
    }

    /// A place on a shared connection that somebody opens, if need be this request.
    async fn place(
        &self,
        origin: &Arc<Origin>,
        endpoint: &Endpoint,
        offer: Offer,
        patience: Patience,
        but: Option<&Arc<Shared>>,
    ) -> Result<Place, HostError> {
        let connect_ms = patience.connect_ms;
        let opening = match timeout(span(connect_ms), origin.turn(but)).await {
            Ok(Turn::Use(slot)) => return Ok(Place::Shared(slot, false)),
            Ok(Turn::Open(opening)) => opening,
            Err(_) => {
                let detail = format!("{}: no connection within {connect_ms} ms", endpoint.authority);
                return Err(HostError::new(HostErrorKind::Connect, detail));
            }
        };
        let made = connect::connect(endpoint, &self.trust, offer, patience).await?;
        let place = match made {
            Made::Own(connection) => {
                origin.chose_http1();
                Place::Own(connection)
            }
            Made::Shared(connection) => match origin.keep(connection) {
                Some(slot) => Place::Shared(slot, true),
                None => {
                    let detail = format!("{}: it allows no streams", endpoint.authority);
                    return Err(HostError::new(HostErrorKind::Connect, detail));
                }
            },
        };
        drop(opening);
        Ok(place)
    }
}

/// A request of which nothing was written, and why.
type Unsent = (Request<NativeBody>, hyper::Error);

/// Where a request may go.
enum Place {
    /// On a connection that is shared, and whether it is new.
    Shared(Arc<Slot>, bool),
    /// Over one of its own: the endpoint has chosen HTTP/1.1.
    Own(Connection),
}

/// Whether the endpoint says that it has not acted upon the request (RFC 9113 §8.7): it refuses the stream, or leaves
/// it behind when it says goodbye.
fn is_unprocessed(error: &hyper::Error) -> bool {
    cause::find::<h2::Error>(error).is_some_and(|error| {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (refused || error.is_go_away())
    })
}

/// Whose fault it is that no response's head has come.
fn exchange_failure(endpoint: &Endpoint, error: &hyper::Error) -> HostError {
    // hyper reports what our own body said while it was being sent as an error of the exchange.
    if let Some(error) = cause::find::<BodyError>(error) {
        return request_failure(error);
    }
    // What HTTP/2 does not allow, this side notices.
    let is_nonsense = cause::find::<h2::Error>(error).is_some_and(h2::Error::is_library);
    let kind = if error.is_parse() || is_nonsense { HostErrorKind::Protocol } else { HostErrorKind::Reset };
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
