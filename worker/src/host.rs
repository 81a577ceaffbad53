//! What Workers lend to core, put together. Nothing here decides.

use std::{
    cell::Cell,
    future::{pending, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
};

use http::{HeaderValue, Method, Request, Response, header, response};
use tollgate_core::{
    body::Body as _,
    cache::{CacheKey, Lifetime, Stored},
    counter::{Draw, Quota, Settlement, memory::Counters, slices::Slices},
    event::Event,
    gateway::Gateway,
    host::{Host, HostError, HostErrorKind, Timestamp},
    job::{self, Job},
    meter::Meter,
    pipeline,
    refusal::{Addressee, Refusal},
    remote::Question,
    signing::PrivateKey,
    upstream::{Endpoint, Patience},
    verify::{Algorithm, PublicKey},
};
use wasm_bindgen::{JsCast, JsValue};

use crate::{
    body::{EdgeBody, text},
    cache, clock, configuration, counter,
    message::{self, Received, content_length},
    metered::Metered,
    platform::{self, Answer, Call},
    random, sign,
    task::{self, Promised},
    verify,
};

/// Answers a request, in any case.
pub(crate) async fn answer(call: &Call) {
    let (head, body) = respond(call).await.into_parts();
    call.answer(&message::written(head.status.as_str(), &head.headers), &body.into_js());
}

async fn respond(call: &Call) -> Response<EdgeBody> {
    let received = match message::received(call.head()) {
        Ok(received) => received,
        Err(refusal) => return refused(refusal),
    };
    #[cfg_attr(
        not(feature = "test-hooks"),
        expect(unused_mut, reason = "only tests have something to take off")
    )]
    let Received { mut head, peer, authority } = received;
    #[cfg(feature = "test-hooks")]
    clock::turn(&mut head.headers);
    // INVARIANT: JavaScript hands no request over before a configuration is loaded.
    let Some(gateway) = configuration::served() else { return refused(Refusal::BadGateway) };
    // Without either field there is no body (RFC 9112 §6.3), and nothing to ask JavaScript for.
    let has_body = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING]
        .iter()
        .any(|name| head.headers.contains_key(name));
    let body = match has_body {
        true => EdgeBody::foreign(call.body(), content_length(&head.headers)),
        false => EdgeBody::empty(),
    };
    let left = Cell::new(false);
    let host = EdgeHost(Rc::new(Inner { call: call.clone(), gateway, authority, background: false, left }));
    let mut handling = pin!(pipeline::handle(&host.0.gateway, &host, &peer, Request::from_parts(head, body)));
    // A client that has left ends the handling where it stands, and what that holds is given back, as everywhere.
    let unless_left = poll_fn(|context| match handling.as_mut().poll(context) {
        Poll::Pending if host.0.left.get() => Poll::Ready(None),
        polled => polled.map(Some),
    });
    let response = unless_left.await;
    // Nobody sees this.
    response.unwrap_or_else(|| refused(Refusal::BadGateway))
}

/// The answer to what is no request that could be handed to the pipeline.
fn refused(refusal: Refusal) -> Response<EdgeBody> {
    let request_id = HeaderValue::from_static("unknown");
    refusal.into_response(Addressee { request_id: &request_id, realm: "", head: false })
}

/// One request's context, as core sees it. Clones are the same.
#[derive(Clone)]
pub(crate) struct EdgeHost(Rc<Inner>);

struct Inner {
    call: Call,
    gateway: Rc<Gateway>,
    /// The host asked for, under which responses are stored.
    authority: String,
    /// Whether what is done does not end when the client leaves.
    background: bool,
    /// Whether the client is known to have left.
    left: Cell<bool>,
}

impl EdgeHost {
    /// What can be done for this request.
    pub(crate) fn call(&self) -> &Call {
        &self.0.call
    }
}

impl Host for EdgeHost {
    type Body = EdgeBody;

    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn random(&self) -> u128 {
        random::next()
    }

    fn unguessable(&self) -> Result<[u8; 32], HostError> {
        let mut bytes = [0; 32];
        platform::random(&mut bytes);
        Ok(bytes)
    }

    async fn sleep(&self, milliseconds: u64) {
        Promised::by(|ticket| platform::sleep(ticket, milliseconds as f64)).await;
    }

    async fn fetch(
        &self,
        endpoint: &Endpoint,
        request: Request<EdgeBody>,
        patience: Patience,
    ) -> Result<Response<EdgeBody>, HostError> {
        let (head, body) = request.into_parts();
        if body.is_too_large() {
            return Err(HostError::new(HostErrorKind::RequestTooLarge, endpoint.authority.as_str()));
        }
        let scheme = if endpoint.tls.is_some() { "https" } else { "http" };
        let destination = format!(
            "{scheme}://{}\n{}\n{}\n{}",
            endpoint.authority, endpoint.base_path, head.uri, endpoint.service
        );
        let is_head = head.method == Method::HEAD;
        let written = message::written(head.method.as_str(), &head.headers);
        let limit = body.watched_limit().map_or(-1.0, |limit| limit as f64);
        let (digest, length) = (body.watched_digest(), body.length().map_or(-1.0, |length| length as f64));
        let Inner { call, background, .. } = &*self.0;
        // Others wait for these answers too, so they are not the client's to break off.
        let is_for_all =
            matches!(head.extensions.get::<Question>(), Some(Question::Keys | Question::Introspection));
        let background = *background || is_for_all;
        let (body, patience) = (body.into_js(), patience.head_ms as f64);
        let asked = Promised::by(|ticket| {
            call.ask(ticket, &destination, &written, &body, limit, &digest, length, patience, background);
        });
        let answered = asked.await;
        if text(&answered).starts_with("left\n") {
            self.0.left.set(true);
            return pending().await;
        }
        if answered.is_string() || !answered.is_object() {
            return Err(failure(&answered, endpoint));
        }
        let answer: Answer = answered.unchecked_into();
        let malformed =
            || HostError::new(HostErrorKind::Protocol, format!("{}: a malformed head", endpoint.authority));
        let head = message::answered(answer.head()).ok_or_else(malformed)?;
        // What answers HEAD declares the length of what it leaves out.
        let length = content_length(&head.headers).filter(|_| !is_head);
        let body = EdgeBody::foreign(answer.body(), length)
            .coded(head.headers.contains_key(header::CONTENT_ENCODING));
        Ok(Response::from_parts(head, body))
    }

    async fn draw(&self, draws: &[Draw]) -> Result<Vec<Quota>, HostError> {
        counter::draw(&self.0.call, draws, self.now()).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), HostError> {
        counter::settle(&self.0.call, settlements, self.now()).await
    }

    fn counters(&self) -> &Counters {
        counter::local()
    }

    fn slices(&self) -> &Slices {
        counter::slices()
    }

    fn metered(&self, meter: Meter, body: EdgeBody) -> EdgeBody {
        body.metered(Metered::new(self.clone(), meter))
    }

    async fn load(&self, key: &CacheKey) -> Result<Option<Stored<EdgeBody>>, HostError> {
        Ok(cache::load(&self.0.call, &self.0.authority, key).await)
    }

    fn store(
        &self,
        key: CacheKey,
        lifetime: Lifetime,
        head: &response::Parts,
        body: EdgeBody,
        max_bytes: u64,
    ) -> EdgeBody {
        cache::store(&self.0.call, &self.0.authority, &key, &lifetime, head, body, max_bytes)
    }

    async fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, HostError> {
        verify::verify(&self.0.call, algorithm, key, message, signature).await
    }

    async fn sign(&self, key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, HostError> {
        sign::sign(&self.0.call, key, message).await
    }

    fn defer(&self, job: Job) {
        let Inner { call, gateway, authority, .. } = &*self.0;
        let (call, gateway, authority) = (call.clone(), gateway.clone(), authority.clone());
        let host =
            Self(Rc::new(Inner { call, gateway, authority, background: true, left: Cell::new(false) }));
        host.0.call.hold();
        task::spawn(async move {
            if let Err(why) = job::run(&host, job).await {
                platform::log(&format!("tollgate: {why}"));
            }
            host.0.call.release();
        });
    }

    fn record(&self, event: Event<'_>) {
        if self.0.gateway.settings.telemetry.access_log.is_some()
            && let Ok(line) = serde_json::to_string(&event)
        {
            platform::log(&line);
        }
    }
}

/// What a text of JavaScript's says went wrong.
fn failure(answered: &JsValue, endpoint: &Endpoint) -> HostError {
    let text = text(answered);
    let (kind, detail) = text.split_once('\n').unwrap_or(("", &text));
    let kind = match kind {
        "connect" => HostErrorKind::Connect,
        "timeout" => HostErrorKind::Timeout,
        "protocol" => HostErrorKind::Protocol,
        "too large" => HostErrorKind::RequestTooLarge,
        "broken" => HostErrorKind::RequestBroken,
        "unproven" => HostErrorKind::RequestUnproven,
        _ => HostErrorKind::Reset,
    };
    HostError::new(kind, format!("{}: {detail}", endpoint.authority))
}
