//! One request, explained, in a world that is supposed: services answer, the policy engine says yes, and the
//! issuer has signed whatever token is needed, or says of it that it is active, unless it is said otherwise. What was
//! supposed is told.
//!
//! The decision is the pipeline's own; only what surrounds the gateway is made up.

use std::sync::{Mutex, PoisonError};

use base64ct::{Base64UrlUnpadded, Encoding};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header, request, response};
use serde_json::{Map, Value, json};
use tollgate_core::{
    body::Body,
    gateway::Gateway,
    host::{Host, HostError, Peer, Timestamp},
    keys::KeySet,
    path::NormalPath,
    pipeline,
    policy::{
        Authentication,
        jwt_validation::{Carried, JwtValidation},
        oauth_introspection::OAuthIntrospection,
        oidc_login::OidcLogin,
    },
    remote::Question,
    trail::Trail,
    upstream::{Endpoint, Patience},
    verify::Algorithm,
};

use crate::{
    case::request::{Lies, Signed},
    fake::{
        body::FakeBody,
        host::FakeHost,
        world::{World as Surroundings, down},
    },
    keys::{self, Key},
    opaque, span, token,
};

pub use crate::fake::world::{Engine, Issuer};

/// What services are supposed to answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The content.
    pub body: Bytes,
}

impl Default for Answer {
    fn default() -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: Bytes::new() }
    }
}

/// Who makes the request.
#[derive(Debug, Clone, Default)]
pub enum Bearer {
    /// Whoever the request's own credentials say.
    #[default]
    AsSent,
    /// This user, with these claims over those that are required.
    User {
        /// The subject.
        subject: String,
        /// More claims; `null` removes one.
        claims: Map<String, Value>,
    },
}

/// What is supposed.
#[derive(Debug, Clone, Default)]
pub struct Supposed {
    /// What time it is.
    pub now: Timestamp,
    /// Who makes the request.
    pub bearer: Bearer,
    /// What the policy engine says.
    pub engine: Engine,
    /// What issuers say that are asked about tokens.
    pub issuer: Issuer,
    /// What services answer. None: they can't be reached.
    pub answer: Option<Answer>,
}

/// What came of a request.
#[derive(Debug)]
pub struct Explained {
    /// How it was decided.
    pub trail: Trail,
    /// The head of the answer.
    pub head: response::Parts,
    /// Its content.
    pub body: Bytes,
    /// What was supposed, in words.
    pub suppositions: Vec<String>,
}

/// A gateway in such a world. Requests made one after another share its counters and its cache.
#[derive(Debug)]
pub struct World<'g> {
    gateway: &'g Gateway,
    host: FakeHost<Around>,
    supposed: Supposed,
}

impl<'g> World<'g> {
    /// Lends `gateway` such a world.
    pub fn new(gateway: &'g Gateway, supposed: Supposed) -> Self {
        let around = Around {
            engine: supposed.engine,
            issuer: supposed.issuer,
            claims: Mutex::default(),
            answer: supposed.answer.clone(),
            asked: Mutex::default(),
        };
        let host = FakeHost::new(supposed.now, around, &[]);
        Self { gateway, host, supposed }
    }

    /// Supposes otherwise from now on. What time it is stays as it is.
    pub fn suppose(&mut self, supposed: Supposed) {
        self.host.world.engine = supposed.engine;
        self.host.world.issuer = supposed.issuer;
        self.host.world.answer.clone_from(&supposed.answer);
        self.supposed = supposed;
    }

    /// Lets time pass.
    pub fn advance(&self, milliseconds: u64) {
        self.host.advance(milliseconds);
    }

    /// Makes a request.
    pub async fn explain(&self, peer: &Peer, request: Request<Bytes>) -> Result<Explained, String> {
        let (mut head, body) = request.into_parts();
        let mut suppositions = Vec::new();
        self.identify(&mut head, &mut suppositions)?;
        let body = FakeBody::full(body);
        let response =
            pipeline::handle(self.gateway, &self.host, peer, Request::from_parts(head, body)).await;
        let (head, body) = response.into_parts();
        suppositions.extend(std::mem::take(&mut *lock(&self.host.world.asked)));
        suppositions.dedup();
        let trail = self.host.take_event().and_then(|(_, trail)| trail).unwrap_or_default();
        Ok(Explained { trail, head, body: body.collect().0, suppositions })
    }

    /// Puts the token that is supposed into the request.
    fn identify(&self, head: &mut request::Parts, told: &mut Vec<String>) -> Result<(), String> {
        let authentication = self.authentication(head);
        if let Some(policy) = authentication.and_then(Authentication::by_introspection) {
            // For whatever token the client has by itself.
            *lock(&self.host.world.claims) = opaque::active(policy.sample_claims("assumed"));
        }
        let Some(policy) = authentication.and_then(Authentication::by_token) else {
            if let Some(policy) = authentication.and_then(Authentication::by_introspection) {
                return self.hand_over(policy, head, told);
            }
            if let Bearer::User { subject, claims } = &self.supposed.bearer {
                if let Some(policy) = authentication.and_then(Authentication::by_session) {
                    return self.log_in(policy, (subject, claims), head, told);
                }
                told.push(format!("no token of `{subject}`: nothing looks for one here"));
            }
            return Ok(());
        };
        let now = self.host.now();
        match &self.supposed.bearer {
            Bearer::User { subject, claims } => {
                let (key, set) = key(policy)?;
                let mut all = policy.sample_claims(subject);
                if policy.wants_issue_time() {
                    all.insert("iat".to_owned(), "+0s".into());
                }
                all.extend(claims.clone());
                let listed = Value::Object(all.clone()).to_string();
                let header = policy.sample_typ().map(|typ| ("typ".to_owned(), typ.into()));
                let lies = Lies { key, header: header.into_iter().collect(), ..Lies::default() };
                let signed = Signed { claims: all, lies };
                let token = token::token(&signed, now)?;
                put(policy.carry(&token), head)?;
                self.gateway.assume_keys(&set);
                told.push(format!("`{subject}` holds a token, signed by the issuer, that says {listed}"));
            }
            // Keys that are at hand are used as they are; others can't be asked for.
            Bearer::AsSent if policy.keys_are_elsewhere() => {
                let Some(given) = policy.given_token(head) else { return Ok(()) };
                let Some((header, claims)) = opened(&given) else { return Ok(()) };
                let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::named);
                if !algorithm.is_some_and(|algorithm| policy.algorithms().contains(&algorithm)) {
                    return Ok(());
                }
                let (key, set) = key(policy)?;
                let kept = header.into_iter().filter(|(name, _)| name != "alg" && name != "kid").collect();
                let lies = Lies { key, header: kept, ..Lies::default() };
                let signed = Signed { claims: over_default_end(claims), lies };
                let token = token::token(&signed, now)?;
                put(policy.carry(&token), head)?;
                self.gateway.assume_keys(&set);
                told.push("the token's signature is good: the issuer's keys are elsewhere".to_owned());
            }
            Bearer::AsSent => {}
        }
        Ok(())
    }

    /// Puts a session into the request, as a login would have begun it a moment ago.
    fn log_in(
        &self,
        policy: &OidcLogin,
        (subject, claims): (&str, &Map<String, Value>),
        head: &mut request::Parts,
        told: &mut Vec<String>,
    ) -> Result<(), String> {
        let mut all = policy.sample_claims(subject);
        for (name, value) in claims {
            match value {
                Value::Null => drop(all.remove(name)),
                value => drop(all.insert(name.clone(), value.clone())),
            }
        }
        let listed = Value::Object(all.clone()).to_string();
        let random = self.host.unguessable().map_err(|error| error.to_string())?;
        let session = policy.sample_session(all, self.host.now(), &random);
        let session = session.and_then(|cookie| HeaderValue::try_from(cookie).ok());
        head.headers.append(header::COOKIE, session.ok_or("no session can hold these claims")?);
        told.push(format!("`{subject}` has logged in, and the provider has said {listed}"));
        Ok(())
    }

    /// Puts a token that its issuer admits into the request, where that is supposed.
    fn hand_over(
        &self,
        policy: &OAuthIntrospection,
        head: &mut request::Parts,
        told: &mut Vec<String>,
    ) -> Result<(), String> {
        let Bearer::User { subject, claims } = &self.supposed.bearer else { return Ok(()) };
        let mut all = policy.sample_claims(subject);
        for (name, value) in claims {
            let value = match value {
                Value::Null => {
                    all.remove(name);
                    continue;
                }
                value => value.clone(),
            };
            all.insert(name.clone(), at(name, value, self.host.now())?);
        }
        let all = opaque::active(all);
        put(policy.carry(&opaque::token(&all)), head)?;
        told.push(format!("`{subject}` holds a token that only its issuer can read"));
        Ok(())
    }

    /// How it is found out who makes the request, if it comes so far.
    fn authentication(&self, head: &request::Parts) -> Option<&'g Authentication> {
        let path = NormalPath::new(head.uri.path()).ok()?;
        let authority = head.headers.get(http::header::HOST).and_then(|value| value.to_str().ok());
        let host = authority.unwrap_or_default().split(':').next().unwrap_or_default().to_ascii_lowercase();
        let found = self.gateway.router().find(&host, &path.text, head).ok()?;
        Some(&*found.plan.authentication.as_ref()?.policy)
    }
}

/// A claim; a point in time may be written relative to the clock.
fn at(name: &str, value: Value, now: Timestamp) -> Result<Value, String> {
    match &value {
        Value::String(text) if ["exp", "nbf", "iat"].contains(&name) => {
            let offset =
                span::offset(text).ok_or_else(|| format!("`{text}` is no time relative to the clock"))?;
            Ok((now.saturating_add_signed(offset) / 1000).into())
        }
        _ => Ok(value),
    }
}

/// A token that has no end keeps having none.
fn over_default_end(mut claims: Map<String, Value>) -> Map<String, Value> {
    claims.entry("exp").or_insert(Value::Null);
    claims
}

/// A key by which the policy lets tokens be signed, and the set that the issuer is supposed to have.
fn key(policy: &JwtValidation) -> Result<(Key, KeySet), String> {
    let allowed =
        |key: &Key| Algorithm::named(key.algorithm()).is_some_and(|name| policy.algorithms().contains(&name));
    let key = Key::PUBLIC.into_iter().chain(Key::SHARED).find(allowed);
    let key =
        key.ok_or("no token can be supposed: none of the allowed algorithms can be signed with here")?;
    let set = KeySet::parse(keys::set(&[key]).to_string().as_bytes())?;
    Ok((key, set))
}

/// Header and claims of a token, unchecked.
fn opened(token: &str) -> Option<(Map<String, Value>, Map<String, Value>)> {
    let mut parts = token.split('.').map(|part| {
        let bytes = Base64UrlUnpadded::decode_vec(part).ok()?;
        serde_json::from_slice::<Map<String, Value>>(&bytes).ok()
    });
    Some((parts.next()??, parts.next()??))
}

/// Whoever is asked.
#[derive(Debug)]
struct Around {
    engine: Engine,
    issuer: Issuer,
    /// What is said of tokens that were not made for the occasion.
    claims: Mutex<Map<String, Value>>,
    answer: Option<Answer>,
    /// What was supposed on the way.
    asked: Mutex<Vec<String>>,
}

impl Around {
    fn suppose(&self, what: String) {
        lock(&self.asked).push(what);
    }
}

impl Surroundings for Around {
    fn answer(
        &self,
        endpoint: &Endpoint,
        request: Request<FakeBody>,
        _: Patience,
    ) -> Result<Response<FakeBody>, HostError> {
        let service = &endpoint.service;
        match request.extensions().get::<Question>() {
            Some(Question::Keys) => {
                self.suppose(format!("the keys at `{service}` are not known here"));
                Err(down(endpoint))
            }
            Some(Question::Provider | Question::Login) => {
                self.suppose(format!("the provider of logins at `{service}` is not known here"));
                Err(down(endpoint))
            }
            Some(Question::Decision) => {
                let says = match self.engine {
                    Engine::Allows => "allows it",
                    Engine::Denies => "denies it",
                    Engine::Fails => "is down",
                };
                self.suppose(format!("the policy engine `{service}` {says}"));
                self.engine.answer(endpoint)
            }
            Some(Question::Introspection) => {
                let (question, _) = request.into_body().collect();
                let made = opaque::asked_about(&question).and_then(|token| opaque::answer(&token));
                let claims = made.unwrap_or_else(|| lock(&self.claims).clone());
                self.suppose(match self.issuer {
                    Issuer::Admits => format!("`{service}` says of the token {}", json!(claims)),
                    Issuer::Refuses => format!("`{service}` says that the token is not active"),
                    Issuer::Fails => format!("`{service}`, which is asked about tokens, is down"),
                });
                self.issuer.answer(endpoint, claims)
            }
            None => {
                let Some(answer) = &self.answer else {
                    self.suppose(format!("`{service}` is down"));
                    return Err(down(endpoint));
                };
                self.suppose(format!("`{service}` answers {}", answer.status));
                let mut response = Response::new(FakeBody::full(answer.body.clone()));
                *response.status_mut() = answer.status;
                for (name, value) in &answer.headers {
                    response.headers_mut().append(name.clone(), value.clone());
                }
                Ok(response)
            }
        }
    }
}

/// Puts a token where a policy looks for it, in the place of one that is there.
fn put(carried: Carried, head: &mut request::Parts) -> Result<(), String> {
    let failed = |_| "the token can't be put where the policy looks for it".to_owned();
    match carried {
        Carried::Header(name, value) => {
            let value = HeaderValue::try_from(value).map_err(|_| failed(()))?;
            head.headers.insert(name, value);
        }
        Carried::Query(pair) => {
            let name = pair.split('=').next();
            let query = head.uri.query().unwrap_or_default();
            let others =
                query.split('&').filter(|other| !other.is_empty() && other.split('=').next() != name);
            let pairs: Vec<&str> = others.chain([pair.as_str()]).collect();
            let target = format!("{}?{}", head.uri.path(), pairs.join("&"));
            head.uri = Uri::try_from(target).map_err(|_| failed(()))?;
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
