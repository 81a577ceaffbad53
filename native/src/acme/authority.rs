//! Speaks to the authority over HTTP, for `instant-acme`, which knows what to say: where that may go, how long it may
//! take, how much may come back, and what the authority says about coming back.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use tollgate_core::{acme::Acme, body::Body, upstream::Patience};

use crate::{body::NativeBody, client::Client};

/// For a question, in milliseconds.
const PATIENCE: Patience = Patience { connect_ms: 10_000, head_ms: 30_000, idle_ms: 15_000 };
/// Certificates with their chains are some kilobytes.
const MAX_ANSWER: usize = 1 << 20;
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"), " instant-acme"));

/// Clones are the same.
#[derive(Clone)]
pub(super) struct Authority(Arc<Inner>);

struct Inner {
    acme: Arc<Acme>,
    client: Client,
    /// When to come back, as the last answer that was a no has it.
    come_back_in: Mutex<Option<Duration>>,
}

impl Authority {
    pub(super) fn new(acme: Arc<Acme>) -> Self {
        Self(Arc::new(Inner { acme, client: Client::default(), come_back_in: Mutex::default() }))
    }

    /// When to come back, as said since this was last asked.
    pub(super) fn come_back_in(&self) -> Option<Duration> {
        self.0.come_back_in.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn ask(&self, request: Request<BodyWrapper<Bytes>>) -> Result<Response<Full<Bytes>>, Error> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let url = head.uri.to_string();
        let (endpoint, target) = self.0.acme.endpoint(&url).map_err(|why| other(format!("{url}: {why}")))?;
        head.uri = target.into();
        head.headers.insert(header::HOST, endpoint.host.clone());
        head.headers.insert(header::USER_AGENT, USER_AGENT);
        let body = if body.is_empty() {
            NativeBody::empty()
        } else {
            head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            NativeBody::full(body)
        };
        let asked = self.0.client.fetch(&endpoint, Request::from_parts(head, body), PATIENCE).await;
        let (head, body) = asked.map_err(|error| other(error.to_string()))?.into_parts();
        let told = come_back_in(&head.headers, SystemTime::now());
        let body =
            body.read(MAX_ANSWER).await.map_err(|error| other(format!("{}: {error}", endpoint.authority)))?;
        if head.status.is_client_error() || head.status.is_server_error() {
            *self.0.come_back_in.lock().unwrap_or_else(PoisonError::into_inner) = told;
            // A proxy on the way, or an authority that is not well, answers with a page for people.
            if !is_problem(&head.headers) {
                return Err(other(format!("{}: status {}", endpoint.authority, head.status.as_u16())));
            }
        } else if head.status == StatusCode::SWITCHING_PROTOCOLS || head.status.is_redirection() {
            return Err(other(format!("{}: unexpected status {}", endpoint.authority, head.status.as_u16())));
        }
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

impl HttpClient for Authority {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let this = self.clone();
        Box::pin(async move { this.ask(request).await.map(BytesResponse::from) })
    }
}

fn other(text: String) -> Error {
    Error::Other(text.into())
}

fn is_problem(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.contains("json")
}

fn come_back_in(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_may_say_when_to_come_back_in_seconds_or_by_date() {
        let with = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(text))]);
            come_back_in(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_700))
        };
        assert_eq!(with(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(with("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(77)));
        assert_eq!(with("Sun, 06 Nov 1993 08:49:37 GMT"), None);
        assert_eq!(with("soon"), None);
        assert_eq!(come_back_in(&HeaderMap::new(), SystemTime::now()), None);
    }
}
