//! Algorithms and keys of JSON Web Signatures (RFC 7518, RFC 8037): which key may serve which algorithm. A key
//! serves one family, so no token can talk a public RSA key into being an HMAC secret.
//!
//! The check of a signature by a public key is [`crate::host::Host::verify`]; with the feature `verify` this room
//! also has one in pure Rust, for hosts that have nothing better. Secrets never leave core.

mod jwk;
#[cfg(feature = "verify")]
pub mod pure;
mod secret;

pub use self::{
    jwk::{Curve, Material, PublicKey, UnusableKey},
    secret::{Secret, SecretKey},
};
pub(crate) use self::{
    jwk::{Key, key},
    secret::longest_served,
};

/// A signature algorithm. `none` is not among them, on purpose.
#[expect(missing_docs, reason = "the names are those of RFC 7518 §3.1 and RFC 8037 §3.1")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
    HS256,
    HS384,
    HS512,
}

impl Algorithm {
    /// Those by public keys, in the order of their names' definition: what is allowed unless said otherwise.
    pub const ASYMMETRIC: [Self; 10] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
    ];

    /// Those by a secret that whoever checks shares with whoever signs; only where they are asked for.
    pub const SYMMETRIC: [Self; 3] = [Self::HS256, Self::HS384, Self::HS512];

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ASYMMETRIC.into_iter().chain(Self::SYMMETRIC)
    }

    /// The `alg` value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
        }
    }

    /// The algorithm of that `alg` value; case matters (RFC 7515 §4.1.1).
    pub fn named(name: &str) -> Option<Self> {
        match name {
            // RFC 9864 gives EdDSA over Ed25519 a name of its own.
            "Ed25519" => Some(Self::EdDSA),
            name => Self::all().find(|algorithm| algorithm.name() == name),
        }
    }

    /// Whether whoever can check a signature could also have made it.
    pub fn is_symmetric(self) -> bool {
        Self::SYMMETRIC.contains(&self)
    }
}
