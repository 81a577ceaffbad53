//! Credentials to identity: keys and signatures are asked for here, judged by the policy.

mod certificate;
mod message;
mod password;

use std::sync::Arc;

use super::{account::Account, introspect, login};
use crate::{
    facts::Facts,
    host::{Host, Timestamp},
    identity::Identity,
    keys::{self, NoKey},
    policy::{
        Applied, Authentication, Way,
        api_key::ApiKey,
        jwt_validation::{JwtValidation, TokenFault, digest},
    },
    refusal::Refusal,
    trail::{Proof, Said, Verdict},
    verify::Algorithm,
};

/// Who makes the request, and what proves it.
pub(super) type Found = Result<(Arc<Identity>, Proof), Refusal>;

/// Who makes the request, and by which way that was found out; `None` for nobody.
pub(super) async fn identify<'p, H: Host>(
    host: &H,
    applied: &'p Applied<Authentication>,
    facts: &Facts<'_>,
    account: &mut Account<'_>,
) -> Result<Option<(Arc<Identity>, &'p Way)>, Refusal> {
    let way = applied.way(facts.head);
    let mut learnt = None;
    let found = match way {
        Ok(Way::JwtValidation(policy)) => by_token(host, policy, facts, &mut account.detail).await,
        Ok(Way::ApiKey(policy)) => by_key(policy, facts, &mut account.detail).map(Some),
        Ok(Way::BasicAuth(policy)) => {
            password::by_password(host, policy, facts, &mut account.detail).await.map(Some)
        }
        Ok(Way::Hmac(policy)) => message::by_message(policy, facts, account).map(Some),
        Ok(Way::Mtls(policy)) => certificate::by_certificate(policy, facts, &mut account.detail).map(Some),
        Ok(Way::OAuthIntrospection(policy)) => {
            introspect::identify(host, policy, facts, &mut learnt, &mut account.detail).await.map(Some)
        }
        Ok(Way::OidcLogin(policy)) => login::by_session(host, policy, facts, account).await.map(Some),
        Err(ref refusal) => Err(refusal.clone()),
    };
    account.policy(applied, || match &found {
        Ok(Some((identity, proof))) => proof.said(identity, facts.now),
        Ok(None) => Said::new(Verdict::Pass, "nobody: there is no credential, and none is required"),
        Err(refusal) => match learnt {
            Some(learnt) => learnt.add_to(Said::refused(refusal)),
            None => Said::refused(refusal),
        },
    });
    match found? {
        Some((identity, _)) => Ok(Some((identity, way?))),
        None => Ok(None),
    }
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

/// `None` where there is no token and none is needed.
async fn by_token<H: Host>(
    host: &H,
    policy: &JwtValidation,
    facts: &Facts<'_>,
    detail: &mut Option<String>,
) -> Result<Option<(Arc<Identity>, Proof)>, Refusal> {
    let Some(token) = policy.token(facts.head)? else {
        return if policy.admits_nobody(facts.head) { Ok(None) } else { Err(Refusal::MissingToken) };
    };
    let digest = digest(&token);
    if let Some(identity) = policy.recall(&digest, facts.now, |ring| ring.current(host, facts.now)) {
        return Ok(Some((identity, Proof::Remembered)));
    }
    // Large, and once for each token: requests with one that is remembered don't carry the room for it.
    let verified = Box::pin(verify(host, policy, &token, digest, facts.now, detail)).await;
    verified.map(|(identity, algorithm)| Some((identity, Proof::Signature(algorithm))))
}

/// Whom a token proves, wherever it was found.
pub(super) async fn verify<H: Host>(
    host: &H,
    policy: &JwtValidation,
    token: &str,
    digest: [u8; 32],
    now: Timestamp,
    detail: &mut Option<String>,
) -> Result<(Arc<Identity>, Algorithm), Refusal> {
    let (unverified, issuer) = policy.parse(token)?;
    let (kid, algorithm) = (unverified.kid.as_deref(), unverified.algorithm);
    let keys = issuer.keys.holding(host, kid, algorithm).await.map_err(|missing| match missing {
        NoKey::Unknown => Refusal::InvalidToken(TokenFault::UnknownKey),
        // Not the client's fault, so not 401: it would throw away a good token.
        NoKey::Unavailable => {
            *detail = issuer.keys.failure();
            Refusal::KeysUnavailable
        }
    })?;
    let signature = &unverified.signature;
    let good = match keys.find(kid, algorithm).ok_or(TokenFault::UnknownKey)? {
        keys::Found::Secret(key) => key.verify(algorithm, unverified.message, signature),
        keys::Found::Public(key) if !key.may_have_made(signature) => false,
        keys::Found::Public(key) => {
            host.verify(algorithm, key, unverified.message, signature).await.map_err(|error| {
                *detail = Some(error.to_string());
                Refusal::KeysUnavailable
            })?
        }
    };
    if !good {
        return Err(TokenFault::Signature.into());
    }
    let identity = policy.admit(&unverified, digest, issuer, keys.clone(), now)?;
    Ok((identity, algorithm))
}
