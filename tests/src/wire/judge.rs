//! What a proxy made of a case, by what reached the service behind it. Every proxy is judged by the same rules, and
//! these are RFC 9110's and 9112's, not the wishes that the gateway is tested by.

use super::{client::Answers, recorder::Recorded, strict};

/// What became of a case, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No whole request reached the service.
    Refused,
    /// What was sent is a request by the letter, and so is what reached the service, in the plainest form there is.
    Canonical,
    /// Something in it is not as it should be, or not plain, but there is one way to read what reached the service.
    Lenient,
    /// What reached the service can be read in two ways, or takes along what is known from attacks.
    Dangerous,
    /// The service has seen a request that was not sent, or that the proxy doesn't know of.
    Smuggled,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Refused, Self::Canonical, Self::Lenient, Self::Dangerous, Self::Smuggled];

    /// A word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Canonical => "canonical",
            Self::Lenient => "lenient",
            Self::Dangerous => "DANGEROUS",
            Self::Smuggled => "SMUGGLED",
        }
    }
}

/// Judges what came of these bytes.
pub fn judge(sent: &[u8], answers: &Answers, seen: &[Recorded]) -> (Kind, String) {
    // The service answers each request with 200, and no proxy says so of its own.
    let answered = answers.statuses.iter().filter(|status| **status == 200).count();
    let whole = |seen: &[Recorded]| seen.iter().filter(|request| request.content.is_some()).count();
    // One may have been answered in HTTP/0.9, which has no status.
    if whole(seen) > answered.max(1) {
        return (Kind::Smuggled, format!("{} requests, {answered} answered", whole(seen)));
    }
    let seen = match seen.split_last() {
        Some((last, rest)) if answers.went_on && last.target() == "/after" => rest,
        _ => seen,
    };
    let good = strict::requests(sent).filter(|requests| {
        requests.iter().all(|request| danger(request).or_else(|| fault(request)).is_none())
    });
    if let Some(good) = &good {
        if whole(seen) > good.len() {
            return (Kind::Smuggled, format!("{} requests, {} sent", whole(seen), good.len()));
        }
        let same =
            |(sent, seen): (&Recorded, &Recorded)| seen.content.is_none() || sent.content == seen.content;
        if !good.iter().zip(seen).all(same) {
            return (Kind::Dangerous, "other content".to_owned());
        }
    }
    if let Some(danger) = seen.iter().find_map(|request| danger(request).or_else(|| change(request))) {
        return (Kind::Dangerous, danger);
    }
    if whole(seen) == 0 {
        return (Kind::Refused, answers.statuses.first().map_or_else(|| "closed".to_owned(), u16::to_string));
    }
    if let Some(odd) = seen.iter().find_map(|request| fault(request).or_else(|| form(request))) {
        return (Kind::Lenient, odd);
    }
    let line = seen[0].line.chars().take(40).collect();
    match good {
        Some(_) => (Kind::Canonical, line),
        None if whole(seen) > 1 => (Kind::Lenient, format!("read as {} requests", whole(seen))),
        None => (Kind::Lenient, format!("repaired: {line}")),
    }
}

/// What two readers may take for two things, or what attacks are made of.
fn danger(request: &Recorded) -> Option<String> {
    if let Some(broken) = &request.broken {
        return Some(broken.clone());
    }
    let parts: Vec<&str> = request.line.split(' ').collect();
    let [method, target, version] = parts[..] else {
        return Some(format!("the line `{}`", request.line.escape_debug()));
    };
    if method.is_empty()
        || !method.bytes().all(is_token)
        || target.contains('#')
        || target.bytes().any(is_control)
    {
        return Some(format!("the line `{}`", request.line.escape_debug()));
    }
    let minor = version.strip_prefix("HTTP/1.").filter(|minor| minor.len() == 1);
    if !minor.is_some_and(|minor| minor.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some(format!("the version `{}`", version.escape_debug()));
    }
    if let Some((name, _)) = request.fields.iter().find(|(name, value)| is_bad(name, value)) {
        return Some(format!("the field `{}`", name.escape_debug()));
    }
    let (length, coding) = (request.values("content-length"), request.values("transfer-encoding"));
    if length.len() + coding.len() > 1 {
        return Some("framed twice".to_owned());
    }
    if length
        .iter()
        .any(|text| text.is_empty() || text.len() > 18 || !text.bytes().all(|byte| byte.is_ascii_digit()))
        || coding.iter().any(|coding| !coding.trim_matches(['\t', ' ']).eq_ignore_ascii_case("chunked"))
        || (!coding.is_empty() && minor == Some("0"))
        || (method == "CONNECT" && length.len() + coding.len() > 0)
    {
        return Some(format!("framed by {length:?} {coding:?}"));
    }
    let hosts = request.values("host");
    if hosts.len() > 1 || hosts.iter().any(|host| !is_host(host)) {
        return Some(format!("the host {hosts:?}"));
    }
    if let (Some((_, rest)), Some(host)) = (target.split_once("://"), hosts.first()) {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let named = authority.rsplit('@').next().unwrap_or_default();
        if !target.starts_with('/') && !named.eq_ignore_ascii_case(host) {
            return Some(format!("`{named}` and the host `{host}`"));
        }
    }
    names(request, "connection", &["content-length", "transfer-encoding", "host", "content-type"]).or_else(
        || {
            let late = request.trailers.iter().find(|(name, value)| is_bad(name, value) || is_early(name))?;
            Some(format!("`{}` after the content", late.0.escape_debug()))
        },
    )
}

/// Asking for HTTP/2 in the place of HTTP/1.1: may be sent, but whoever passes it on doesn't see what comes then.
fn change(request: &Recorded) -> Option<String> {
    names(request, "connection", &["upgrade"]).and_then(|_| names(request, "upgrade", &["h2c"]))
}

/// One of the words in a list.
fn names(request: &Recorded, name: &str, words: &[&str]) -> Option<String> {
    let lines = request.values(name).join(",").to_ascii_lowercase();
    lines.split(',').map(str::trim).find(|word| words.contains(word)).map(|word| format!("`{name}: {word}`"))
}

/// What is not by the letter, though everybody who reads it at all reads it alike.
fn fault(request: &Recorded) -> Option<String> {
    let target = request.target();
    if target.bytes().any(|byte| !byte.is_ascii_graphic() || b"<>\"\\^`{|}".contains(&byte)) {
        return Some(format!(
            "the target `{}`",
            target.escape_debug().to_string().chars().take(30).collect::<String>()
        ));
    }
    let method = request.line.split(' ').next().unwrap_or_default();
    let is_absolute = target
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let fits = match method {
        "CONNECT" => !target.contains('/'),
        "OPTIONS" => target == "*" || target.starts_with('/') || is_absolute,
        _ => target.starts_with('/') || is_absolute,
    };
    if !fits {
        return Some(format!("{method} {target}"));
    }
    if is_absolute && target.split('/').nth(2).is_some_and(|authority| authority.contains('@')) {
        return Some("a name before the host".to_owned());
    }
    let odd = |value: &str| value.bytes().any(|byte| is_control(byte) && byte != b'\t');
    if let Some((name, _)) = request.fields.iter().find(|(_, value)| odd(value)) {
        return Some(format!("the field `{name}`"));
    }
    (request.values("host").is_empty() && !request.line.ends_with(" HTTP/1.0")).then(|| "no host".to_owned())
}

/// What is by the letter, but could be plainer.
fn form(request: &Recorded) -> Option<String> {
    let target = request.target();
    let lines = |name: &str| request.values(name).len();
    if !target.starts_with('/') && request.line != "OPTIONS * HTTP/1.1" {
        return Some(request.line.chars().take(40).collect());
    }
    if !request.line.ends_with(" HTTP/1.1") {
        return Some(request.line.split(' ').next_back().unwrap_or_default().to_owned());
    }
    if request.values("transfer-encoding").iter().any(|coding| coding.contains('\t')) {
        return Some("a tab beside the coding".to_owned());
    }
    if request.has_extensions {
        return Some("extensions of chunks".to_owned());
    }
    if request.values("host").iter().any(|host| host.is_empty()) {
        return Some("an empty host".to_owned());
    }
    for (name, allowed) in
        [("content-type", 1), ("http2-settings", 0), ("proxy-connection", 0), ("keep-alive", 0)]
    {
        if lines(name) > allowed {
            return Some(format!("`{name}`"));
        }
    }
    if lines("upgrade") > 0 && lines("connection") == 0 {
        return Some("`upgrade`".to_owned());
    }
    let like = |name: &str| matches!(name, "content_length" | "transfer_encoding");
    request.fields.iter().find(|(name, _)| like(name)).map(|(name, _)| format!("`{name}`"))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}

/// By RFC 9110 §5.5 these three characters are never let stand; others may be, where they do no harm.
fn is_bad(name: &str, value: &str) -> bool {
    name.is_empty() || !name.bytes().all(is_token) || value.contains(['\r', '\n', '\0'])
}

/// Whether a field steers a message, so that it has to come before the content (RFC 9110 §6.5.1).
fn is_early(name: &str) -> bool {
    let name = name.replace('_', "-");
    name.starts_with("x-forwarded-")
        || matches!(
            name.as_str(),
            "content-length"
                | "transfer-encoding"
                | "host"
                | "authorization"
                | "cookie"
                | "content-type"
                | "trailer"
        )
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, port)) => {
            if !name.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte)) {
                return false;
            }
            ("", port)
        }
        None => host.find(':').map_or((host, ""), |at| host.split_at(at)),
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte))
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

    fn of(sent: &[u8], statuses: &[u16], came: &[u8]) -> Kind {
        let answers = Answers { statuses: statuses.to_vec(), ..Answers::default() };
        judge(sent, &answers, &strict::requests(came).expect("requests")).0
    }

    #[test]
    fn a_good_request_that_arrives_is_canonical() {
        assert_eq!(of(GOOD, &[200], GOOD), Kind::Canonical);
        assert_eq!(of(GOOD, &[400], b""), Kind::Refused);
    }

    #[test]
    fn what_is_repaired_is_lenient() {
        assert_eq!(of(b"GET /x HTTP/1.1\nHost: a\n\n", &[200], GOOD), Kind::Lenient);
        assert_eq!(of(GOOD, &[200], b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n"), Kind::Lenient);
    }

    #[test]
    fn more_requests_than_were_answered_are_smuggled() {
        let two = [GOOD, GOOD].concat();
        assert_eq!(of(&two, &[200], &two), Kind::Smuggled);
        assert_eq!(of(GOOD, &[200, 200], &two), Kind::Smuggled);
        // Where they are read as two at both ends, nobody is fooled.
        assert_eq!(of(&two, &[200, 200], &two), Kind::Canonical);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_dangerous() {
        for lines in [
            "Host: a\r\nHost: b",
            "Host: a/b",
            "Host: a\r\nX: a\nb",
            "Host: a\r\nX: a\r\n b",
            "Host: a\r\nX: \0",
            "Host: a\r\nContent-Length: 0\r\nContent-Length: 0",
            "Host: a\r\nConnection: content-length",
        ] {
            let came = format!("GET /x HTTP/1.1\r\n{lines}\r\n\r\n");
            assert_eq!(of(came.as_bytes(), &[200], came.as_bytes()), Kind::Dangerous, "{lines}");
        }
        let chunks = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n";
        assert_eq!(of(chunks, &[200], chunks), Kind::Dangerous);
    }
}
