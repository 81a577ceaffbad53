//! What stands around a platform in memory: whoever answers its requests. The upstreams of a case are one such
//! world; a replay has another.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use serde_json::{Map, Value};
use tollgate_core::{
    body::{Body, BodyError},
    host::{HostError, HostErrorKind},
    signing::{self, PrivateKey},
    upstream::{Endpoint, Patience},
    verify::{Algorithm, PublicKey, pure},
};

use super::{body::FakeBody, lines};
use crate::{
    setting::SUFFIX,
    upstream::{Message, Reply, Seen, Upstreams},
};

/// Whoever answers.
pub(crate) trait World {
    /// What comes back from an endpoint.
    fn answer(
        &self,
        endpoint: &Endpoint,
        request: Request<FakeBody>,
        patience: Patience,
    ) -> Result<Response<FakeBody>, HostError>;

    /// Whether a signature is good; none where that can't be told.
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        pure::verify(algorithm, key, message, signature)
    }

    /// A signature; none where the key can't be used.
    fn sign(&self, key: &PrivateKey, message: &[u8]) -> Option<Vec<u8>> {
        signing::pure::sign(key, message)
    }
}

/// What a policy engine is supposed to say, where nobody can be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Engine {
    /// Yes, to everything.
    #[default]
    Allows,
    /// No, to everything.
    Denies,
    /// Nothing.
    Fails,
}

impl Engine {
    /// Its answer.
    pub(crate) fn answer(self, endpoint: &Endpoint) -> Result<Response<FakeBody>, HostError> {
        let text = match self {
            Self::Allows => r#"{"result": true}"#,
            Self::Denies => r#"{"result": false}"#,
            Self::Fails => return Err(down(endpoint)),
        };
        Ok(Response::new(FakeBody::full(Bytes::from_static(text.as_bytes()))))
    }
}

/// What an issuer is supposed to say of tokens, where nobody can be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Issuer {
    /// That they are active.
    #[default]
    Admits,
    /// That they are not.
    Refuses,
    /// Nothing.
    Fails,
}

impl Issuer {
    /// Its answer, which says `claims` where it admits the token.
    pub(crate) fn answer(
        self,
        endpoint: &Endpoint,
        claims: Map<String, Value>,
    ) -> Result<Response<FakeBody>, HostError> {
        let text = match self {
            Self::Admits => Value::Object(claims).to_string(),
            Self::Refuses => r#"{"active": false}"#.to_owned(),
            Self::Fails => return Err(down(endpoint)),
        };
        Ok(Response::new(FakeBody::full(Bytes::from(text))))
    }
}

/// What comes of asking somebody who is supposed not to be there.
pub(crate) fn down(endpoint: &Endpoint) -> HostError {
    HostError::new(HostErrorKind::Connect, format!("`{}` is supposed to be down", endpoint.service))
}

impl World for Upstreams {
    fn answer(
        &self,
        endpoint: &Endpoint,
        request: Request<FakeBody>,
        patience: Patience,
    ) -> Result<Response<FakeBody>, HostError> {
        let fail =
            |kind, detail: &str| Err(HostError::new(kind, format!("{}: {detail}", endpoint.authority)));
        let address = endpoint.hostname().strip_suffix(SUFFIX);
        let Some(name) = self.given_for(address, &endpoint.service) else {
            self.note_unknown(&endpoint.service);
            return fail(HostErrorKind::Connect, "nothing is given for it");
        };
        let name = name.as_str();
        if self.refuses(name) {
            return fail(HostErrorKind::Connect, "refused");
        }
        let (head, body) = request.into_parts();
        let trailers = lines(&body.trailers());
        let pieces = match body.whole() {
            Ok(pieces) => pieces,
            Err(error @ BodyError::TooLarge) => {
                return fail(HostErrorKind::RequestTooLarge, &error.to_string());
            }
            Err(error @ BodyError::Unproven) => {
                return fail(HostErrorKind::RequestUnproven, &error.to_string());
            }
            Err(error @ BodyError::Broken(_)) => {
                return fail(HostErrorKind::RequestBroken, &error.to_string());
            }
        };
        let seen = Seen {
            method: head.method.to_string(),
            path: head.uri.to_string(),
            headers: lines(&head.headers),
            body: pieces.concat().into(),
            pieces,
            trailers,
            over: None,
        };
        match self.ask(name, seen) {
            Reply::Answer(message) => response(message).map_err(|error| {
                HostError::new(HostErrorKind::Protocol, format!("{}: {error}", endpoint.authority))
            }),
            Reply::Reset => fail(HostErrorKind::Reset, "reset"),
            Reply::Stall => {
                fail(HostErrorKind::Timeout, &format!("no response within {} ms", patience.head_ms))
            }
            Reply::Garbage => fail(HostErrorKind::Protocol, "not HTTP"),
        }
    }
}

fn response(message: Message) -> Result<Response<FakeBody>, http::Error> {
    let mut trailers = HeaderMap::new();
    for (name, value) in message.trailers {
        trailers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    let body = FakeBody::new(message.pieces, message.length).followed_by(trailers);
    let mut response = Response::new(if message.breaks_off { body.breaking_off() } else { body });
    *response.status_mut() = StatusCode::from_u16(message.status)?;
    for (name, value) in message.headers {
        response.headers_mut().append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(response)
}
