//! Who makes a request, once that is proven: subject, roles, claims, and the headers that tell upstreams.

use std::fmt::Write;

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

/// The headers that always carry identity downstream. Clients can't send them.
pub(crate) const X_USER_ID: HeaderName = HeaderName::from_static("x-user-id");
pub(crate) const X_USER_ROLES: HeaderName = HeaderName::from_static("x-user-roles");

/// A proven identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The subject (`sub`).
    pub subject: String,
    /// Its roles, from the role claim: a string or a list of strings.
    pub roles: Vec<String>,
    /// All claims.
    pub claims: Map<String, Value>,
    /// Names this user and no other among all issuers; holds no control characters.
    pub key: String,
    /// The headers that tell the upstream, prepared.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Identity {
    /// The identity of whoever holds a key. `None` where the subject is nobody.
    pub(crate) fn of_key(
        subject: &str,
        roles: &[String],
        metadata: Map<String, Value>,
        forward: &[(String, HeaderName)],
    ) -> Option<Self> {
        let mut claims = metadata;
        claims.insert("sub".to_owned(), subject.into());
        claims.insert("role".to_owned(), roles.into());
        let identity = Self::from_claims(claims, "role", forward)?;
        // A token of the same subject is somebody else's: its issuer's.
        Some(Self { key: format!("key:{}", escaped(subject)), ..identity })
    }

    /// The identity of whoever an issuer of certificates vouches for. `None` where the name is nobody's.
    pub(crate) fn of_certificate(
        name: &str,
        issuer: &str,
        roles: &[String],
        metadata: Map<String, Value>,
        forward: &[(String, HeaderName)],
    ) -> Option<Self> {
        let mut claims = metadata;
        claims.insert("iss".to_owned(), issuer.into());
        let identity = Self::of_key(name, roles, claims, forward)?;
        // Who is known by name under `certificates` is somebody else, even by the same name.
        Some(Self { key: key("certificate", issuer, name), ..identity })
    }

    /// An identity from verified claims. `None` without a subject.
    pub(crate) fn from_claims(
        claims: Map<String, Value>,
        role_claim: &str,
        forward: &[(String, HeaderName)],
    ) -> Option<Self> {
        // An empty subject is nobody, and all nobodies would be the same user.
        let subject = claims.get("sub")?.as_str().filter(|subject| !subject.is_empty())?.to_owned();
        let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        let key = key("user", issuer, &subject);
        Self::named(subject, key, claims, role_claim, forward)
    }

    /// An identity from what an issuer answered about a token. Where it names no subject, a name of another kind
    /// stands in, marked as such; without a name of any kind there is nobody. Where it names no issuer, `asked` does.
    pub(crate) fn introspected(
        claims: Map<String, Value>,
        asked: &str,
        role_claim: &str,
        forward: &[(String, HeaderName)],
    ) -> Option<Self> {
        let name = |claim: &str| claims.get(claim).filter(|value| !value.is_null());
        let issuer = name("iss").and_then(Value::as_str).unwrap_or(asked);
        let kinds = [("user", "sub"), ("username", "username"), ("client", "client_id")];
        let (kind, named) = kinds.into_iter().find_map(|(kind, claim)| Some((kind, name(claim)?)))?;
        let named = named.as_str().filter(|named| !named.is_empty())?;
        let key = key(kind, issuer, named);
        let subject = if kind == "user" { named.to_owned() } else { format!("{kind}:{named}") };
        Self::named(subject, key, claims, role_claim, forward)
    }

    fn named(
        subject: String,
        key: String,
        claims: Map<String, Value>,
        role_claim: &str,
        forward: &[(String, HeaderName)],
    ) -> Option<Self> {
        let roles: Vec<String> = match claims.get(role_claim) {
            Some(Value::String(role)) => vec![role.clone()],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let listed: Vec<String> = roles.iter().map(|role| escaped(role)).collect();
        let mut headers =
            vec![(X_USER_ID, value(escaped(&subject))?), (X_USER_ROLES, value(listed.join(","))?)];
        for (claim, header) in forward {
            let text = match claims.get(claim) {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => escaped(text),
                Some(other) => escaped(&other.to_string()),
            };
            headers.push((header.clone(), value(text)?));
        }
        Some(Self { subject, roles, claims, key, headers })
    }
}

fn key(kind: &str, issuer: &str, name: &str) -> String {
    format!("{kind}:{}|{}", escaped(issuer), escaped(name))
}

/// What can't stand in a header, or would be read as a separator, percent-encoded: so no two subjects look
/// alike to an upstream, and none can add a role or a line.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        match byte {
            b'%' | b',' | b'|' | ..=b' ' | 0x7f.. => {
                let _ = write!(out, "%{byte:02X}");
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn identity(claims: Value) -> Identity {
        Identity::from_claims(claims.as_object().unwrap().clone(), "role", &[]).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_role_can_smuggle_in_another() {
        let found = identity(json!({"sub": "a", "role": "user,admin"}));
        assert_eq!(found.headers[1].1, "user%2Cadmin");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn users_of_two_issuers_never_share_a_key() {
        let one = identity(json!({"sub": "b|c", "iss": "a"}));
        let two = identity(json!({"sub": "c", "iss": "a|b"}));
        assert_ne!(one.key, two.key);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn control_characters_never_reach_a_header() {
        let found = identity(json!({"sub": "a\r\nx-user-roles: admin\u{e9}"}));
        assert_eq!(found.headers[0].1, "a%0D%0Ax-user-roles:%20admin%C3%A9");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn roles_may_be_a_string_or_a_list() {
        assert_eq!(identity(json!({"sub": "a", "role": "x"})).roles, ["x"]);
        assert_eq!(identity(json!({"sub": "a", "role": ["x", "y", 3]})).roles, ["x", "y"]);
    }
}
