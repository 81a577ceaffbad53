//! From the marked tree to the document, by serde, without stopping at the first mistake.
//!
//! A value of the wrong type is noted and replaced by an empty one, an unknown key is noted and skipped;
//! only a missing key gives up its mapping. So one run lists what a user has to mend.

use std::{cell::RefCell, fmt};

use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::StrDeserializer,
    },
};

use super::{
    node::{Key, Node, Scalar, Value},
    planned,
    problem::{Problem, nearest},
};

/// Collects what decoding finds.
#[derive(Default)]
pub(crate) struct Findings {
    problems: RefCell<Vec<Problem>>,
}

impl Findings {
    pub(crate) fn push(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub(crate) fn any(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// Decodes a node. `None` when too much is missing; the findings say what.
/// `elsewhere` are keys of this mapping which others read.
pub(crate) fn decode<T: DeserializeOwned>(node: &Node, elsewhere: &[&str], findings: &Findings) -> Option<T> {
    T::deserialize(Decoder { node, elsewhere, findings }).ok()
}

#[derive(Clone, Copy)]
struct Decoder<'n> {
    node: &'n Node,
    elsewhere: &'n [&'n str],
    findings: &'n Findings,
}

/// Why decoding of one value gave up.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The finding is noted already.
    Noted,
    /// To be noted at the mapping that is being decoded.
    Unnoted(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noted => f.write_str("noted"),
            Self::Unnoted(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Unnoted(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Unnoted(format!("the key `{field}` is missing"))
    }
}

impl<'n> Decoder<'n> {
    fn note(&self, problem: Problem) {
        self.findings.push(problem);
    }

    fn at(&self, node: &'n Node) -> Self {
        Self { node, elsewhere: &[], findings: self.findings }
    }

    fn scalar(&self) -> Option<&'n Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Notes that something else was wanted.
    fn wanted(&self, what: &str) {
        let found = match self.scalar() {
            Some(scalar) => format!("`{}`", scalar.shown()),
            None => self.node.kind().to_owned(),
        };
        self.note(Problem::error(self.node.span, format!("expected {what}, found {found}")));
    }

    /// Turns an error that names no place into a finding at this node.
    fn located<T>(&self, outcome: Result<T, Fault>) -> Result<T, Fault> {
        outcome.map_err(|fault| {
            if let Fault::Unnoted(message) = fault {
                self.note(Problem::error(self.node.span, message));
            }
            Fault::Noted
        })
    }

    fn number<T: std::str::FromStr + Default>(&self, what: &str) -> T {
        let parsed = self
            .scalar()
            .filter(|scalar| scalar.plain || scalar.written.is_some())
            .and_then(|scalar| scalar.text.replace('_', "").parse().ok());
        parsed.unwrap_or_else(|| {
            self.wanted(what);
            T::default()
        })
    }

    fn unknown(&self, structure: &str, key: &Key, fields: &[&str]) {
        if let Some(when) = planned::key(structure, &key.name) {
            self.note(
                Problem::error(
                    key.span,
                    format!("the key `{}` is not carried out by this version", key.name),
                )
                .cure(when),
            );
            return;
        }
        let by_hand = BY_HAND.iter().filter(|(owner, _)| *owner == structure).map(|(_, key)| key);
        let known = || fields.iter().chain(self.elsewhere).chain(by_hand.clone()).copied();
        let problem = Problem::error(key.span, format!("unknown key `{}`", key.name));
        self.note(match nearest(&key.name, known()) {
            Some(near) => problem.cure(format!("did you mean `{near}`?")),
            None => problem.cure(format!("known keys are: {}", known().collect::<Vec<_>>().join(", "))),
        });
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty, $what:literal;)*) => {
        $(fn $method<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
            let number: $type = self.number($what);
            self.located(visitor.$visit(number))
        })*
    };
}

impl<'n> Deserializer<'n> for Decoder<'n> {
    type Error = Fault;

    numbers! {
        deserialize_u8 visit_u8 u8, "a number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number";
        deserialize_u64 visit_u64 u64, "a whole number";
        deserialize_i8 visit_i8 i8, "a whole number";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_bool<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = match self.scalar().map(|scalar| scalar.text.as_str()) {
            Some("true" | "True" | "TRUE") => true,
            Some("false" | "False" | "FALSE") => false,
            _ => {
                self.wanted("`true` or `false`");
                false
            }
        };
        visitor.visit_bool(value)
    }

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        let outcome = match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::List(items) => visitor.visit_seq(Items { items: items.iter(), of: self }),
            Value::Map(entries) => visitor.visit_map(Entries::all(entries, self)),
            Value::Scalar(Scalar { text, plain: true, .. }) if text == "true" => visitor.visit_bool(true),
            Value::Scalar(Scalar { text, plain: true, .. }) if text == "false" => visitor.visit_bool(false),
            Value::Scalar(scalar) => match scalar.text.parse::<u64>() {
                Ok(number) if scalar.plain => visitor.visit_u64(number),
                _ => visitor.visit_borrowed_str(&scalar.text),
            },
        };
        self.located(outcome)
    }

    fn deserialize_str<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.scalar().map_or_else(
            || {
                self.wanted("a text");
                ""
            },
            |scalar| scalar.text.as_str(),
        );
        self.located(visitor.visit_borrowed_str(text))
    }

    fn deserialize_string<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.scalar() {
            Some(scalar) if name == TEXT_OR => self.located(visitor.visit_borrowed_str(&scalar.text)),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        if !matches!(self.node.value, Value::List(_) | Value::Null) {
            self.wanted("a list");
        }
        self.located(visitor.visit_seq(Items { items: self.node.items().iter(), of: self }))
    }

    fn deserialize_map<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Map(entries) => self.located(visitor.visit_map(Entries::all(entries, self))),
            Value::Null => self.located(visitor.visit_map(Entries::all(&[], self))),
            _ => {
                self.wanted("a mapping");
                self.located(visitor.visit_map(Entries::all(&[], self)))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let entries: &[(Key, Node)] = match &self.node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => {
                self.wanted("a mapping");
                return Err(Fault::Noted);
            }
        };
        let mut known: Vec<&(Key, Node)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = &entry.0;
            if !fields.contains(&key.name.as_str()) {
                if !self.elsewhere.contains(&key.name.as_str())
                    && !BY_HAND.contains(&(name, key.name.as_str()))
                {
                    self.unknown(name, key, fields);
                }
            } else if known.iter().all(|(seen, _)| seen.name != key.name) {
                known.push(entry);
            }
        }
        let access = Entries { entries: known, next: 0, of: self };
        self.located(visitor.visit_map(access))
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Some(scalar) = self.scalar() else {
            self.wanted(&format!("one of {}", variants.join(", ")));
            return Err(Fault::Noted);
        };
        match variants.iter().find(|variant| **variant == scalar.text) {
            Some(variant) => {
                let deserializer: StrDeserializer<'_, Fault> = (*variant).into_deserializer();
                self.located(visitor.visit_enum(deserializer))
            }
            None => {
                let problem = Problem::error(self.node.span, format!("unknown value `{}`", scalar.shown()));
                self.note(match nearest(&scalar.text, variants.iter().copied()) {
                    Some(near) => problem.cure(format!("did you mean `{near}`?")),
                    None => problem.cure(format!("known values are: {}", variants.join(", "))),
                });
                Err(Fault::Noted)
            }
        }
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'n>>
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// The name by which [`text_or`] tells the decoder what is wanted, as serde has no word for it.
const TEXT_OR: &str = "text, or something else";

/// Reads what may be a text or a structure: a text is visited as one, anything else as `some`.
pub(crate) fn text_or<'n, D: Deserializer<'n>, V: Visitor<'n>>(
    deserializer: D,
    visitor: V,
) -> Result<V::Value, D::Error> {
    deserializer.deserialize_newtype_struct(TEXT_OR, visitor)
}

/// Keys that [`super::document`] reads itself, member by member: because their shape depends on a `type`,
/// or so that a member beyond repair does not take its neighbours along.
const BY_HAND: [(&str, &str); 6] = [
    ("Document", "policies"),
    ("Document", "routes"),
    ("Document", "route_overrides"),
    ("Document", "services"),
    ("Route", "policies"),
    ("Override", "policies"),
];

struct Items<'n> {
    items: std::slice::Iter<'n, Node>,
    of: Decoder<'n>,
}

impl<'n> SeqAccess<'n> for Items<'n> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault>
    where
        T::Value: Sized,
    {
        self.items.next().map(|item| seed.deserialize(self.of.at(item))).transpose()
    }
}

struct Entries<'n> {
    entries: Vec<&'n (Key, Node)>,
    next: usize,
    of: Decoder<'n>,
}

impl<'n> Entries<'n> {
    fn all(entries: &'n [(Key, Node)], of: Decoder<'n>) -> Self {
        Self { entries: entries.iter().collect(), next: 0, of }
    }
}

impl<'n> MapAccess<'n> for Entries<'n> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((key, _)) = self.entries.get(self.next) else { return Ok(None) };
        let deserializer: de::value::BorrowedStrDeserializer<'n, Fault> =
            de::value::BorrowedStrDeserializer::new(&key.name);
        seed.deserialize(deserializer).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((_, node)) = self.entries.get(self.next) else { return Err(Fault::Noted) };
        self.next += 1;
        seed.deserialize(self.of.at(node))
    }
}
