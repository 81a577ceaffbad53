//! Whether a person waits for a page, or a script for data.
//!
//! A script that is redirected to a login follows into nowhere: the provider's page is none of its business, and
//! mostly refused to it. So it is told plainly that there is no session.

use http::{HeaderName, Method, header, request};

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Whether the request is made for a page that a person will see. What the browser says of it (Fetch Metadata) counts
/// more than what it accepts, which scripts send too.
pub(super) fn is_navigation(request: &request::Parts) -> bool {
    if !matches!(request.method, Method::GET | Method::HEAD) || request.headers.contains_key(header::UPGRADE)
    {
        return false;
    }
    match request.headers.get(SEC_FETCH_MODE) {
        Some(mode) => mode == "navigate",
        None => request.headers.get_all(header::ACCEPT).iter().any(|value| accepts_pages(value.as_bytes())),
    }
}

fn accepts_pages(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|range| {
        let kind = range.split(|byte| *byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"text/html")
    })
}

#[cfg(test)]
mod tests {
    use http::Request;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn is(method: &str, fields: &[(&str, &str)]) -> bool {
        let request = Request::builder().method(method).uri("/");
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        is_navigation(&request.body(()).unwrap().into_parts().0)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_people_are_sent_to_log_in() {
        assert!(is("GET", &[("sec-fetch-mode", "navigate")]));
        assert!(is("HEAD", &[("accept", "application/xml, Text/HTML;q=0.9")]));
        assert!(!is("POST", &[("sec-fetch-mode", "navigate")]));
        assert!(!is("GET", &[("sec-fetch-mode", "cors"), ("accept", "text/html")]));
        assert!(!is("GET", &[("accept", "*/*")]));
        assert!(!is("GET", &[("accept", "application/json")]));
        assert!(!is("GET", &[]));
        assert!(!is("GET", &[("sec-fetch-mode", "navigate"), ("upgrade", "websocket")]));
    }
}
