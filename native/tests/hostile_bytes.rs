//! Properties of what reads bytes of clients: hostile ones come to the same in whatever pieces they come, and what is let
//! through is read by the HTTP library just as it was checked.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, rt, server::conn::http1, service::service_fn};
use proptest::prelude::*;
use tollgate::wire::{check::Check, proxy_header, server_name, verdict::Verdict};
use tollgate_core::malformed::Fault;

const MAX_HEAD: usize = 400;

/// What came of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    /// What hyper was given.
    given: Vec<u8>,
    /// The head in whose place another was given, counted from 1.
    fault: Option<(u64, Fault)>,
    broken: Option<&'static str>,
    is_over: bool,
}

/// Checks bytes that come in these pieces, and gives them on into room for `room` at once.
fn check(pieces: &[&[u8]], room: usize) -> Outcome {
    let verdict = Arc::new(Verdict::default());
    // Every request is answered, and none with a switch.
    for _ in 0..100 {
        verdict.answered(false);
    }
    let mut check = Check::new(MAX_HEAD, verdict.clone());
    let mut given = Vec::new();
    for piece in pieces {
        drain(&mut check, &mut given, room);
        if check.is_over() || check.broken().is_some() {
            break;
        }
        let good = check.inspect(piece);
        given.extend_from_slice(&piece[..good]);
    }
    drain(&mut check, &mut given, room);
    let fault = (1..=100).find_map(|number| verdict.next().map(|fault| (number, fault)));
    Outcome { given, fault, broken: check.broken(), is_over: check.is_over() }
}

fn drain(check: &mut Check, given: &mut Vec<u8>, room: usize) {
    loop {
        let ready = check.ready();
        let length = ready.len().min(room);
        if length == 0 {
            return;
        }
        given.extend_from_slice(&ready[..length]);
        check.gave(length);
    }
}

fn pieces<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.extend([0, bytes.len()]);
    ends.sort_unstable();
    ends.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).filter(|piece| !piece.is_empty()).collect()
}

/// A request as somebody reads it: its first line without the version, how many fields, and its content if all came.
type Message = (String, usize, Option<Vec<u8>>);

/// What was let through, read in the plainest way there is. It is so strict that nothing may be left to read otherwise.
fn plainly(mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        if let Some(rest) = bytes.strip_prefix(b"\r\n") {
            bytes = rest;
            continue;
        }
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
        let head = &bytes[..end];
        bytes = &bytes[end + 4..];
        assert!(
            head.iter().all(|byte| *byte >= b' ' && *byte != 0x7f || b"\t\r\n".contains(byte)),
            "{head:?}"
        );
        let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
        assert!(lines.iter().all(|line| !line.contains(&b'\r') && !line.starts_with(b" ")));
        let first = lines[0]
            .strip_suffix(b" HTTP/1.1")
            .or_else(|| lines[0].strip_suffix(b" HTTP/1.0"))
            .expect("a version");
        let fields: Vec<(String, &[u8])> = lines[1..]
            .iter()
            .map(|line| {
                let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
                (
                    String::from_utf8(line[..colon].to_ascii_lowercase()).expect("a name"),
                    line[colon + 1..].trim_ascii(),
                )
            })
            .collect();
        let named = |wanted: &str| {
            fields.iter().filter(|(name, _)| name == wanted).map(|(_, value)| *value).collect::<Vec<_>>()
        };
        let content = match (&named("content-length")[..], &named("transfer-encoding")[..]) {
            ([], []) => Some(Vec::new()),
            ([length], []) => {
                let length: usize = std::str::from_utf8(length).unwrap().parse().unwrap();
                let whole = bytes.get(..length).map(<[u8]>::to_vec);
                bytes = bytes.get(length..).unwrap_or_default();
                whole
            }
            ([], [coding]) => {
                assert!(coding.eq_ignore_ascii_case(b"chunked"));
                chunks(&mut bytes)
            }
            both => panic!("framed twice: {both:?}"),
        };
        messages.push((String::from_utf8(first.to_vec()).expect("text"), fields.len(), content));
    }
    messages
}

/// Takes chunked content off. `None` where it breaks off.
fn chunks(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let line = take_line(bytes)?;
        let size = std::str::from_utf8(line.split(|byte| *byte == b';').next().unwrap()).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            // Up to an empty line.
            while !take_line(bytes)?.is_empty() {}
            return Some(content);
        }
        let Some(chunk) = bytes.get(..size) else {
            *bytes = &[];
            return None;
        };
        content.extend_from_slice(chunk);
        *bytes = &bytes[size..];
        let end = &bytes[..bytes.len().min(2)];
        assert!(b"\r\n".starts_with(end), "{end:?}");
        if end.len() < 2 {
            *bytes = &[];
            return None;
        }
        *bytes = &bytes[2..];
    }
}

fn take_line<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") else {
        *bytes = &[];
        return None;
    };
    let (line, rest) = bytes.split_at(end);
    *bytes = &rest[2..];
    Some(line)
}

/// A connection on which these bytes come, then its end; what is written is forgotten.
struct Script<'b>(&'b [u8]);

impl rt::Read for Script<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut room: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let length = this.0.len().min(room.remaining());
        room.put_slice(&this.0[..length]);
        this.0 = &this.0[length..];
        Poll::Ready(Ok(()))
    }
}

impl rt::Write for Script<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What hyper makes of the same.
fn by_hyper(bytes: &[u8]) -> (Vec<Message>, Result<(), hyper::Error>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let kept = kept.clone();
        async move {
            let (head, body) = request.into_parts();
            let number = kept.lock().unwrap().len();
            kept.lock().unwrap().push((format!("{} {}", head.method, head.uri), head.headers.len(), None));
            let content = body.collect().await;
            if let (Ok(content), Some(message)) = (content, kept.lock().unwrap().get_mut(number)) {
                message.2 = Some(content.to_bytes().to_vec());
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut protocol = http1::Builder::new();
    // An end of the connection is the end of what came, not of what is answered.
    protocol.half_close(true).max_header_size(MAX_HEAD + 1);
    let mut connection = pin!(protocol.serve_connection(Script(bytes), service));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10_000 {
        if let Poll::Ready(result) = connection.as_mut().poll(&mut context) {
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            return (seen, result);
        }
    }
    panic!("hyper waits for something");
}

/// Requests as hostile clients write them: nearly good, and several on one connection.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let good_line = prop::sample::select(vec![
        "GET / HTTP/1.1",
        "POST /a?b=c HTTP/1.1",
        "POST /a HTTP/1.0",
        "HEAD /%2e HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET http://a.b:80/c HTTP/1.1",
        "GET http://[::1]/c?d HTTP/1.1",
    ]);
    let odd_line = prop::sample::select(vec![
        "GET http://u@a/ HTTP/1.1",
        "GET /#f HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "CONNECT a:1 HTTP/1.1",
        "TRACE / HTTP/1.1",
        "get / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /",
        "GET / HTTP/1.2",
        "PRI * HTTP/2.0",
        "",
    ]);
    let line = prop_oneof![12 => good_line, 1 => odd_line];
    let good_field = prop::sample::select(vec![
        "Host: a",
        "Host: a.b:80",
        "Connection: close",
        "Connection: keep-alive",
        "Upgrade: h2c",
        "Expect: 100-continue",
        "X-A: \u{e9}\tb",
        "X-B:",
        "Te: trailers",
        "Cookie: a=b; c",
    ]);
    let odd_field = prop::sample::select(vec![
        "Content-Length: 5",
        "Content-Length: 0",
        "content-length:3",
        "Content-Length: +5",
        "Content-Length: 5, 5",
        "Content-Length: 05",
        "Content_Length: 5",
        "Transfer-Encoding: chunked",
        "transfer-encoding:CHUNKED",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding : chunked",
        "Transfer_Encoding: chunked",
        "Connection: close",
        "Connection: keep-alive, content-length",
        "Upgrade: h2c",
        "Expect: 100-continue",
        "X-A: \u{e9}\tb",
        "X-B:",
        " folded",
        ": none",
        "x y: z",
        "Content-Type: a/b",
        "Te: trailers",
    ]);
    let field = prop_oneof![8 => good_field, 1 => odd_field];
    let end =
        prop_oneof![60 => Just("\r\n"), 1 => prop::sample::select(vec!["\n", "\r", "\r\r\n", "\n\r", ""])];
    let good = prop::sample::select(vec![
        ("", ""),
        ("Host: a\r\n", ""),
        ("Content-Length: 5\r\n", "hello"),
        ("Content-Length: 32\r\n", "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("transfer-encoding:CHUNKED\r\n", "5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n03\r\nllo\r\n0\r\n\r\n"),
    ]);
    let framed = prop::sample::select(vec!["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"]);
    let content = prop::sample::select(vec![
        "",
        "0\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "6\r\nhello\r\n0\r\n\r\n",
        "4\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    ]);
    let content = prop_oneof![4 => good, 1 => (framed, content)];
    let request = (line, end.clone(), prop::collection::vec((field, end.clone()), 0..4), end, content)
        .prop_map(|(line, ended, fields, end, (framed, content))| {
            let fields: String = fields.into_iter().map(|(field, end)| format!("{field}{end}")).collect();
            format!("{line}{ended}{framed}{fields}{end}{content}").into_bytes()
        });
    let odd = prop_oneof![prop::sample::select(b"\r\n \t:;,\0\x0b\x7f\x80\xff0A-_".to_vec()), any::<u8>(),];
    let change = (any::<prop::sample::Index>(), odd, 0..3u8);
    (
        prop::collection::vec(request, 1..4),
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(change, 1..3)],
    )
        .prop_map(|(requests, changes)| {
            let mut bytes = requests.concat();
            for (at, byte, how) in changes {
                let at = at.index(bytes.len() + 1);
                match how {
                    0 => bytes.insert(at, byte),
                    1 if at < bytes.len() => bytes[at] = byte,
                    _ if at < bytes.len() => drop(bytes.remove(at)),
                    _ => {}
                }
            }
            bytes
        })
}

fn address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(SocketAddr::from),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(SocketAddr::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_bytes_come_to_the_same_however_they_are_split(
        bytes in hostile(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6), room in 1usize..200,
    ) {
        let whole = check(&[&bytes], usize::MAX);
        prop_assert_eq!(&check(&pieces(&bytes, &cuts), room), &whole);
        let each: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&check(&each, room), &whole);
    }

    #[test]
    fn hostile_bytes_that_pass_are_read_by_hyper_as_they_were_checked(bytes in hostile()) {
        let outcome = check(&[&bytes], usize::MAX);
        let mut wanted = plainly(&outcome.given);
        // hyper ends a connection that wants no more, or is asked to become a tunnel; what follows is read by nobody.
        let (seen, result) = by_hyper(&outcome.given);
        prop_assert!(result.as_ref().map_or_else(|error| !error.is_parse(), |()| true), "{:?}", result);
        prop_assert!(seen.len() <= wanted.len());
        if let Some((number, _)) = outcome.fault {
            prop_assert_eq!(wanted.len() as u64, number);
        }
        wanted.truncate(seen.len());
        for ((line, fields, content), (wanted_line, wanted_fields, wanted_content)) in seen.iter().zip(&wanted) {
            // As texts targets differ where hyper writes a path that was left out.
            let (method, target) = line.split_once(' ').unwrap();
            let (wanted_method, wanted_target) = wanted_line.split_once(' ').unwrap();
            prop_assert_eq!(method, wanted_method);
            let same = target.eq_ignore_ascii_case(wanted_target) || target.trim_end_matches('/').eq_ignore_ascii_case(wanted_target);
            prop_assert!(same, "{} {}", target, wanted_target);
            prop_assert_eq!(fields, wanted_fields);
            prop_assert_eq!(content, wanted_content);
        }
    }

    #[test]
    fn hostile_bytes_may_come_in_the_place_of_a_proxy_header(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "PROXY (TCP4|TCP6|UNKNOWN|UDP4)( [0-9a-f:.]{1,9}){0,5}(\r\n|\n|)".prop_map(String::into_bytes),
            (prop::collection::vec(any::<u8>(), 0..60), 0x1eu8..0x24, prop::sample::select(vec![0x00u8, 0x11, 0x12, 0x21, 0x22, 0x31, 0x42]), 0u16..60)
                .prop_map(|(rest, command, family, told)| {
                    let told = told.to_be_bytes();
                    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family, told[0], told[1]][..], &rest].concat()
                }),
        ],
    ) {
        let whole = proxy_header::read(&bytes);
        if let proxy_header::Read::Header { length, .. } = whole {
            prop_assert!(length <= bytes.len());
        }
        for end in 0..bytes.len() {
            let part = proxy_header::read(&bytes[..end]);
            prop_assert!(part == proxy_header::Read::Incomplete || part == whole, "{:?} {:?}", part, whole);
        }
    }

    #[test]
    fn hostile_or_not_a_proxy_header_that_is_written_is_read(one in address(), two in address()) {
        let same = one.ip().to_canonical().is_ipv4() == two.ip().to_canonical().is_ipv4();
        let canonical = SocketAddr::new(one.ip().to_canonical(), one.port());
        let v1 = proxy_header::write_v1(Some((one, two)));
        let source = same.then_some(canonical);
        prop_assert_eq!(proxy_header::read(&v1), proxy_header::Read::Header { source, length: v1.len() });
        let v2 = proxy_header::write_v2(Some((one, two)));
        let proxy_header::Read::Header { source: Some(source), length } = proxy_header::read(&v2) else {
            return Err(TestCaseError::fail("no header"));
        };
        prop_assert_eq!((SocketAddr::new(source.ip().to_canonical(), source.port()), length), (canonical, v2.len()));
    }

    #[test]
    fn hostile_bytes_may_come_as_a_greeting_of_tls(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            greeting(),
        ],
    ) {
        let whole = server_name::read(&bytes);
        for end in 0..bytes.len() {
            let part = server_name::read(&bytes[..end]);
            prop_assert!(part == server_name::Read::Incomplete || part == whole, "{:?} {:?}", part, whole);
        }
        if let server_name::Read::Named(name) = whole {
            prop_assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)));
        }
    }
}

/// A greeting, in one or more records, of which a byte may have been changed.
fn greeting() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::option::of("[a-zA-Z.\u{0}-]{0,12}");
    let change = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
    (name, 1usize..80, change).prop_map(|(name, size, change)| {
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
        let long = |bytes: Vec<u8>| [&length(&bytes)[..], &bytes].concat();
        let mut extensions = [&[0, 43][..], &long(vec![2, 3, 4])].concat();
        if let Some(name) = name {
            let entry = [&[0][..], &long(name.into_bytes())].concat();
            extensions.extend([&[0, 0][..], &long(long(entry))].concat());
        }
        let body = [&[3, 3][..], &[7; 32], &[0], &long(vec![0x13, 1]), &[1, 0], &long(extensions)].concat();
        let [high, low] = length(&body);
        let message = [&[1, 0, high, low][..], &body].concat();
        let records = message.chunks(size).map(|piece| [&[22, 3, 1][..], &length(piece), piece].concat());
        let mut bytes = records.collect::<Vec<_>>().concat();
        if let Some((at, byte)) = change {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

#[test]
fn hostile_clients_are_let_through_now_and_then() {
    use proptest::strategy::ValueTree;
    // A property that only ever sees refusals shows nothing.
    let runner = &mut proptest::test_runner::TestRunner::deterministic();
    let (mut whole, mut refused, mut broken) = (0, 0, 0);
    for _ in 0..2000 {
        let outcome = check(&[&hostile().new_tree(runner).unwrap().current()], usize::MAX);
        match outcome {
            Outcome { broken: Some(_), .. } => broken += 1,
            Outcome { fault: Some(_), .. } => refused += 1,
            _ => whole += 1,
        }
    }
    assert!(whole > 200 && refused > 200 && broken > 50, "{whole} {refused} {broken}");
}
