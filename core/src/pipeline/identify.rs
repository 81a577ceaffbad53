//! Credentials to identity: keys and signatures are asked for here, judged by the policy.

use std::sync::Arc;

use super::account::Account;
use crate::{
    facts::Facts,
    host::Host,
    identity::Identity,
    keys::{Found, NoKey},
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
) -> Result<Option<Arc<Identity>>, Refusal> {
    let found = find(host, applied, facts, &mut account.detail).await;
    account.policy(applied, || match &found {
        Ok(Some((identity, source))) => applied.said(identity, *source, facts.now),
        Ok(None) => jwt_validation::anonymous(),
        Err(refusal) => jwt_validation::refused(refusal),
    });
    found.map(|found| found.map(|(identity, _)| identity))
}

async fn find<H: Host>(
    host: &H,
    policy: &JwtValidation,
    facts: &Facts<'_>,
    detail: &mut Option<String>,
) -> Result<Option<(Arc<Identity>, Source)>, Refusal> {
    let Some(token) = policy.token(facts.head)? else { return Ok(None) };
    let digest = digest(&token);
    if let Some(keys) = policy.keys.current(host, facts.now)
        && let Some(identity) = policy.recall(&digest, &keys, facts.now)
    {
        return Ok(Some((identity, Source::Remembered)));
    }
    let unverified = policy.parse(&token)?;
    let (kid, algorithm) = (unverified.kid.as_deref(), unverified.algorithm);
    let keys = policy.keys.holding(host, kid, algorithm).await.map_err(|missing| match missing {
        NoKey::Unknown => Refusal::InvalidToken(TokenFault::UnknownKey),
        // Not the client's fault, so not 401: it would throw away a good token.
        NoKey::Unavailable => {
            *detail = policy.keys.failure();
            Refusal::KeysUnavailable
        }
    })?;
    let signature = &unverified.signature;
    let good = match keys.find(kid, algorithm).ok_or(TokenFault::UnknownKey)? {
        Found::Secret(key) => key.verify(algorithm, unverified.message, signature),
        Found::Public(key) if !key.may_have_made(signature) => false,
        Found::Public(key) => {
            host.verify(algorithm, key, unverified.message, signature).await.map_err(|error| {
                *detail = Some(error.to_string());
                Refusal::KeysUnavailable
            })?
        }
    };
    if !good {
        return Err(TokenFault::Signature.into());
    }
    let identity = policy.admit(&unverified, digest, keys.clone(), facts.now)?;
    Ok(Some((identity, Source::Verified(algorithm))))
}
