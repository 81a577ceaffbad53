//! `Hmac`: who makes a request, by a signature over the request itself (HTTP message signatures, RFC 9421) with a
//! shared secret, algorithm `hmac-sha256` (§3.3.3).
//!
//! The body is not looked at here: a signature covers its digest, and the host holds the body to that while it
//! passes. That a request is sent twice is not noticed: it is good as long as its signature is.

pub(crate) mod component;
mod fault;
pub mod structured;

use std::{collections::HashMap, fmt, sync::Arc};

use ::hmac::Mac as _;
use http::{HeaderMap, HeaderName, request};
use sha2::Sha256;

pub use self::fault::SignatureFault;
use self::{
    component::{Component, Message, is_a_set},
    structured::{Bare, InnerList, Member, dictionary, joined},
};
use crate::{
    content_digest::{CONTENT_DIGEST, ContentDigest},
    host::Timestamp,
    identity::Identity,
    policy::jwt_validation::TokenSource,
    refusal::Refusal,
};

/// The scheme of challenges. None is registered; what is asked for in detail stands in `Accept-Signature`.
pub(crate) const SCHEME: &str = "Signature";
/// Asks for signatures (RFC 9421 §5.1).
pub(crate) const ACCEPT_SIGNATURE: HeaderName = HeaderName::from_static("accept-signature");
const SIGNATURE: HeaderName = HeaderName::from_static("signature");
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
/// The registered name of the only algorithm.
pub(crate) const ALGORITHM: &str = "hmac-sha256";
/// A shorter secret can be guessed.
pub(crate) const MIN_SECRET_BYTES: usize = 32;
/// Where the credential stands.
static SOURCE: TokenSource = TokenSource::Header(SIGNATURE);

/// Proves identities by signatures over requests.
#[derive(Debug)]
pub struct Hmac {
    pub(crate) keys: HashMap<String, SharedKey>,
    /// Stands for keys that are not known, so that those take as long.
    pub(crate) decoy: Secret,
    pub(crate) required: Vec<Component>,
    pub(crate) allows_unsigned_body: bool,
    pub(crate) max_age_ms: u64,
    pub(crate) leeway_ms: u64,
    pub(crate) label: Option<String>,
    pub(crate) tag: Option<String>,
    /// What clients are told to sign like.
    pub(crate) wanted: Arc<str>,
}

/// A secret that was agreed on.
#[derive(Debug)]
pub(crate) struct SharedKey {
    pub(crate) secret: Secret,
    pub(crate) identity: Arc<Identity>,
    /// From then on it is no key any more.
    pub(crate) expires_at: Option<Timestamp>,
}

/// A secret, ready to be used and never shown.
#[derive(Clone)]
pub(crate) struct Secret(::hmac::Hmac<Sha256>);

impl Secret {
    /// `None` where it is too short.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let fits = bytes.len() >= MIN_SECRET_BYTES;
        fits.then(|| ::hmac::Hmac::new_from_slice(bytes).ok().map(Self))?
    }

    /// Whether this is the signature over the text. Constant in time.
    fn verifies(&self, base: &str, signature: &[u8]) -> bool {
        self.0.clone().chain_update(base).verify_slice(signature).is_ok()
    }

    /// Tells secrets apart without telling what they are.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        self.0.clone().chain_update("tollgate-fingerprint").finalize().into_bytes().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// A signature of a request about which nothing is known yet.
struct Candidate {
    covered: InnerList,
    signature: Vec<u8>,
}

impl Hmac {
    /// What clients are told to sign like (RFC 9421 §5.1).
    pub(crate) fn wanted(required: &[Component], label: Option<&str>, tag: Option<&str>) -> Arc<str> {
        let names: Vec<String> =
            required.iter().map(|component| Bare::Text(component.name().to_owned()).to_string()).collect();
        let tag = tag.map_or_else(String::new, |tag| format!(";tag={}", Bare::Text(tag.to_owned())));
        let label = label.unwrap_or("sig1");
        format!("{label}=({});created;keyid;alg=\"{ALGORITHM}\"{tag}", names.join(" ")).into()
    }

    fn refusal(&self, fault: SignatureFault) -> Refusal {
        Refusal::BadSignature(fault, self.wanted.clone())
    }

    /// The fields in which signatures stand.
    pub(crate) const FIELDS: [HeaderName; 2] = [SIGNATURE, SIGNATURE_INPUT];

    pub(crate) fn source(&self) -> &TokenSource {
        &SOURCE
    }

    /// Whether the request carries a signature that is meant for this policy, good or bad.
    pub(crate) fn is_present(&self, head: &request::Parts) -> Result<bool, Refusal> {
        match self.candidate(&head.headers) {
            Ok(_) => Ok(true),
            Err(SignatureFault::Missing) => Ok(false),
            Err(fault) => Err(self.refusal(fault)),
        }
    }

    /// Whose signature it is, and what the body must be.
    pub(crate) fn admit(
        &self,
        message: &Message<'_>,
        now: Timestamp,
    ) -> Result<(&SharedKey, Option<ContentDigest>), (SignatureFault, Refusal)> {
        self.judge(message, now).map_err(|fault| (fault, self.refusal(fault)))
    }

    fn judge(
        &self,
        message: &Message<'_>,
        now: Timestamp,
    ) -> Result<(&SharedKey, Option<ContentDigest>), SignatureFault> {
        let headers = &message.head.headers;
        let Candidate { covered, signature } = self.candidate(headers)?;
        if !is_a_set(&covered) {
            return Err(SignatureFault::Malformed);
        }
        let key = text(&covered, "keyid")?.ok_or(SignatureFault::Malformed)?;
        if text(&covered, "alg")?.is_some_and(|algorithm| algorithm != ALGORITHM) {
            return Err(SignatureFault::Algorithm);
        }
        self.check_age(&covered, now)?;
        if !self.required.iter().all(|component| component.is_covered(&covered)) {
            return Err(SignatureFault::Uncovered);
        }
        let covers_digest = Component::Field(CONTENT_DIGEST).is_covered(&covered);
        if !covers_digest && !self.allows_unsigned_body && message.has_body {
            return Err(SignatureFault::UnsignedBody);
        }
        let base = message.base(&covered).ok_or(SignatureFault::Component)?;
        let known = self.keys.get(key);
        let secret = known.map_or(&self.decoy, |key| &key.secret);
        let is_good = secret.verifies(&base, &signature);
        let key = known.ok_or(SignatureFault::UnknownKey)?;
        if !is_good {
            return Err(SignatureFault::Wrong);
        }
        if key.expires_at.is_some_and(|end| now >= end) {
            return Err(SignatureFault::EndedKey);
        }
        let digest = match covers_digest {
            true => Some(ContentDigest::of(headers).ok_or(SignatureFault::Digest)?),
            false => None,
        };
        Ok((key, digest))
    }

    fn check_age(&self, covered: &InnerList, now: Timestamp) -> Result<(), SignatureFault> {
        let created = moment(covered, "created")?.ok_or(SignatureFault::Malformed)?;
        if created > now.saturating_add(self.leeway_ms) {
            return Err(SignatureFault::NotYetValid);
        }
        let own_end = moment(covered, "expires")?.unwrap_or(Timestamp::MAX);
        let end = created.saturating_add(self.max_age_ms).min(own_end).saturating_add(self.leeway_ms);
        if now >= end { Err(SignatureFault::Expired) } else { Ok(()) }
    }

    /// The one signature that is meant for this policy. Several are refused: who knows which one was meant.
    fn candidate(&self, headers: &HeaderMap) -> Result<Candidate, SignatureFault> {
        let malformed = SignatureFault::Malformed;
        let read = |name: &HeaderName| match headers.contains_key(name) {
            true => joined(headers, name).and_then(|text| dictionary(&text)).ok_or(malformed),
            false => Ok(Vec::new()),
        };
        let (inputs, signatures) = (read(&SIGNATURE_INPUT)?, read(&SIGNATURE)?);
        if inputs.is_empty() && !signatures.is_empty() {
            return Err(malformed);
        }
        let mut found = None;
        for (label, member) in inputs {
            if self.label.as_ref().is_some_and(|wanted| *wanted != label) {
                continue;
            }
            let Member::List(covered) = member else { return Err(malformed) };
            if self.tag.is_some() && text(&covered, "tag")? != self.tag.as_deref() {
                continue;
            }
            if found.replace((label, covered)).is_some() {
                return Err(SignatureFault::Ambiguous);
            }
        }
        let (label, covered) = found.ok_or(SignatureFault::Missing)?;
        let made = signatures.into_iter().find(|(name, _)| *name == label).map(|(_, member)| member);
        match made {
            Some(Member::Item(item)) => match item.value {
                Bare::Bytes(signature) => Ok(Candidate { covered, signature }),
                _ => Err(malformed),
            },
            _ => Err(malformed),
        }
    }
}

fn parameter<'c>(covered: &'c InnerList, name: &str) -> Option<&'c Bare> {
    covered.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value)
}

fn text<'c>(covered: &'c InnerList, name: &str) -> Result<Option<&'c str>, SignatureFault> {
    match parameter(covered, name) {
        None => Ok(None),
        Some(Bare::Text(text)) => Ok(Some(text)),
        Some(_) => Err(SignatureFault::Malformed),
    }
}

/// A parameter in seconds since 1970 (RFC 9421 §2.3).
fn moment(covered: &InnerList, name: &str) -> Result<Option<Timestamp>, SignatureFault> {
    match parameter(covered, name) {
        None => Ok(None),
        Some(Bare::Integer(seconds)) => {
            let seconds = u64::try_from(*seconds).map_err(|_| SignatureFault::Malformed)?;
            Ok(Some(seconds.saturating_mul(1000)))
        }
        Some(_) => Err(SignatureFault::Malformed),
    }
}

#[cfg(test)]
mod tests;
