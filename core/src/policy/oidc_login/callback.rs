//! How a login ends: what the browser comes back with, what the code is exchanged for, and what that is worth.
//!
//! The asking is the pipeline's. Of what providers write, nothing is shown to anybody but the names of errors that
//! the standards know.

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    LoginFault, OidcLogin,
    begun::Begun,
    form::{encoded, form},
};
use crate::{remote::Answer, route::parameters};

/// What a provider says about a code is not longer than this.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Errors that are worth being named in the log (RFC 6749 §4.1.2.1, §5.2; OpenID Connect Core §3.1.2.6). Another text
/// is anybody's, so it is not repeated.
const KNOWN_ERRORS: [&str; 17] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_request_object",
    "invalid_request_uri",
    "invalid_scope",
    "login_required",
    "request_not_supported",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
];

/// What a browser comes back with.
#[derive(Debug, Default)]
pub(crate) struct Returned {
    pub(crate) state: String,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

impl Returned {
    /// Reads a query in which nothing that counts stands twice (RFC 6749 §3.1).
    pub(crate) fn read(query: &str) -> Result<Self, LoginFault> {
        let mut found: [(&str, Option<String>); 4] =
            [("state", None), ("code", None), ("error", None), ("iss", None)];
        for (name, value) in parameters(query) {
            let Some((_, place)) = found.iter_mut().find(|(own, _)| *own == name) else { continue };
            if place.replace(value.into_owned()).is_some() {
                return Err(LoginFault::Malformed);
            }
        }
        let [(_, state), (_, code), (_, error), (_, iss)] = found;
        Ok(Self {
            state: state.filter(|state| !state.is_empty()).ok_or(LoginFault::Malformed)?,
            code,
            error,
            iss,
        })
    }

    /// The code, where the provider gave one. An answer that names its sender must name `issuer`; some providers say
    /// that theirs always do (RFC 9207 §2.4).
    pub(crate) fn code(
        &self,
        issuer: &str,
        must_name_sender: bool,
        detail: &mut Option<String>,
    ) -> Result<&str, LoginFault> {
        match &self.iss {
            Some(iss) if iss != issuer => return Err(LoginFault::Issuer),
            None if must_name_sender => return Err(LoginFault::Issuer),
            Some(_) | None => {}
        }
        if let Some(error) = &self.error {
            *detail = Some(format!("the provider answers with {}", known(error)));
            return Err(match error.as_str() {
                "access_denied" => LoginFault::Denied,
                "temporarily_unavailable" | "server_error" => LoginFault::Unavailable,
                _ => LoginFault::Provider,
            });
        }
        self.code.as_deref().filter(|code| !code.is_empty()).ok_or(LoginFault::Malformed)
    }
}

/// An error by name, if it is one that can be repeated.
fn known(error: &str) -> &str {
    KNOWN_ERRORS.into_iter().find(|known| *known == error).unwrap_or("an error of its own")
}

impl OidcLogin {
    /// What a code is exchanged with (RFC 6749 §4.1.3, RFC 7636 §4.5).
    pub(crate) fn exchange(&self, code: &str, begun: &Begun) -> Option<Request<Bytes>> {
        let (callback, verifier) = (self.callback(), begun.verifier());
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &callback),
            ("code_verifier", &verifier),
        ];
        let secret = match &self.client_secret {
            Some(secret) => Some(std::str::from_utf8(secret.bytes()).ok()?),
            None => None,
        };
        let mut question = Request::new(Bytes::new());
        match secret {
            Some(secret) if !self.secret_in_content => {
                // RFC 6749 §2.3.1: both are encoded before they are joined.
                let joined = Zeroizing::new(format!("{}:{}", encoded(&self.client_id), encoded(secret)));
                let basic = Zeroizing::new(format!("Basic {}", Base64::encode_string(joined.as_bytes())));
                let mut value = HeaderValue::try_from(basic.as_str()).ok()?;
                value.set_sensitive(true);
                question.headers_mut().insert(header::AUTHORIZATION, value);
            }
            _ => pairs.push(("client_id", &self.client_id)),
        }
        if let Some(secret) = secret.filter(|_| self.secret_in_content) {
            pairs.push(("client_secret", secret));
        }
        *question.method_mut() = Method::POST;
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        question.headers_mut().insert(header::CONTENT_TYPE, form_type);
        *question.body_mut() = form(&pairs).into();
        Some(question)
    }

    /// The ID token that a code was exchanged for.
    pub(crate) fn granted(answer: &Answer, detail: &mut Option<String>) -> Result<String, LoginFault> {
        let status = answer.status();
        let granted: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let text = |name: &str| granted.get(name).and_then(Value::as_str);
        if status == StatusCode::OK {
            return text("id_token").map(str::to_owned).ok_or_else(|| {
                *detail = Some("the provider's answer to the code holds no ID token".to_owned());
                LoginFault::Provider
            });
        }
        let error = text("error").unwrap_or_default();
        *detail = Some(match error {
            "" => format!("the provider answers the code with {status}"),
            error => format!("the provider answers the code with {status}: {}", known(error)),
        });
        Err(match error {
            "invalid_grant" => LoginFault::Code,
            "temporarily_unavailable" | "server_error" => LoginFault::Unavailable,
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                LoginFault::Unavailable
            }
            _ => LoginFault::Provider,
        })
    }

    /// What an ID token must say besides what any token must (OpenID Connect Core §3.1.3.7), once its signature, its
    /// issuer, its end and this client among its audiences are known to be good.
    pub(crate) fn check(&self, claims: &Map<String, Value>, begun: &Begun) -> Result<(), &'static str> {
        if claims.get("nonce").and_then(Value::as_str) != Some(&begun.nonce()) {
            return Err("it is for another login");
        }
        if !["exp", "iat"].into_iter().all(|time| claims.contains_key(time)) {
            return Err("it does not say from when or until when it is good");
        }
        let trusted = |audience: &Value| {
            let name = audience.as_str();
            name == Some(&self.client_id) || self.audience.iter().any(|own| name == Some(own))
        };
        let several = match claims.get("aud") {
            Some(Value::Array(all)) if !all.iter().all(trusted) => {
                return Err("it is also for an audience that is not among those of the configuration");
            }
            Some(Value::Array(all)) => all.len() > 1,
            _ => false,
        };
        match claims.get("azp") {
            Some(party) if party.as_str() != Some(&self.client_id) => Err("it was issued to another client"),
            None if several => Err("it does not say to which client it was issued"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn code(query: &str, must: bool) -> Result<String, LoginFault> {
        let returned = Returned::read(query)?;
        returned.code("https://issuer", must, &mut None).map(str::to_owned)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_login_ends_with_one_code_for_one_state() {
        assert_eq!(code("state=s&code=a%20b&other=1&other=2", false), Ok("a b".to_owned()));
        for query in [
            "",
            "code=c",
            "state=&code=c",
            "state=s",
            "state=s&code=",
            "state=s&code=a&code=b",
            "state=s&state=s&code=c",
        ] {
            assert_eq!(code(query, false), Err(LoginFault::Malformed), "{query}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_answer_of_another_provider_is_none() {
        assert!(code("state=s&code=c&iss=https%3A%2F%2Fissuer", true).is_ok());
        assert_eq!(code("state=s&code=c&iss=https%3A%2F%2Fissuer%2F", false), Err(LoginFault::Issuer));
        assert_eq!(code("state=s&code=c", true), Err(LoginFault::Issuer));
        assert_eq!(code("state=s&error=access_denied&iss=x", false), Err(LoginFault::Issuer));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_a_provider_writes_is_not_repeated() {
        for (error, wanted, told) in [
            ("access_denied", LoginFault::Denied, "access_denied"),
            ("temporarily_unavailable", LoginFault::Unavailable, "temporarily_unavailable"),
            ("invalid_scope", LoginFault::Provider, "invalid_scope"),
            ("%3Cscript%3E", LoginFault::Provider, "an error of its own"),
        ] {
            let returned = Returned::read(&format!("state=s&error={error}")).unwrap();
            let mut detail = None;
            assert_eq!(returned.code("i", false, &mut detail), Err(wanted));
            assert_eq!(detail.as_deref(), Some(&*format!("the provider answers with {told}")));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn who_is_to_blame_for_a_code_without_a_token_is_told() {
        let granted = |status: u16, body: &'static str| {
            let answer =
                Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap();
            OidcLogin::granted(&answer, &mut None)
        };
        assert_eq!(granted(200, r#"{"id_token": "t"}"#), Ok("t".to_owned()));
        assert_eq!(granted(200, r#"{"access_token": "t"}"#), Err(LoginFault::Provider));
        assert_eq!(granted(200, "<html>"), Err(LoginFault::Provider));
        assert_eq!(granted(302, ""), Err(LoginFault::Provider));
        assert_eq!(granted(400, r#"{"error": "invalid_grant"}"#), Err(LoginFault::Code));
        assert_eq!(granted(401, r#"{"error": "invalid_client"}"#), Err(LoginFault::Provider));
        assert_eq!(granted(429, ""), Err(LoginFault::Unavailable));
        assert_eq!(granted(503, "down"), Err(LoginFault::Unavailable));
    }
}
