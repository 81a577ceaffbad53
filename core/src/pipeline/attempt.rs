//! The request to the service: head prepared, sent, and the answer's head cleaned.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header, request, response};
use serde_json::{Value, json};

use super::{Context, X_REQUEST_ID, account::Account, authorize::Granted};
use crate::{
    body::Body,
    gateway::Gateway,
    host::Host,
    identity::Identity,
    policy::{
        Plan, Way,
        hmac::Hmac,
        jwt_validation::{TokenSource, cookies, is_cookie},
        oidc_login,
    },
    refusal::Refusal,
    route::Route,
    trail::{Said, Step, Verdict},
    transform::{forwarded, hop_by_hop, hygiene, trace_context},
    upstream::Endpoint,
};

/// Fields by which services tell what they are made of, besides `Server`.
const TELLTALES: [HeaderName; 3] = [
    HeaderName::from_static("x-powered-by"),
    HeaderName::from_static("x-aspnet-version"),
    HeaderName::from_static("x-aspnetmvc-version"),
];

/// How many fields are written to a request, as a rule.
const WRITTEN: usize = 12;

/// What goes out besides the head and the body that came in.
pub(super) struct Outgoing<'r> {
    pub(super) route: &'r Route,
    pub(super) plan: &'r Plan,
    pub(super) identity: Option<&'r Identity>,
    /// The policy that checked the credentials.
    pub(super) credential: Option<&'r Way>,
    pub(super) granted: Granted,
    /// Tells the service who makes the request.
    pub(super) token: Option<HeaderValue>,
    /// The answer's body is looked at, so it must come as it is.
    pub(super) reads_usage: bool,
}

pub(super) async fn attempt<H: Host>(
    context: &Context<'_, H>,
    outgoing: Outgoing<'_>,
    mut head: request::Parts,
    body: H::Body,
    account: &mut Account<'_>,
) -> Result<Response<H::Body>, Refusal> {
    let endpoint = outgoing.route.service.choose().ok_or(Refusal::BadGateway)?;
    // RFC 9110 §7.8: in HTTP/1.0 the field means nothing.
    let upgrade =
        if head.version == http::Version::HTTP_10 { None } else { hop_by_hop::upgrade(&head.headers) };
    prepare(context, &outgoing, endpoint, &mut head, upgrade.as_ref()).inspect_err(|_| {
        account.detail = Some("the target for the service can't be written".to_owned());
    })?;
    account.note(|| sent(context.gateway, &outgoing, endpoint, &head));
    let limit = context.gateway.limits.max_body_bytes;
    let body = if limit > 0 { body.bounded(limit) } else { body }.sifted(&context.gateway.trailers);
    let request = Request::from_parts(head, body);
    let fetched = context.host.fetch(endpoint, request, outgoing.plan.patience).await;
    account.asked = true;
    match fetched {
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            account.note(|| {
                let said = Said::new(Verdict::Pass, format!("it answered {}", head.status));
                Step::new("upstream", outgoing.route.service.span, said.fact("status", head.status.as_u16()))
            });
            clean(&mut head);
            context.gateway.trailers.sift_announced(&mut head.headers);
            if !context.gateway.own_cookies.is_empty() {
                oidc_login::cookies::defend(&mut head.headers, &context.gateway.own_cookies);
            }
            Ok(Response::from_parts(head, body.sifted(&context.gateway.trailers)))
        }
        Err(error) => {
            let refusal = Refusal::of_fetch(&error);
            account.note(|| {
                let said = Said::new(Verdict::Refuse, format!("no answer: {error}"));
                Step::new("upstream", outgoing.route.service.span, said.fact("refusal", refusal.code()))
            });
            account.detail = Some(error.to_string());
            Err(refusal)
        }
    }
}

fn prepare<H: Host>(
    context: &Context<'_, H>,
    outgoing: &Outgoing<'_>,
    endpoint: &Endpoint,
    head: &mut request::Parts,
    upgrade: Option<&HeaderValue>,
) -> Result<(), Refusal> {
    let Context { gateway, host, peer, trusted, request_id, entrance, .. } = *context;
    let route = outgoing.route;
    let original = head.uri.path_and_query();
    let mut target = route
        .target
        .apply(&route.pattern, &entrance.path.text, &endpoint.base_path, original)
        .map_err(|_| Refusal::BadGateway)?;
    if let Some(source) = outgoing.credential.and_then(Way::source)
        // What stands in a target gets into logs, so it never goes on.
        && (route.hide_credentials || matches!(source, TokenSource::Query(_)))
    {
        target = without_credential(source, &mut head.headers, target).map_err(|_| Refusal::BadGateway)?;
    }
    if route.hide_credentials && matches!(outgoing.credential, Some(Way::Hmac(_))) {
        for name in Hmac::FIELDS {
            head.headers.remove(name);
        }
    }
    head.uri = target.into();
    head.version = http::Version::HTTP_11;

    let headers = &mut head.headers;
    if entrance.needs_hygiene {
        hygiene::remove(headers, trusted);
        gateway.trailers.sift_announced(headers);
    }
    if !gateway.own_cookies.is_empty() {
        oidc_login::cookies::hide(headers, &gateway.own_cookies);
    }
    // Once, instead of twice on the way: what is written below and by policies.
    headers.reserve(WRITTEN);
    if let Some(protocol) = upgrade {
        hop_by_hop::set_upgrade(headers, protocol.clone());
    }
    let named = if route.preserve_host { entrance.host_field.clone() } else { endpoint.host.clone() };
    headers.insert(header::HOST, named);
    forwarded::write(headers, peer, trusted, entrance.host_field);
    headers.insert(X_REQUEST_ID, request_id.clone());
    if outgoing.reads_usage {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if entrance.has_trace {
        trace_context::ensure(headers, || host.random());
    } else {
        trace_context::begin(headers, host.random());
    }
    for (name, value) in outgoing.granted.iter().flat_map(|decision| &decision.headers) {
        headers.insert(name.clone(), value.clone());
    }
    for (name, value) in outgoing.identity.iter().flat_map(|identity| &identity.headers) {
        headers.insert(name.clone(), value.clone());
    }
    if let Some(maker) = gateway.identity_token.as_ref().filter(|_| route.service.is_told) {
        // Last, so that nothing else can stand in its place; and what a client has sent there is no token of ours.
        match &outgoing.token {
            Some(token) => drop(headers.insert(maker.header.clone(), token.clone())),
            None => drop(headers.remove(&maker.header)),
        }
    }
    Ok(())
}

/// Fields whose values are credentials, so that no explanation shows them.
fn is_secret(name: &HeaderName) -> bool {
    matches!(*name, header::AUTHORIZATION | header::COOKIE | header::PROXY_AUTHORIZATION)
        || ["key", "token", "secret", "signature", "assertion"]
            .iter()
            .any(|word| name.as_str().contains(word))
}

/// What explanations say of the request as it is sent.
fn sent(gateway: &Gateway, outgoing: &Outgoing<'_>, endpoint: &Endpoint, head: &request::Parts) -> Step {
    let is_token =
        |name: &HeaderName| gateway.identity_token.as_ref().is_some_and(|token| token.header == *name);
    let (service, plan) = (&outgoing.route.service, outgoing.plan);
    // Also of ways that were not taken, and whatever the field is called.
    let ways = || plan.authentication.iter().flat_map(|applied| applied.ways());
    let is_credential =
        |name: &HeaderName| ways().filter_map(Way::source).any(|source| source.field() == name);
    let scheme = if endpoint.tls.is_some() { "https" } else { "http" };
    let authority = &endpoint.authority;
    let at = plan.provenance.timeout.unwrap_or(service.span);
    // A query may hold what only the service is to know.
    let path = head.uri.path();
    let query = if head.uri.query().is_some() { "?…" } else { "" };
    let headers: Vec<Value> = head
        .headers
        .iter()
        .map(|(name, value)| {
            let value = match is_secret(name) || is_token(name) || is_credential(name) {
                true => "<hidden>".into(),
                false => String::from_utf8_lossy(value.as_bytes()),
            };
            json!([name.as_str(), value])
        })
        .collect();
    let wait = plan.patience.head_ms;
    let text = format!("{} {scheme}://{authority}{path}{query}, waiting {wait} ms for its head", head.method);
    let said = Said::new(Verdict::Pass, text)
        .fact("service", &*service.name)
        .fact("endpoints", service.endpoints.len())
        .fact("attempts", 1)
        .fact("head_ms", wait)
        .fact("connect_ms", plan.patience.connect_ms)
        .fact("idle_ms", plan.patience.idle_ms)
        .fact("headers", headers);
    Step::new("upstream", at, said)
}

/// Takes the credentials that were checked out of the request.
fn without_credential(
    source: &TokenSource,
    headers: &mut HeaderMap,
    target: http::uri::PathAndQuery,
) -> Result<http::uri::PathAndQuery, http::uri::InvalidUri> {
    match source {
        TokenSource::Bearer => drop(headers.remove(header::AUTHORIZATION)),
        TokenSource::Header(name) => drop(headers.remove(name)),
        TokenSource::Cookie(name) => {
            let kept: Vec<&[u8]> = cookies(headers).filter(|pair| !is_cookie(pair, name)).collect();
            let joined = HeaderValue::from_bytes(&kept.join(&b"; "[..]));
            headers.remove(header::COOKIE);
            if let Ok(value) = joined
                && !value.is_empty()
            {
                headers.insert(header::COOKIE, value);
            }
        }
        TokenSource::Query(name) => {
            let is_token = |pair: &&str| {
                let decoded = crate::route::parameters(pair).next();
                decoded.is_some_and(|(key, _)| key == name.as_str())
            };
            let query: Vec<&str> =
                target.query().unwrap_or_default().split('&').filter(|p| !is_token(p)).collect();
            let query = query.join("&");
            let path = target.path();
            return if query.is_empty() { path.parse() } else { format!("{path}?{query}").parse() };
        }
    }
    Ok(target)
}

/// What a client is not to see of the service, and what concerned the connection to it.
fn clean(head: &mut response::Parts) {
    let upgrade = (head.status == StatusCode::SWITCHING_PROTOCOLS)
        .then(|| head.headers.get(header::UPGRADE).cloned())
        .flatten();
    hop_by_hop::remove(&mut head.headers);
    head.headers.remove(header::SERVER);
    if head.headers.keys().any(|name| name.as_str().starts_with("x-")) {
        for name in TELLTALES {
            head.headers.remove(name);
        }
    }
    if let Some(protocol) = upgrade {
        hop_by_hop::set_upgrade(&mut head.headers, protocol);
    }
}
