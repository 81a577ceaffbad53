//! W3C Trace Context: a valid `traceparent` is passed on, otherwise a trace is begun.

use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Makes sure that the request has one valid trace context.
pub(crate) fn ensure(headers: &mut HeaderMap, dice: impl FnOnce() -> u128) {
    let mut parents = headers.get_all(&TRACEPARENT).iter();
    let first = parents.next();
    if parents.next().is_none() && first.is_some_and(|value| is_valid(value.as_bytes())) {
        return;
    }
    let dice = dice();
    // Parts of one throw: a span's identifier only has to be unlike others in its trace. Zero is invalid.
    let (trace, span) = (dice | 1, (dice >> 64) as u64 | 1);
    headers.remove(&TRACESTATE);
    if let Ok(value) = HeaderValue::try_from(format!("00-{trace:032x}-{span:016x}-00")) {
        headers.insert(TRACEPARENT, value);
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
    fn two_contexts_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, GOOD.parse().unwrap());
        headers.append(TRACEPARENT, GOOD.replace('4', "5").parse().unwrap());
        ensure(&mut headers, || 7);
        assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1);
    }
}
