//! `RBAC`: whether a user may. Who says so is in a file of its own: `roles` written in the configuration, or
//! an `engine` that is asked; here is what both have in common.

pub(crate) mod answer;
pub(crate) mod engine;
pub(crate) mod key;
pub(crate) mod roles;

use self::{engine::Engine, roles::Roles};
use crate::facts::Facts;

/// Whether a user may.
#[derive(Debug)]
pub struct Rbac {
    pub(crate) judge: Judge,
    pub(crate) include_anonymous: bool,
    /// Its "no" is recorded and not carried out.
    pub(crate) shadow: bool,
}

/// Who says whether a user may.
#[derive(Debug)]
pub(crate) enum Judge {
    /// What the configuration grants to roles.
    Roles(Roles),
    /// A policy engine.
    Engine(Box<Engine>),
}

impl Rbac {
    /// Whether there is anything to ask. A request that authentication let through without a user is not
    /// asked about, unless that is wanted.
    pub(crate) fn concerns(&self, facts: &Facts<'_>) -> bool {
        facts.identity.is_some() || self.include_anonymous
    }

    /// Whether a request without a user may ever be let through, by this policy and not past it.
    pub(crate) fn can_allow_anonymous(&self) -> bool {
        self.include_anonymous && matches!(self.judge, Judge::Engine(_))
    }
}
