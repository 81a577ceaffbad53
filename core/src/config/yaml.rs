//! YAML (and so JSON) into the marked tree. The only room that knows the YAML library.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Options, Spanned};

use super::{
    node::{Key, Node, Scalar, Span, Value},
    problem::Problem,
};

/// Reads the text of file number `file`.
#[expect(clippy::result_large_err, reason = "asked a few times, when a configuration is loaded")]
pub(crate) fn parse(file: usize, text: &str) -> Result<Node, Problem> {
    let mut options = Options::default();
    // Repeated keys are reported by us, all of them and with both places.
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    match serde_saphyr::from_str_with_options::<Option<Marked>>(text, options) {
        Ok(Some(marked)) => Ok(marked.into_node(file, text)),
        Ok(None) => {
            Ok(Node { span: Span { file, line: 1, column: 1, length: 1 }, value: Value::Map(Vec::new()) })
        }
        Err(error) => {
            let place = error.location();
            let line = place.map_or(0, |place| saturate(place.line()));
            let column = place.map_or(0, |place| saturate(place.column()));
            let span = Span { file, line, column, length: 1 };
            let message = error.without_snippet().to_string();
            // The library repeats the place in its own words; ours stands in front already.
            let message = message.split(" at line ").next().unwrap_or_default().to_owned();
            Err(Problem::error(
                span,
                format!("this is not YAML: {}", message.lines().next().unwrap_or_default()),
            ))
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
    /// A number, whose spelling stands in the source: `1.10` must not become `1.1`.
    Number(String),
    List(Vec<Marked>),
    Map(Vec<(Spanned<String>, Marked)>),
}

impl Marked {
    fn into_node(self, file: usize, text: &str) -> Node {
        let place = self.0.referenced;
        let source = source_of(&place, text);
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
            Raw::Number(value) => {
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
        Ok(Raw::Scalar(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
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
