//! Which fields may follow a body (RFC 9110 §6.5.1), in either direction. Whoever gets them may merge them into the
//! fields before it, so what steers a message, or says who sends it, has to stand there. Announcing is `Trailer`'s
//! part, and follows the same rule.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{forwarded, hop_by_hop, trace_context};

/// Names that steer a message: framing, routing, what is asked for under which condition, authentication, how a
/// response may be kept, what content is; and what services tell of themselves, which is taken from heads too.
const STEERING: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "age",
    "authorization",
    "cache-control",
    "cdn-cache-control",
    "clear-site-data",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "trailer",
    "traceparent",
    "tracestate",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-api-key",
    "x-http-method-override",
    "x-original-url",
    "x-powered-by",
    "x-request-id",
];

/// Whole families of such names.
const FAMILIES: &[&str] =
    &["access-control-", "content-", "if-", "proxy-", "sec-", "x-forwarded-", "x-tollgate-", "x-user-"];

/// Digests are known only when content has passed (RFC 9530 §2), so they are what trailers are for.
const DIGEST: &str = "content-digest";

/// The rule, with the fields in which a gateway tells services who makes a request. Clones share them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trailers {
    // As small as can be: bodies carry it.
    own: Arc<Vec<HeaderName>>,
}

impl Trailers {
    pub(crate) fn new(own: impl IntoIterator<Item = HeaderName>) -> Self {
        Self { own: Arc::new(own.into_iter().collect()) }
    }

    /// Leaves those that may follow a body.
    pub fn sift(&self, fields: &mut HeaderMap) {
        let dropped: Vec<HeaderName> = fields.keys().filter(|name| !self.admits(name)).cloned().collect();
        for name in dropped {
            fields.remove(name);
        }
    }

    /// Leaves in `Trailer` what may follow.
    pub(crate) fn sift_announced(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(header::TRAILER) {
            return;
        }
        let lines = headers.get_all(header::TRAILER).iter().filter_map(|line| line.to_str().ok());
        let names = lines.flat_map(|line| line.split(',')).map(str::trim);
        let admitted =
            |name: &&str| HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| self.admits(&name));
        let kept: Vec<&str> = names.filter(admitted).collect();
        let kept = HeaderValue::try_from(kept.join(", ")).ok().filter(|kept| !kept.is_empty());
        headers.remove(header::TRAILER);
        if let Some(kept) = kept {
            headers.insert(header::TRAILER, kept);
        }
    }

    fn admits(&self, name: &HeaderName) -> bool {
        !steers(name) && !self.own.contains(&plainly(name))
    }
}

/// Whether a field of this name steers a message, or says who sends it, in any gateway.
pub fn steers(name: &HeaderName) -> bool {
    let name = plainly(name);
    let text = name.as_str();
    STEERING.contains(&text)
        || FAMILIES.iter().any(|family| text.starts_with(family)) && text != DIGEST
        || hop_by_hop::concerns(&name)
        || forwarded::concerns(text)
        || trace_context::concerns(&name)
}

/// CGI and its heirs turn both `-` and `_` into the same variable, so the name counts in its usual spelling.
fn plainly(name: &HeaderName) -> Cow<'_, HeaderName> {
    if !name.as_str().contains('_') {
        return Cow::Borrowed(name);
    }
    let usual = HeaderName::try_from(name.as_str().replace('_', "-"));
    usual.map_or(Cow::Borrowed(name), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::identity::{X_USER_ID, X_USER_ROLES};

    fn rule() -> Trailers {
        Trailers::new([X_USER_ID, X_USER_ROLES, HeaderName::from_static("x-own-identity")])
    }

    fn sifted(names: &[&'static str]) -> Vec<String> {
        let field = |name: &&'static str| (HeaderName::from_static(name), HeaderValue::from_static("x"));
        let mut fields: HeaderMap = names.iter().map(field).collect();
        rule().sift(&mut fields);
        fields.keys().map(ToString::to_string).collect()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_trailers_are_for_passes() {
        let names = [
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
            "content-digest",
            "etag",
            "server-timing",
            "x-checksum",
        ];
        assert_eq!(sifted(&names), names);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_steers_a_message_has_to_stand_before_it() {
        let names = [
            "content-length",
            "transfer-encoding",
            "te",
            "connection",
            "upgrade",
            "trailer",
            "host",
            "authorization",
            "proxy-authorization",
            "www-authenticate",
            "cookie",
            "set-cookie",
            "content-encoding",
            "content-type",
            "content-range",
            "cache-control",
            "if-none-match",
            "expect",
            "x-forwarded-for",
            "x_forwarded_for",
            "x-real-ip",
            "forwarded",
            "traceparent",
            "access-control-allow-origin",
            "server",
        ];
        assert_eq!(sifted(&names), [""; 0]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_field_after_the_body_says_who_a_client_is() {
        assert_eq!(
            sifted(&["x-user-id", "x_user_roles", "x-own-identity", "x-tollgate-identity", "x-note"]),
            ["x-note"]
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_may_not_follow_is_not_announced() {
        let announced = |lines: &[&'static str]| {
            let field = |line: &&'static str| (header::TRAILER, HeaderValue::from_static(line));
            let mut headers: HeaderMap = lines.iter().map(field).collect();
            rule().sift_announced(&mut headers);
            headers.get(header::TRAILER).map(|kept| kept.to_str().unwrap().to_owned())
        };
        assert_eq!(
            announced(&["X-User-Id", "x_user_roles, X-Checksum,X-Real-IP, Content-Length"]).as_deref(),
            Some("X-Checksum")
        );
        assert_eq!(announced(&["x-forwarded-for"]), None);
        assert_eq!(announced(&["", "no name"]), None);
        assert_eq!(announced(&[]), None);
    }
}
