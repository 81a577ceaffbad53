//! What an issuer answered about a token (RFC 7662 §2.2). Whatever is not a clear answer is none: that is said here,
//! and what then happens is not.

use http::StatusCode;
use serde_json::{Map, Value};

use crate::{host::Timestamp, policy::jwt_validation::members};

/// A clear answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The token is one, and this is all that is said about it.
    Active(Map<String, Value>),
    /// The token is none, none any more, or none that concerns whoever asked.
    Inactive,
}

impl Answer {
    /// Reads an answer. `Err` says why it is none, and quotes nothing of it.
    pub fn read(status: StatusCode, content: &[u8]) -> Result<Self, String> {
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(format!("the introspection endpoint does not accept this client: {status}"));
            }
            other => return Err(format!("the introspection endpoint answered {other}")),
        }
        let answer = members::read(content).map_err(|error| {
            format!("the introspection endpoint's answer is no JSON: {:?} error", error.classify())
        })?;
        let Value::Object(claims) = answer else {
            return Err("the introspection endpoint's answer is no object".to_owned());
        };
        match claims.get("active") {
            Some(Value::Bool(true)) => Ok(Self::Active(claims)),
            Some(Value::Bool(false)) => Ok(Self::Inactive),
            Some(_) => Err("the introspection endpoint's `active` is no truth value".to_owned()),
            None => Err("the introspection endpoint's answer has no `active`".to_owned()),
        }
    }
}

/// A point in time that an answer names. What is none makes the answer none.
pub(super) fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, String> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            // RFC 7519 §2: it may be a fraction; whole milliseconds are enough, and can't overflow.
            Some(seconds) if (0.0..=1e11).contains(&seconds) => Ok(Some((seconds * 1000.0) as u64)),
            _ => Err(format!("the introspection endpoint's `{name}` is no point in time")),
        },
    }
}

/// Whether the token is meant for `wanted`.
pub(super) fn is_meant(claims: &Map<String, Value>, wanted: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(wanted)),
        _ => false,
    }
}

/// The scopes of a token: words in one text (RFC 7662 §2.2), or, as some issuers have it, a list of words.
pub(super) fn scopes(claims: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let (text, list) = match claims.get("scope") {
        Some(Value::String(text)) => (text.as_str(), &[][..]),
        Some(Value::Array(list)) => ("", list.as_slice()),
        _ => ("", &[][..]),
    };
    let words = text.split(' ').filter(|word| !word.is_empty());
    words.chain(list.iter().filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn read(status: u16, content: &str) -> Option<bool> {
        let answer = Answer::read(StatusCode::from_u16(status).unwrap(), content.as_bytes()).ok()?;
        Some(matches!(answer, Answer::Active(_)))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_a_clear_answer_is_one() {
        for (status, content, wanted) in [
            (200, r#"{"active": true}"#, Some(true)),
            (200, r#" {"sub": "a", "active": true} "#, Some(true)),
            (200, r#"{"active": false}"#, Some(false)),
            (200, r#"{"active": false, "sub": "a"}"#, Some(false)),
            (200, r#"{"active": "true"}"#, None),
            (200, r#"{"active": 1}"#, None),
            (200, r#"{"active": null}"#, None),
            (200, r#"{"active": [true]}"#, None),
            (200, r#"{"Active": true}"#, None),
            (200, r#"{"sub": "a"}"#, None),
            (200, r#"[{"active": true}]"#, None),
            (200, "true", None),
            (200, "", None),
            (200, r#"{"active": true"#, None),
            (200, r#"{"active": true} {"active": false}"#, None),
            (201, r#"{"active": true}"#, None),
            (302, r#"{"active": true}"#, None),
            (400, r#"{"active": false}"#, None),
            (401, r#"{"active": false}"#, None),
            (404, "", None),
            (500, r#"{"active": true}"#, None),
        ] {
            assert_eq!(read(status, content), wanted, "{status} {content}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn why_it_is_none_quotes_nothing_of_it() {
        for content in ["hunter2", r#"{"active": "hunter2"}"#, r#"{"active": hunter2}"#, r#"["hunter2"]"#] {
            let why = Answer::read(StatusCode::OK, content.as_bytes()).unwrap_err();
            assert!(!why.contains("hunter"), "{why}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn scopes_are_whole_words() {
        let all = |scope: Value| -> Vec<String> {
            scopes(json!({"scope": scope}).as_object().unwrap()).map(str::to_owned).collect()
        };
        assert_eq!(all(json!("read  write ")), ["read", "write"]);
        assert_eq!(all(json!(["read", 7, "write"])), ["read", "write"]);
        for none in [json!(""), json!(null), json!({"read": true}), json!(true)] {
            assert!(all(none.clone()).is_empty(), "{none}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_time_that_is_none_makes_the_answer_none() {
        let read = |value: Value| time(json!({"exp": value}).as_object().unwrap(), "exp").ok();
        assert_eq!(read(json!(5)), Some(Some(5_000)));
        assert_eq!(read(json!(5.5)), Some(Some(5_500)));
        assert_eq!(read(json!(null)), Some(None));
        for none in [json!("5"), json!(-1), json!(1e300), json!([5]), json!(true)] {
            assert_eq!(read(none.clone()), None, "{none}");
        }
    }
}
