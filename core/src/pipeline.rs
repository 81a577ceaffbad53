//! The whole life of a request, on every host: the only asynchronous path in core.
//!
//! Each stage asks a synchronous room what to do and the host for what only a platform has. Any stage may
//! refuse; the answer always comes, is always decorated alike, and is always recorded.

mod account;
mod attempt;
mod authorize;
mod choose;
mod enter;
mod failures;
mod identify;
mod introspect;
mod limit;
mod login;
mod publish;
mod reuse;
mod vouch;

use std::pin::pin;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};

use self::{account::Account, enter::Entrance};
use crate::{
    body::Body,
    content_digest::ContentDigest,
    event::Event,
    facts::Facts,
    gateway::Gateway,
    host::{Host, Peer, Timestamp},
    malformed::Fault,
    overload::Overload,
    policy::{compression, limit::Drawn, ttl},
    refusal::{Addressee, Refusal},
    route::Found,
    trail::{Said, Step, TRAIL_HEADER, Trail, Verdict},
    transform::{cookies, forwarded, hygiene, trace_context::hex},
};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What all stages know of the request.
struct Context<'c, H> {
    gateway: &'c Gateway,
    host: &'c H,
    peer: &'c Peer,
    trusted: bool,
    /// Whether the client speaks TLS.
    encrypted: bool,
    request_id: &'c HeaderValue,
    entrance: &'c Entrance<'c>,
}

/// Answers a request.
///
/// How it was decided is told to those who may know: to the host, where that wants it
/// ([`Host::wants_trail`]), and in the answer's head, where the request holds a pass ([`crate::trail::Guard`]).
pub async fn handle<H: Host>(
    gateway: &Gateway,
    host: &H,
    peer: &Peer,
    request: Request<H::Body>,
) -> Response<H::Body> {
    let now = host.now();
    let (head, body) = request.into_parts();
    let shows_trail = gateway.guard.as_ref().is_some_and(|guard| guard.admits(&head.headers, now));
    let wants_trail = shows_trail || host.wants_trail(&head);
    // Cheap copies that outlive the head, which is changed and handed on.
    let (uri, method) = (head.uri.clone(), head.method.clone());
    let trusted = gateway.trusted.contains(peer.address);
    let encrypted = forwarded::is_encrypted(peer, trusted, &head.headers);
    let request_id = request_id(&head.headers, trusted, || host.random());
    let mut account = Account::new(wants_trail);

    let host_field = enter::host_field(&head, &uri);
    let entered = enter::enter(gateway, peer, &head, &uri, &host_field, now);
    account.note(|| enter::step(gateway, peer, &method, &uri, &entered));
    let place = gateway.overload.as_ref().map(Overload::enter);
    let outcome = match (&entered, &place) {
        (_, Some(None)) => Err(Refusal::Overloaded),
        (Ok(entrance), _) => {
            let context =
                Context { gateway, host, peer, trusted, encrypted, request_id: &request_id, entrance };
            exchange(&context, head, body, &mut account).await
        }
        (Err(refusal), _) => Err(refusal.clone()),
    };
    // What was turned away or answered from memory says nothing of how services fare.
    if let Some(overload) = &gateway.overload
        && account.asked
    {
        let now_ms = host.now();
        overload.answered(now_ms.saturating_sub(now), now_ms);
    }
    drop(place);
    let entrance = entered.as_ref().ok();
    finish(
        Ending {
            gateway,
            host,
            peer,
            method: &method,
            uri: &uri,
            entrance,
            request_id: &request_id,
            shows_trail,
            encrypted,
            now,
        },
        account,
        outcome,
    )
}

/// Answers what came in the place of a request: bytes that are none, of which `head` is as much as could be read. The
/// answer ends the connection; like any other it is decorated and recorded.
pub fn refuse<H: Host>(
    gateway: &Gateway,
    host: &H,
    peer: &Peer,
    head: &http::request::Parts,
    fault: Fault,
) -> Response<H::Body> {
    let now = host.now();
    // Nobody is believed who writes such a head: not a trusted proxy, and nobody who has a pass.
    let request_id = request_id(&head.headers, false, || host.random());
    let mut account = Account::new(host.wants_trail(head));
    let refused = Err(Refusal::Malformed(fault));
    account.note(|| enter::step(gateway, peer, &head.method, &head.uri, &refused));
    let outcome = refused.map(|_: Entrance<'_>| Response::new(H::Body::empty()));
    let (method, uri) = (&head.method, &head.uri);
    let ending = Ending {
        gateway,
        host,
        peer,
        method,
        uri,
        entrance: None,
        request_id: &request_id,
        shows_trail: false,
        encrypted: peer.encrypted,
        now,
    };
    finish(ending, account, outcome)
}

/// What the end of a request needs to know of its beginning.
struct Ending<'e, H> {
    gateway: &'e Gateway,
    host: &'e H,
    peer: &'e Peer,
    method: &'e Method,
    uri: &'e Uri,
    entrance: Option<&'e Entrance<'e>>,
    request_id: &'e HeaderValue,
    shows_trail: bool,
    /// Whether the client speaks TLS.
    encrypted: bool,
    now: Timestamp,
}

/// The answer, whoever made it: decorated and recorded.
fn finish<H: Host>(
    ending: Ending<'_, H>,
    mut account: Account<'_>,
    outcome: Result<Response<H::Body>, Refusal>,
) -> Response<H::Body> {
    let Ending { gateway, host, peer, method, uri, entrance, request_id, shows_trail, encrypted, now } =
        ending;
    let hostname = entrance.map_or("", |entrance| &entrance.host);
    let mut refusal = None;
    let mut response = outcome.unwrap_or_else(|refused| {
        refusal = Some(refused.code());
        let realm = gateway.public_domain.as_deref().unwrap_or(hostname);
        refused.into_response(Addressee { request_id, realm, head: *method == Method::HEAD })
    });
    decorate(response.headers_mut(), &account, request_id.clone());
    if let Some(hsts) = gateway.https.hsts.as_ref().filter(|_| encrypted) {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    account.note(|| answer_step(gateway, response.status(), refusal));
    if shows_trail && let Some(trail) = &account.trail {
        show(response.headers_mut(), trail, gateway);
    }
    host.record(Event {
        at: now,
        took_ms: host.now().saturating_sub(now),
        request_id: request_id.to_str().unwrap_or_default(),
        client: entrance.map_or(peer.address, |entrance| entrance.client),
        method,
        host: hostname,
        path: entrance.map_or_else(|| uri.path(), |entrance| &entrance.path.text),
        route: account.route.map(|route| route.pattern.as_str()),
        service: account.route.map(|route| &*route.service.name),
        user: account.identity.as_ref().map(|identity| identity.subject.as_str()),
        status: response.status(),
        refusal,
        shadow: account.shadow,
        detail: account.detail.as_deref(),
        cache: account.cache.map(ttl::Outcome::name),
        trail: account.trail.as_ref().map(|trail| trail.placed(&gateway.files)),
    });
    response
}

async fn exchange<'g, H: Host>(
    context: &Context<'g, H>,
    mut head: http::request::Parts,
    body: H::Body,
    account: &mut Account<'g>,
) -> Result<Response<H::Body>, Refusal> {
    let Context { gateway, host, entrance, .. } = *context;
    if let Some(redirect) = gateway.https.redirect.filter(|_| !context.encrypted) {
        let refusal = Refusal::NotEncrypted(redirect.location(&entrance.host, &head.uri));
        account.note(|| Step::new("https", gateway.places.at("https.redirect"), Said::refused(&refusal)));
        return Err(refusal);
    }
    if entrance.needs_hygiene {
        hygiene::remove_claims(&mut head.headers, &gateway.identity_headers);
    }
    if entrance.has_crumbs {
        cookies::join(&mut head.headers);
    }
    if let Some(answered) = publish::answer(context, &head, account) {
        return answered;
    }
    if let Some(door) = gateway.doors.iter().find(|door| door.is_at(entrance)) {
        // Rare and large, so no other request carries the room for it.
        return Box::pin(login::answer(context, door, &head, account)).await;
    }
    let Found { route, plan } = choose::choose(gateway, entrance, &head, account)?;
    let path = &*entrance.path.text;
    let mut facts = Facts {
        head: &head,
        path,
        host: &entrance.host,
        host_field: entrance.host_field,
        has_body: body.length() != Some(0),
        encrypted: context.encrypted,
        client: entrance.client,
        now: entrance.now,
        request_id: context.request_id.to_str().unwrap_or_default(),
        route,
        identity: None,
    };

    let authentication = plan.authentication.as_ref().filter(|applied| account.holds(applied, path));
    let mut credential = None;
    if let Some(applied) = authentication {
        failures::check(gateway, &facts, account)?;
        match identify::identify(host, applied, &facts, account).await {
            Ok(Some((identity, way))) => {
                account.identity = Some(identity);
                credential = Some(way);
            }
            Ok(None) => {}
            Err(refusal) => return Err(failures::count(gateway, host, refusal, &facts, account).await),
        }
    }
    let body = match account.body.take() {
        Some(digest) => proven(body, *digest)?,
        None => body,
    };
    let identity = account.identity.clone();
    facts.identity = identity.as_deref();
    let mut reserved = limit::draw(host, &plan.limits, &facts, account).await?;
    let granted = authorize::authorize(host, &plan.authorization, &facts, account).await?;

    let caching = plan.caching.as_ref().filter(|applied| account.holds(applied, path));
    let mut lookup = caching.map(|applied| reuse::Lookup::new(applied, &facts));
    let compression = plan.compression.as_ref().filter(|applied| account.holds(applied, path));
    // Only what is asked about later is kept: the rest of the fields goes to the service as it is.
    let accepted = compression.map(|_| only(&head.headers, &header::ACCEPT_ENCODING));
    let method = head.method.clone();

    let reused = match &lookup {
        Some(lookup) => lookup.find(host, entrance.now).await,
        None => None,
    };
    let mut response = match reused {
        Some((stored, outcome)) => {
            account.cache = Some(outcome);
            let stored = if method == Method::HEAD { stored.map(|_| H::Body::empty()) } else { stored };
            reserved.reuse(stored)
        }
        None => {
            let token = vouch::vouch(context, &route.service, account).await?;
            let identity = identity.as_deref();
            let reads_usage = reserved.reads_usage();
            let request =
                attempt::Outgoing { route, plan, identity, credential, granted, token, reads_usage };
            let fetched = {
                // Pinned here: handed over, it would be there twice.
                let asking = pin!(attempt::attempt(context, request, head, body, account));
                reserved.during(asking).await
            };
            let fetched = match fetched {
                Ok(fetched) => reserved.meter(fetched),
                Err(refusal) => {
                    reserved.fail();
                    return Err(refusal);
                }
            };
            match &mut lookup {
                Some(lookup) => {
                    let (response, outcome) = lookup.keep(host, fetched, entrance.now);
                    account.cache = Some(outcome);
                    response
                }
                None => fetched,
            }
        }
    };
    if let (Some(applied), Some(lookup)) = (caching, &lookup) {
        let outcome = account.cache;
        account.policy(applied, || lookup.said(outcome));
    }
    if let (Some(applied), Some(accepted)) = (compression, accepted)
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        let (mut head, body) = response.into_parts();
        // What GET would have brought decides for HEAD too.
        let length = if method == Method::HEAD { content_length(&head.headers) } else { body.length() };
        let coding = applied.policy.finish(&method, &accepted, &mut head, length);
        account.policy(applied, || compression::said(coding, &accepted));
        let body = match coding {
            Some(coding) => body.compress(coding),
            None => body,
        };
        response = Response::from_parts(head, body);
    }
    Ok(response)
}

/// The body, held to what was signed.
fn proven<B: Body>(body: B, digest: ContentDigest) -> Result<B, Refusal> {
    // Of what is empty nothing passes at which a host could look.
    match body.length() {
        Some(0) if digest.checker().is_whole() => Ok(body),
        Some(0) => Err(Refusal::UnprovenBody),
        _ => Ok(body.proven(digest)),
    }
}

/// The fields that every answer carries, whoever made it.
fn decorate(headers: &mut HeaderMap, account: &Account<'_>, request_id: HeaderValue) {
    headers.insert(X_REQUEST_ID, request_id);
    forwarded::note_via(headers);
    if !account.drawn.is_empty() {
        Drawn::write_headers(&account.drawn, headers);
    }
    if let Some(outcome) = account.cache {
        outcome.write_headers(headers);
    }
    for cookie in &account.cookies {
        headers.append(header::SET_COOKIE, cookie.clone());
    }
}

fn answer_step(gateway: &Gateway, status: StatusCode, refusal: Option<&'static str>) -> Step {
    let said = match refusal {
        Some(code) => Said::new(Verdict::Refuse, format!("{status}, refused: {code}")).fact("refusal", code),
        None => Said::new(Verdict::Pass, status.to_string()),
    };
    Step::new("answer", gateway.place, said.fact("status", status.as_u16()))
}

/// Puts the trail into the answer's head. Such an answer is for nobody else, so no cache may keep it.
fn show(headers: &mut HeaderMap, trail: &Trail, gateway: &Gateway) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.remove(TRAIL_HEADER);
    for field in trail.placed(&gateway.files).fields() {
        headers.append(TRAIL_HEADER, field);
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn only(headers: &HeaderMap, name: &HeaderName) -> HeaderMap {
    headers.get_all(name).iter().map(|value| (name.clone(), value.clone())).collect()
}

/// A trusted proxy's identifier for the request, or a new one.
fn request_id(headers: &HeaderMap, trusted: bool, dice: impl FnOnce() -> u128) -> HeaderValue {
    let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    if trusted
        && let Some(given) = headers.get(X_REQUEST_ID)
        && (1..=128).contains(&given.len())
        && given.as_bytes().iter().all(fine)
    {
        return given.clone();
    }
    let mut text = [b'0'; 32];
    hex(dice(), &mut text);
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
