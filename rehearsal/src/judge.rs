//! Whether what came is what should have come, and whether two hosts agree. Says every difference, each on a
//! line, in words for whoever has to find its reason.

use std::{collections::BTreeMap, fmt::Debug};

use bytes::Bytes;
use serde_json::Value;

use crate::{
    case::expect::{Asked, BodyWish, Expect, FieldWish, SeenWish, UpstreamWish},
    observed::{Fields, Observed, Shown},
    pattern,
};

/// Longer texts are cut when they are shown.
const SHOWN: usize = 400;

/// Everything in which `observed` is not as wished for.
pub fn judge(expect: &Expect, observed: &Observed) -> Vec<String> {
    let mut faults = Faults::default();
    faults.equal("status", &expect.status, &observed.status);
    for (name, wish) in &expect.headers {
        faults.field(&format!("header `{name}`"), name, wish, &observed.headers);
    }
    if let Some(wish) = &expect.body {
        faults.body("body", wish, &observed.body);
    }
    faults.equal("body breaks off", &expect.broken, &observed.broken);
    if let Some(code) = &expect.refusal {
        faults.refusal(code, observed);
    }
    match &expect.upstream {
        UpstreamWish::Unchecked => {}
        UpstreamWish::Nothing => {
            for (name, asked) in &observed.upstream {
                faults.requests(name, &[], asked);
            }
        }
        UpstreamWish::Asked(wishes) => {
            for (name, wish) in wishes {
                let asked = observed.upstream.get(name).map(Vec::as_slice).unwrap_or_default();
                match wish {
                    Asked::Times(times) if *times == asked.len() => {}
                    Asked::Times(times) => faults.note(format!(
                        "upstream `{name}` was asked {} times, not {times}: {}",
                        asked.len(),
                        lines(asked)
                    )),
                    Asked::Requests(wishes) => faults.requests(name, wishes, asked),
                }
            }
        }
    }
    if let Some(event) = &observed.event {
        for (name, wanted) in &expect.event {
            let found = event.get(name).map_or("", String::as_str);
            faults.equal(&format!("recorded `{name}`"), &wanted.as_str(), &found);
        }
    } else if !expect.event.is_empty() {
        faults.note("nothing was recorded".to_owned());
    }
    faults.0
}

/// Everything in which two hosts differ.
pub fn compare(first: &Observed, second: &Observed) -> Vec<String> {
    let mut faults = Faults::default();
    faults.equal("status", &first.status, &second.status);
    faults.fields("header", &first.headers, &second.headers);
    faults.bytes("body", &first.body, &second.body);
    faults.equal("body breaks off", &first.broken, &second.broken);
    let names = first
        .upstream
        .keys()
        .chain(second.upstream.keys().filter(|name| !first.upstream.contains_key(*name)));
    for name in names {
        let of = |observed: &Observed| observed.upstream.get(name).cloned().unwrap_or_default();
        let (first, second) = (of(first), of(second));
        if first.len() != second.len() {
            faults.note(format!("upstream `{name}` was asked {} | {}", lines(&first), lines(&second)));
            continue;
        }
        for (number, (first, second)) in first.iter().zip(&second).enumerate() {
            let what = format!("request {} to `{name}`", number + 1);
            faults.equal(&format!("{what}: method"), &first.method, &second.method);
            faults.equal(&format!("{what}: path"), &first.path, &second.path);
            faults.fields(&format!("{what}: header"), &joined(&first.headers), &joined(&second.headers));
            faults.bytes(&format!("{what}: body"), &first.body, &second.body);
        }
    }
    faults.equal("recorded", &first.event, &second.event);
    faults.0
}

/// Repeated fields as one line each: a host may join them, and that means the same (RFC 9110 §5.3).
fn joined(fields: &Fields) -> Fields {
    fields.iter().map(|(name, lines)| (name.clone(), vec![lines.join(", ")])).collect()
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn note(&mut self, fault: String) {
        self.0.push(fault);
    }

    /// What should be, or what the first host has, stands before the bar.
    fn equal<T: PartialEq + Debug>(&mut self, what: &str, wanted: &T, found: &T) {
        if wanted != found {
            self.note(format!("{what}: {wanted:?} | {found:?}"));
        }
    }

    fn bytes(&mut self, what: &str, wanted: &Bytes, found: &Bytes) {
        if wanted != found {
            let at =
                wanted.iter().zip(found).position(|(a, b)| a != b).unwrap_or(wanted.len().min(found.len()));
            let sizes = format!("{} | {} bytes, different from byte {at} on", wanted.len(), found.len());
            self.note(format!("{what}: {sizes}: {} | {}", show(wanted), show(found)));
        }
    }

    fn fields(&mut self, what: &str, first: &Fields, second: &Fields) {
        let every: BTreeMap<&String, ()> = first.keys().chain(second.keys()).map(|name| (name, ())).collect();
        for name in every.into_keys() {
            let of =
                |fields: &Fields| fields.get(name).map_or("absent".to_owned(), |lines| format!("{lines:?}"));
            if of(first) != of(second) {
                self.note(format!("{what} `{name}`: {} | {}", of(first), of(second)));
            }
        }
    }

    fn field(&mut self, what: &str, name: &str, wish: &FieldWish, fields: &Fields) {
        let lines = fields.get(&name.to_ascii_lowercase()).map(Vec::as_slice).unwrap_or_default();
        let holds = match wish {
            FieldWish::Lines(wanted) => lines == wanted,
            FieldWish::Contains(part) => lines.iter().any(|line| line.contains(part.as_str())),
            FieldWish::Matches(wanted) => matches!(lines, [line] if matches(wanted, line)),
            FieldWish::Present => !lines.is_empty(),
            FieldWish::Absent => lines.is_empty(),
        };
        if !holds {
            let found = if lines.is_empty() { "absent".to_owned() } else { format!("{lines:?}") };
            self.note(format!("{what}: {wish:?} | {found}"));
        }
    }

    fn body(&mut self, what: &str, wish: &BodyWish, body: &Bytes) {
        let text = String::from_utf8_lossy(body);
        match wish {
            BodyWish::Exact(wanted) => self.bytes(what, &Bytes::from(wanted.clone()), body),
            BodyWish::Generated(size) => self.bytes(what, &pattern::content(*size), body),
            BodyWish::Contains(part) if !text.contains(part.as_str()) => {
                self.note(format!("{what}: lacks {part:?}: {}", show(body)));
            }
            BodyWish::Lacks(part) if text.contains(part.as_str()) => {
                self.note(format!("{what}: contains {part:?}: {}", show(body)));
            }
            BodyWish::Contains(_) | BodyWish::Lacks(_) => {}
            BodyWish::Json(wanted) => match serde_json::from_slice::<Value>(body) {
                Ok(found) => {
                    if let Err(fault) = holds(wanted, &found, "") {
                        self.note(format!("{what}: {fault}: {}", show(body)));
                    }
                }
                Err(_) => self.note(format!("{what}: not JSON: {}", show(body))),
            },
        }
    }

    /// A refusal says the same in the content, in the head and in the record (RFC 9457).
    fn refusal(&mut self, code: &str, observed: &Observed) {
        let id =
            observed.headers.get("x-request-id").and_then(|lines| lines.first()).cloned().unwrap_or_default();
        // To `HEAD` and where the content is not ours to see, the record has to do.
        if !observed.body.is_empty() {
            let wanted = serde_json::json!({
                "type": format!("urn:tollgate:problem:{code}"),
                "status": observed.status,
                "instance": format!("urn:tollgate:request:{id}"),
            });
            self.body("problem", &BodyWish::Json(wanted), &observed.body);
        }
        let json = FieldWish::Lines(vec!["application/problem+json".to_owned()]);
        self.field("header `content-type`", "content-type", &json, &observed.headers);
        let recorded =
            observed.event.as_ref().and_then(|event| event.get("refusal")).map_or("", String::as_str);
        self.equal("recorded refusal", &code, &recorded);
    }

    fn requests(&mut self, name: &str, wishes: &[SeenWish], asked: &[Shown]) {
        if wishes.len() != asked.len() {
            self.note(format!(
                "upstream `{name}` was asked {} times, not {}: {}",
                asked.len(),
                wishes.len(),
                lines(asked)
            ));
            return;
        }
        for (number, (wish, shown)) in wishes.iter().zip(asked).enumerate() {
            let what = format!("request {} to `{name}`", number + 1);
            if let Some(method) = &wish.method {
                self.equal(&format!("{what}: method"), method, &shown.method);
            }
            if let Some(path) = &wish.path {
                self.equal(&format!("{what}: path"), path, &shown.path);
            }
            for (field, wish) in &wish.headers {
                self.field(&format!("{what}: header `{field}`"), field, wish, &shown.headers);
            }
            if let Some(wish) = &wish.body {
                self.body(&format!("{what}: body"), wish, &shown.body);
            }
        }
    }
}

/// Whether a text is of the form of `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(after, &rest[at..]))
        }),
    }
}

/// Whether `found` holds at least what is wanted. Lists have to be as long as wanted.
fn holds(wanted: &Value, found: &Value, path: &str) -> Result<(), String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().try_for_each(|(name, wanted)| {
            let path = format!("{path}/{name}");
            found
                .get(name)
                .map_or_else(|| Err(format!("`{path}` is missing")), |found| holds(wanted, found, &path))
        }),
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            let mut pairs = wanted.iter().zip(found).enumerate();
            pairs.try_for_each(|(index, (wanted, found))| holds(wanted, found, &format!("{path}/{index}")))
        }
        _ if wanted == found => Ok(()),
        _ => Err(format!("`{path}`: {wanted} | {found}")),
    }
}

fn lines(asked: &[Shown]) -> String {
    let listed: Vec<String> = asked.iter().map(|shown| format!("{} {}", shown.method, shown.path)).collect();
    format!("{listed:?}")
}

fn show(bytes: &Bytes) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).into_owned();
    if bytes.len() > SHOWN { format!("{text:?}…") } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, wanted) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abcd", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn json_may_hold_more_than_is_wanted_but_lists_may_not() {
        assert!(holds(&json!({"a": {"b": 1}}), &json!({"a": {"b": 1, "c": 2}}), "").is_ok());
        assert_eq!(holds(&json!({"a": {"b": 1}}), &json!({"a": {}}), "").unwrap_err(), "`/a/b` is missing");
        assert_eq!(holds(&json!([1]), &json!([1, 2]), "").unwrap_err(), "``: [1] | [1,2]");
        assert_eq!(holds(&json!([1, 2]), &json!([1, 3]), "").unwrap_err(), "`/1`: 2 | 3");
    }
}
