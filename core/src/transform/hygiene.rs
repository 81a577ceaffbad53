//! What a client must not be able to say to a service: hop-by-hop fields, who it is, whom it comes from.
//!
//! Most requests carry nothing of the kind. So fields are first only looked at, in the pass that measures them
//! anyway, and the removal by name is left out where there is nothing to remove.

use http::{HeaderMap, HeaderName, header};

use super::{forwarded, hop_by_hop};

/// Whether [`remove`] might have something to do with this field. Errs on the side of yes.
pub(crate) fn concerns(name: &HeaderName) -> bool {
    match *name {
        header::HOST
        | header::USER_AGENT
        | header::ACCEPT
        | header::ACCEPT_ENCODING
        | header::ACCEPT_LANGUAGE
        | header::AUTHORIZATION
        | header::CONTENT_LENGTH
        | header::CONTENT_TYPE
        | header::COOKIE
        | header::ORIGIN
        | header::REFERER
        | header::CACHE_CONTROL
        | header::IF_NONE_MATCH
        | header::IF_MODIFIED_SINCE
        | header::RANGE => false,
        _ => !harmless_by_name(name.as_str()),
    }
}

fn harmless_by_name(name: &str) -> bool {
    matches!(name, "traceparent" | "tracestate" | "idempotency-key") || name.starts_with("sec-")
}

/// Removes what a client says about who it is, in whichever spelling: before anybody looks at the request, since
/// expressions, matchers and caches would believe it too. `identity` are the fields in which services are told that.
pub(crate) fn remove_claims(headers: &mut HeaderMap, identity: &[HeaderName]) {
    for name in identity {
        headers.remove(name);
    }
    remove_alike(headers, |name| identity.iter().any(|own| own.as_str() == name));
}

/// CGI and its heirs turn both `-` and `_` into the same variable.
fn remove_alike(headers: &mut HeaderMap, is_told_here: impl Fn(&str) -> bool) {
    let alike =
        |name: &&HeaderName| name.as_str().contains('_') && is_told_here(&name.as_str().replace('_', "-"));
    let alike: Vec<HeaderName> = headers.keys().filter(alike).cloned().collect();
    for name in alike {
        headers.remove(name);
    }
}

/// Removes the rest of it, when a request is sent on.
pub(crate) fn remove(headers: &mut HeaderMap, trusted: bool) {
    hop_by_hop::remove(headers);
    // The host answers an expectation itself when the body is first asked for, which is when the service has got the
    // head. What the service would have said to it is then not waited for: it may still answer before the end.
    headers.remove(header::EXPECT);
    if !trusted {
        forwarded::remove_relatives(headers);
    }
    // A pass is between the client and the gateway.
    headers.remove(crate::trail::HEADER);
    remove_alike(headers, forwarded::concerns);
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::identity::{X_USER_ID, X_USER_ROLES};

    const REMOVED: [&str; 20] = [
        "x_forwarded_for",
        "x-forwarded_proto",
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "transfer-encoding",
        "upgrade",
        "expect",
        "x-user-id",
        "x-user-roles",
        "x_user_id",
        "x-user_roles",
        "x-real-ip",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-ssl",
        "x-forwarded-server",
        "x-original-url",
    ];

    #[wasm_bindgen_test(unsupported = test)]
    fn whatever_is_removed_is_noticed_first() {
        for text in REMOVED {
            let name = HeaderName::from_static(text);
            assert!(concerns(&name), "{text}");
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("x"));
            remove_claims(&mut headers, &[X_USER_ID, X_USER_ROLES]);
            remove(&mut headers, false);
            assert!(headers.is_empty(), "{text}");
        }
        assert!(concerns(&header::TE) && concerns(&header::TRAILER));
    }
}
