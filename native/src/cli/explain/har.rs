//! A request out of a browser's recording (HTTP Archive 1.2).

use std::{fs, path::Path};

use bytes::Bytes;
use http::{Request, header};
use serde_json::Value;

use super::request;

/// The `number`th request of a recording, counted from 1.
pub(super) fn request(path: &Path, number: usize) -> Result<Request<Bytes>, String> {
    let shown = path.display();
    let text = fs::read(path).map_err(|error| format!("can't read `{shown}`: {error}"))?;
    let archive: Value =
        serde_json::from_slice(&text).map_err(|error| format!("`{shown}` is no JSON: {error}"))?;
    let entries = archive.pointer("/log/entries").and_then(Value::as_array);
    let entries = entries.ok_or_else(|| format!("`{shown}` is no HTTP Archive: it has no `log.entries`"))?;
    let entry = number.checked_sub(1).and_then(|at| entries.get(at)).and_then(|entry| entry.get("request"));
    let entry = entry.ok_or_else(|| format!("`{shown}` has {} requests, not {number}", entries.len()))?;
    read(entry).map_err(|why| format!("request {number} of `{shown}`: {why}"))
}

fn read(entry: &Value) -> Result<Request<Bytes>, String> {
    let text =
        |name: &str| entry.get(name).and_then(Value::as_str).ok_or_else(|| format!("it has no `{name}`"));
    let mut made = request::of_url(text("url")?, "")?;
    if let Some(content) = entry.pointer("/postData/text").and_then(Value::as_str) {
        request::add_content(&mut made, content);
    }
    *made.method_mut() = request::method(text("method")?)?;
    let recorded = entry.get("headers").and_then(Value::as_array).into_iter().flatten();
    for field in recorded {
        let part = |name: &str| field.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, value) = (part("name"), part("value"));
        // What HTTP/2 says in fields of its own stands in the URL already; a length may be that of other bytes.
        if name.starts_with(':') || name.eq_ignore_ascii_case("content-length") {
            continue;
        }
        let (name, value) = request::header(&format!("{name}: {value}"))?;
        if name == header::HOST || name == header::CONTENT_TYPE {
            made.headers_mut().insert(name, value);
        } else {
            made.headers_mut().append(name, value);
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_recorded_request_is_as_it_was() {
        let made = read(&json!({
            "method": "POST",
            "url": "https://api.example.com/a?b",
            "headers": [
                {"name": ":authority", "value": "api.example.com"},
                {"name": "Accept", "value": "x/y"},
                {"name": "content-length", "value": "99"},
                {"name": "content-type", "value": "application/json"},
            ],
            "postData": {"text": "{}"},
        }))
        .unwrap();
        assert_eq!((made.method().as_str(), made.uri().to_string().as_str()), ("POST", "/a?b"));
        assert_eq!(made.headers()[header::HOST], "api.example.com");
        assert_eq!(made.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(made.headers()[header::CONTENT_LENGTH], "2");
        assert_eq!(made.headers()[header::ACCEPT], "x/y");
    }
}
