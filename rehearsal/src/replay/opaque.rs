//! The token of a record that only its issuer can read: with the recorded fault, where there was one.

use serde_json::{Map, Value};
use tollgate_core::policy::oauth_introspection::OAuthIntrospection;

use super::record::Record;
use crate::opaque::{active, token};

/// Tokens are made for the minute, so that one user's are few.
const MINUTE_MS: u64 = 60_000;

/// What goes where a token is looked for: nothing, one, or two where that was the fault.
pub(super) fn tokens(
    record: &Record,
    old: &OAuthIntrospection,
    new: Option<&OAuthIntrospection>,
) -> Vec<String> {
    let fault = record.refusal.as_deref().and_then(|reason| reason.strip_prefix("oauth_introspection."));
    let unknown;
    let subject = match (&record.user, fault) {
        (Some(user), _) => user,
        (None, None | Some("missing_token")) => return Vec::new(),
        // One for each client, so that they are not counted together.
        (None, Some(_)) => {
            unknown = format!("unknown user of {}", record.client);
            &unknown
        }
    };
    // What the old one asks for is known to be there.
    let mut claims = new.map(|policy| policy.sample_claims(subject)).unwrap_or_default();
    let scopes = claims.remove("scope");
    claims.extend(old.sample_claims(subject));
    // Of these one can have any number.
    let scopes: Vec<&str> = scopes.iter().chain(claims.get("scope")).filter_map(Value::as_str).collect();
    let scopes = scopes.join(" ");
    claims.insert("scope".to_owned(), scopes.into());
    let minute = record.at / MINUTE_MS * MINUTE_MS / 1000;
    claims.insert("exp".to_owned(), (minute + 3_600).into());
    let mut said = active(claims);
    match fault {
        Some("malformed") => return vec!["a\tb".to_owned()],
        Some("inactive") => drop(said.insert("active".to_owned(), false.into())),
        Some("expired") => drop(said.insert("exp".to_owned(), 1.into())),
        Some("not_yet_valid") => drop(said.insert("nbf".to_owned(), (minute + 10 * 86_400).into())),
        Some("issuer") => drop(said.insert("iss".to_owned(), "https://another.invalid".into())),
        Some("audience") => drop(said.insert("aud".to_owned(), "another".into())),
        Some("scope") => drop(said.remove("scope")),
        Some("claims") => lack(&mut said, old),
        _ => {}
    }
    let token = token(&said);
    if fault == Some("ambiguous_token") { vec![token.clone(), token] } else { vec![token] }
}

/// Which of the required claims was missing is not known: as many are as there are.
fn lack(said: &mut Map<String, Value>, old: &OAuthIntrospection) {
    let besides = |name: &&str| !matches!(*name, "sub" | "iss" | "aud" | "scope");
    let names: Vec<&str> = old.required_claims().filter(besides).collect();
    for name in &names {
        said.remove(*name);
    }
    if names.is_empty() {
        said.remove("sub");
    }
}
