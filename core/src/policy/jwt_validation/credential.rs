//! Where a request's token is, and how it is taken from there.
//!
//! What the token says is not looked at.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header, request};

use crate::{refusal::Refusal, route::parameters};

/// Where the token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenSource {
    /// `Authorization: Bearer` (RFC 6750 §2.1)
    Bearer,
    Header(HeaderName),
    Cookie(String),
    Query(String),
}

impl TokenSource {
    /// The field that holds the credential, among others maybe. For a query parameter none does; `Authorization`
    /// stands for it then.
    pub(crate) fn field(&self) -> &HeaderName {
        match self {
            Self::Bearer | Self::Query(_) => &header::AUTHORIZATION,
            Self::Header(name) => name,
            Self::Cookie(_) => &header::COOKIE,
        }
    }

    /// The token of a request, if there is one. Two in one place are refused: who knows which one the
    /// service would believe.
    pub(crate) fn token<'r>(&self, request: &'r request::Parts) -> Result<Option<Cow<'r, str>>, Refusal> {
        match self {
            Self::Bearer => {
                let Some(value) = single(request, &header::AUTHORIZATION)? else { return Ok(None) };
                Ok(bearer(value).map(Cow::Borrowed))
            }
            Self::Header(name) => {
                let Some(value) = single(request, name)? else { return Ok(None) };
                Ok(bearer(value).or_else(|| value.to_str().ok()).map(Cow::Borrowed))
            }
            Self::Cookie(name) => {
                // Byte by byte: a cookie of somebody else's that is no text hides no other.
                let pairs = cookies(&request.headers).filter(|pair| is_cookie(pair, name));
                let values = pairs.map(|pair| pair.get(name.len() + 1..).unwrap_or_default());
                only(
                    values.map(|value| {
                        Cow::Borrowed(str::from_utf8(value).unwrap_or(NO_TOKEN).trim_matches('"'))
                    }),
                )
            }
            Self::Query(name) => {
                let query = request.uri.query().unwrap_or_default();
                only(parameters(query).filter(|(key, _)| key == name).map(|(_, value)| value))
            }
        }
    }

    /// Whether a request tries to say who makes it, however badly: such a one is never taken for nobody's.
    pub(super) fn is_tried(&self, request: &request::Parts) -> bool {
        match self {
            Self::Bearer => request.headers.get_all(header::AUTHORIZATION).iter().any(|value| {
                let value = value.as_bytes().trim_ascii();
                let scheme = value.split(u8::is_ascii_whitespace).next().unwrap_or_default();
                scheme.eq_ignore_ascii_case(b"bearer")
            }),
            Self::Header(name) => request.headers.contains_key(name),
            // A cookie or parameter without a value is how clients write that they have none.
            Self::Cookie(_) | Self::Query(_) => false,
        }
    }
}

/// Stands for what is no text, so no token, but there.
const NO_TOKEN: &str = "?";

/// The cookies of a request, as `name=value`.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(header::COOKIE).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).map(<[u8]>::trim_ascii)
}

/// Whether a cookie goes by this name.
pub(crate) fn is_cookie(pair: &[u8], name: &str) -> bool {
    pair.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
}

fn single<'r>(request: &'r request::Parts, name: &HeaderName) -> Result<Option<&'r HeaderValue>, Refusal> {
    let mut values = request.headers.get_all(name).iter();
    let first = values.next();
    // A platform may have joined two lines into one (RFC 9110 §5.3); no token holds a comma.
    let joined = first.is_some_and(|value| value.as_bytes().contains(&b','));
    if joined || values.next().is_some() { Err(Refusal::AmbiguousToken) } else { Ok(first) }
}

fn only<'r>(mut found: impl Iterator<Item = Cow<'r, str>>) -> Result<Option<Cow<'r, str>>, Refusal> {
    let first = found.next();
    let joined = first.as_ref().is_some_and(|token| token.contains(','));
    if joined || found.next().is_some() {
        return Err(Refusal::AmbiguousToken);
    }
    Ok(first.filter(|token| !token.is_empty()))
}

/// The token of `Bearer` credentials; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use http::Request;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn head(fields: &[(&str, &str)]) -> request::Parts {
        let request =
            fields.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn two_credentials_are_one_too_many() {
        let twice = head(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]);
        assert_eq!(TokenSource::Bearer.token(&twice), Err(Refusal::AmbiguousToken));
        let joined = head(&[("authorization", "Bearer a, Bearer b")]);
        assert_eq!(TokenSource::Bearer.token(&joined), Err(Refusal::AmbiguousToken));
        let cookies = head(&[("cookie", "t=a; x=1; t=b")]);
        assert_eq!(TokenSource::Cookie("t".into()).token(&cookies), Err(Refusal::AmbiguousToken));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_cookie_that_is_no_text_hides_no_token() {
        let found = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
            TokenSource::Cookie("t".into()).token(&head(&lines)).map(|token| token.map(Cow::into_owned))
        };
        assert_eq!(found(&["name=\u{e9}; t=a"]), Ok(Some("a".into())));
        assert_eq!(found(&["t=a; x=\u{e9}", "t=b"]), Err(Refusal::AmbiguousToken));
        assert_eq!(found(&["tt=a; t; x=t=a"]), Ok(None));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_scheme_may_be_written_in_any_case() {
        for (value, wanted) in [
            ("Bearer a", Some("a")),
            ("bearer  a ", Some("a")),
            ("Basic a", None),
            ("Bearer", None),
            ("a", None),
        ] {
            let head = head(&[("authorization", value)]);
            assert_eq!(TokenSource::Bearer.token(&head).unwrap().as_deref(), wanted, "{value}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_botched_credential_is_a_try() {
        for (value, wanted) in [
            ("Bearer", true),
            ("bearer ", true),
            ("Bearer \u{e9}", true),
            ("Basic a", false),
            ("Bearers a", false),
        ] {
            assert_eq!(TokenSource::Bearer.is_tried(&head(&[("authorization", value)])), wanted, "{value}");
        }
        assert!(!TokenSource::Bearer.is_tried(&head(&[])));
        assert!(TokenSource::Header("x-token".parse().unwrap()).is_tried(&head(&[("x-token", "")])));
    }
}
