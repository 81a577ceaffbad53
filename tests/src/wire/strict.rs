//! A reader of HTTP/1 that knows no lenience: what RFC 9112 calls a request, and nothing else. It reads what reached a
//! service, and what a client has sent, so that both are judged alike. Not the gateway's reader, and shares nothing with it.

use super::recorder::Recorded;

/// Takes a head off, if it is there as a whole: how many bytes it has, and what it says.
pub fn head(bytes: &[u8]) -> Option<(usize, Recorded)> {
    let mut begin = 0;
    while bytes[begin..].starts_with(b"\r\n") {
        begin += 2;
    }
    let end = begin + bytes[begin..].windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[begin..end]).into_owned();
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let fields = lines.map(field).collect();
    Some((end + 4, Recorded { line, fields, ..Recorded::default() }))
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_ascii_lowercase(), value.trim_matches(' ').to_owned())
}

/// Takes the content off that this head announces: how many bytes it has on the wire, with its content and the fields
/// after it put into place. Nothing where some of it is missing; an error tells what is not as it must be.
pub fn content(head: &Recorded, bytes: &[u8]) -> Result<Option<(usize, Recorded)>, String> {
    let mut whole = head.clone();
    if !head.values("transfer-encoding").is_empty() {
        return chunks(whole, bytes);
    }
    let length = match head.values("content-length").first() {
        None => 0,
        Some(text) => text.parse().map_err(|_| format!("the length `{text}`"))?,
    };
    let Some(content) = bytes.get(..length) else { return Ok(None) };
    whole.content = Some(content.to_vec());
    Ok(Some((length, whole)))
}

fn chunks(mut whole: Recorded, bytes: &[u8]) -> Result<Option<(usize, Recorded)>, String> {
    let (mut at, mut content) = (0, Vec::new());
    loop {
        let Some(line) = line(bytes, &mut at)? else { return Ok(None) };
        let (size, extension) =
            line.split_once(';').map_or((&*line, None), |(size, rest)| (size, Some(rest)));
        if size.is_empty() || size.len() > 15 || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("the size of a chunk `{}`", line.escape_debug()));
        }
        whole.has_extensions |= extension.is_some();
        let size = usize::from_str_radix(size, 16).map_err(|error| error.to_string())?;
        if size == 0 {
            break;
        }
        let Some(piece) = bytes.get(at..at + size) else { return Ok(None) };
        content.extend_from_slice(piece);
        at += size;
        let end = &bytes[at..bytes.len().min(at + 2)];
        if !b"\r\n".starts_with(end) {
            return Err("no line end after a chunk".to_owned());
        }
        if end.len() < 2 {
            return Ok(None);
        }
        at += 2;
    }
    loop {
        match line(bytes, &mut at)? {
            None => return Ok(None),
            Some(line) if line.is_empty() => break,
            Some(line) if !line.contains(':') => return Err(format!("`{line}` after the content")),
            Some(line) => whole.trailers.push(field(&line)),
        }
    }
    whole.content = Some(content);
    Ok(Some((at, whole)))
}

/// A line that ends with CR and LF and holds neither, nor any other control character but a tab.
fn line(bytes: &[u8], at: &mut usize) -> Result<Option<String>, String> {
    let rest = &bytes[*at..];
    let end = rest.windows(2).position(|window| window == b"\r\n");
    let line = &rest[..end.unwrap_or(rest.len())];
    // A CR may be the first half of an end.
    let seen = if end.is_none() { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
    if let Some(byte) = seen.iter().find(|byte| (**byte < b' ' && **byte != b'\t') || **byte == 0x7f) {
        return Err(format!("byte {byte:#04x} in a line among chunks"));
    }
    let Some(end) = end else { return Ok(None) };
    *at += end + 2;
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

/// All requests in what was sent. None where it is not just requests, the last of them whole.
pub fn requests(mut bytes: &[u8]) -> Option<Vec<Recorded>> {
    let mut requests = Vec::new();
    while !bytes.is_empty() {
        let (length, head) = head(bytes)?;
        bytes = &bytes[length..];
        let (length, whole) = content(&head, bytes).ok()??;
        // What follows belongs to the tunnel.
        bytes = if head.line.starts_with("CONNECT ") { &[] } else { &bytes[length..] };
        requests.push(whole);
    }
    Some(requests)
}
