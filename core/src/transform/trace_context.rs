//! W3C Trace Context: a valid `traceparent` is passed on, otherwise a trace is begun.

use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Whether this field is part of a trace context.
pub(crate) fn concerns(name: &HeaderName) -> bool {
    *name == TRACEPARENT || *name == TRACESTATE
}

/// Makes sure that the request has one valid trace context.
pub(crate) fn ensure(headers: &mut HeaderMap, dice: impl FnOnce() -> u128) {
    let mut parents = headers.get_all(&TRACEPARENT).iter();
    let first = parents.next();
    if parents.next().is_none() && first.is_some_and(|value| is_valid(value.as_bytes())) {
        return;
    }
    headers.remove(&TRACESTATE);
    begin(headers, dice());
}

/// Begins a trace on a request that has none.
pub(crate) fn begin(headers: &mut HeaderMap, dice: u128) {
    // Parts of one throw: a span's identifier only has to be unlike others in its trace. Zero is invalid.
    let (trace, span) = (dice | 1, (dice >> 64) as u64 | 1);
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    let (before, after) = text.split_at_mut(35);
    hex(trace, before.get_mut(3..).unwrap_or_default());
    hex(u128::from(span), after.get_mut(1..17).unwrap_or_default());
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        headers.insert(TRACEPARENT, value);
    }
}

/// Writes the low digits of a number, as many as there is room for. Formatting would cost ten times as much.
pub(crate) fn hex(mut number: u128, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        let value = (number & 15) as u8;
        *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
        number >>= 4;
    }
}

/// `version-traceid-parentid-flags`, lower-case hexadecimal, neither identifier all zeros.
fn is_valid(value: &[u8]) -> bool {
    let hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = value.split(|&byte| byte == b'-');
    let (Some(version), Some(trace), Some(span), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let lengths = (version.len(), trace.len(), span.len(), flags.len()) == (2, 32, 16, 2);
    let more = parts.next().is_some();
    lengths
        && [version, trace, span, flags].into_iter().all(hex)
        && version != b"ff"
        && (version != b"00" || !more)
        && trace.iter().any(|&byte| byte != b'0')
        && span.iter().any(|&byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[wasm_bindgen_test(unsupported = test)]
    fn a_valid_context_is_passed_on_and_an_invalid_one_replaced() {
        for (text, kept) in [
            (GOOD.to_owned(), true),
            (GOOD.to_uppercase(), false),
            (GOOD.replace("00f067aa0ba902b7", "0000000000000000"), false),
            (GOOD.replacen("00", "ff", 1), false),
            (format!("{GOOD}-more"), false),
            (format!("{GOOD}-more").replacen("00", "01", 1), true),
            ("nonsense".to_owned(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, text.parse().unwrap());
            headers.insert(TRACESTATE, "a=b".parse().unwrap());
            ensure(&mut headers, || 7);
            assert_eq!(headers[TRACEPARENT] == text, kept, "{text}");
            assert_eq!(headers.contains_key(TRACESTATE), kept, "{text}");
            assert!(is_valid(headers[TRACEPARENT].as_bytes()));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_new_context_is_made_of_the_dice() {
        let mut headers = HeaderMap::new();
        ensure(&mut headers, || 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        assert_eq!(headers[TRACEPARENT], "00-0123456789abcdeffedcba9876543211-0123456789abcdef-00");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn two_contexts_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, GOOD.parse().unwrap());
        headers.append(TRACEPARENT, GOOD.replace('4', "5").parse().unwrap());
        ensure(&mut headers, || 7);
        assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1);
    }
}
