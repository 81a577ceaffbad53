//! A signature over the request to an identity. The policy judges it alone; what it says of the body is noted for
//! later, when the body passes.

use crate::{
    facts::Facts,
    pipeline::{account::Account, identify::Found},
    policy::hmac::{Hmac, component::Message},
    trail::Proof,
};

pub(super) fn by_message(policy: &Hmac, facts: &Facts<'_>, account: &mut Account<'_>) -> Found {
    let message = Message {
        head: facts.head,
        host: facts.host_field,
        encrypted: facts.encrypted,
        has_body: facts.has_body,
    };
    match policy.admit(&message, facts.now) {
        Ok((key, digest)) => {
            account.body = digest.map(Box::new);
            Ok((key.identity.clone(), Proof::Message))
        }
        Err((fault, refusal)) => {
            account.detail = Some(fault.to_string());
            Err(refusal)
        }
    }
}
