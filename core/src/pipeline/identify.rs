//! Credentials to identity: keys and signatures are asked for here, judged by the policy.

use std::sync::Arc;

use super::account::Account;
use crate::{
    facts::Facts,
    host::Host,
    identity::Identity,
    keys::NoKey,
    policy::{
        Applied,
        jwt_validation::{self, JwtValidation, Source, TokenFault, digest},
    },
    refusal::Refusal,
};

pub(super) async fn identify<H: Host>(
    host: &H,
    applied: &Applied<JwtValidation>,
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Result<Arc<Identity>, Refusal> {
    let found = find(host, applied, facts, &mut account.detail).await;
    account.policy(applied, || match &found {
        Ok((identity, source)) => applied.said(identity, *source, facts.now),
        Err(refusal) => jwt_validation::refused(refusal),
    });
    found.map(|(identity, _)| identity)
}

async fn find<H: Host>(
    host: &H,
    policy: &JwtValidation,
    facts: &Facts<'_>,
    detail: &mut Option<String>,
) -> Result<(Arc<Identity>, Source), Refusal> {
    let token = policy.token(facts.head)?.ok_or(Refusal::MissingToken)?;
    let digest = digest(&token);
    if let Some(keys) = policy.keys.current(host, facts.now)
        && let Some(identity) = policy.recall(&digest, &keys, facts.now)
    {
        return Ok((identity, Source::Remembered));
    }
    let unverified = policy.parse(&token).map_err(Refusal::InvalidToken)?;
    let (kid, algorithm) = (unverified.kid.as_deref(), unverified.algorithm);
    let keys = policy.keys.holding(host, kid, algorithm).await.map_err(|missing| match missing {
        NoKey::Unknown => Refusal::InvalidToken(TokenFault::UnknownKey),
        // Not the client's fault, so not 401: it would throw away a good token.
        NoKey::Unavailable => {
            *detail = policy.keys.failure();
            Refusal::KeysUnavailable
        }
    })?;
    let key = keys.find(kid, algorithm).ok_or(Refusal::InvalidToken(TokenFault::UnknownKey))?;
    if unverified.signature.len() != key.signature_length() {
        return Err(Refusal::InvalidToken(TokenFault::Signature));
    }
    match host.verify(algorithm, key, unverified.message, &unverified.signature).await {
        Ok(true) => {}
        Ok(false) => return Err(Refusal::InvalidToken(TokenFault::Signature)),
        Err(error) => {
            *detail = Some(error.to_string());
            return Err(Refusal::KeysUnavailable);
        }
    }
    let admitted = policy.admit(&unverified, digest, keys.clone(), facts.now);
    admitted.map(|identity| (identity, Source::Verified(algorithm))).map_err(Refusal::InvalidToken)
}
