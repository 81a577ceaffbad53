//! `Compression`: which responses are compressed, and how. The encoding itself is the body's.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header, response};

use crate::{
    body::Coding,
    cache::Directives,
    trail::{Said, Verdict},
};

/// Compress responses while they stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compression {
    /// In the order of preference.
    pub(crate) codings: Vec<Coding>,
    pub(crate) min_bytes: u64,
    pub(crate) types: Vec<MediaRange>,
}

/// `type/subtype` or `type/*`, lower-case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaRange(String);

impl MediaRange {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (kind, subtype) = text.split_once('/')?;
        (!kind.is_empty() && !subtype.is_empty()).then_some(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn admits(&self, media_type: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => media_type.get(..prefix.len()).is_some_and(|p| p.eq_ignore_ascii_case(prefix)),
            None => media_type.eq_ignore_ascii_case(&self.0),
        }
    }
}

impl Compression {
    /// Whether the response, of `length` bytes if that is known, could be compressed for some client.
    fn suits(&self, response: &response::Parts, length: Option<u64>) -> bool {
        let headers = &response.headers;
        let media_type =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        // Ranges and upgrades mean bytes as they are; an event stream gains little and must not wait.
        !matches!(
            response.status,
            StatusCode::NO_CONTENT
                | StatusCode::NOT_MODIFIED
                | StatusCode::PARTIAL_CONTENT
                | StatusCode::SWITCHING_PROTOCOLS
        ) && !headers.contains_key(header::CONTENT_ENCODING)
            && !headers.contains_key(header::CONTENT_RANGE)
            && length.is_none_or(|length| length >= self.min_bytes)
            && !media_type.eq_ignore_ascii_case("text/event-stream")
            && self.types.iter().any(|range| range.admits(media_type))
            && !Directives::read(headers.get_all(header::CACHE_CONTROL)).no_transform
    }

    /// Decides for one response, changes its head accordingly, and says what its body is to become.
    pub fn finish(
        &self,
        method: &Method,
        accepted: &HeaderMap,
        response: &mut response::Parts,
        length: Option<u64>,
    ) -> Option<Coding> {
        if !self.suits(response, length) {
            return None;
        }
        // The answer depends on the client's wishes, whatever comes of them here.
        add_vary(&mut response.headers);
        let coding = negotiate(accepted, &self.codings)?;
        if method == Method::HEAD {
            return None;
        }
        let headers = &mut response.headers;
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.token()));
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::ACCEPT_RANGES);
        headers.remove("content-md5");
        headers.remove("content-digest");
        weaken_etag(headers);
        Some(coding)
    }
}

/// What explanations say of it.
pub(crate) fn said(coding: Option<Coding>, accepted: &HeaderMap) -> Said {
    match coding {
        Some(coding) => Said::new(Verdict::Pass, format!("compressed with {}", coding.token()))
            .fact("coding", coding.token()),
        None if accepted.is_empty() => Said::new(Verdict::Skip, "the client accepts no coding"),
        None => Said::new(Verdict::Skip, "this answer goes as it is"),
    }
}

/// The coding the client likes best (RFC 9110 §12.5.3); among equals the one we like best.
fn negotiate(headers: &HeaderMap, codings: &[Coding]) -> Option<Coding> {
    let mut wishes: Vec<(&str, u16)> = Vec::new();
    for line in headers.get_all(header::ACCEPT_ENCODING) {
        for wish in line.to_str().ok()?.split(',') {
            let mut parts = wish.split(';');
            let name = parts.next().unwrap_or_default().trim();
            let quality = parts
                .filter_map(|parameter| parameter.trim().split_once('='))
                .find(|(key, _)| key.trim().eq_ignore_ascii_case("q"))
                .map_or(1000, |(_, value)| thousandths(value.trim()));
            wishes.push((name, quality));
        }
    }
    let quality = |coding: Coding| {
        let named =
            |wanted: &str| wishes.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, q)| *q);
        named(coding.token()).or_else(|| named("*")).unwrap_or(0)
    };
    let identity =
        wishes.iter().find(|(name, _)| name.eq_ignore_ascii_case("identity")).map_or(0, |(_, q)| *q);
    let best = codings.iter().copied().map(quality).max()?;
    // A client that prefers the plain form gets it.
    if best == 0 || identity > best {
        return None;
    }
    codings.iter().copied().find(|coding| quality(*coding) == best)
}

/// A quality value (RFC 9110 §12.4.2) in thousandths; what can't be read counts as "not wanted".
fn thousandths(text: &str) -> u16 {
    match text.split_once('.') {
        None => match text {
            "1" => 1000,
            _ => 0,
        },
        Some(("1", zeros)) if zeros.bytes().all(|byte| byte == b'0') => 1000,
        Some(("0", digits)) if digits.len() <= 3 => {
            digits.parse::<u16>().map_or(0, |value| value * 10u16.pow(3 - digits.len() as u32))
        }
        Some(_) => 0,
    }
}

fn add_vary(headers: &mut HeaderMap) {
    let named = headers.get_all(header::VARY).iter().any(|line| {
        line.to_str().is_ok_and(|line| {
            line.split(',').any(|field| {
                matches!(field.trim(), "*") || field.trim().eq_ignore_ascii_case("accept-encoding")
            })
        })
    });
    if !named {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// A strong validator names bytes, which are no longer the same (RFC 9110 §8.8.3).
fn weaken_etag(headers: &mut HeaderMap) {
    if let Some(etag) = headers.get(header::ETAG)
        && !etag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat())
    {
        headers.insert(header::ETAG, weak);
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    fn accept(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap())])
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_client_chooses_first_and_we_among_equals() {
        for (wish, wanted) in [
            ("gzip, br, zstd", Some(Coding::Brotli)),
            ("gzip", Some(Coding::Gzip)),
            ("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip)),
            ("br;q=0, *", Some(Coding::Zstd)),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0, gzip;q=0.5", Some(Coding::Gzip)),
            ("GZIP ; Q=0.25", Some(Coding::Gzip)),
            ("deflate", None),
            ("gzip;q=nonsense", None),
            ("", None),
        ] {
            assert_eq!(negotiate(&accept(wish), &ALL), wanted, "{wish}");
        }
        assert_eq!(negotiate(&HeaderMap::new(), &ALL), None);
    }

    fn response(fields: &[(&str, &str)]) -> response::Parts {
        let mut builder = Response::builder();
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    fn policy() -> Compression {
        let types = ["text/*", "application/json"].map(|text| MediaRange::parse(text).unwrap()).to_vec();
        Compression { codings: ALL.to_vec(), min_bytes: 100, types }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_must_stay_as_it_is_stays() {
        for fields in [
            &[("content-type", "image/png")][..],
            &[("content-type", "text/event-stream")],
            &[("content-type", "application/json"), ("content-encoding", "gzip")],
            &[("content-type", "application/json"), ("cache-control", "No-Transform")],
            &[("content-type", "application/json"), ("content-range", "bytes 0-1/2")],
            &[],
        ] {
            let mut head = response(fields);
            assert_eq!(policy().finish(&Method::GET, &accept("gzip"), &mut head, None), None, "{fields:?}");
            assert!(!head.headers.contains_key(header::VARY), "{fields:?}");
        }
        let mut small = response(&[("content-type", "text/plain")]);
        assert_eq!(policy().finish(&Method::GET, &accept("gzip"), &mut small, Some(99)), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_head_tells_what_became_of_the_body() {
        let mut head = response(&[
            ("content-type", "application/json; charset=utf-8"),
            ("content-length", "1000"),
            ("etag", "\"a\""),
            ("accept-ranges", "bytes"),
            ("vary", "accept"),
        ]);
        assert_eq!(policy().finish(&Method::GET, &accept("gzip"), &mut head, Some(1000)), Some(Coding::Gzip));
        assert_eq!(head.headers[header::CONTENT_ENCODING], "gzip");
        assert_eq!(head.headers[header::ETAG], "W/\"a\"");
        assert!(
            !head.headers.contains_key(header::CONTENT_LENGTH)
                && !head.headers.contains_key(header::ACCEPT_RANGES)
        );
        assert_eq!(head.headers.get_all(header::VARY).iter().count(), 2);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_response_that_could_be_compressed_says_so_to_caches() {
        let mut head = response(&[("content-type", "text/plain")]);
        assert_eq!(policy().finish(&Method::GET, &HeaderMap::new(), &mut head, None), None);
        assert_eq!(head.headers[header::VARY], "accept-encoding");
    }
}
