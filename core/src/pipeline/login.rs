//! Logins: browsers sent to the provider, received from it, and logged out. What is said to whom, and what an answer is
//! worth, the policy decides.

use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header, request};

use super::{
    Context,
    account::Account,
    enter::Entrance,
    identify::{Found, verify},
    limit,
};
use crate::{
    body::Body,
    facts::Facts,
    gateway::Door,
    host::Host,
    policy::{
        jwt_validation::digest,
        oidc_login::{
            LoginFault, OidcLogin, Seen,
            begun::Begun,
            callback::{MAX_ANSWER_BYTES, Returned},
            cookies,
        },
    },
    refusal::{Destination, Refusal},
    remote::Question,
    trail::{Proof, Said, Step, Verdict},
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Door {
    /// Whether the policy answers a request itself.
    pub(super) fn is_at(&self, entrance: &Entrance<'_>) -> bool {
        self.policy.answers(&entrance.host, &entrance.path.text)
    }
}

/// Whose session the request carries; without one, people are sent to log in.
pub(super) async fn by_session<H: Host>(
    host: &H,
    policy: &OidcLogin,
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Found {
    match policy.seen(facts.head, facts.now) {
        Seen::Somebody(session) => Ok((session.identity, Proof::Session { ends_at: session.ends_at })),
        Seen::Lacking(session) => {
            account.detail = Some(format!("`{}` lacks a required claim", session.identity.subject));
            Err(LoginFault::Claims.into())
        }
        Seen::Nobody if policy.is_navigation(facts.head) => {
            Err(Box::pin(depart(host, policy, facts, account)).await)
        }
        Seen::Nobody => Err(Refusal::MissingSession(policy.challenge())),
    }
}

/// Sends a browser to the provider.
async fn depart<H: Host>(
    host: &H,
    policy: &OidcLogin,
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Refusal {
    if let Err(refusal) = policy.check_host(facts.host) {
        account.detail = Some(format!("`{}` was asked for, and logins end at `{}`", facts.host, policy.host));
        return refusal;
    }
    let endpoints = match policy.provider.endpoints(host).await {
        Ok(endpoints) => endpoints,
        Err(why) => {
            account.detail = Some(why);
            return LoginFault::Unavailable.into();
        }
    };
    let (seed, nonce) = match (host.unguessable(), host.unguessable()) {
        (Ok(seed), Ok(nonce)) => (seed, nonce),
        (Err(error), _) | (_, Err(error)) => {
            account.detail = Some(error.to_string());
            return LoginFault::Randomness.into();
        }
    };
    let begun = Begun::new(facts.now, seed, facts.path, facts.head.uri.query());
    match policy.depart(&begun, &endpoints.authorization, &nonce, &facts.head.headers) {
        Some(departure) => {
            account.cookies.extend(departure.cookies);
            Refusal::LoginRequired(Destination(departure.location))
        }
        None => LoginFault::Randomness.into(),
    }
}

/// Answers at the paths that are a policy's own.
pub(super) async fn answer<'g, H: Host>(
    context: &Context<'g, H>,
    door: &'g Door,
    head: &request::Parts,
    account: &mut Account<'g>,
) -> Result<Response<H::Body>, Refusal> {
    count(context, head, account).await?;
    let answered = if context.entrance.path.text == door.policy.callback_path {
        callback(context, &door.policy, head, account).await
    } else {
        logout(context, &door.policy, head, account).await
    };
    account.note(|| {
        let said = match &answered {
            Ok((_, text)) => Said::new(Verdict::Pass, *text),
            Err(refusal) => Said::refused(refusal),
        };
        Step { name: Some(door.name.clone()), ..Step::new("OidcLogin", door.span, said) }
    });
    answered.map(|(response, _)| response)
}

/// Draws from the limits that hold on the path, where a route has it: each answer here may cost the provider a
/// question.
async fn count<'g, H: Host>(
    context: &Context<'g, H>,
    head: &request::Parts,
    account: &mut Account<'g>,
) -> Result<(), Refusal> {
    let entrance = context.entrance;
    let Ok(found) = context.gateway.router.find(&entrance.host, &entrance.path.text, head) else {
        return Ok(());
    };
    let facts = Facts {
        head,
        path: &entrance.path.text,
        host: &entrance.host,
        host_field: entrance.host_field,
        has_body: false,
        encrypted: context.encrypted,
        client: entrance.client,
        now: entrance.now,
        request_id: context.request_id.to_str().unwrap_or_default(),
        route: found.route,
        identity: None,
    };
    // Nothing is asked of the service, so what a limit would hold for that is given back at once.
    drop(limit::draw(context.host, &found.plan.limits, &facts, account).await?);
    Ok(())
}

type Answered<B> = Result<(Response<B>, &'static str), Refusal>;

/// A browser comes back from the provider.
async fn callback<H: Host>(
    context: &Context<'_, H>,
    policy: &OidcLogin,
    head: &request::Parts,
    account: &mut Account<'_>,
) -> Answered<H::Body> {
    if head.method != Method::GET {
        return Err(Refusal::MethodNotAllowed(vec![Method::GET]));
    }
    let (host, now) = (context.host, context.entrance.now);
    let returned = Returned::read(head.uri.query().unwrap_or_default())?;
    let begun = policy.begun(&returned.state, &head.headers, now).ok_or(LoginFault::Unknown)?;
    // However it ends, it ends.
    account.cookies.extend(policy.login_cookie(&returned.state).and_then(|name| cookies::clear(&name)));
    let endpoints = policy.provider.endpoints(host).await.map_err(|why| {
        account.detail = Some(why);
        LoginFault::Unavailable
    })?;
    let code = returned.code(&policy.issuer, endpoints.names_itself, &mut account.detail)?;
    let question = policy.exchange(code, &begun).ok_or(LoginFault::Provider)?;
    let (asked, content) = question.into_parts();
    let (about, limit) = (Question::Login, MAX_ANSWER_BYTES);
    let answer =
        endpoints.token.ask_with(host, about, asked.method, asked.headers, Some(content), limit).await;
    let answer = answer.map_err(|error| {
        account.detail = Some(error.to_string());
        LoginFault::Unavailable
    })?;
    let token = OidcLogin::granted(&answer, &mut account.detail)?;
    let verified = verify(host, &policy.id_token, &token, digest(&token), now, &mut account.detail).await;
    let (identity, _) = verified.map_err(|refusal| match refusal {
        Refusal::KeysUnavailable => LoginFault::Unavailable,
        refusal => {
            account.detail = Some(format!("the ID token: {} {}", refusal.code(), refusal.detail()));
            LoginFault::IdToken
        }
    })?;
    policy.check(&identity.claims, &begun).map_err(|why| {
        account.detail = Some(format!("the ID token: {why}"));
        LoginFault::IdToken
    })?;
    let random = host.unguessable().map_err(|error| {
        account.detail = Some(error.to_string());
        LoginFault::Randomness
    })?;
    let sealed = policy.seal_session(identity.claims.clone(), now, &random)?;
    account.cookies.extend(cookies::set(&policy.cookie, &sealed, policy.session_ms / 1000));
    account.identity = Some(identity);
    Ok((sent_on::<H::Body>(&begun.back_to), "the login is good: a session begins"))
}

/// A browser is logged out, here and at the provider.
async fn logout<H: Host>(
    context: &Context<'_, H>,
    policy: &OidcLogin,
    head: &request::Parts,
    account: &mut Account<'_>,
) -> Answered<H::Body> {
    if !matches!(head.method, Method::GET | Method::POST) {
        return Err(Refusal::MethodNotAllowed(vec![Method::GET, Method::POST]));
    }
    // Browsers that say nothing of it are old; they may be made to log out, and that is all.
    if head.headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site") {
        return Err(LoginFault::CrossSite.into());
    }
    if let Seen::Somebody(session) | Seen::Lacking(session) = policy.seen(head, context.entrance.now) {
        account.identity = Some(session.identity);
    }
    let names = cookies::under_way(&head.headers, &policy.cookie).chain([policy.cookie.as_str()]);
    account.cookies.extend(names.filter_map(cookies::clear));
    // A provider that can't be asked where its own logout is keeps nobody logged in here.
    let endpoints = match policy.provider.endpoints(context.host).await {
        Ok(endpoints) => Some(endpoints),
        Err(why) => {
            account.detail = Some(why);
            None
        }
    };
    let end_session = endpoints.and_then(|endpoints| endpoints.end_session);
    let response = match policy.departure(end_session.as_deref()) {
        Some(location) => sent_on(&location),
        None => {
            let mut response = Response::new(H::Body::full("You are logged out.\n".into()));
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, text);
            private(response)
        }
    };
    Ok((response, "the session ends"))
}

/// A redirection that leaves nothing of a login's address behind.
fn sent_on<B: Body>(location: &str) -> Response<B> {
    let mut response = Response::new(B::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    private(response)
}

fn private<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
