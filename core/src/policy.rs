//! Policies: what must hold for a request. One file a type; the file's name is the configuration's type in
//! lower case and the prefix of its refusals.
//!
//! A policy never calls a host or another policy. It says what it needs (a credential checked, a counter
//! drawn from, a question asked) and later judges what came back. The pipeline does the asking.

pub mod compression;
pub mod fixed_window;
pub mod jwt_validation;
pub mod rbac;
pub mod ttl;

use std::sync::Arc;

use self::{
    compression::Compression, fixed_window::FixedWindow, jwt_validation::JwtValidation, rbac::Rbac, ttl::Ttl,
};
use crate::{pattern::Pattern, upstream::Patience};

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

/// A policy as it applies on one leaf of the router.
#[derive(Debug)]
pub struct Applied<T> {
    /// The policy, shared by all places where it holds.
    pub policy: Arc<T>,
    /// Patterns under which it does not hold and which cover only some of the leaf's paths.
    pub(crate) except: Vec<Pattern>,
}

impl<T> Applied<T> {
    /// Whether the policy holds for this path.
    pub(crate) fn holds(&self, path: &str) -> bool {
        self.except.iter().all(|pattern| !pattern.matches(path))
    }
}

/// All that holds for a request on a route: the merged chain, ready to be carried out.
#[derive(Debug, Default)]
pub struct Plan {
    /// Who makes the request.
    pub authentication: Option<Applied<JwtValidation>>,
    /// How often they may; every limit counts for itself.
    pub limits: Vec<Applied<FixedWindow>>,
    /// Whether they may; all must agree.
    pub authorization: Vec<Applied<Rbac>>,
    /// Whether answers are kept.
    pub caching: Option<Applied<Ttl>>,
    /// Whether answers are compressed.
    pub compression: Option<Applied<Compression>>,
    /// How long to wait for the service.
    pub patience: Patience,
}
