//! Stored responses in the Cache API of the data centre that answers. Other data centres have their own, and on
//! `workers.dev` there is none.
//!
//! What that store thinks of statuses, `Vary`, `Set-Cookie` or lifetimes must not matter: to it everything is a
//! public 200 whose own head carries the stored one, in a form that any header field can hold.

use http::{HeaderName, HeaderValue, Response, StatusCode, header, response, uri::Authority};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tollgate_core::cache::{CacheKey, Lifetime, Stored};
use wasm_bindgen::JsCast;

use crate::{
    body::EdgeBody,
    message::content_length,
    platform::{Answer, Call},
    task::Promised,
};

/// What is stored under a name.
pub(crate) async fn load(call: &Call, authority: &str, key: &CacheKey) -> Option<Stored<EdgeBody>> {
    let url = url(authority, key);
    let found = Promised::by(|ticket| call.load(ticket, &url)).await;
    if found.is_undefined() {
        return None;
    }
    let found: Answer = found.unchecked_into();
    let (head, lifetime) = read(&found.head())?;
    let body = EdgeBody::foreign(found.body(), content_length(&head.headers))
        .coded(head.headers.contains_key(header::CONTENT_ENCODING));
    Some(Stored { response: Response::from_parts(head, body), lifetime })
}

/// Stores a copy of `body` in the background, while the body itself goes on; an empty one too.
pub(crate) fn store(
    call: &Call,
    authority: &str,
    key: &CacheKey,
    lifetime: &Lifetime,
    head: &response::Parts,
    body: EdgeBody,
    max_bytes: u64,
) -> EdgeBody {
    let declared = content_length(&head.headers);
    if declared.is_some_and(|declared| declared > max_bytes && body.is_stream()) {
        return body;
    }
    let seconds = lifetime.expires_at.saturating_sub(lifetime.stored_at).div_ceil(1000).max(1);
    // The runtime decodes what it knows how to, unless it is told on both ways that nothing needs to be.
    let encoding = head.headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    // A length that is declared is held to by the runtime; one that is not is counted.
    let limit = declared.map_or(max_bytes as f64, |_| -1.0);
    let (length, coded) = (tollgate_core::body::Body::length(&body), body.is_coded());
    let value = body.into_js();
    let (url, written) = (url(authority, key), write(head, lifetime));
    let value = call.store(&url, &written, seconds as f64, encoding.unwrap_or_default(), limit, &value);
    EdgeBody::foreign(value, length).coded(coded)
}

/// The store is keyed by URLs, and best by those of the host that is asked, in one spelling and without port.
fn url(authority: &str, key: &CacheKey) -> String {
    let host =
        authority.parse::<Authority>().map_or_else(|_| String::new(), |own| own.host().to_ascii_lowercase());
    format!("https://{host}/.tollgate/{:x}", Sha256::digest(key.as_str()))
}

#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    stored_at: u64,
    expires_at: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    vary: Vec<String>,
    fields: Vec<(String, String)>,
}

fn write(head: &response::Parts, lifetime: &Lifetime) -> String {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let kept = Kept {
        status: head.status.as_u16(),
        stored_at: lifetime.stored_at,
        expires_at: lifetime.expires_at,
        vary: lifetime.vary.iter().map(ToString::to_string).collect(),
        fields: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
    };
    // INVARIANT: nothing but numbers and texts, so there is nothing that JSON could not hold.
    let json = serde_json::to_string(&kept).unwrap_or_default();
    let mut ascii = String::with_capacity(json.len());
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => ascii.push(char::from(byte)),
            _ => ascii.push_str(&format!("\\u{unit:04x}")),
        }
    }
    ascii
}

fn read(text: &str) -> Option<(response::Parts, Lifetime)> {
    let kept: Kept = serde_json::from_str(text).ok()?;
    let mut head = Response::new(()).into_parts().0;
    head.status = StatusCode::from_u16(kept.status).ok()?;
    for (name, value) in kept.fields {
        let value = HeaderValue::try_from(value.into_bytes()).ok()?;
        head.headers.try_append(HeaderName::try_from(name).ok()?, value).ok()?;
    }
    let vary = kept.vary.into_iter().map(HeaderName::try_from).collect::<Result<_, _>>().ok()?;
    Some((head, Lifetime { stored_at: kept.stored_at, expires_at: kept.expires_at, vary }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_head_is_found_as_it_was_and_fits_into_a_field() {
        let mut head = Response::new(()).into_parts().0;
        head.status = StatusCode::NO_CONTENT;
        for (name, value) in [("set-cookie", "a=1"), ("set-cookie", "b=\"2\\\""), ("x-name", "é \u{1f980}")]
        {
            head.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let lifetime = Lifetime { stored_at: 1, expires_at: 5_001, vary: vec![header::ACCEPT, header::VARY] };
        let written = write(&head, &lifetime);
        assert!(written.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{written}");
        let (found, found_lifetime) = read(&written).unwrap();
        assert_eq!((found.status, found.headers, found_lifetime), (head.status, head.headers, lifetime));
        assert!(read("{}").is_none());
    }
}
