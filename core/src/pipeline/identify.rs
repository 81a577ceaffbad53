//! Credentials to identity: keys and signatures are asked for here, judged by the policy.

use std::sync::Arc;

use super::{account::Account, introspect};
use crate::{
    facts::Facts,
    host::Host,
    identity::Identity,
    keys::NoKey,
    policy::{
        Applied, Authentication, Way,
        api_key::ApiKey,
        jwt_validation::{JwtValidation, TokenFault, digest},
    },
    refusal::Refusal,
    trail::{Proof, Said},
};

/// Who makes the request, and what proves it.
pub(super) type Found = Result<(Arc<Identity>, Proof), Refusal>;

/// Who makes the request, and by which way that was found out.
pub(super) async fn identify<'p, H: Host>(
    host: &H,
    applied: &'p Applied<Authentication>,
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Result<(Arc<Identity>, &'p Way), Refusal> {
    let way = applied.way(facts.head);
    let mut learnt = None;
    let found = match way {
        Ok(Way::JwtValidation(policy)) => by_token(host, policy, facts, &mut account.detail).await,
        Ok(Way::ApiKey(policy)) => by_key(policy, facts, &mut account.detail),
        Ok(Way::OAuthIntrospection(policy)) => {
            introspect::identify(host, policy, facts, &mut learnt, &mut account.detail).await
        }
        Err(ref refusal) => Err(refusal.clone()),
    };
    account.policy(applied, || match &found {
        Ok((identity, proof)) => proof.said(identity, facts.now),
        Err(refusal) => match learnt {
            Some(learnt) => learnt.add_to(Said::refused(refusal)),
            None => Said::refused(refusal),
        },
    });
    Ok((found?.0, way?))
}

fn by_key(policy: &ApiKey, facts: &Facts<'_>, detail: &mut Option<String>) -> Found {
    let key = policy.key(facts.head)?.ok_or_else(|| Refusal::MissingKey(policy.challenge()))?;
    match policy.admit(&key, facts.now) {
        Ok(known) => Ok((known.identity.clone(), Proof::Key { expires_at: known.expires_at })),
        Err(fault) => {
            *detail = Some(fault.to_string());
            Err(Refusal::InvalidKey)
        }
    }
}

async fn by_token<H: Host>(
    host: &H,
    policy: &JwtValidation,
    facts: &Facts<'_>,
    detail: &mut Option<String>,
) -> Found {
    let token = policy.token(facts.head)?.ok_or(Refusal::MissingToken)?;
    let digest = digest(&token);
    if let Some(keys) = policy.keys.current(host, facts.now)
        && let Some(identity) = policy.recall(&digest, &keys, facts.now)
    {
        return Ok((identity, Proof::Remembered));
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
    admitted.map(|identity| (identity, Proof::Signature(algorithm))).map_err(Refusal::InvalidToken)
}
