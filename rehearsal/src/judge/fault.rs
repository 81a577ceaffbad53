//! One difference between what should be and what is, and how texts are shown in it.

use std::{collections::BTreeSet, fmt};

use bytes::Bytes;

use super::json;
use crate::{
    case::expect::{BodyWish, FieldWish, SeenWish},
    observed::{Fields, Shown},
    pattern,
};

/// Longer texts are cut when they are shown.
const SHOWN: usize = 400;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: `status`, `header \`via\``, `body /result/allow`.
    pub what: String,
    /// What should be there, or what the first host has.
    pub wanted: String,
    /// What is there.
    pub found: String,
}

/// On one line, what should be before the bar.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} | {}", self.what, self.wanted, self.found)
    }
}

/// Those that were found, in the order in which they were looked for.
#[derive(Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    pub(super) fn note(
        &mut self,
        what: impl Into<String>,
        wanted: impl Into<String>,
        found: impl Into<String>,
    ) {
        self.0.push(Fault { what: what.into(), wanted: wanted.into(), found: found.into() });
    }

    pub(super) fn equal<T: PartialEq + fmt::Debug>(&mut self, what: &str, wanted: &T, found: &T) {
        if wanted != found {
            self.note(what, format!("{wanted:?}"), format!("{found:?}"));
        }
    }

    pub(super) fn bytes(&mut self, what: &str, wanted: &Bytes, found: &Bytes) {
        if wanted == found {
            return;
        }
        let members = json::unequal(what, wanted, found);
        if !members.is_empty() {
            self.0.extend(members);
            return;
        }
        let at = wanted.iter().zip(found).position(|(a, b)| a != b).unwrap_or(wanted.len().min(found.len()));
        let long = wanted.len().max(found.len()) > SHOWN;
        let what = if long { format!("{what}, different from byte {at} on") } else { what.to_owned() };
        let sized = |bytes: &Bytes| match long {
            true => format!("{} bytes: {}", bytes.len(), show(bytes)),
            false => show(bytes),
        };
        self.note(what, sized(wanted), sized(found));
    }

    pub(super) fn fields(&mut self, what: &str, first: &Fields, second: &Fields) {
        let every: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
        for name in every {
            let of = |fields: &Fields| fields.get(name).map_or_else(|| "absent".to_owned(), |own| lines(own));
            if of(first) != of(second) {
                self.note(format!("{what} `{name}`"), of(first), of(second));
            }
        }
    }

    pub(super) fn field(&mut self, what: &str, name: &str, wish: &FieldWish, fields: &Fields) {
        let found = fields.get(&name.to_ascii_lowercase()).map(Vec::as_slice).unwrap_or_default();
        let holds = match wish {
            FieldWish::Lines(wanted) => found == wanted,
            FieldWish::Contains(part) => found.iter().any(|line| line.contains(part.as_str())),
            FieldWish::Matches(wanted) => matches!(found, [line] if pattern::matches(wanted, line)),
            FieldWish::Present => !found.is_empty(),
            FieldWish::Absent => found.is_empty(),
        };
        if !holds {
            let wanted = match wish {
                FieldWish::Lines(wanted) => lines(wanted),
                FieldWish::Contains(part) => format!("contains {part:?}"),
                FieldWish::Matches(wanted) => format!("matches {wanted:?}"),
                FieldWish::Present => "present".to_owned(),
                FieldWish::Absent => "absent".to_owned(),
            };
            self.note(what, wanted, if found.is_empty() { "absent".to_owned() } else { lines(found) });
        }
    }

    pub(super) fn body(&mut self, what: &str, wish: &BodyWish, body: &Bytes) {
        let text = String::from_utf8_lossy(body);
        let (holds, wanted) = match wish {
            BodyWish::Exact(wanted) => return self.bytes(what, &Bytes::from(wanted.clone()), body),
            BodyWish::Generated(size) => return self.bytes(what, &pattern::content(*size), body),
            BodyWish::Json(wanted) => return self.0.extend(json::lacking(what, wanted, body)),
            BodyWish::Contains(part) => (text.contains(part.as_str()), format!("contains {part:?}")),
            BodyWish::Lacks(part) => (!text.contains(part.as_str()), format!("lacks {part:?}")),
            BodyWish::Matches(wanted) => (pattern::matches(wanted, &text), format!("matches {wanted:?}")),
        };
        if !holds {
            self.note(what, wanted, show(body));
        }
    }

    /// What an upstream was asked, one by one.
    pub(super) fn requests(&mut self, name: &str, wishes: &[SeenWish], asked: &[Shown]) {
        if wishes.len() != asked.len() {
            self.times(name, wishes.len(), asked);
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
            for (field, wish) in &wish.trailers {
                self.field(&format!("{what}: trailer `{field}`"), field, wish, &shown.trailers);
            }
            if let (Some(wanted), Some(over)) = (wish.over, shown.over) {
                self.equal(&format!("{what}: over"), &format!("{wanted:?}"), &format!("{over:?}"));
            }
        }
    }

    /// How often an upstream was asked.
    pub(super) fn times(&mut self, name: &str, wanted: usize, asked: &[Shown]) {
        if wanted != asked.len() {
            self.note(format!("requests to `{name}`"), wanted.to_string(), requests(asked));
        }
    }
}

/// How many requests, and which.
pub(super) fn requests(asked: &[Shown]) -> String {
    if asked.is_empty() {
        return "0".to_owned();
    }
    let listed: Vec<String> = asked.iter().map(|shown| format!("{} {}", shown.method, shown.path)).collect();
    format!("{}: {}", asked.len(), listed.join(", "))
}

/// One line as it is, several as a list.
fn lines(lines: &[String]) -> String {
    match lines {
        [line] => format!("{line:?}"),
        lines => format!("{lines:?}"),
    }
}

/// Content as a text in quotes, cut where it is long.
pub(super) fn show(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..SHOWN).unwrap_or(bytes)).into_owned();
    if bytes.len() > SHOWN { format!("{text:?}…") } else { format!("{text:?}") }
}
