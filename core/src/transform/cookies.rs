//! Cookies that come on several lines. HTTP/2 lets clients split the field, so that it compresses better; whoever
//! reads it is given one (RFC 9113 §8.2.3).

use http::{HeaderMap, HeaderValue, header};

/// Puts all lines of `Cookie` into one.
pub(crate) fn join(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(header::COOKIE).iter();
    let Some(first) = lines.next() else { return };
    let mut joined = first.as_bytes().to_vec();
    for line in lines {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(line.as_bytes());
    }
    // Of what can stand in a value always another can be made.
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn crumbs_become_one_cookie_in_their_order() {
        let mut headers = HeaderMap::new();
        join(&mut headers);
        assert!(headers.is_empty());
        for crumb in ["a=b", "c=d; e=f", "g=h"] {
            headers.append(header::COOKIE, HeaderValue::from_static(crumb));
        }
        join(&mut headers);
        let lines: Vec<_> = headers.get_all(header::COOKIE).iter().collect();
        assert_eq!(lines, ["a=b; c=d; e=f; g=h"]);
    }
}
