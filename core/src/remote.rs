//! A question that a policy asks over HTTP: where it goes and how long it may take.
//!
//! Key sets and policy engines are reached through services like everything else, so a test or a mesh can
//! put them elsewhere without touching the policy.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, uri::PathAndQuery};

use crate::{
    body::Body,
    host::{Host, HostError, HostErrorKind},
    upstream::{Patience, Service},
};

/// Where to ask.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The service that is asked.
    pub(crate) service: Arc<Service>,
    /// Path and query, the endpoint's base path not included.
    pub(crate) target: String,
    /// How long the answer's head may take.
    pub(crate) patience: Patience,
}

/// What a question is about. Requests that ask one carry it as an extension, so that hosts can tell them from
/// those of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// An issuer's signing keys.
    Keys,
    /// Whether a user may.
    Decision,
    /// What a token means.
    Introspection,
    /// What a provider of logins says about itself.
    Provider,
    /// Who has logged in.
    Login,
}

/// What came back: status, head, and the whole body.
pub(crate) type Answer = Response<Bytes>;

impl Remote {
    /// Where it leads, for people.
    pub(crate) fn address(&self) -> String {
        format!("{}{}", self.service.name, self.target)
    }

    /// Asks, with JSON if anything, and reads the answer up to `limit` bytes.
    pub(crate) async fn ask<H: Host>(
        &self,
        host: &H,
        about: Question,
        method: Method,
        content: Option<Bytes>,
        limit: usize,
    ) -> Result<Answer, HostError> {
        let mut fields = HeaderMap::new();
        if content.is_some() {
            fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        self.ask_with(host, about, method, fields, content, limit).await
    }

    /// Asks, with these fields, and reads the answer up to `limit` bytes.
    pub(crate) async fn ask_with<H: Host>(
        &self,
        host: &H,
        about: Question,
        method: Method,
        fields: HeaderMap,
        content: Option<Bytes>,
        limit: usize,
    ) -> Result<Answer, HostError> {
        let endpoint = self
            .service
            .choose()
            .ok_or_else(|| HostError::new(HostErrorKind::Unavailable, "the service has no endpoint"))?;
        let target = PathAndQuery::try_from(format!("{}{}", endpoint.base_path, self.target))
            .map_err(|error| HostError::new(HostErrorKind::Protocol, error.to_string()))?;
        let mut request = Request::new(H::Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = target.into();
        request.extensions_mut().insert(about);
        *request.headers_mut() = fields;
        let headers = request.headers_mut();
        headers.insert(header::HOST, endpoint.host.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("tollgate"));
        if let Some(content) = content {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(content.len()));
            *request.body_mut() = H::Body::full(content);
        }
        let (head, body) = host.fetch(endpoint, request, self.patience).await?.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(HostError::new(HostErrorKind::Protocol, "unexpected 101"));
        }
        let content = body
            .read(limit)
            .await
            .map_err(|error| HostError::new(HostErrorKind::Reset, error.to_string()))?;
        Ok(Response::from_parts(head, content))
    }
}
