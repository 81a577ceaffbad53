//! What a policy engine answered. Whatever is not a clear answer is none: that is said here, and what then
//! happens is not.

use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::{remote::Answer, transform::hop_by_hop};

/// What the engine said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decision {
    pub(crate) allow: bool,
    /// Headers that the service is to be given along.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Decision {
    /// Reads an answer; `declared` are the headers that it may add, where that is said. `Err` says why it is none.
    pub(crate) fn read(answer: &Answer, declared: Option<&[HeaderName]>) -> Result<Self, String> {
        let deny = || Self { allow: false, headers: Vec::new() };
        match answer.status() {
            StatusCode::FORBIDDEN => return Ok(deny()),
            StatusCode::OK => {}
            other => return Err(format!("the policy engine answered {other}")),
        }
        if answer.body().trim_ascii().is_empty() {
            return Ok(Self { allow: true, headers: Vec::new() });
        }
        let body: Value = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
        let Value::Object(fields) = &body else {
            return Err("the policy engine's answer is no object".to_owned());
        };
        match fields.get("result").or_else(|| fields.contains_key("allow").then_some(&body)) {
            // OPA leaves `result` out when the rule is undefined, and undefined is not allowed.
            None | Some(Value::Null) => Ok(deny()),
            Some(Value::Bool(allow)) => Ok(Self { allow: *allow, headers: Vec::new() }),
            Some(Value::Object(result)) => match result.get("allow") {
                Some(Value::Bool(true)) => {
                    Ok(Self { allow: true, headers: headers(result.get("headers"), declared)? })
                }
                // Whatever stands beside it: a clear no is not to be taken for a failure.
                Some(Value::Bool(false)) => Ok(deny()),
                _ => Err("the policy engine's answer has no `allow`".to_owned()),
            },
            Some(_) => Err("the policy engine's `result` is neither a truth value nor an object".to_owned()),
        }
    }
}

fn headers(
    value: Option<&Value>,
    declared: Option<&[HeaderName]>,
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let fields = value.as_object().ok_or("the policy engine's `headers` is no object")?;
    let read = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let name = HeaderName::try_from(name.as_str()).map_err(|error| error.to_string())?;
        // Where a message ends and to whom it goes is not the engine's to say.
        if hop_by_hop::concerns(&name) || name == header::CONTENT_LENGTH || name == header::HOST {
            return Err(format!("the policy engine's `headers` hold `{name}`"));
        }
        if declared.is_some_and(|declared| !declared.contains(&name)) {
            return Err(format!("the policy engine's `headers` hold `{name}`, which is not declared"));
        }
        Ok((name, HeaderValue::try_from(value).map_err(|error| error.to_string())?))
    };
    fields.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Response;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn read(status: u16, body: &'static str) -> Option<bool> {
        let answer = Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap();
        Decision::read(&answer, None).ok().map(|decision| decision.allow)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_a_clear_answer_is_one() {
        for (status, body, wanted) in [
            (200, r#"{"result": true}"#, Some(true)),
            (200, r#"{"result": false}"#, Some(false)),
            (200, r#"{"result": {"allow": true, "headers": {"x-tier": "gold"}}}"#, Some(true)),
            (200, r#"{"allow": false}"#, Some(false)),
            (200, "{}", Some(false)),
            (200, "", Some(true)),
            (403, "whatever", Some(false)),
            (200, r#"{"result": "yes"}"#, None),
            (200, r#"{"result": {"allowed": true}}"#, None),
            (200, r#"{"result": {"allow": "true"}}"#, None),
            (200, r#"{"result": {"allow": true, "headers": {"x": "a\nb"}}}"#, None),
            (200, r#"{"result": {"allow": false, "headers": {"x": "a\nb"}}}"#, Some(false)),
            (200, r#"{"result": {"allow": true, "headers": {"content-length": 0}}}"#, None),
            (200, r#"{"result": {"allow": true, "headers": {"Transfer-Encoding": "chunked"}}}"#, None),
            (200, "true", None),
            (200, "<html>", None),
            (500, r#"{"result": true}"#, None),
            (302, "", None),
        ] {
            assert_eq!(read(status, body), wanted, "{status} {body}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn headers_of_the_answer_are_kept() {
        let body = Bytes::from_static(
            br#"{"result": {"allow": true, "headers": {"X-Tier": "gold", "x-level": 3}}}"#,
        );
        let decision = Decision::read(&Response::new(body), None).unwrap();
        let mut found: Vec<_> =
            decision.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        found.sort_unstable();
        assert_eq!(found, [("x-level", "3"), ("x-tier", "gold")]);
    }
    #[wasm_bindgen_test(unsupported = test)]
    fn headers_that_are_not_declared_make_an_answer_none() {
        let body = r#"{"result": {"allow": true, "headers": {"X-Tier": "gold"}}}"#;
        let answer = Response::new(Bytes::from_static(body.as_bytes()));
        let (tier, level) = (HeaderName::from_static("x-tier"), HeaderName::from_static("x-level"));
        assert!(Decision::read(&answer, Some(&[level.clone(), tier])).is_ok());
        let refused = Decision::read(&answer, Some(&[level])).unwrap_err();
        assert_eq!(refused, "the policy engine's `headers` hold `x-tier`, which is not declared");
        assert!(Decision::read(&answer, Some(&[])).is_err());
    }
}
