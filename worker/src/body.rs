//! How this host represents a message body: bytes of core's own making, or a stream of JavaScript's. The stream
//! that goes out is the one that came in; its bytes never enter WebAssembly unless core reads them.

use bytes::Bytes;
use js_sys::{JsString, Uint8Array};
use tollgate_core::{
    body::{Body, BodyError, Coding},
    content_digest::ContentDigest,
    trailers::Trailers,
};
use wasm_bindgen::{JsCast, JsValue};

use crate::{metered::Metered, platform, task::Promised};

/// A message body.
pub(crate) struct EdgeBody {
    content: Content,
    /// How many bytes are to come. What is declared is held to by the runtime.
    length: Option<u64>,
    /// How many may come.
    limit: Option<u64>,
    /// What it must hash to. Boxed: hardly any body has one.
    digest: Option<Box<ContentDigest>>,
    /// Whether its length is that of a coding, which the runtime undoes for whoever looks at the bytes.
    coded: bool,
    /// What looks at it while it passes.
    metered: Option<Box<Metered>>,
}

enum Content {
    Bytes(Bytes),
    /// A `ReadableStream`, or the `WebSocket` of a response that switches protocols.
    Foreign(JsValue),
}

impl EdgeBody {
    /// A body that JavaScript handed over; nothing stands for an empty one.
    pub(crate) fn foreign(value: JsValue, length: Option<u64>) -> Self {
        if value.is_null() || value.is_undefined() {
            return Self::empty();
        }
        Self { content: Content::Foreign(value), length, ..Self::empty() }
    }

    /// Marks the body of a head that says it is encoded.
    pub(crate) fn coded(self, coded: bool) -> Self {
        Self { coded, ..self }
    }

    /// Whether it was marked so.
    pub(crate) fn is_coded(&self) -> bool {
        self.coded
    }

    /// Lets a meter look at it while it passes.
    pub(crate) fn metered(self, metered: Metered) -> Self {
        Self { metered: Some(metered.into()), ..self }
    }

    /// Whether it is known to be longer than it may be.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!((self.length, self.limit), (Some(length), Some(limit)) if length > limit)
    }

    /// How many bytes may pass, where that has to be watched.
    pub(crate) fn watched_limit(&self) -> Option<u64> {
        self.limit.filter(|_| self.length.is_none())
    }

    /// What it must hash to, as JavaScript is told; empty where it may be any.
    pub(crate) fn watched_digest(&self) -> String {
        let digest = self.digest.as_ref();
        digest.map_or_else(String::new, |digest| format!("{} {}", digest.algorithm(), digest.base64()))
    }

    /// Whether this is a stream, of which a copy can be made while it passes.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.content, Content::Foreign(_))
    }

    /// The body for JavaScript: a stream, bytes, or null. From now on it is on its way.
    pub(crate) fn into_js(self) -> JsValue {
        match (self.content, self.metered) {
            (Content::Bytes(bytes), metered) => {
                if let Some(metered) = metered {
                    metered.all(&bytes);
                }
                if bytes.is_empty() { JsValue::NULL } else { Uint8Array::from(&*bytes).into() }
            }
            (Content::Foreign(value), None) => value,
            (Content::Foreign(value), Some(metered)) => {
                metered.watch(value, self.length.filter(|_| !self.coded))
            }
        }
    }
}

impl Body for EdgeBody {
    fn empty() -> Self {
        Self::full(Bytes::new())
    }

    fn full(bytes: Bytes) -> Self {
        let length = Some(bytes.len() as u64);
        Self {
            content: Content::Bytes(bytes),
            length,
            limit: None,
            digest: None,
            coded: false,
            metered: None,
        }
    }

    fn length(&self) -> Option<u64> {
        self.length
    }

    fn sifted(self, _: &Trailers) -> Self {
        // The runtime has none, in either direction.
        self
    }

    fn bounded(self, limit: u64) -> Self {
        let limit = self.limit.map_or(limit, |own| own.min(limit));
        Self { limit: Some(limit), ..self }
    }

    fn proven(self, digest: ContentDigest) -> Self {
        Self { digest: Some(digest.into()), ..self }
    }

    /// The runtime encodes what a head says is encoded and is not: there is nothing to be done here. It does not
    /// flush each piece; what must not wait is not compressed by core.
    fn compress(self, _: Coding) -> Self {
        Self { length: None, ..self }
    }

    async fn read(self, limit: usize) -> Result<Bytes, BodyError> {
        let limit = self.limit.unwrap_or(u64::MAX).min(limit as u64);
        if self.length.is_some_and(|length| length > limit) {
            return Err(BodyError::TooLarge);
        }
        let bytes = match self.content {
            Content::Bytes(bytes) => bytes,
            Content::Foreign(stream) => read(&stream, limit).await?,
        };
        if let Some(metered) = self.metered {
            metered.all(&bytes);
        }
        let is_whole = |digest: &ContentDigest| {
            let mut checker = digest.checker();
            checker.update(&bytes);
            checker.is_whole()
        };
        match self.digest {
            Some(digest) if !is_whole(&digest) => Err(BodyError::Unproven),
            _ => Ok(bytes),
        }
    }
}

async fn read(stream: &JsValue, limit: u64) -> Result<Bytes, BodyError> {
    let read = Promised::by(|ticket| platform::read(ticket, stream, limit as f64)).await;
    match read.dyn_into::<Uint8Array>() {
        Ok(bytes) => Ok(bytes.to_vec().into()),
        Err(other) if other.is_null() => Err(BodyError::TooLarge),
        Err(other) => Err(BodyError::Broken(text(&other))),
    }
}

/// What a text says; nothing for what is none.
pub(crate) fn text(value: &JsValue) -> String {
    value.dyn_ref::<JsString>().map(String::from).unwrap_or_default()
}
