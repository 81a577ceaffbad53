//! Whose tokens are believed: the issuer that a policy describes itself, or those that it lists.
//!
//! Where their keys are is in [`super::keys`].

use super::{Bench, Kinds, keys::algorithms};
use crate::{
    config::{
        document::OneOrMany,
        node::{Node, Span},
        policy::{JwtValidation, TrustedIssuer},
        problem::Problem,
        services::Services,
    },
    policy::jwt_validation::Issuer,
    verify::Secret,
};

/// What an entry of `issuers` says, and a policy can't say beside it.
const OF_ONE: [&str; 4] = ["issuer", "jwks_uri", "jwks", "secret"];

/// An issuer as written, in a policy or in an entry of its `issuers`.
pub(super) struct Written<'w> {
    pub(super) name: Option<&'w str>,
    pub(super) jwks_uri: Option<&'w str>,
    pub(super) jwks: Option<&'w str>,
    pub(super) secret: Option<&'w Secret>,
    pub(super) max_stale_seconds: u64,
    pub(super) node: &'w Node,
    audience: &'w OneOrMany,
    /// With where they stand.
    algorithms: (&'w [String], &'w Node),
}

impl Kinds {
    pub(super) fn issuers(
        &mut self,
        policy: &JwtValidation,
        node: &Node,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Vec<Issuer>> {
        bench.not_empty(node, "audience");
        bench.not_blank(node, &["issuer", "audience"]);
        let Some(list) = node.get("issuers") else {
            let written = Written {
                name: policy.issuer.as_deref(),
                jwks_uri: policy.jwks_uri.as_deref(),
                jwks: policy.jwks.as_deref(),
                secret: policy.secret.as_ref(),
                max_stale_seconds: policy.jwks_max_stale_seconds,
                node,
                audience: &policy.audience,
                algorithms: (&policy.algorithms, node),
            };
            return self.issuer(&written, services, bench).map(|issuer| vec![issuer]);
        };
        bench.not_empty(node, "issuers");
        let beside = OF_ONE.iter().find_map(|key| node.entry(key));
        if let Some((key, _)) = beside {
            let message = format!("`{}` and `issuers` exclude each other", key.name);
            let problem = Problem::error(key.span, message).related(list.span, "the issuers are here");
            bench.note(problem.cure("move it into an entry of `issuers`"));
        }
        let mut seen: Vec<(&str, Span)> = Vec::new();
        let mut issuers = Vec::new();
        for (entry, at) in node.members("issuers", &policy.issuers) {
            let span = at.span_of("issuer");
            if let Some((_, first)) = seen.iter().find(|(name, _)| *name == entry.issuer && !name.is_empty())
            {
                let problem = Problem::error(span, "this issuer stands here twice");
                bench.note(problem.related(*first, "the first one is here"));
            }
            seen.push((&entry.issuer, span));
            issuers.extend(self.listed(entry, at, (policy, node), services, bench));
        }
        // All of them are looked at, so that every mistake is told.
        (beside.is_none() && !issuers.is_empty() && issuers.len() == list.items().len()).then_some(issuers)
    }

    /// What an entry does not say, the policy says for it.
    fn listed(
        &mut self,
        entry: &TrustedIssuer,
        node: &Node,
        (policy, policy_node): (&JwtValidation, &Node),
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Issuer> {
        bench.not_empty(node, "audience");
        bench.not_blank(node, &["issuer", "audience"]);
        let own = node.get("algorithms").is_some();
        let written = Written {
            name: Some(&entry.issuer),
            jwks_uri: entry.jwks_uri.as_deref(),
            jwks: entry.jwks.as_deref(),
            secret: entry.secret.as_ref(),
            max_stale_seconds: policy.jwks_max_stale_seconds,
            node,
            audience: if node.get("audience").is_some() { &entry.audience } else { &policy.audience },
            algorithms: if own { (&entry.algorithms, node) } else { (&policy.algorithms, policy_node) },
        };
        self.issuer(&written, services, bench)
    }

    fn issuer(
        &mut self,
        written: &Written<'_>,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Issuer> {
        let (names, node) = written.algorithms;
        let algorithms = algorithms(names, written.secret, node, bench);
        let keys = self.ring(written, algorithms.as_deref(), services, bench);
        Some(Issuer {
            name: written.name.map(str::to_owned),
            audience: written.audience.as_slice().to_vec(),
            algorithms: algorithms?,
            keys: keys?,
        })
    }
}
