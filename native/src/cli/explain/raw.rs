//! A request as it goes over the wire (HTTP/1.1), read from a file.

use std::{fs, path::Path};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};

use super::request;

/// More fields than a gateway would take.
const MAX_FIELDS: usize = 256;

pub(super) fn request(path: &Path) -> Result<Request<Bytes>, String> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| format!("can't read `{shown}`: {error}"))?;
    read(&bytes).map_err(|why| format!("`{shown}` holds no request: {why}"))
}

fn read(bytes: &[u8]) -> Result<Request<Bytes>, String> {
    // Editors end lines with LF, and often leave the empty line at the end of the head out.
    let mut text = bytes.to_vec();
    if !text.windows(4).any(|end| end == b"\r\n\r\n") && !text.windows(2).any(|end| end == b"\n\n") {
        while text.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            text.pop();
        }
        text.extend_from_slice(b"\r\n\r\n");
    }
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(&text).map_err(|error| error.to_string())? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Err("its head has no end".to_owned()),
    };
    let (Some(method), Some(target)) = (head.method, head.path) else {
        return Err("its first line is not whole".to_owned());
    };
    let mut made = Request::new(Bytes::from(text.get(length..).unwrap_or_default().to_vec()));
    *made.method_mut() = request::method(method)?;
    *made.uri_mut() = target.parse().map_err(|error| format!("its target: {error}"))?;
    for field in head.headers.iter() {
        let name = HeaderName::try_from(field.name).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_bytes(field.value).map_err(|error| error.to_string())?;
        made.headers_mut().append(name, value);
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_and_without_its_last_empty_line() {
        for text in
            ["POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", "GET /a?b HTTP/1.1\nHost: x\n"]
        {
            let made = read(text.as_bytes()).unwrap();
            assert_eq!(
                (made.uri().to_string().as_str(), made.headers().get("host").unwrap()),
                ("/a?b", &"x".parse::<HeaderValue>().unwrap())
            );
        }
        assert!(read(b"nonsense").is_err());
    }
}
