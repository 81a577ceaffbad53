//! Which interim answers (RFC 9110 §15.2) of a service a client gets, and with which fields: what browsers and clients
//! make use of, and nothing else that a service may say before it has decided.

use http::{HeaderMap, HeaderName, StatusCode, header};

/// What `103 Early Hints` is for (RFC 8297).
const HINTS: [HeaderName; 3] = [
    header::LINK,
    header::CONTENT_SECURITY_POLICY,
    HeaderName::from_static("content-security-policy-report-only"),
];

/// The fields with which it is passed on. `None`: it is not. `100` and `101` are the hosts' own affair.
pub fn passed(status: StatusCode, headers: &HeaderMap) -> Option<HeaderMap> {
    match status.as_u16() {
        // Says that the service is at work (RFC 2518 §10.1).
        102 => Some(HeaderMap::new()),
        103 => {
            let kept = headers.iter().filter(|(name, _)| HINTS.contains(name));
            Some(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn hints_pass_and_what_concerns_others_does_not() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("link", "</a.css>; rel=preload"), ("set-cookie", "a=b"), ("server", "x")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.append("link", HeaderValue::from_static("</b.js>; rel=preload"));
        let passed = passed(StatusCode::from_u16(103).unwrap(), &headers).unwrap();
        assert_eq!(passed.len(), 2);
        assert_eq!(passed.get_all("link").iter().count(), 2);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn other_interim_answers_do_not_pass() {
        for status in [100, 101, 104, 199, 200] {
            assert_eq!(passed(StatusCode::from_u16(status).unwrap(), &HeaderMap::new()), None, "{status}");
        }
        assert_eq!(passed(StatusCode::PROCESSING, &HeaderMap::new()), Some(HeaderMap::new()));
    }
}
