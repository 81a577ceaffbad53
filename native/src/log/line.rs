//! How one request looks as a line, as JSON or for people.
//!
//! Hosts, paths, users and details come from outside. They can neither end a line nor forge a field.

use std::fmt::Write;

use tollgate_core::{
    event::{Event, Rfc3339},
    host::Timestamp,
};

use super::Format;

/// The line, with its end.
pub(super) fn render(format: Format, event: &Event<'_>) -> Result<Vec<u8>, serde_json::Error> {
    match format {
        Format::Json => json(event),
        Format::Text => Ok(text(event).into_bytes()),
    }
}

/// The line that tells of lost ones.
pub(super) fn lost(format: Format, now: Timestamp, lost: u64) -> String {
    let time = Rfc3339(now);
    match format {
        Format::Json => format!("{{\"time\":\"{time}\",\"lost\":{lost}}}\n"),
        Format::Text => format!("{time} lost {lost} lines\n"),
    }
}

fn json(event: &Event<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = Vec::with_capacity(512);
    serde_json::to_writer(&mut line, event)?;
    line.push(b'\n');
    Ok(line)
}

fn text(event: &Event<'_>) -> String {
    let mut line = String::with_capacity(512);
    let (time, status, took) = (Rfc3339(event.at), event.status.as_u16(), event.took_ms);
    // Writing to a `String` does not fail.
    let _ = write!(line, "{time} {status} {took:>6} ms {:<7} ", event.method.as_str());
    word(&mut line, event.host);
    line.push(' ');
    word(&mut line, event.path);
    let client = event.client.to_string();
    let fields = [
        ("client", Some(client.as_str())),
        ("user", event.user),
        ("route", event.route),
        ("service", event.service),
        ("cache", event.cache),
        ("refusal", event.refusal),
        ("shadow", event.shadow),
        ("detail", event.detail),
        ("id", Some(event.request_id)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            let _ = write!(line, " {name}=");
            word(&mut line, value);
        }
    }
    line.push('\n');
    line
}

/// Text that is one word is written as it is; any other in quotes, with all that is not printable escaped.
fn word(line: &mut String, text: &str) {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if !text.is_empty() && text.bytes().all(is_plain) {
        line.push_str(text);
    } else {
        let _ = write!(line, "\"{}\"", text.escape_debug());
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};

    use super::*;

    fn event(path: &str) -> Event<'_> {
        Event {
            at: 1_767_225_599_001,
            took_ms: 12,
            request_id: "r-1",
            client: [192, 0, 2, 1].into(),
            method: &Method::POST,
            host: "api.example.org",
            path,
            route: Some("/v1/{rest}"),
            service: None,
            user: Some("ada"),
            status: StatusCode::TOO_MANY_REQUESTS,
            refusal: Some("rate_limit.exceeded"),
            shadow: None,
            detail: None,
            trail: None,
            cache: None,
        }
    }

    const HOSTILE: [&str; 5] = [
        "/\r\n{\"status\":200}",
        "/\u{1b}[2J\u{0}",
        "/\u{2028}\u{202e}gnp",
        "/a user=root",
        "/\" user=\"root",
    ];

    fn line(format: Format, path: &str) -> String {
        String::from_utf8(render(format, &event(path)).unwrap()).unwrap()
    }

    #[test]
    fn a_json_line_holds_what_is_known_in_a_fixed_order() {
        assert_eq!(
            line(Format::Json, "/v1/x"),
            concat!(
                r#"{"time":"2025-12-31T23:59:59.001Z","request_id":"r-1","client":"192.0.2.1","#,
                r#""method":"POST","host":"api.example.org","path":"/v1/x","route":"/v1/{rest}","#,
                r#""user":"ada","status":429,"took_ms":12,"refusal":"rate_limit.exceeded"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_text_line_is_readable() {
        assert_eq!(
            line(Format::Text, "/v1/x"),
            "2025-12-31T23:59:59.001Z 429     12 ms POST    api.example.org /v1/x client=192.0.2.1 user=ada \
             route=/v1/{rest} refusal=rate_limit.exceeded id=r-1\n"
        );
    }

    #[test]
    fn nothing_from_outside_ends_a_line() {
        for path in HOSTILE {
            for format in [Format::Json, Format::Text] {
                let line = line(format, path);
                assert!(!line.strip_suffix('\n').unwrap().contains(char::is_control), "{line:?}");
            }
        }
    }

    #[test]
    fn nothing_from_outside_forges_a_field() {
        for path in HOSTILE {
            let line_as_json: Value = serde_json::from_str(&line(Format::Json, path)).unwrap();
            assert_eq!((&line_as_json["path"], &line_as_json["status"]), (&json!(path), &json!(429)));
            // Outside of quotes there is one user, and it is the right one.
            let (mut quoted, mut escaped) = (false, false);
            let mut bare = line(Format::Text, path);
            bare.retain(|character| {
                quoted ^= character == '"' && !escaped;
                escaped = character == '\\' && !escaped;
                !quoted
            });
            assert_eq!(bare.matches(" user=").count(), 1, "{bare}");
            assert!(bare.contains(" user=ada "), "{bare}");
        }
    }

    #[test]
    fn a_report_of_lost_lines_is_json_where_lines_are() {
        let report: Value = serde_json::from_str(&lost(Format::Json, 0, 7)).unwrap();
        assert_eq!(report, json!({"time": "1970-01-01T00:00:00.000Z", "lost": 7}));
        assert_eq!(lost(Format::Text, 0, 7), "1970-01-01T00:00:00.000Z lost 7 lines\n");
    }
}
