//! A request from the words of a command line.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header, uri::PathAndQuery};

/// A request for a URL, or for a path on `host`.
pub(super) fn of_url(url: &str, host: &str) -> Result<Request<Bytes>, String> {
    let whole = if url.starts_with('/') { format!("http://{host}{url}") } else { url.to_owned() };
    let whole = if whole.contains("://") { whole } else { format!("http://{whole}") };
    let uri: Uri = whole.parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
    let authority = uri.authority().ok_or_else(|| format!("`{url}` names no host"))?;
    let target = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let mut request = Request::new(Bytes::new());
    let field = HeaderValue::from_str(authority.as_str()).map_err(|_| format!("`{url}` names no host"))?;
    request.headers_mut().insert(header::HOST, field);
    *request.uri_mut() = target.into();
    Ok(request)
}

/// `Name: value`.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) =
        text.split_once(':').ok_or_else(|| format!("`{text}` is not of the form `Name: value`"))?;
    let name =
        HeaderName::try_from(name.trim()).map_err(|_| format!("`{}` is no header name", name.trim()))?;
    let value =
        HeaderValue::try_from(value.trim()).map_err(|_| format!("the value of `{name}` can't be sent"))?;
    Ok((name, value))
}

/// A method.
pub(super) fn method(text: &str) -> Result<Method, String> {
    Method::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` is no method"))
}

/// Adds content, with what curl would say of it.
pub(super) fn add_content(request: &mut Request<Bytes>, text: &str) {
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/x-www-form-urlencoded"));
    *request.body_mut() = Bytes::from(text.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(url: &str) -> (String, String) {
        let request = of_url(url, "api.example.com").unwrap();
        (request.headers()[header::HOST].to_str().unwrap().to_owned(), request.uri().to_string())
    }

    #[test]
    fn a_path_is_on_the_public_host_and_a_url_names_its_own() {
        let wanted = |host: &str, target: &str| (host.to_owned(), target.to_owned());
        assert_eq!(asked("/a?b=c"), wanted("api.example.com", "/a?b=c"));
        assert_eq!(asked("https://x.test:8443/a/../b"), wanted("x.test:8443", "/a/../b"));
        assert_eq!(asked("x.test"), wanted("x.test", "/"));
        assert!(of_url("http://", "h").is_err());
    }

    #[test]
    fn headers_are_written_as_for_curl() {
        assert_eq!(
            header("X-A:  b ").unwrap(),
            (HeaderName::from_static("x-a"), HeaderValue::from_static("b"))
        );
        assert!(header("no colon").is_err() && header("a b: c").is_err());
    }
}
