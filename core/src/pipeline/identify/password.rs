//! A name and a password to an identity: the host checks, unless it was checked a moment ago.

use crate::{
    facts::Facts,
    host::Host,
    pipeline::identify::Found,
    policy::basic_auth::{BasicAuth, Credentials, PasswordFault},
    refusal::Refusal,
    trail::Proof,
};

pub(super) async fn by_password<H: Host>(
    host: &H,
    policy: &BasicAuth,
    facts: &Facts<'_>,
    detail: &mut Option<String>,
) -> Found {
    let offered = policy.offered(facts.head)?.ok_or_else(|| Refusal::MissingPassword(policy.challenge()))?;
    let mut refused = |fault: PasswordFault| {
        *detail = Some(fault.to_string());
        Refusal::InvalidPassword(policy.challenge())
    };
    let credentials = Credentials::parse(offered).ok_or_else(|| refused(PasswordFault::Malformed))?;
    let digest = policy.digest(&credentials);
    let known = || policy.recall(&digest, facts.now);
    if let Some(identity) = known() {
        return Ok((identity, Proof::Password { remembered: true }));
    }
    let hash = policy.hash(&credentials);
    let checked = host.check_password(hash, credentials.password.as_bytes(), || known().is_some()).await;
    match checked {
        Ok(is_right) => policy
            .admit(&credentials, is_right, digest, facts.now)
            .map(|identity| (identity, Proof::Password { remembered: false }))
            .map_err(refused),
        // Not the client's fault, so not 401: it would throw away a good password.
        Err(error) => {
            *detail = Some(error.to_string());
            Err(Refusal::PasswordsUnavailable)
        }
    }
}
