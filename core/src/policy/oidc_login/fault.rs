//! Why a login does not come about, as a closed list: what people are told of it, with what status, by which code.
//!
//! None of these sends the browser back to the provider: a login that fails again and again must not look like a page
//! that loads forever.

use http::StatusCode;

/// Why a login does not come about, or a session is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginFault {
    /// The provider sent the browser back with something that is no answer.
    Malformed,
    /// No login of this browser is under way by that name: it ended, it is too old, or somebody else began it.
    Unknown,
    /// The answer is another provider's (RFC 9207).
    Issuer,
    /// The provider, or the person asked there, says no.
    Denied,
    /// The code is not good any more.
    Code,
    /// The provider does not do what it is to do: its configuration and this one don't fit.
    Provider,
    /// The provider can't be asked now.
    Unavailable,
    /// What the provider says of the person can't be believed.
    IdToken,
    /// The person lacks a claim that is needed here.
    Claims,
    /// What the provider says of the person does not fit into a cookie.
    TooLarge,
    /// Logins are made at another host.
    Elsewhere,
    /// Another site wants the person to be logged out.
    CrossSite,
    /// The platform has no random numbers to lend.
    Randomness,
}

impl LoginFault {
    pub(crate) const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed => (
                StatusCode::BAD_REQUEST,
                "oidc_login.malformed",
                "This is not how a login ends. Open the page that you wanted once more.",
            ),
            Self::Unknown => (
                StatusCode::BAD_REQUEST,
                "oidc_login.unknown_login",
                "This login is over, or was begun elsewhere. Open the page that you wanted once more.",
            ),
            Self::Issuer => (
                StatusCode::BAD_REQUEST,
                "oidc_login.issuer",
                "This login was answered by somebody else than was asked.",
            ),
            Self::Denied => (StatusCode::FORBIDDEN, "oidc_login.denied", "The login was not granted."),
            Self::Code => (
                StatusCode::BAD_REQUEST,
                "oidc_login.code",
                "This login has been used, or took too long. Open the page that you wanted once more.",
            ),
            Self::Provider => (
                StatusCode::BAD_GATEWAY,
                "oidc_login.provider",
                "The login could not be completed, and trying again will not help.",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "oidc_login.unavailable",
                "Logins can't be made at the moment.",
            ),
            Self::IdToken => (
                StatusCode::BAD_GATEWAY,
                "oidc_login.id_token",
                "What the login says about you could not be verified.",
            ),
            Self::Claims => (StatusCode::FORBIDDEN, "oidc_login.claims", "You are not allowed to be here."),
            Self::TooLarge => (
                StatusCode::BAD_GATEWAY,
                "oidc_login.session_too_large",
                "The login says more about you than a session can hold.",
            ),
            Self::Elsewhere => (
                StatusCode::MISDIRECTED_REQUEST,
                "oidc_login.elsewhere",
                "Logins are made at another address of this service.",
            ),
            Self::CrossSite => {
                (StatusCode::FORBIDDEN, "oidc_login.cross_site", "Another site can't end your session.")
            }
            Self::Randomness => (
                StatusCode::SERVICE_UNAVAILABLE,
                "oidc_login.randomness",
                "Logins can't be made at the moment.",
            ),
        }
    }

    /// Whether it may be otherwise in a moment.
    pub(crate) const fn is_passing(self) -> bool {
        matches!(self, Self::Unavailable | Self::Randomness)
    }
}
