//! Whose tokens are believed, and for whom they were made (RFC 8725 §3.8, §3.9).

use super::{rule::Rule, subject::Subject};
use crate::config::{
    policy::Kind,
    problem::{Problem, Severity},
};

pub(super) const RULES: &[Rule] = &[Rule {
    id: "no-issuer-or-audience",
    level: Severity::Warning,
    what: "`JWT_Validation` without `issuer` or without `audience`",
    why: "An issuer signs tokens for many with the same keys. Without `audience`, a token that was made for another \
          service, and that anybody who runs that service holds, opens this gateway too; without `issuer`, so does \
          the token of another tenant whose keys stand in the same set.",
    cure: "write what tokens for this gateway carry in `iss` and `aud`",
    check: unbound,
}];

fn unbound(subject: &Subject<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    for policy in subject.policies() {
        let Kind::JwtValidation(keys) = policy.kind else { continue };
        let lacks_issuer = keys.issuer.is_none() && keys.issuers.is_empty();
        // Of several, each may have its own; what an entry lacks, the policy says for it.
        let listed = !keys.issuers.is_empty()
            && keys.issuers.iter().all(|issuer| !issuer.audience.as_slice().is_empty());
        let lacks_audience = keys.audience.as_slice().is_empty() && !listed;
        let (what, cure) = match (lacks_issuer, lacks_audience) {
            (true, true) => ("from any issuer and for any audience", "add `issuer` and `audience`"),
            (true, false) => ("from any issuer", "add `issuer`"),
            (false, true) => ("for any audience", "add `audience`"),
            (false, false) => continue,
        };
        let message = format!("`{}` accepts tokens {what} that its keys have signed", policy.name());
        let cure = format!("{cure}, as tokens for this gateway carry it");
        found.push(Problem::note(policy.at(), message).cure(cure));
    }
    found
}
