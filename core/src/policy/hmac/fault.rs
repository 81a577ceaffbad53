//! Why a signature over a request proves nothing, and what clients are told of that.

use http::StatusCode;
use thiserror::Error;

/// Why a signature proves nothing. The text is for the log; what clients are told does not tell a key that is not
/// known from a signature that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureFault {
    /// There is none, or none of the label or the tag that is asked for.
    #[error("there is no signature")]
    Missing,
    /// The fields can't be read, or lack something.
    #[error("the signature's fields are malformed")]
    Malformed,
    /// Several signatures, any of which may be meant.
    #[error("there are several signatures")]
    Ambiguous,
    /// It covers something that is not understood, or not in the request just once.
    #[error("the signature covers what is not understood or not there")]
    Component,
    /// It does not cover all it must.
    #[error("the signature does not cover all it must")]
    Uncovered,
    /// There is a body, and the signature does not cover its digest.
    #[error("the signature does not cover the body")]
    UnsignedBody,
    /// The digest that it covers can't be used.
    #[error("the `Content-Digest` can't be used")]
    Digest,
    /// It is too old, or says that it has ended.
    #[error("the signature has expired")]
    Expired,
    /// It was made in the future.
    #[error("the signature is from the future")]
    NotYetValid,
    /// Another algorithm.
    #[error("the signature's algorithm is another")]
    Algorithm,
    /// No such key.
    #[error("there is no such key")]
    UnknownKey,
    /// The key has ended.
    #[error("the key has expired")]
    EndedKey,
    /// Made with another secret, or for another request.
    #[error("the signature is wrong")]
    Wrong,
}

impl SignatureFault {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Ambiguous | Self::Digest => StatusCode::BAD_REQUEST,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Missing => "hmac.missing",
            Self::Malformed => "hmac.malformed",
            Self::Ambiguous => "hmac.ambiguous",
            Self::Component | Self::Uncovered | Self::UnsignedBody => "hmac.components",
            Self::Digest => "hmac.content_digest",
            Self::Expired => "hmac.expired",
            Self::NotYetValid => "hmac.not_yet_valid",
            Self::Algorithm => "hmac.algorithm",
            Self::UnknownKey | Self::EndedKey | Self::Wrong => "hmac.signature",
        }
    }

    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::Missing => "The request must be signed.",
            Self::Malformed => "The signature is malformed.",
            Self::Ambiguous => "The request carries several signatures.",
            Self::Component => {
                "The signature covers a component that is not understood or not in the request."
            }
            Self::Uncovered => "The signature does not cover all that it must.",
            Self::UnsignedBody => "The signature must cover the digest of the body.",
            Self::Digest => "The digest of the body can't be used.",
            Self::Expired => "The signature has expired.",
            Self::NotYetValid => "The signature is not valid yet.",
            Self::Algorithm => "The signature's algorithm is not accepted.",
            Self::UnknownKey | Self::EndedKey | Self::Wrong => "The signature can't be verified.",
        }
    }
}
