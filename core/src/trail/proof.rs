//! What explanations say of an identity: who, by what proof, for how long. Never the credential itself.

use super::{Said, Verdict};
use crate::{event::Rfc3339, host::Timestamp, identity::Identity, verify::Algorithm};

/// What proves an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A token, verified a moment ago.
    Remembered,
    /// A token, verified now.
    Signature(Algorithm),
    /// A password.
    Password {
        /// Whether it was checked a moment ago.
        remembered: bool,
    },
    /// A signature over the request itself.
    Message,
    /// A session that a login began.
    Session {
        /// When it ends.
        ends_at: Timestamp,
    },
    /// A key that was handed out.
    Key {
        /// When it ends.
        expires_at: Option<Timestamp>,
    },
    /// The client certificate of the connection.
    Certificate {
        /// Whether its issuer vouches for its holder, and no entry of their own.
        by_issuer: bool,
        /// So long it holds.
        until: Timestamp,
    },
    /// A token, as its issuer says.
    Issuer(Learnt),
}

/// How it is known what an issuer says of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Learnt {
    pub(crate) how: How,
    /// So long it holds.
    pub(crate) until: Timestamp,
}

/// How something is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The issuer was asked for this request.
    Asked,
    /// It was asked for another one at the same time.
    Shared,
    /// It was asked a moment ago.
    Remembered,
    /// It was asked before, and gives no answer now.
    Stale,
}

impl Learnt {
    /// The same, with how it is known.
    pub(crate) fn add_to(self, said: Said) -> Said {
        let how = match self.how {
            How::Asked => "asked",
            How::Shared => "shared",
            How::Remembered => "remembered",
            How::Stale => "stale",
        };
        let said = said.fact("introspection", how);
        said.fact("remembered_until", Rfc3339(self.until).to_string())
    }
}

impl Proof {
    /// In words and figures.
    pub(crate) fn said(self, identity: &Identity, now: Timestamp) -> Said {
        let how = match self {
            Self::Remembered => "its token was verified before".to_owned(),
            Self::Signature(algorithm) => format!("its {} signature is good", algorithm.name()),
            Self::Session { .. } => "its session is good".to_owned(),
            Self::Key { .. } => "its key is known".to_owned(),
            Self::Password { remembered: true } => "the password was checked before".to_owned(),
            Self::Password { remembered: false } => "the password is right".to_owned(),
            Self::Certificate { by_issuer: false, .. } => "its certificate is known".to_owned(),
            Self::Certificate { by_issuer: true, .. } => {
                "the issuer of its certificate is trusted".to_owned()
            }
            Self::Message => "the signature over the request is good".to_owned(),
            Self::Issuer(Learnt { how, .. }) => match how {
                How::Asked => "its issuer says that its token is active",
                How::Shared => "its issuer has just said so to another request with its token",
                How::Remembered => "its issuer said a moment ago that its token is active",
                How::Stale => "its issuer gives no answer, and an old one still serves",
            }
            .to_owned(),
        };
        let mut said = Said::new(Verdict::Pass, format!("`{}`: {how}", identity.subject))
            .fact("user", identity.subject.as_str())
            .fact("roles", identity.roles.join(", "));
        if let Self::Key { expires_at } = self {
            return match expires_at {
                Some(end) => said.fact("expires", Rfc3339(end).to_string()),
                None => said,
            };
        }
        if let Self::Certificate { until, .. } = self {
            said = said.fact("expires", Rfc3339(until).to_string());
        }
        if let Self::Issuer(learnt) = self {
            said = learnt.add_to(said);
        }
        if let Some(issuer) = identity.claims.get("iss") {
            said = said.fact("issuer", issuer.clone());
        }
        if let Self::Session { ends_at } = self {
            return said.fact("ends_in_seconds", ends_at.saturating_sub(now) / 1000);
        }
        if let Some(end) = identity.claims.get("exp").and_then(serde_json::Value::as_u64) {
            said = said.fact("ends_in_seconds", end.saturating_sub(now / 1000));
        }
        said
    }
}
