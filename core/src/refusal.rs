//! Every "no" that Tollgate says itself, in one closed list, and what it looks like: problem details
//! (RFC 9457) that tell a client what to do and nothing of the inside.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

use crate::{
    body::Body,
    host::{HostError, HostErrorKind},
    malformed::Fault,
    path::BadPath,
    policy::{
        hmac, hmac::SignatureFault, jwt_validation::TokenFault, limit::Drawn, mtls, oauth_introspection,
        oidc_login::LoginFault,
    },
};

/// Why a request is not answered by its service.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// The bytes of its head are no request that everybody reads alike.
    Malformed(Fault),
    /// A method that is none, or is written so that others might take it for another.
    Method,
    /// An expectation that is not understood here.
    Expectation,
    /// The path has no normal form.
    Path(BadPath),
    /// An encoded separator in the path, on a route that does not allow it.
    EncodedSlash,
    /// No host, several, or none that can be read.
    Host,
    /// `Content-Length` and `Transfer-Encoding` disagree about where the request ends.
    Framing,
    /// A method that a gateway does not forward (`CONNECT`).
    Tunnel,
    /// The request's target is too long.
    TargetTooLong,
    /// The header fields are too large.
    HeadersTooLarge,
    /// The body is too large.
    BodyTooLarge,
    /// A request without TLS, which is sent to where there is.
    NotEncrypted(String),
    /// A host that is not served here.
    Misdirected,
    /// More requests in hand than can be borne.
    Overloaded,
    /// No route has this path.
    NoRoute,
    /// A route has this path, with other methods.
    MethodNotAllowed(Vec<Method>),
    /// No token, or none that can be read where it should be.
    MissingToken,
    /// None of several types of credentials; the challenges of all of them.
    MissingCredentials(Vec<String>),
    /// No key; the challenge.
    MissingKey(String),
    /// A key that proves nothing.
    InvalidKey,
    /// Several keys in one place.
    AmbiguousKey,
    /// No password; the challenge.
    MissingPassword(String),
    /// A name and a password that prove nothing; the challenge.
    InvalidPassword(String),
    /// Several credentials in `Authorization`.
    AmbiguousPassword,
    /// Whether the password is right can't be known now.
    PasswordsUnavailable,
    /// A signature over the request that proves nothing, or none; what signatures are wanted (`Accept-Signature`).
    BadSignature(SignatureFault, Arc<str>),
    /// The client's body is not the one that was signed.
    UnprovenBody,
    /// No client certificate.
    MissingCertificate,
    /// A client certificate that proves nothing.
    InvalidCertificate,
    /// Several credentials in one place.
    AmbiguousToken,
    /// A token that proves nothing.
    InvalidToken(TokenFault),
    /// So many wrong credentials from one address that none is looked at for a while.
    TooManyFailures {
        /// For how long.
        left_ms: u64,
    },
    /// A good token that was not granted these scopes.
    InsufficientScope(String),
    /// A person without a session, who is sent to log in.
    LoginRequired(Destination),
    /// Somebody else without a session; the challenge.
    MissingSession(String),
    /// A login that does not come about.
    Login(LoginFault),
    /// Whether the token is good can't be known now.
    KeysUnavailable,
    /// No token for its issuer to be asked about.
    MissingAccessToken,
    /// Several such tokens in one place.
    AmbiguousAccessToken,
    /// A token that proves nothing, by what its issuer says.
    RefusedToken(oauth_introspection::TokenFault),
    /// A token that is good, but not for this; the scopes that are wanted.
    InsufficientAccessToken(Arc<str>),
    /// Whether the token is good, its issuer can't be asked now.
    IntrospectionUnavailable,
    /// The limits say no; what was drawn tells when to come again.
    RateLimited(Vec<Drawn>),
    /// The counters can't be reached, or it can't be told what to draw from them; by the code of the limit.
    CountersUnavailable(&'static str),
    /// The user may not.
    Forbidden,
    /// An expression says no, or can't be evaluated.
    NotTrue,
    /// Whether the user may can't be known now.
    EngineUnavailable,
    /// The token that the service relies on can't be signed now.
    SigningUnavailable,
    /// The service can't be reached or does not speak HTTP.
    BadGateway,
    /// The service has not answered in time.
    GatewayTimeout,
    /// The client's body broke off.
    BodyBroken,
}

/// Where a browser is sent. Nobody is shown it: whoever has all of it could take part in the login.
#[derive(Clone, PartialEq)]
pub struct Destination(pub(crate) String);

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Destination(…)")
    }
}

impl From<LoginFault> for Refusal {
    fn from(fault: LoginFault) -> Self {
        Self::Login(fault)
    }
}

impl From<TokenFault> for Refusal {
    fn from(fault: TokenFault) -> Self {
        Self::InvalidToken(fault)
    }
}

/// What a refusal needs to know of the request to be written.
#[derive(Debug, Clone, Copy)]
pub struct Addressee<'a> {
    /// Identifies the request.
    pub request_id: &'a HeaderValue,
    /// The realm of challenges: the public domain, or the host asked for.
    pub realm: &'a str,
    /// Whether the request was `HEAD`.
    pub head: bool,
}

impl Refusal {
    /// What a failed exchange with a service becomes.
    pub fn of_fetch(error: &HostError) -> Self {
        match error.kind {
            HostErrorKind::Timeout => Self::GatewayTimeout,
            HostErrorKind::RequestTooLarge => Self::BodyTooLarge,
            HostErrorKind::RequestBroken => Self::BodyBroken,
            HostErrorKind::RequestUnproven => Self::UnprovenBody,
            HostErrorKind::Connect
            | HostErrorKind::Reset
            | HostErrorKind::Protocol
            | HostErrorKind::Unavailable => Self::BadGateway,
        }
    }

    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        self.parts().0
    }

    /// The stable name of the reason: `policy.reason`, or `request.reason`, `upstream.reason`.
    pub fn code(&self) -> &'static str {
        self.parts().1
    }

    /// What clients are told.
    pub(crate) fn detail(&self) -> &'static str {
        self.parts().2
    }

    /// Whether a credential was there and could have been a guess. The codes of those that were not there say `missing`;
    /// one that has ended was good once, and a client that goes on with it must not shut out its whole network.
    pub(crate) fn is_wrong_credential(&self) -> bool {
        let (status, code, _) = self.parts();
        status == StatusCode::UNAUTHORIZED && !code.contains(".missing") && !code.ends_with(".expired")
    }

    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed(fault) => fault.parts(),
            Self::Method => (
                StatusCode::BAD_REQUEST,
                "request.bad_method",
                "Methods are written in capital letters, digits, `-` and `_`.",
            ),
            Self::Expectation => (
                StatusCode::EXPECTATION_FAILED,
                "request.expectation",
                "Nothing can be expected here but 100-continue.",
            ),
            Self::Path(_) => {
                (StatusCode::BAD_REQUEST, "request.bad_path", "The path of the request is malformed.")
            }
            Self::EncodedSlash => (
                StatusCode::BAD_REQUEST,
                "request.encoded_slash",
                "The path holds an encoded slash or backslash.",
            ),
            Self::Host => {
                (StatusCode::BAD_REQUEST, "request.bad_host", "The request names no host, or several.")
            }
            Self::Framing => {
                (StatusCode::BAD_REQUEST, "request.bad_framing", "It is unclear where the request ends.")
            }
            Self::Tunnel => (StatusCode::NOT_IMPLEMENTED, "request.tunnel", "Tunnels are not opened here."),
            Self::TargetTooLong => {
                (StatusCode::URI_TOO_LONG, "request.target_too_long", "The URL is too long.")
            }
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "request.headers_too_large",
                "The header fields are too large.",
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "request.body_too_large",
                "The body of the request is too large.",
            ),
            Self::Misdirected => {
                (StatusCode::MISDIRECTED_REQUEST, "request.misdirected", "This host is not served here.")
            }
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "request.overloaded",
                "There is too much to do at the moment.",
            ),
            Self::NoRoute => (StatusCode::NOT_FOUND, "request.no_route", "There is nothing at this address."),
            Self::MethodNotAllowed(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "request.method_not_allowed",
                "This address does not take that method.",
            ),
            Self::MissingToken => {
                (StatusCode::UNAUTHORIZED, "jwt_validation.missing_token", "A bearer token is required.")
            }
            Self::MissingCredentials(_) => {
                (StatusCode::UNAUTHORIZED, "any_of.missing_credentials", "Credentials are required.")
            }
            Self::MissingKey(_) => {
                (StatusCode::UNAUTHORIZED, "api_key.missing_key", "An API key is required.")
            }
            Self::InvalidKey => {
                (StatusCode::UNAUTHORIZED, "api_key.invalid_key", "The API key is not valid.")
            }
            Self::AmbiguousKey => {
                (StatusCode::BAD_REQUEST, "api_key.ambiguous_key", "The request carries several API keys.")
            }
            Self::MissingPassword(_) => {
                (StatusCode::UNAUTHORIZED, "basic_auth.missing", "A name and a password are required.")
            }
            Self::InvalidPassword(_) => {
                (StatusCode::UNAUTHORIZED, "basic_auth.invalid", "The name or the password is not valid.")
            }
            Self::AmbiguousPassword => {
                (StatusCode::BAD_REQUEST, "basic_auth.ambiguous", "The request carries several credentials.")
            }
            Self::PasswordsUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "basic_auth.unavailable",
                "Passwords can't be checked at the moment.",
            ),
            Self::BadSignature(fault, _) => (fault.status(), fault.code(), fault.detail()),
            Self::UnprovenBody => (
                StatusCode::BAD_REQUEST,
                "hmac.content_digest",
                "The body of the request is not the one that was signed.",
            ),
            Self::MissingCertificate => (
                StatusCode::UNAUTHORIZED,
                "mtls.missing",
                "A connection with a client certificate is required.",
            ),
            Self::InvalidCertificate => {
                (StatusCode::UNAUTHORIZED, "mtls.invalid", "The client certificate is not valid here.")
            }
            Self::AmbiguousToken => (
                StatusCode::BAD_REQUEST,
                "jwt_validation.ambiguous_token",
                "The request carries several credentials.",
            ),
            Self::InvalidToken(fault) => (StatusCode::UNAUTHORIZED, fault.code(), fault.detail()),
            Self::TooManyFailures { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "authentication.too_many_failures",
                "Too many wrong credentials came from this address; try again later.",
            ),
            Self::NotEncrypted(_) => {
                (StatusCode::PERMANENT_REDIRECT, "https.redirect", "Requests are answered over TLS only.")
            }
            Self::LoginRequired(_) => (StatusCode::SEE_OTHER, "oidc_login.required", "A login is required."),
            Self::MissingSession(_) => {
                (StatusCode::UNAUTHORIZED, "oidc_login.missing", "A login is required.")
            }
            Self::Login(fault) => fault.parts(),
            Self::InsufficientScope(_) => (
                StatusCode::FORBIDDEN,
                "jwt_validation.scope",
                "The token was not granted what is needed here.",
            ),
            Self::KeysUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "jwt_validation.keys_unavailable",
                "Tokens can't be checked at the moment.",
            ),
            Self::MissingAccessToken => {
                (StatusCode::UNAUTHORIZED, "oauth_introspection.missing_token", "A bearer token is required.")
            }
            Self::AmbiguousAccessToken => (
                StatusCode::BAD_REQUEST,
                "oauth_introspection.ambiguous_token",
                "The request carries several credentials.",
            ),
            Self::RefusedToken(fault) => (StatusCode::UNAUTHORIZED, fault.code(), fault.detail()),
            Self::InsufficientAccessToken(_) => {
                let fault = oauth_introspection::TokenFault::Scope;
                (StatusCode::FORBIDDEN, fault.code(), fault.detail())
            }
            Self::IntrospectionUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "oauth_introspection.unavailable",
                "Tokens can't be checked at the moment.",
            ),
            Self::RateLimited(drawn) => {
                (StatusCode::TOO_MANY_REQUESTS, Drawn::code(drawn), "Too many requests; try again later.")
            }
            Self::CountersUnavailable(code) => {
                (StatusCode::SERVICE_UNAVAILABLE, code, "Limits can't be checked at the moment.")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "rbac.denied", "You are not allowed to do this."),
            Self::NotTrue => (StatusCode::FORBIDDEN, "cel.denied", "You are not allowed to do this."),
            Self::EngineUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "rbac.unavailable",
                "Permissions can't be checked at the moment.",
            ),
            Self::SigningUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "identity_token.unavailable",
                "The service can't be told who makes the request at the moment.",
            ),
            Self::BadGateway => (StatusCode::BAD_GATEWAY, "upstream.failed", "The service can't be reached."),
            Self::GatewayTimeout => {
                (StatusCode::GATEWAY_TIMEOUT, "upstream.timeout", "The service did not answer in time.")
            }
            Self::BodyBroken => {
                (StatusCode::BAD_REQUEST, "request.body_broken", "The body of the request broke off.")
            }
        }
    }

    /// The whole answer.
    pub fn into_response<B: Body>(self, to: Addressee<'_>) -> Response<B> {
        let (status, code, detail) = self.parts();
        let problem = json!({
            "type": format!("urn:tollgate:problem:{code}"),
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": detail,
            "instance": format!("urn:tollgate:request:{}", to.request_id.to_str().unwrap_or_default()),
        });
        let content = Bytes::from(problem.to_string());
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(content.len()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.add_headers(&mut headers, to.realm);
        let mut response = Response::new(if to.head { B::empty() } else { B::full(content) });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    fn add_headers(&self, headers: &mut HeaderMap, realm: &str) {
        match self {
            Self::MissingToken | Self::MissingAccessToken => {
                put(headers, header::WWW_AUTHENTICATE, format!("Bearer realm=\"{realm}\""));
            }
            Self::MissingCredentials(challenges) => {
                // In one field, as hosts would join them anyway (RFC 9110 §11.6.1).
                let each: Vec<String> = challenges.iter().map(|one| challenge_of(one, realm)).collect();
                put(headers, header::WWW_AUTHENTICATE, each.join(", "));
            }
            Self::NotEncrypted(location) => put(headers, header::LOCATION, location.clone()),
            Self::LoginRequired(Destination(location)) => put(headers, header::LOCATION, location.clone()),
            Self::Login(fault) if fault.is_passing() => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::MissingKey(challenge) | Self::MissingSession(challenge) => {
                put(headers, header::WWW_AUTHENTICATE, challenge_of(challenge, realm));
            }
            Self::InvalidKey => put(headers, header::WWW_AUTHENTICATE, challenge_of("ApiKey", realm)),
            Self::MissingCertificate | Self::InvalidCertificate => {
                put(headers, header::WWW_AUTHENTICATE, challenge_of(mtls::SCHEME, realm));
            }
            Self::MissingPassword(challenge) | Self::InvalidPassword(challenge) => {
                put(headers, header::WWW_AUTHENTICATE, challenge_of(challenge, realm));
            }
            Self::BadSignature(fault, wanted) if fault.status() == StatusCode::UNAUTHORIZED => {
                put(headers, header::WWW_AUTHENTICATE, challenge_of(hmac::SCHEME, realm));
                // RFC 9421 §5.1: what the next request shall be signed like.
                put(headers, hmac::ACCEPT_SIGNATURE, wanted.to_string());
            }
            Self::AmbiguousToken | Self::AmbiguousAccessToken => {
                let challenge = format!("Bearer realm=\"{realm}\", error=\"invalid_request\"");
                put(headers, header::WWW_AUTHENTICATE, challenge);
            }
            Self::InvalidToken(_) | Self::RefusedToken(_) => {
                let challenge = format!(
                    "Bearer realm=\"{realm}\", error=\"invalid_token\", error_description=\"{}\"",
                    self.detail().trim_end_matches('.')
                );
                put(headers, header::WWW_AUTHENTICATE, challenge);
            }
            Self::InsufficientScope(wanted) => {
                put(headers, header::WWW_AUTHENTICATE, wanting(realm, wanted, self.detail()));
            }
            Self::InsufficientAccessToken(wanted) => {
                put(headers, header::WWW_AUTHENTICATE, wanting(realm, wanted, self.detail()));
            }
            Self::MethodNotAllowed(methods) => {
                let listed: Vec<&str> = methods.iter().map(Method::as_str).collect();
                put(headers, header::ALLOW, listed.join(", "));
            }
            Self::RateLimited(drawn) => {
                Drawn::write_headers(drawn, headers);
                if let Some(seconds) = Drawn::retry_after(drawn) {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
            }
            Self::TooManyFailures { left_ms } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(left_ms.div_ceil(1000)));
            }
            Self::KeysUnavailable
            | Self::EngineUnavailable
            | Self::CountersUnavailable(_)
            | Self::PasswordsUnavailable
            | Self::IntrospectionUnavailable
            | Self::SigningUnavailable
            | Self::Overloaded => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // A connection whose framing can't be trusted is not used again.
            Self::Malformed(_)
            | Self::Method
            | Self::Expectation
            | Self::Host
            | Self::Tunnel
            | Self::Framing
            | Self::BodyTooLarge
            | Self::BodyBroken
            | Self::UnprovenBody => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
    }
}

/// What to come back with (RFC 6750 §3.1).
fn wanting(realm: &str, scopes: &str, why: &str) -> String {
    let why = why.trim_end_matches('.');
    format!(
        "Bearer realm=\"{realm}\", error=\"insufficient_scope\", error_description=\"{why}\", scope=\"{scopes}\""
    )
}

/// A challenge is a scheme, and maybe parameters; the realm is the request's, unless it has one of its own.
fn challenge_of(challenge: &str, realm: &str) -> String {
    match challenge.split_once(' ') {
        Some((_, parameters)) if parameters.starts_with("realm=") => challenge.to_owned(),
        Some((scheme, parameters)) => format!("{scheme} realm=\"{realm}\", {parameters}"),
        None => format!("{challenge} realm=\"{realm}\""),
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}
