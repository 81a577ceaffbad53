//! The gateway's own cookies: found, set, cleared, and kept from services.
//!
//! What is in them is not known here. A session goes by the name of the configuration; a login that is under way by
//! that name, a dot, and the beginning of its `state`.

use http::{HeaderMap, HeaderValue, header};

/// Cookies of one name that are looked at. Browsers send one.
pub(super) const MAX_LOOKED_AT: usize = 4;

/// All cookies of a request, in its order: name and value.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair.get(..at)?, pair.get(at + 1..)?);
        Some((name.trim_ascii(), value.trim_ascii()))
    })
}

/// The values under a name.
pub(crate) fn values<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h str> {
    pairs(headers)
        .filter(move |(own, _)| *own == name.as_bytes())
        .filter_map(|(_, value)| std::str::from_utf8(value).ok())
}

/// The names of logins that are under way, the one that was begun first before the others, as browsers send them
/// (RFC 6265 §5.4).
pub(crate) fn under_way<'h>(headers: &'h HeaderMap, session: &'h str) -> impl Iterator<Item = &'h str> {
    let names = pairs(headers).filter_map(|(name, _)| std::str::from_utf8(name).ok());
    names.filter(move |name| *name != session && is_own(name.as_bytes(), session))
}

/// Whether a cookie is the gateway's, where sessions go by this name.
fn is_own(name: &[u8], session: &str) -> bool {
    match name.strip_prefix(session.as_bytes()) {
        Some(rest) => rest.first().is_none_or(|byte| *byte == b'.'),
        None => false,
    }
}

/// A cookie that only this host gets back, and no script sees (RFC 6265bis §4.1.2, §4.1.3).
pub(crate) fn set(name: &str, value: &str, seconds: u64) -> Option<HeaderValue> {
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What makes browsers forget a cookie.
pub(crate) fn clear(name: &str) -> Option<HeaderValue> {
    set(name, "", 0)
}

/// Takes the gateway's cookies out of a request, and leaves the others as they are.
pub(crate) fn hide(headers: &mut HeaderMap, sessions: &[String]) {
    let is_ours = |name: &[u8]| sessions.iter().any(|session| is_own(name, session));
    if !pairs(headers).any(|(name, _)| is_ours(name)) {
        return;
    }
    let mut kept: Vec<u8> = Vec::new();
    for pair in
        headers.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
    {
        let pair = pair.trim_ascii();
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii_end();
        if pair.is_empty() || is_ours(name) {
            continue;
        }
        if !kept.is_empty() {
            kept.extend_from_slice(b"; ");
        }
        kept.extend_from_slice(pair);
    }
    headers.remove(header::COOKIE);
    if !kept.is_empty()
        && let Ok(value) = HeaderValue::from_bytes(&kept)
    {
        headers.insert(header::COOKIE, value);
    }
}

/// Takes out of an answer what would set the gateway's cookies: a service has no say in who is logged in.
pub(crate) fn defend(headers: &mut HeaderMap, sessions: &[String]) {
    let is_ours = |value: &HeaderValue| {
        let pair = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        sessions.iter().any(|session| is_own(name, session))
    };
    if !headers.get_all(header::SET_COOKIE).iter().any(is_ours) {
        return;
    }
    let kept: Vec<HeaderValue> =
        headers.get_all(header::SET_COOKIE).iter().filter(|value| !is_ours(value)).cloned().collect();
    headers.remove(header::SET_COOKIE);
    for value in kept {
        headers.append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn fields(name: header::HeaderName, lines: &[&'static [u8]]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_bytes(line).unwrap())).collect()
    }

    fn lines(headers: &HeaderMap, name: header::HeaderName) -> Vec<&[u8]> {
        headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn services_see_all_cookies_but_the_gateways() {
        let own = ["s".to_owned()];
        let mut headers = fields(header::COOKIE, &[b"a=1; s=x;s.abc=y ; b=\xe9", b"sx=2; s = z; bare"]);
        hide(&mut headers, &own);
        assert_eq!(lines(&headers, header::COOKIE), [b"a=1; b=\xe9; sx=2; bare"]);
        let mut alone = fields(header::COOKIE, &[b"s=x"]);
        hide(&mut alone, &own);
        assert!(alone.is_empty());
        let mut others = fields(header::COOKIE, &[b"a=1 ;b=2", b"c=3"]);
        hide(&mut others, &own);
        assert_eq!(lines(&others, header::COOKIE), [&b"a=1 ;b=2"[..], b"c=3"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_service_sets_a_cookie_of_the_gateways() {
        let mut headers =
            fields(header::SET_COOKIE, &[b"a=1; Path=/", b"s=x", b" s.abc =; Max-Age=0", b"sx=2"]);
        defend(&mut headers, &["s".to_owned()]);
        assert_eq!(lines(&headers, header::SET_COOKIE), [&b"a=1; Path=/"[..], b"sx=2"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn cookies_are_found_in_any_line() {
        let headers = fields(header::COOKIE, &[b"s=1; s.a=2; t=3", b"s=4;s.b=5"]);
        assert_eq!(values(&headers, "s").collect::<Vec<_>>(), ["1", "4"]);
        assert_eq!(under_way(&headers, "s").collect::<Vec<_>>(), ["s.a", "s.b"]);
    }
}
