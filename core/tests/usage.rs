//! What is read while an answer streams by is what a plain reading of the whole finds, and nothing makes the reader
//! stumble.
#![cfg(not(target_family = "wasm"))]

use std::{collections::BTreeMap, fmt::Write};

use http::{Response, header::CONTENT_TYPE};
use proptest::{prelude::*, sample::Index};
use serde_json::{Map, Value};
use tollgate_core::usage::{Usage, UsageReader};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

fn reader(content_type: &str) -> UsageReader {
    let head = Response::builder().header(CONTENT_TYPE, content_type).body(()).expect("a head");
    UsageReader::for_answer(&head.into_parts().0).expect("a type that is read")
}

/// All that a reader has to say.
type Said = (Option<Usage>, u64, bool);

fn said(reader: &UsageReader) -> Said {
    (reader.told(), reader.generated(), reader.is_complete())
}

/// What it says of a body that comes in one piece.
fn whole(content_type: &str, body: &[u8]) -> Said {
    let mut reader = reader(content_type);
    reader.see(body);
    said(&reader)
}

/// What it says of a body that comes in several.
fn cut(content_type: &str, mut body: &[u8], cuts: &[Index]) -> Said {
    let mut reader = reader(content_type);
    for cut in cuts {
        let (piece, rest) = body.split_at(cut.index(body.len() + 1));
        reader.see(piece);
        body = rest;
    }
    reader.see(body);
    said(&reader)
}

// The plain reading.

/// Where numbers are told, below what tells them.
const USAGE: &[(&str, &str)] = &[
    ("prompt_tokens", "prompt"),
    ("completion_tokens", "completion"),
    ("input_tokens", "input"),
    ("output_tokens", "output"),
    ("total_tokens", "total"),
    ("prompt_tokens_details.cached_tokens", "cached"),
    ("input_tokens_details.cached_tokens", "cached"),
    ("cache_read_input_tokens", "read"),
    ("cache_creation_input_tokens", "creation"),
];
const METADATA: &[(&str, &str)] = &[
    ("promptTokenCount", "prompt count"),
    ("toolUsePromptTokenCount", "tool use"),
    ("candidatesTokenCount", "candidates"),
    ("thoughtsTokenCount", "thoughts"),
    ("totalTokenCount", "total"),
    ("cachedContentTokenCount", "cached content"),
];
const TOP: &[(&str, &str)] = &[("prompt_eval_count", "prompt eval"), ("eval_count", "eval")];
const TELLERS: &[(&str, &[(&str, &str)])] = &[
    ("usage.", USAGE),
    ("message.usage.", USAGE),
    ("response.usage.", USAGE),
    ("usageMetadata.", METADATA),
    ("", TOP),
];

/// Where generated text stands.
const TEXTS: &[&str] = &[
    "response",
    "message.content",
    "message.thinking",
    "message.tool_calls",
    "delta",
    "delta.text",
    "delta.partial_json",
    "delta.thinking",
    "choices.*.text",
    "choices.*.delta.content",
    "choices.*.delta.content.*.text",
    "choices.*.delta.content.*.thinking",
    "choices.*.delta.reasoning_content",
    "choices.*.delta.reasoning",
    "choices.*.delta.refusal",
    "choices.*.delta.tool_calls.*.function.arguments",
    "choices.*.delta.function_call.arguments",
    "choices.*.message.content",
    "choices.*.message.content.*.text",
    "choices.*.message.content.*.thinking",
    "choices.*.message.reasoning_content",
    "choices.*.message.reasoning",
    "choices.*.message.refusal",
    "choices.*.message.tool_calls.*.function.arguments",
    "choices.*.message.function_call.arguments",
    "content",
    "content.*.text",
    "content.*.thinking",
    "output.*.content",
    "output.*.content.*.text",
    "output.*.content.*.thinking",
    "output.*.arguments",
    "candidates.*.content.parts.*.text",
];

/// All that stands at a path; `*` is each of an array.
fn at<'v>(value: &'v Value, path: &str) -> Vec<&'v Value> {
    let (step, rest) = path.split_once('.').map_or((path, None), |(step, rest)| (step, Some(rest)));
    let next: Vec<&Value> = match step {
        "*" => value.as_array().into_iter().flatten().collect(),
        key => value.as_object().and_then(|members| members.get(key)).into_iter().collect(),
    };
    match rest {
        Some(rest) => next.into_iter().flat_map(|value| at(value, rest)).collect(),
        None => next,
    }
}

/// What such chunks have told, one after the other.
#[derive(Default)]
struct Plain {
    numbers: BTreeMap<&'static str, u64>,
    text: usize,
    chunks: u64,
    /// Something was generated that is measured as it is written, which is no longer known here.
    is_open: bool,
}

impl Plain {
    fn take(&mut self, chunk: &Value) {
        let mut here = BTreeMap::new();
        for (teller, names) in TELLERS {
            for (path, name) in *names {
                for number in at(chunk, &format!("{teller}{path}")).iter().filter_map(|value| value.as_u64())
                {
                    let slot = here.entry(*name).or_insert(number);
                    *slot = number.max(*slot);
                }
            }
        }
        self.numbers.extend(here);
        let texts = TEXTS.iter().flat_map(|path| at(chunk, path)).filter_map(Value::as_str);
        let text: usize = texts.map(str::len).sum();
        self.text += text;
        self.chunks += u64::from(text > 0);
        self.is_open |=
            at(chunk, "message.tool_calls").iter().any(|made| made.is_array() || made.is_object());
    }

    fn usage(&self) -> Option<Usage> {
        let get = |name: &str| self.numbers.get(name).copied();
        let sum =
            |names: &[&'static str]| names.iter().filter_map(|name| get(name)).reduce(u64::saturating_add);
        let input =
            get("prompt").max(sum(&["input", "read", "creation"])).max(sum(&["prompt count", "tool use"]));
        let input = input.max(get("prompt eval"));
        let output =
            get("completion").max(get("output")).max(sum(&["candidates", "thoughts"])).max(get("eval"));
        let cached = get("cached").max(get("read")).max(get("cached content")).unwrap_or(0);
        input.or(output).or(get("total"))?;
        let (input_tokens, output_tokens) = (input.unwrap_or(0), output.unwrap_or(0));
        let total_tokens = get("total").unwrap_or(0).max(input_tokens.saturating_add(output_tokens));
        Some(Usage { input_tokens, output_tokens, total_tokens, cached_tokens: cached.min(input_tokens) })
    }

    fn agrees(&self, generated: u64) -> bool {
        let least = self.chunks.max(self.text.div_ceil(4) as u64);
        generated == least || self.is_open && generated > least
    }
}

/// The data of each event, of the whole stream at once: WHATWG HTML §9.2.6, line by line.
fn events(stream: &str) -> Vec<String> {
    let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream).replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut data) = (Vec::new(), String::new());
    let mut lines: Vec<&str> = stream.split('\n').collect();
    // What follows the last end of a line is no line.
    lines.pop();
    for line in lines {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if line.is_empty() {
            events.extend(data.strip_suffix('\n').map(str::to_owned));
            data.clear();
        } else if field == "data" {
            data += value.strip_prefix(' ').unwrap_or(value);
            data.push('\n');
        }
    }
    events
}

// What is read.

/// Names that mean something somewhere.
fn key() -> impl Strategy<Value = String> {
    let names = TELLERS
        .iter()
        .flat_map(|(teller, names)| names.iter().map(move |(path, _)| format!("{teller}{path}")));
    let all = names.chain(TEXTS.iter().map(|text| (*text).to_owned())).collect::<Vec<_>>().join(".");
    let mut names: Vec<String> =
        all.split('.').filter(|name| !matches!(*name, "*" | "")).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    prop_oneof![9 => prop::sample::select(names), 1 => "[a-z\"\\\\\u{e9}]{0,4}"]
}

fn single() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (0_u64..1000).prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => (-1000_i32..1000).prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        3 => text().prop_map(Value::from),
    ]
}

/// Text, some of which would be usage if it were not text.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(r#"{"usage":{"prompt_tokens":1,"completion_tokens":1}}"#.to_owned()),
        Just(r#"","usage":{"prompt_tokens":1},"x":""#.to_owned()),
        Just("12".to_owned()),
        "[a-c\"\\\\{}\\[\\]:,\r\n \u{0}\u{e9}\u{20ac}\u{1f600}]{0,12}",
        ".{0,8}",
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    single().prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => prop::collection::vec((key(), inner), 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Something that tells usage, beside whatever else.
fn usage() -> impl Strategy<Value = Value> {
    let names = [USAGE, METADATA].concat();
    let names: Vec<&str> = names.iter().map(|(path, _)| *path).collect();
    let member = prop_oneof![
        4 => (prop::sample::select(names), single()).prop_map(|(path, value)| match path.split_once('.') {
            Some((details, name)) => (details.to_owned(), Value::from_iter([(name.to_owned(), value)])),
            None => (path.to_owned(), value),
        }),
        1 => (key(), anything()),
    ];
    prop::collection::vec(member, 0..6).prop_map(|members| members.into_iter().collect())
}

/// Text where text is generated, and mostly nothing else.
fn speaking() -> impl Strategy<Value = Value> {
    (prop::sample::select(TEXTS), prop_oneof![3 => text().prop_map(Value::from), 1 => anything()]).prop_map(
        |(path, value)| {
            path.rsplit('.').fold(value, |value, step| match step {
                "*" => Value::from(vec![value]),
                key => Value::from_iter([(key.to_owned(), value)]),
            })
        },
    )
}

fn chunk() -> impl Strategy<Value = Value> {
    let member = prop_oneof![
        3 => (prop::sample::select(vec!["usage", "usageMetadata"]), usage())
            .prop_map(|(key, value)| (key.to_owned(), value)),
        1 => (prop::sample::select(vec!["message", "response"]), usage())
            .prop_map(|(key, value)| (key.to_owned(), Value::from_iter([("usage".to_owned(), value)]))),
        2 => (key(), anything()),
        2 => speaking().prop_map(|value| {
            value.as_object().into_iter().flatten().next().map_or_else(
                || (String::new(), Value::Null),
                |(key, value)| (key.clone(), value.clone()),
            )
        }),
    ];
    prop::collection::vec(member, 0..6)
        .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
}

/// Writes a document in one of the many ways in which it can be written.
struct Writer<'s> {
    /// What decides, over and over.
    style: &'s [u8],
    next: usize,
    /// May stand where white space may.
    spaces: &'s [&'s str],
}

impl Writer<'_> {
    fn write(value: &Value, style: &[u8], spaces: &[&str]) -> String {
        let mut out = String::new();
        Writer { style, next: 0, spaces }.value(value, &mut out);
        out
    }

    fn draw(&mut self) -> usize {
        self.next += 1;
        self.style.get(self.next % self.style.len().max(1)).copied().unwrap_or(0).into()
    }

    fn space(&mut self, out: &mut String) {
        let drawn = self.draw();
        out.push_str(self.spaces.get(drawn % 16).unwrap_or(&""));
    }

    fn value(&mut self, value: &Value, out: &mut String) {
        self.space(out);
        match value {
            Value::Array(elements) => {
                out.push('[');
                for (n, element) in elements.iter().enumerate() {
                    out.push_str(if n > 0 { "," } else { "" });
                    self.value(element, out);
                }
                self.space(out);
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                for (n, (key, value)) in members.iter().enumerate() {
                    out.push_str(if n > 0 { "," } else { "" });
                    self.space(out);
                    self.text(key, out);
                    self.space(out);
                    out.push(':');
                    self.value(value, out);
                }
                self.space(out);
                out.push('}');
            }
            Value::String(text) => self.text(text, out),
            other => out.push_str(&other.to_string()),
        }
        self.space(out);
    }

    fn text(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            match (character, self.draw() % 8) {
                (_, 0) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                ('/', 1) => out.push_str("\\/"),
                _ => {
                    let quoted = serde_json::to_string(&character).expect("text");
                    out.push_str(&quoted[1..quoted.len() - 1]);
                }
            }
        }
        out.push('"');
    }
}

const SPACES: &[&str] = &[" ", "\t", "\n", "\r", "\r\n  "];
const BLANKS: &[&str] = &[" ", "\t", "  "];

fn style() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 1..24)
}

fn cuts() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 0..8)
}

/// A stream of events, most of which are some.
fn stream() -> impl Strategy<Value = String> {
    let end = || prop::sample::select(vec!["\n", "\r", "\r\n"]);
    let data = (chunk(), style(), end(), any::<bool>(), any::<Index>(), 0..12_u8).prop_map(
        |(chunk, style, end, space, at, fate)| {
            let prefix = if space { "data: " } else { "data:" };
            let mut document = Writer::write(&chunk, &style, SPACES);
            if fate == 0 {
                // It breaks off. Nothing that is whole ends earlier, so it is none.
                document = document.chars().take(at.index(document.trim_end().chars().count())).collect();
            }
            let lines = document.replace("\r\n", "\n").replace('\r', "\n");
            let lines: String = lines.split('\n').map(|line| format!("{prefix}{line}{end}")).collect();
            if fate == 1 { lines } else { lines + end }
        },
    );
    let other = prop_oneof![
        Just(": comment".to_owned()),
        Just("event: message_stop".to_owned()),
        Just("data".to_owned()),
        Just("data: [DONE]".to_owned()),
        Just("datas: {}".to_owned()),
        Just(String::new()),
        "[a-d:{} ]{0,6}",
    ];
    let other = (other, end()).prop_map(|(line, end)| line + end);
    let pieces = prop::collection::vec(prop_oneof![4 => data, 1 => other], 0..8);
    (pieces, 0..4_u8).prop_map(|(pieces, mark)| {
        let mark = if mark == 0 { "\u{feff}" } else { "" };
        format!("{mark}{}", pieces.concat())
    })
}

/// Bytes as they come, and bytes that are nearly something.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\\u0075",
        "\\u",
        "\"usage\"",
        "\"prompt_tokens\"",
        "\"delta\"",
        "\"choices\"",
        "\"type\"",
        "\"message_stop\"",
        "\"done\"",
        "true",
        "null",
        "1",
        "18446744073709551615",
        "-",
        ".",
        "data:",
        "data: ",
        "data",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        " ",
        "[DONE]",
        "\u{feff}",
        "\u{e9}",
        ": c",
        "{\"usage\":{\"prompt_tokens\":",
        "{\"choices\":[{\"delta\":{\"content\":\"",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        prop::collection::vec(fragment.prop_map(str::as_bytes), 0..48)
            .prop_map(|fragments| fragments.concat()),
    ]
}

proptest! {
    /// Usage is found exactly where serde_json finds it, however the document is written and cut.
    #[test]
    fn documents_tell_what_a_plain_reading_finds(document in prop_oneof![
        3 => chunk(),
        1 => prop::collection::vec(prop_oneof![4 => chunk(), 1 => anything()], 0..4).prop_map(Value::from),
        1 => anything(),
    ], style in style(), cuts in cuts()) {
        let written = Writer::write(&document, &style, SPACES);
        prop_assert_eq!(&serde_json::from_str::<Value>(&written).expect("it is JSON"), &document, "{}", written);
        let mut plain = Plain::default();
        match &document {
            Value::Array(chunks) => chunks.iter().for_each(|chunk| plain.take(chunk)),
            chunk => plain.take(chunk),
        }
        let is_complete = document.is_object() || document.is_array();
        let (told, generated, complete) = cut(JSON, written.as_bytes(), &cuts);
        prop_assert_eq!(told, plain.usage(), "{}", written);
        prop_assert!(complete || !is_complete, "{}", written);
        prop_assert!(plain.agrees(generated), "{}", written);
    }

    #[test]
    fn lines_tell_what_a_plain_reading_finds(chunks in prop::collection::vec(chunk(), 0..5), style in style(), cuts in cuts()) {
        let written: Vec<String> = chunks.iter().map(|chunk| Writer::write(chunk, &style, BLANKS)).collect();
        let written = written.join("\n");
        let mut plain = Plain::default();
        chunks.iter().for_each(|chunk| plain.take(chunk));
        let (told, generated, _) = cut(LINES, written.as_bytes(), &cuts);
        prop_assert_eq!(told, plain.usage(), "{}", written);
        prop_assert!(plain.agrees(generated), "{}", written);
    }

    #[test]
    fn streams_tell_what_a_plain_reading_finds(stream in stream(), cuts in cuts()) {
        let mut plain = Plain::default();
        let mut is_complete = false;
        for data in events(&stream) {
            is_complete |= data == "[DONE]";
            if let Ok(chunk @ Value::Object(_)) = serde_json::from_str(&data) {
                plain.take(&chunk);
            }
        }
        let (told, generated, complete) = cut(EVENTS, stream.as_bytes(), &cuts);
        prop_assert_eq!((told, complete), (plain.usage(), is_complete), "{:?}", stream);
        prop_assert!(plain.agrees(generated), "{:?}", stream);
    }

    /// What a model writes changes nothing of what it has used.
    #[test]
    fn no_text_tells_anything(text in text(), path in prop::sample::select(TEXTS), style in style()) {
        let value = path.rsplit('.').fold(Value::from(text), |value, step| match step {
            "*" => Value::from(vec![value]),
            key => Value::from_iter([(key.to_owned(), value)]),
        });
        let written = Writer::write(&value, &style, BLANKS);
        for content_type in [JSON, LINES] {
            prop_assert_eq!(whole(content_type, written.as_bytes()).0, None);
        }
        prop_assert_eq!(whole(EVENTS, format!("data: {written}\n\n").as_bytes()).0, None);
    }

    /// Whatever comes, and however it is cut, the same is said of it; and memory there is none to be used up.
    #[test]
    fn any_bytes_say_the_same_in_all_pieces(bytes in nearly(), cuts in cuts()) {
        for content_type in [JSON, LINES, EVENTS] {
            let said = whole(content_type, &bytes);
            prop_assert_eq!(cut(content_type, &bytes, &cuts), said);
            let mut each = reader(content_type);
            bytes.iter().for_each(|byte| each.see(&[*byte]));
            prop_assert_eq!(self::said(&each), said);
            if let Some(usage) = said.0 {
                prop_assert!(usage.total_tokens >= usage.input_tokens.max(usage.output_tokens));
                prop_assert!(usage.cached_tokens <= usage.input_tokens);
            }
        }
    }
}
