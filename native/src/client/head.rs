//! The head of a request as each HTTP has it: in HTTP/2 scheme and authority stand in the place of `Host` (RFC 9113
//! §8.3.1).

use http::{HeaderValue, Request, Uri, Version, header, uri};
use tollgate_core::{
    host::{HostError, HostErrorKind},
    upstream::Endpoint,
};

/// The version is that of one hop.
pub(super) fn for_http1<B>(request: &mut Request<B>) {
    *request.version_mut() = Version::HTTP_11;
    // It was meant for a connection that spoke HTTP/2.
    if let Some(authority) = request.uri().authority() {
        if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
            request.headers_mut().insert(header::HOST, host);
        }
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = target.map_or_else(Uri::default, Uri::from);
    }
}

/// Puts the authority where HTTP/2 has it.
pub(super) fn for_http2<B>(request: &mut Request<B>, endpoint: &Endpoint) -> Result<(), HostError> {
    *request.version_mut() = Version::HTTP_2;
    let Some(host) = request.headers_mut().remove(header::HOST) else { return Ok(()) };
    let wrong = || {
        let detail = format!("{}: a request for it can't be written in HTTP/2", endpoint.authority);
        HostError::new(HostErrorKind::Protocol, detail)
    };
    let mut parts = uri::Parts::default();
    parts.scheme = Some(if endpoint.tls.is_some() { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
    parts.authority = Some(if host == endpoint.host {
        endpoint.authority.clone()
    } else {
        uri::Authority::try_from(host.as_bytes()).map_err(|_| wrong())?
    });
    parts.path_and_query = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| wrong())?;
    Ok(())
}

/// The same head before another body.
pub(super) fn like<B, C>(request: &Request<B>, body: C) -> Request<C> {
    let mut other = Request::new(body);
    *other.method_mut() = request.method().clone();
    *other.uri_mut() = request.uri().clone();
    *other.version_mut() = request.version();
    *other.headers_mut() = request.headers().clone();
    other
}

#[cfg(test)]
mod tests {
    use tollgate_core::upstream::Protocol;

    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint {
            service: "s".into(),
            authority: uri::Authority::from_static("s.test:81"),
            tls: None,
            protocol: Protocol::Http2,
            base_path: String::new(),
            host: HeaderValue::from_static("s.test:81"),
            pool: "s".into(),
            is_raw: false,
        }
    }

    #[test]
    fn the_authority_changes_places_and_back() {
        for host in ["s.test:81", "asked.test", "[::1]:8080"] {
            let mut request = Request::get("/a?b").header("host", host).body(()).unwrap();
            for_http2(&mut request, &endpoint()).unwrap();
            assert_eq!(request.uri().to_string(), format!("http://{host}/a?b"));
            assert!(request.headers().is_empty());
            for_http2(&mut request, &endpoint()).unwrap();
            for_http1(&mut request);
            assert_eq!(
                (request.uri().to_string().as_str(), request.headers()["host"].to_str().unwrap()),
                ("/a?b", host)
            );
        }
    }

    #[test]
    fn what_is_no_authority_is_not_sent() {
        let mut request = Request::get("/").header("host", "a b").body(()).unwrap();
        assert_eq!(for_http2(&mut request, &endpoint()).unwrap_err().kind, HostErrorKind::Protocol);
    }
}
