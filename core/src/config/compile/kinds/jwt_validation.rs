//! `JWT_Validation` compiled from its keys: claims to be checked, where the token is, what is passed on.
//!
//! Whose tokens they are is in [`issuers`].

mod issuers;
mod keys;

use super::{
    Bench, Kinds,
    forward::CLAIMS,
    tokens::{required, scopes, token_source},
};
use crate::{
    config::{
        node::Node,
        policy::{self as written, Mode},
        problem::Problem,
        services::Services,
    },
    policy::jwt_validation::{self, JwtValidation},
    recent::Recent,
};

impl Kinds {
    pub(super) fn jwt_validation(
        &mut self,
        keys: &written::JwtValidation,
        node: &Node,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<JwtValidation> {
        let issuers = self.issuers(keys, node, services, bench);
        let source = token_source(&keys.token_from, node, bench);
        let forward = CLAIMS.compile(&keys.forward_claims, node, &mut self.identity_headers, bench);
        let scopes = scopes(keys.scopes.as_slice(), node, bench);
        bench.not_blank(node, &["role_claim", "typ"]);
        if keys.max_age_seconds == Some(0) {
            let span = node.span_of("max_age_seconds");
            bench.note(Problem::error(span, "a `max_age_seconds` of 0 would refuse every token"));
        }
        Some(JwtValidation {
            issuers: issuers?,
            typ: keys.typ.clone(),
            required: required(&keys.required_claims, node, bench),
            scopes: scopes?,
            max_age_ms: keys.max_age_seconds.map(|seconds| seconds.saturating_mul(1000)),
            leeway_ms: keys.leeway_seconds.saturating_mul(1000),
            optional: keys.mode == Mode::Optional,
            source: source?,
            forward,
            role_claim: keys.role_claim.clone(),
            verified: Recent::new(jwt_validation::REMEMBERED),
        })
    }
}
