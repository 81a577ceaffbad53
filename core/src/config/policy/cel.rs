//! `Cel` as written.

use serde::Deserialize;

use super::OnError;

/// `Cel`: whether a request may be made, as an expression in the Common Expression Language says. It may where that is
/// `true`; several policies must all allow.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cel {
    /// Over `request` (`method`, `path`, `host`, `headers` by name in lower case, several lines of one joined by `, `,
    /// `query` by name, likewise joined, `client_ip`), `auth` (`user`, `roles`, `claims`; `null` without a user),
    /// `route` (`path`, `service`), `now` (seconds since 1970).
    pub expression: String,
    /// When the expression can't be evaluated, as where it looks for a claim that is not there, or is neither `true` nor
    /// `false`: `deny` (403) or `allow`. To ask first, write `has(auth.claims.tenant) && …`.
    #[serde(default)]
    pub on_error: OnError,
    /// Only record what would have been refused: in the log, in metrics and in explanations. Nothing is refused.
    #[serde(default)]
    pub shadow: bool,
}
