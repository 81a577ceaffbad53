//! YAML (and so JSON) into the marked tree. The only room that knows the YAML library.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{
    Budget, DuplicateKeyPolicy, Error, NonFiniteFloatPolicy, Options, Spanned, budget::BudgetBreach,
};

use super::{
    node::{Key, Node, Scalar, Span, Value},
    problem::Problem,
};

/// Values in a file at most, aliases expanded; tens of thousands of routes have room.
const MAX_VALUES: usize = 1_000_000;

/// Mappings and lists within one another at most. A configuration has eight; each level takes its share of the
/// stack, of which WebAssembly has little.
const MAX_DEPTH: usize = 16;

/// Reads the text of file number `file`.
#[allow(clippy::result_large_err, reason = "asked a few times, when a configuration is loaded")]
pub(crate) fn parse(file: usize, text: &str) -> Result<Node, Problem> {
    match serde_saphyr::from_str_with_options::<Option<Marked>>(text, options()) {
        Ok(Some(marked)) => Ok(marked.into_node(file, text)),
        Ok(None) => {
            Ok(Node { span: Span { file, line: 1, column: 1, length: 1 }, value: Value::Map(Vec::new()) })
        }
        Err(error) => {
            let place = error.location();
            let line = place.map_or(0, |place| saturate(place.line()));
            let column = place.map_or(0, |place| saturate(place.column()));
            let problem = refused(Span { file, line, column, length: 1 }, error.without_snippet());
            Err(if has_bare_variable(text, line, column) {
                problem.cure("put `${…}` into quotes: elsewhere a brace opens or closes a mapping")
            } else {
                problem
            })
        }
    }
}

/// Whether the line, up to a mistake, holds a `${` that YAML takes for a mapping.
fn has_bare_variable(text: &str, line: u32, column: u32) -> bool {
    let line = text.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
    let before: String = line.chars().take(column as usize).collect();
    [": ${", "[${", "[ ${", ", ${"].iter().any(|bare| before.contains(bare))
}

fn options() -> Options {
    let mut options = Options::default();
    // Repeated keys are reported by us, all of them and with both places.
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    // YAML 1.2: a service may be called `no` or `on`.
    options.strict_booleans = true;
    options.non_finite_float_policy = NonFiniteFloatPolicy::AsString;
    // A tag would ask for something that nothing here carries out.
    options.reject_unsupported_tags = true;
    let mut budget = Budget::default();
    budget.max_nodes = MAX_VALUES;
    budget.max_events = 4 * MAX_VALUES;
    budget.max_depth = MAX_DEPTH;
    budget.max_recorded_anchor_events = MAX_VALUES / 10;
    options.budget = Some(budget);
    options
}

const TOO_DEEP: &str = "this is nested too deeply to be a configuration";

/// The library speaks to programmers; this is for who wrote the file.
fn refused(span: Span, error: &Error) -> Problem {
    match error {
        Error::AliasError { error, .. } => refused(span, error),
        Error::MultipleDocuments { .. } => Problem::error(span, "a second YAML document begins here")
            .cure("write one document a file; other files are merged in by `include`"),
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => Problem::error(span, TOO_DEEP),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => Problem::error(
            span,
            "up to here the file, its aliases expanded, is too large to be a configuration",
        ),
        Error::UnknownAnchor { .. } => Problem::error(span, "there is no such anchor before this alias"),
        // Only keys have to be texts here.
        Error::NullIntoString { .. } | Error::Unexpected { expected: "string scalar", .. } => {
            Problem::error(span, "a key is a text, and this is none")
        }
        Error::MergeValueNotMapOrSeqOfMaps { .. } => {
            Problem::error(span, "`<<` merges a mapping, or a list of mappings, and this is neither")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            Problem::error(span, "this alias stands within what it stands for")
        }
        Error::UnsupportedTag { tag, .. } => {
            Problem::error(span, format!("the tag `{tag}` means nothing here")).cure("leave it out")
        }
        _ => {
            let message = error.to_string();
            // The library repeats the place in its own words; ours stands in front already.
            let message = message.split(" at line ").next().unwrap_or_default();
            let message = message.lines().next().unwrap_or_default();
            if message == "recursion limit exceeded" {
                return Problem::error(span, TOO_DEEP);
            }
            Problem::error(span, format!("this is not YAML: {message}"))
                .cure("look here and just before for an open bracket or quote, a tab, or lines that are not aligned")
        }
    }
}

fn saturate(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

struct Marked(Spanned<Raw>);

enum Raw {
    Null,
    Scalar(String),
    /// A number or truth value, whose spelling stands in the source: `1.10` must not become `1.1`.
    Plain(String),
    List(Vec<Marked>),
    Map(Vec<(Spanned<String>, Marked)>),
}

impl Marked {
    fn into_node(self, file: usize, text: &str) -> Node {
        // An alias stands where it is used, but is spelt where it is defined.
        let place = self.0.referenced;
        let source = source_of(&self.0.defined, text);
        let value = match self.0.value {
            Raw::Null => Value::Null,
            Raw::List(items) => {
                Value::List(items.into_iter().map(|item| item.into_node(file, text)).collect())
            }
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, node)| {
                        let span = span(file, &key.referenced);
                        (Key { name: key.value, span }, node.into_node(file, text))
                    })
                    .collect(),
            ),
            Raw::Plain(value) => {
                let spelled = source.map_or(value, str::to_owned);
                Value::Scalar(Scalar { text: spelled, plain: true, written: None })
            }
            Raw::Scalar(value) => {
                let plain = !matches!(source.and_then(|s| s.chars().next()), Some('"' | '\'' | '|' | '>'));
                Value::Scalar(Scalar { text: value, plain, written: None })
            }
        };
        Node { span: span(file, &place), value }
    }
}

fn source_of<'t>(place: &serde_saphyr::Location, text: &'t str) -> Option<&'t str> {
    let start = usize::try_from(place.span().byte_offset()?).ok()?;
    let length = usize::try_from(place.span().byte_len()?).ok()?;
    text.get(start..start.checked_add(length)?)
}

fn span(file: usize, place: &serde_saphyr::Location) -> Span {
    let length = saturate(place.span().len());
    Span { file, line: saturate(place.line()), column: saturate(place.column()), length }
}

impl<'de> Deserialize<'de> for Marked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
