//! Why a token proves nothing, as a closed list: what clients are told of it, and by which code.
//!
//! Finding out which it is happens elsewhere.

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// Too long, or not three parts of base64url and JSON.
    Malformed,
    /// An algorithm that is not allowed here.
    Algorithm,
    /// It demands something that is not understood: `crit` (RFC 7515 §4.1.11), `b64: false` (RFC 7797).
    Critical,
    /// No key of the issuer goes by that name.
    UnknownKey,
    /// The signature is not the issuer's.
    Signature,
    /// `exp` has passed.
    Expired,
    /// `nbf` or `iat` is still to come.
    NotYetValid,
    /// Another issuer.
    Issuer,
    /// Meant for somebody else.
    Audience,
    /// A required claim is missing or has another value.
    Claims,
    /// Its `typ` is another.
    Typ,
    /// It was issued too long ago, whenever it expires.
    TooOld,
}

impl TokenFault {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "jwt_validation.malformed",
            Self::Algorithm => "jwt_validation.algorithm",
            Self::Critical => "jwt_validation.critical",
            Self::UnknownKey => "jwt_validation.unknown_key",
            Self::Signature => "jwt_validation.signature",
            Self::Expired => "jwt_validation.expired",
            Self::NotYetValid => "jwt_validation.not_yet_valid",
            Self::Issuer => "jwt_validation.issuer",
            Self::Audience => "jwt_validation.audience",
            Self::Claims => "jwt_validation.claims",
            Self::Typ => "jwt_validation.typ",
            Self::TooOld => "jwt_validation.too_old",
        }
    }

    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::Malformed => "The token is malformed.",
            Self::Algorithm => "The token's algorithm is not accepted.",
            Self::Critical => "The token demands an unknown extension.",
            Self::UnknownKey | Self::Signature => "The token's signature can't be verified.",
            Self::Expired => "The token has expired.",
            Self::NotYetValid => "The token is not valid yet.",
            Self::Issuer => "The token comes from an unexpected issuer.",
            Self::Audience => "The token is meant for another audience.",
            Self::Claims => "The token lacks a required claim.",
            Self::Typ => "The token is of another type.",
            Self::TooOld => "The token was issued too long ago.",
        }
    }
}
