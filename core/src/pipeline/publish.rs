//! The public keys of `identity_token`, answered by the gateway itself to whoever asks.

use http::{HeaderValue, Method, Response, header, request};

use super::{Context, account::Account};
use crate::{
    body::Body,
    gateway::Gateway,
    host::Host,
    refusal::Refusal,
    trail::{Said, Step, Verdict},
};

/// So long others may keep the set, and so long before it signs a new key has to stand in it.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// None for a request to anything else.
pub(super) fn answer<H: Host>(
    context: &Context<'_, H>,
    head: &request::Parts,
    account: &mut Account<'_>,
) -> Option<Result<Response<H::Body>, Refusal>> {
    let gateway: &Gateway = context.gateway;
    let published = gateway.identity_token.as_ref()?.published.as_ref()?;
    if context.entrance.path.text != published.path {
        return None;
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Some(Err(Refusal::MethodNotAllowed(vec![Method::GET, Method::HEAD])));
    }
    account.note(|| {
        let text = "the public keys of identity tokens are published here";
        let at = gateway.places.at("identity_token.publish_at");
        Step::new("identity_token", at, Said::new(Verdict::Pass, text))
    });
    let is_head = head.method == Method::HEAD;
    let mut response =
        Response::new(if is_head { H::Body::empty() } else { H::Body::full(published.set.clone()) });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(published.set.len()));
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    Some(Ok(response))
}
