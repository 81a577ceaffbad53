//! Client certificates to identity: the platform has verified them, the policy says whose they are.

use super::Found;
use crate::{
    certificate::ClientCertificate, facts::Facts, policy::mtls::Mtls, refusal::Refusal, trail::Proof,
};

pub(super) fn by_certificate(policy: &Mtls, facts: &Facts<'_>, detail: &mut Option<String>) -> Found {
    let certificate = ClientCertificate::of(facts.head).ok_or(Refusal::MissingCertificate)?;
    match policy.admit(certificate, facts.now) {
        Ok((known, until)) => Ok((known.identity, Proof::Certificate { by_issuer: known.by_issuer, until })),
        Err(fault) => {
            *detail = Some(fault.to_string());
            Err(Refusal::InvalidCertificate)
        }
    }
}
