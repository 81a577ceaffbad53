//! What a client must not be able to say to a service: hop-by-hop fields, who it is, whom it comes from.
//!
//! Most requests carry nothing of the kind. So fields are first only looked at, in the pass that measures them
//! anyway, and the removal by name is left out where there is nothing to remove.

use http::{HeaderMap, HeaderName, HeaderValue, header};

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

/// Removes the rest of it, when a request is sent on. `identity` is as before.
pub(crate) fn remove(headers: &mut HeaderMap, identity: &[HeaderName], trusted: bool) {
    hop_by_hop::remove(headers);
    // The host answers an expectation itself when the body is first asked for.
    headers.remove(header::EXPECT);
    if !trusted {
        forwarded::remove_relatives(headers);
    }
    // A pass is between the client and the gateway.
    headers.remove(crate::trail::HEADER);
    keep_announced(headers, identity);
    remove_alike(headers, forwarded::concerns);
}

/// Whether services are told something in a field of that name, however it is spelt.
fn is_told_here(name: &str, identity: &[HeaderName]) -> bool {
    let name = name.replace('_', "-").to_ascii_lowercase();
    identity.iter().any(|own| own.as_str() == name) || forwarded::concerns(&name)
}

/// Fields after the body are sent on where `Trailer` announces them (RFC 9110 §6.6.2), and some services take them for
/// those before it: so what a client must not say there, it must not announce either.
fn keep_announced(headers: &mut HeaderMap, identity: &[HeaderName]) {
    if !headers.contains_key(header::TRAILER) {
        return;
    }
    let lines = headers.get_all(header::TRAILER).iter().filter_map(|line| line.to_str().ok());
    let names = lines.flat_map(|line| line.split(',')).map(str::trim);
    let kept: Vec<&str> = names.filter(|name| !name.is_empty() && !is_told_here(name, identity)).collect();
    let kept = HeaderValue::try_from(kept.join(", ")).ok().filter(|kept| !kept.is_empty());
    headers.remove(header::TRAILER);
    if let Some(kept) = kept {
        headers.insert(header::TRAILER, kept);
    }
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
            remove(&mut headers, &[X_USER_ID, X_USER_ROLES], false);
            assert!(headers.is_empty(), "{text}");
        }
        assert!(concerns(&header::TE));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_field_after_the_body_says_who_a_client_is() {
        let announced = |lines: &[&'static str]| {
            let field = |line: &&'static str| (header::TRAILER, HeaderValue::from_static(line));
            let mut headers: HeaderMap = lines.iter().map(field).collect();
            remove(&mut headers, &[X_USER_ID, X_USER_ROLES], false);
            headers.get(header::TRAILER).map(|kept| kept.to_str().unwrap().to_owned())
        };
        assert!(concerns(&header::TRAILER));
        assert_eq!(
            announced(&["X-User-Id", "x_user_roles, X-Checksum,X-Real-IP"]).as_deref(),
            Some("X-Checksum")
        );
        assert_eq!(announced(&["x-forwarded-for"]), None);
        assert_eq!(announced(&[]), None);
    }
}
