//! Policies: what must hold for a request. One file a type; the file's name is the configuration's type in
//! lower case and the prefix of its refusals.
//!
//! A policy never calls a host or another policy. It says what it needs (a credential checked, a counter
//! drawn from, a question asked) and later judges what came back. The pipeline does the asking.

pub mod any_of;
pub mod api_key;
pub mod basic_auth;
pub mod cel;
pub mod compression;
pub mod hmac;
pub mod jwt_validation;
pub mod limit;
pub mod mtls;
pub mod oauth_introspection;
pub mod oidc_login;
pub mod rbac;
pub(crate) mod settings;
pub mod ttl;

use std::{ops::Deref, sync::Arc};

use http::request;

use self::{
    any_of::AnyOf,
    api_key::ApiKey,
    basic_auth::BasicAuth,
    cel::Cel,
    compression::Compression,
    hmac::Hmac,
    jwt_validation::{JwtValidation, TokenSource},
    limit::Limit,
    mtls::Mtls,
    oauth_introspection::OAuthIntrospection,
    oidc_login::OidcLogin,
    rbac::{Judge, Rbac, engine::Engine},
    settings::Settings,
    ttl::Ttl,
};
use crate::{
    certificate::ClientCertificate,
    config::{node::Span, places::Places},
    pattern::Pattern,
    refusal::Refusal,
    remote::Remote,
    trail::{Said, Step, Verdict},
    upstream::Patience,
};

/// When a kind of policy is asked. Policies are asked in this order, whatever the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Who makes the request.
    Authentication,
    /// How often.
    RateLimiting,
    /// Whether they may.
    Authorization,
    /// Whether the answer is known already.
    Caching,
    /// How the answer is encoded.
    Compression,
}

impl Stage {
    /// Whether policies for it may refuse requests.
    pub const fn may_refuse(self) -> bool {
        matches!(self, Self::Authentication | Self::RateLimiting | Self::Authorization)
    }

    /// The stage in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::RateLimiting => "rate limiting",
            Self::Authorization => "authorization",
            Self::Caching => "caching",
            Self::Compression => "compression",
        }
    }
}

/// How it is proven who makes a request.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "made a few times, when a configuration is loaded")]
pub enum Authentication {
    /// In one way.
    By(Way),
    /// In whichever of several ways the request carries a credential for.
    AnyOf(AnyOf),
}

/// One way to prove an identity.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "made a few times, when a configuration is loaded")]
pub enum Way {
    /// By a token.
    JwtValidation(JwtValidation),
    /// By a key.
    ApiKey(ApiKey),
    /// By a password.
    BasicAuth(BasicAuth),
    /// By a signature over the request.
    Hmac(Hmac),
    /// By a token that its issuer is asked about.
    OAuthIntrospection(OAuthIntrospection),
    /// By a session that a login began.
    OidcLogin(Arc<OidcLogin>),
    /// By the client certificate of the connection.
    Mtls(Mtls),
}

impl Authentication {
    /// All ways, in the order of the file.
    pub fn ways(&self) -> &[Way] {
        match self {
            Self::By(way) => std::slice::from_ref(way),
            Self::AnyOf(policy) => &policy.ways,
        }
    }

    /// The way by which this request is to be judged.
    pub(crate) fn way(&self, request: &request::Parts) -> Result<&Way, Refusal> {
        match self {
            Self::By(way) => Ok(way),
            Self::AnyOf(policy) => policy.way(request),
        }
    }

    /// The first way by a token, where there is one.
    pub fn by_token(&self) -> Option<&JwtValidation> {
        self.ways().iter().find_map(|way| match way {
            Way::JwtValidation(policy) => Some(policy),
            _ => None,
        })
    }

    /// The first way by a token that its issuer is asked about, where there is one.
    pub fn by_introspection(&self) -> Option<&OAuthIntrospection> {
        self.ways().iter().find_map(|way| match way {
            Way::OAuthIntrospection(policy) => Some(policy),
            _ => None,
        })
    }

    /// The first way by a session, where there is one.
    pub fn by_session(&self) -> Option<&OidcLogin> {
        self.ways().iter().find_map(|way| match way {
            Way::OidcLogin(policy) => Some(&**policy),
            _ => None,
        })
    }
}

impl Way {
    /// Its type, as written in files.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::JwtValidation(_) => "JWT_Validation",
            Self::ApiKey(_) => "ApiKey",
            Self::BasicAuth(_) => "BasicAuth",
            Self::Hmac(_) => "Hmac",
            Self::OAuthIntrospection(_) => "OAuthIntrospection",
            Self::OidcLogin(_) => "OidcLogin",
            Self::Mtls(_) => "Mtls",
        }
    }

    /// Whether the request carries such a credential, good or bad.
    pub(crate) fn is_present(&self, request: &request::Parts) -> Result<bool, Refusal> {
        match self {
            Self::JwtValidation(policy) => policy.token(request).map(|token| token.is_some()),
            Self::ApiKey(policy) => policy.key(request).map(|key| key.is_some()),
            Self::BasicAuth(policy) => policy.offered(request).map(|text| text.is_some()),
            Self::Hmac(policy) => policy.is_present(request),
            Self::OAuthIntrospection(policy) => policy.token(request).map(|token| token.is_some()),
            Self::OidcLogin(policy) => Ok(policy.is_present(request)),
            Self::Mtls(_) => Ok(ClientCertificate::of(request).is_some()),
        }
    }

    /// Where the credential stands in the request's head; none where it is the connection's.
    pub(crate) fn source(&self) -> Option<&TokenSource> {
        match self {
            Self::JwtValidation(policy) => Some(&policy.source),
            Self::ApiKey(policy) => Some(&policy.source),
            Self::BasicAuth(policy) => Some(policy.source()),
            Self::Hmac(policy) => Some(policy.source()),
            Self::OAuthIntrospection(policy) => Some(&policy.source),
            Self::OidcLogin(policy) => Some(&policy.source),
            Self::Mtls(_) => None,
        }
    }

    /// Whoever is asked about credentials while requests wait.
    pub(crate) fn remote(&self) -> Option<&Remote> {
        match self {
            Self::OAuthIntrospection(policy) => Some(&policy.remote),
            _ => None,
        }
    }

    /// What a client is told that sent no credential (RFC 9110 §11.6.1).
    pub(crate) fn challenge(&self) -> String {
        match self {
            Self::JwtValidation(_) | Self::OAuthIntrospection(_) => "Bearer".to_owned(),
            Self::ApiKey(policy) => policy.challenge(),
            Self::BasicAuth(policy) => policy.challenge(),
            Self::Hmac(_) => hmac::SCHEME.to_owned(),
            Self::OidcLogin(policy) => policy.challenge(),
            Self::Mtls(_) => mtls::SCHEME.to_owned(),
        }
    }
}

/// Where a policy is written: for explanations and comparisons, never for decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its name.
    pub name: String,
    /// Its type, as written in files.
    pub r#type: &'static str,
    /// What people wrote about it.
    pub description: Option<String>,
    /// Where it stands.
    pub span: Span,
    /// On which level.
    pub scope: Scope,
    /// Everything that it says, in one spelling: two policies that are equal here do the same.
    pub meaning: Vec<(String, String)>,
    /// Paths for which it does not hold, wherever it stands.
    pub(crate) excluded: Vec<(Pattern, Span)>,
    /// Where its keys are.
    pub(crate) places: Places,
}

/// The level on which a policy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// For all routes.
    Global,
    /// In a route.
    Route,
    /// In an override.
    Override,
}

/// A policy as it applies on one leaf of the router.
#[derive(Debug)]
pub struct Applied<T> {
    /// The policy, shared by all places where it holds.
    pub policy: Arc<T>,
    /// Where it is written.
    pub origin: Arc<Origin>,
    /// Patterns under which it does not hold and which cover only some of the leaf's paths.
    pub(crate) except: Vec<(Pattern, Span)>,
}

/// A policy that says whether a request may be made.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "made a few times, when a configuration is loaded")]
pub enum Authorizer {
    /// By the user's roles, as the configuration or an engine says.
    Rbac(Rbac),
    /// By an expression.
    Cel(Cel),
}

impl Authorizer {
    /// The engine that is asked, where one is.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        match self {
            Self::Rbac(Rbac { judge: Judge::Engine(engine), .. }) => Some(engine),
            Self::Rbac(_) | Self::Cel(_) => None,
        }
    }

    /// For advice: whether a request without a user may ever be let through, by this policy and not past it.
    #[cfg(feature = "yaml")]
    pub(crate) fn can_allow_anonymous(&self) -> bool {
        match self {
            Self::Rbac(rbac) => rbac.can_allow_anonymous(),
            Self::Cel(_) => true,
        }
    }

    /// Whether its "no" is recorded and not carried out.
    pub(crate) fn is_in_shadow(&self) -> bool {
        match self {
            Self::Rbac(rbac) => rbac.shadow,
            Self::Cel(cel) => cel.shadow,
        }
    }
}

impl<T> Applied<T> {
    /// What keeps the policy from holding for this path.
    pub(crate) fn exception(&self, path: &str) -> Option<&(Pattern, Span)> {
        self.except.iter().find(|(pattern, _)| pattern.matches(path))
    }
}

impl<T> Deref for Applied<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.policy
    }
}

/// Something that would hold, were it not for something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// Its `exclude_paths` take all paths of the leaf out.
    Excluded(Arc<Origin>, Span),
    /// A later level disables it.
    Disabled(Arc<Origin>, Span),
    /// A later policy of the same name stands in its place.
    Replaced(Arc<Origin>, Span),
}

impl Absence {
    /// What explanations say of it.
    pub(crate) fn step(&self) -> Step {
        let (origin, at, why) = match self {
            Self::Excluded(origin, at) => (origin, at, "this path is excluded from it"),
            Self::Disabled(origin, at) => (origin, at, "it is disabled here"),
            Self::Replaced(origin, at) => (origin, at, "a policy of the same name stands in its place"),
        };
        Step::of_policy_at(origin, *at, Said::new(Verdict::Skip, why))
    }
}

/// An override that is part of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overriding {
    /// Its path, as written.
    pub path: String,
    /// Where it stands.
    pub span: Span,
    /// What people wrote about it.
    pub description: Option<String>,
}

/// How a plan came to be: for explanations and comparisons, never for decisions.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// The overrides that hold, from the least to the most specific.
    pub overrides: Vec<Overriding>,
    /// What does not hold, and why not.
    pub absent: Vec<Absence>,
    /// Where the time for the response's head is written, unless it is the service's or the default.
    pub timeout: Option<Span>,
}

/// All that holds for a request on a route: the merged chain, ready to be carried out.
#[derive(Debug, Default)]
pub struct Plan {
    /// Who makes the request.
    pub authentication: Option<Applied<Authentication>>,
    /// How often they may; every limit counts for itself.
    pub limits: Vec<Applied<Limit>>,
    /// Whether they may; all must agree.
    pub authorization: Vec<Applied<Authorizer>>,
    /// Whether answers are kept.
    pub caching: Option<Applied<Ttl>>,
    /// Whether answers are compressed.
    pub compression: Option<Applied<Compression>>,
    /// How long to wait for the service.
    pub patience: Patience,
    /// How it came to be.
    pub provenance: Provenance,
}

/// A policy of a plan, whatever its type.
#[derive(Clone, Copy)]
pub(crate) struct Held<'p> {
    pub(crate) stage: Stage,
    pub(crate) origin: &'p Arc<Origin>,
    pub(crate) policy: &'p dyn Settings,
    /// What keeps it from holding for the path that was asked about.
    pub(crate) exception: Option<&'p (Pattern, Span)>,
}

impl Plan {
    /// Its policies on a path, in the order in which they are asked.
    pub(crate) fn held<'p>(&'p self, path: &str) -> Vec<Held<'p>> {
        fn held<'p, T: Settings + 'p>(
            stage: Stage,
            applied: impl IntoIterator<Item = &'p Applied<T>>,
            path: &str,
        ) -> impl Iterator<Item = Held<'p>> {
            applied.into_iter().map(move |applied| Held {
                stage,
                origin: &applied.origin,
                policy: &*applied.policy,
                exception: applied.exception(path),
            })
        }
        held(Stage::Authentication, &self.authentication, path)
            .chain(held(Stage::RateLimiting, &self.limits, path))
            .chain(held(Stage::Authorization, &self.authorization, path))
            .chain(held(Stage::Caching, &self.caching, path))
            .chain(held(Stage::Compression, &self.compression, path))
            .collect()
    }

    /// Where its policies are written, each with when it is asked, in that order.
    pub fn origins(&self) -> impl Iterator<Item = (Stage, &Origin)> {
        self.held("").into_iter().map(|held| (held.stage, &**held.origin))
    }
}
