//! Credentials to identity: keys and signatures are asked for here, judged by the policy.

use std::sync::Arc;

use super::account::Account;
use crate::{
    facts::Facts,
    host::Host,
    identity::Identity,
    keys::NoKey,
    policy::{
        Applied, Authentication,
        api_key::{self, ApiKey, KeyFault},
        jwt_validation::{self, JwtValidation, Source, TokenFault, digest},
    },
    refusal::Refusal,
};

/// Who makes the request, and by which way that was found out.
pub(super) async fn identify<'p, H: Host>(
    host: &H,
    applied: &'p Applied<Authentication>,
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Result<(Arc<Identity>, &'p Authentication), Refusal> {
    let mut way: &Authentication = applied;
    while let Authentication::AnyOf(several) = way {
        let present = several.present(facts.head);
        let chosen =
            present.and_then(|way| way.ok_or_else(|| Refusal::MissingCredentials(applied.challenges())));
        if let Err(refusal) = &chosen {
            account.policy(applied, || jwt_validation::refused(refusal));
        }
        way = chosen?;
    }
    let identity = match way {
        Authentication::JwtValidation(policy) => {
            let found = find(host, policy, facts, &mut account.detail).await;
            account.policy(applied, || match &found {
                Ok((identity, source)) => policy.said(identity, *source, facts.now),
                Err(refusal) => jwt_validation::refused(refusal),
            });
            found?.0
        }
        Authentication::ApiKey(policy) => by_key(policy, applied, facts, account)?,
        // INVARIANT: the loop ends only with another.
        Authentication::AnyOf(_) => return Err(Refusal::MissingCredentials(applied.challenges())),
    };
    Ok((identity, way))
}

fn by_key(
    policy: &ApiKey,
    applied: &Applied<Authentication>,
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Result<Arc<Identity>, Refusal> {
    let key = policy
        .key(facts.head)
        .and_then(|key| key.ok_or_else(|| Refusal::MissingKey(format!("ApiKey {}", policy.place()))));
    let key = match key {
        Ok(key) => key,
        Err(refusal) => {
            account.policy(applied, || jwt_validation::refused(&refusal));
            return Err(refusal);
        }
    };
    let found = policy.admit(&key, facts.now);
    account.policy(applied, || api_key::said(found));
    match found {
        Ok(known) => Ok(known.identity.clone()),
        Err(fault) => {
            account.detail = Some(match fault {
                KeyFault::Unknown => "no such key".to_owned(),
                KeyFault::Expired => "the key has expired".to_owned(),
            });
            Err(Refusal::InvalidKey)
        }
    }
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
