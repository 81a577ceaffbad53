//! Fields that concern one connection and are never passed on (RFC 9110 §7.6.1), those named by `Connection`
//! included; and an upgrade (RFC 9110 §7.8), where both sides are to have it.

use http::{HeaderMap, HeaderName, HeaderValue, header};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The protocol a message wants to, or does, switch to. Never to HTTP in another form (`h2c`, `TLS/1.0`): what
/// would go through the tunnel then are requests at which nobody here has looked.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let protocol = headers.get(header::UPGRADE)?;
    let is_http = |name: &str| {
        let name = name.split('/').next().unwrap_or_default().trim();
        ["h2c", "h2", "http", "tls"].iter().any(|own| own.eq_ignore_ascii_case(name))
    };
    if protocol.to_str().ok()?.split(',').any(is_http) {
        return None;
    }
    let named = |line: &HeaderValue| {
        line.to_str()
            .is_ok_and(|line| line.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade")))
    };
    headers.get_all(header::CONNECTION).iter().any(named).then(|| protocol.clone())
}

/// Whether this field concerns one connection only. `TE` does, but for `trailers`.
pub(crate) fn concerns(name: &HeaderName) -> bool {
    match *name {
        header::CONNECTION
        | header::TRANSFER_ENCODING
        | header::UPGRADE
        | header::TE
        | header::PROXY_AUTHORIZATION
        | header::PROXY_AUTHENTICATE => true,
        _ => *name == KEEP_ALIVE || *name == PROXY_CONNECTION,
    }
}

/// Whether `Connection` names this field, which then is not passed on.
pub(crate) fn is_listed(headers: &HeaderMap, name: &HeaderName) -> bool {
    let named = |line: &HeaderValue| {
        line.to_str()
            .is_ok_and(|line| line.split(',').any(|option| option.trim().eq_ignore_ascii_case(name.as_str())))
    };
    headers.get_all(header::CONNECTION).iter().any(named)
}

/// Removes what is not to be passed on. `TE: trailers` stays: it says that trailers will be understood.
pub(crate) fn remove(headers: &mut HeaderMap) {
    // One look at each field costs less than asking for each name that is, as a rule, not there.
    let found: Vec<HeaderName> = headers.keys().filter(|name| concerns(name)).cloned().collect();
    for name in found {
        match name {
            header::CONNECTION => remove_listed(headers),
            header::TE => keep_trailers(headers),
            _ => drop(headers.remove(name)),
        }
    }
}

/// Removes `Connection` and the fields it names.
fn remove_listed(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        // Options that are no fields, or removed anyway: nearly all there are.
        .filter(|name| {
            !["keep-alive", "close", "upgrade", ""].iter().any(|own| own.eq_ignore_ascii_case(name))
        })
        .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
        // Framing is the host's; nobody can talk it out of the message. And who sends `TE` has to name it here.
        .filter(|name| !matches!(*name, header::CONTENT_LENGTH | header::HOST | header::TE))
        .collect();
    for name in listed {
        headers.remove(name);
    }
    headers.remove(header::CONNECTION);
}

fn keep_trailers(headers: &mut HeaderMap) {
    let trailers = |line: &HeaderValue| {
        line.to_str()
            .is_ok_and(|line| line.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers")))
    };
    let wanted = headers.get_all(header::TE).iter().any(trailers);
    headers.remove(header::TE);
    if wanted {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Asks for, or agrees to, a switch of protocols.
pub(crate) fn set_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_connection_names_goes_with_it() {
        let mut found = headers(&[
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("x-kept", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("te", "gzip, Trailers"),
            ("content-length", "3"),
        ]);
        remove(&mut found);
        assert_eq!(found, headers(&[("x-kept", "2"), ("te", "trailers"), ("content-length", "3")]));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn connection_cannot_remove_the_framing() {
        let mut found =
            headers(&[("connection", "content-length, host"), ("content-length", "3"), ("host", "h")]);
        remove(&mut found);
        assert_eq!(found, headers(&[("content-length", "3"), ("host", "h")]));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_upgrade_needs_both_fields() {
        assert!(
            upgrade(&headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")])).is_some()
        );
        assert!(upgrade(&headers(&[("upgrade", "websocket")])).is_none());
        assert!(upgrade(&headers(&[("connection", "upgrade")])).is_none());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_upgrade_leads_to_http_that_is_not_looked_at() {
        for protocol in ["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.0, HTTP/1.1"] {
            assert!(
                upgrade(&headers(&[("connection", "upgrade"), ("upgrade", protocol)])).is_none(),
                "{protocol}"
            );
        }
    }
}
