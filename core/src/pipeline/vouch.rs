//! The token that tells a service who makes the request: one that was made a moment ago, or a new one.

use std::sync::Arc;

use http::HeaderValue;

use super::{Context, account::Account};
use crate::{
    host::{Host, HostError, HostErrorKind},
    identity::Identity,
    identity_token::IdentityToken,
    refusal::Refusal,
    trail::{Said, Step, Verdict},
    upstream::Service,
};

const ROOM: &str = "identity_token";

/// None where the service wants none, or nobody is known to make the request.
pub(super) async fn vouch<H: Host>(
    context: &Context<'_, H>,
    service: &Arc<Service>,
    account: &mut Account<'_>,
) -> Result<Option<HeaderValue>, Refusal> {
    let Some(maker) = context.gateway.identity_token.as_ref().filter(|_| service.is_told) else {
        return Ok(None);
    };
    let at = context.gateway.places.at(ROOM);
    let Some(identity) = account.identity.clone() else {
        account.note(|| Step::new(ROOM, at, Said::new(Verdict::Skip, "there is no user to be named")));
        return Ok(None);
    };
    let now = context.entrance.now;
    let said = |how: &str, left_ms: u64| {
        let (name, seconds) = (&service.name, left_ms / 1000);
        let text = format!("`{}`, to be believed by `{name}` for {seconds} s: {how}", identity.subject);
        Step::new(ROOM, at, Said::new(Verdict::Pass, text).fact("ends_in_seconds", seconds))
    };
    if let Some((token, left_ms)) = maker.recall(&identity, service, now) {
        account.note(|| said("the token that was made before", left_ms));
        return Ok(Some(token));
    }
    match make(context.host, maker, &identity, service, now).await {
        Ok(token) => {
            account.note(|| said("a new token", maker.ttl_ms));
            Ok(Some(token))
        }
        // A service that relies on tokens would take the request for somebody's who has none.
        Err(error) => {
            account.note(|| Step::new(ROOM, at, Said::new(Verdict::Refuse, "no token can be signed")));
            account.detail = Some(error.to_string());
            Err(Refusal::SigningUnavailable)
        }
    }
}

async fn make<H: Host>(
    host: &H,
    maker: &IdentityToken,
    identity: &Arc<Identity>,
    service: &Arc<Service>,
    now: u64,
) -> Result<HeaderValue, HostError> {
    let unavailable = |why: &str| HostError::new(HostErrorKind::Unavailable, why);
    let key = maker.key().ok_or_else(|| unavailable("there is no key"))?;
    let message = maker.message(identity, service, now);
    let signature = host.sign(key, message.as_bytes()).await?;
    // Once: halves that don't belong together make tokens that nobody can verify.
    if !maker.is_proven() {
        if !host.verify(key.algorithm, key.public(), message.as_bytes(), &signature).await? {
            return Err(unavailable("the halves of the private key don't belong together"));
        }
        maker.prove();
    }
    maker
        .keep(identity, service, &message, &signature, now)
        .ok_or_else(|| unavailable("the token can't stand in a header"))
}
