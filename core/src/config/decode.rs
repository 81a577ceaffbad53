//! From the marked tree to the document, by serde, without stopping at the first mistake.
//!
//! A value that can't be read is noted and passed over, and so is an unknown key; for a key that is missing
//! an empty value stands in. So one run lists what a user has to mend, and what stood in is not complained of.

mod fault;

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
};

use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::StrDeserializer,
    },
};

pub(crate) use self::fault::Fault;
use super::{
    findings::Findings,
    node::{Key, Node, Scalar, Span, Value},
    planned,
    problem::{Problem, nearest},
};

/// Mappings with mistakes that are read anew at most, so that a file of nothing but mistakes ends in time.
const MAX_PASSES: usize = 64;

/// Decodes a node. `None` where it is nothing of the kind; the findings say what it lacks.
/// `elsewhere` are keys of this mapping which others read.
pub(crate) fn decode<T: DeserializeOwned>(node: &Node, elsewhere: &[&str], findings: &Findings) -> Option<T> {
    let passes = Passes::default();
    for _ in 0..MAX_PASSES {
        if let Ok(value) = T::deserialize(Decoder { node, elsewhere, findings, passes: &passes }) {
            return Some(value);
        }
        // serde gives a mapping up at its first mistake. The mistake is known now, so the next pass gets by.
        if !passes.learnt.take() {
            break;
        }
    }
    None
}

/// What earlier passes have found out.
#[derive(Default)]
struct Passes {
    /// Values that can't be read: they are treated as not written.
    beyond: RefCell<HashSet<*const Node>>,
    /// Keys that mappings lack: something empty is read for them.
    lacking: RefCell<HashSet<(*const Node, &'static str)>>,
    /// Keys that mappings lack because they were misspelt, or something stands for them that is not carried out
    /// yet. That is said there.
    excused: RefCell<HashSet<(*const Node, String)>>,
    learnt: Cell<bool>,
}

impl Passes {
    fn give_up(&self, node: &Node) {
        if self.beyond.borrow_mut().insert(node) {
            self.learnt.set(true);
        }
    }

    fn lacks(&self, node: &Node, key: &'static str) {
        if self.lacking.borrow_mut().insert((node, key)) {
            self.learnt.set(true);
        }
    }

    fn has_given_up(&self, node: &Node) -> bool {
        self.beyond.borrow().contains(&std::ptr::from_ref(node))
    }
}

/// Stands in for the value of a key that is missing.
static NOTHING: Node = Node { span: Span { file: 0, line: 0, column: 0, length: 0 }, value: Value::Null };

#[derive(Clone, Copy)]
struct Decoder<'n> {
    node: &'n Node,
    elsewhere: &'n [&'n str],
    findings: &'n Findings,
    passes: &'n Passes,
}

impl<'n> Decoder<'n> {
    fn note(&self, problem: Problem) {
        self.findings.push(problem);
    }

    fn at(&self, node: &'n Node) -> Self {
        Self { node, elsewhere: &[], ..*self }
    }

    fn scalar(&self) -> Option<&'n Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Notes what keeps this node from being read, unless it is no node of the document.
    fn unreadable(&self, problem: impl FnOnce() -> Problem) {
        if !std::ptr::eq(self.node, &NOTHING) {
            self.findings.unreadable(self.node.span, problem());
        }
    }

    /// Notes that something else was wanted.
    fn wanted(&self, what: &str) {
        self.unreadable(|| {
            let found = match self.scalar() {
                Some(scalar) if scalar.is_literal() => format!("the text `{}`", scalar.shown()),
                Some(scalar) => format!("`{}`", scalar.shown()),
                None => self.node.kind().to_owned(),
            };
            Problem::error(self.node.span, format!("expected {what}, found {found}"))
        });
    }

    /// Gives the node up, once what is wrong with it is noted.
    fn beyond<T>(&self) -> Result<T, Fault> {
        self.passes.give_up(self.node);
        Err(Fault::Noted)
    }

    /// Turns an error that names no place into a finding at this node.
    fn located<T>(&self, outcome: Result<T, Fault>) -> Result<T, Fault> {
        match outcome {
            Ok(value) => return Ok(value),
            Err(Fault::Noted) => return Err(Fault::Noted),
            Err(Fault::Unnoted(message)) => self.unreadable(|| Problem::error(self.node.span, message)),
            Err(Fault::Wanted(what)) => self.wanted(&what),
            Err(Fault::Missing(key)) => self.lacks(key),
        }
        self.beyond()
    }

    fn lacks(&self, key: &'static str) {
        if !std::ptr::eq(self.node, &NOTHING) {
            let span = self.node.span;
            self.findings.lacking(span, Problem::error(span, format!("the key `{key}` is missing")));
        }
    }

    fn number<T: std::str::FromStr + Default>(&self, what: &str) -> T {
        let digits = |scalar: &Scalar| {
            !scalar.text.is_empty() && scalar.text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let read = |text: &str| text.replace('_', "").parse().ok();
        let too_large = self.scalar().is_some_and(|scalar| digits(scalar) && read(&scalar.text).is_none());
        self.plain(if too_large { "a smaller number" } else { what }, read).unwrap_or_default()
    }

    /// What a scalar without quotes means.
    fn plain<T>(&self, what: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let meant = self.scalar().and_then(|scalar| Some((scalar, read(&scalar.text)?)));
        match meant {
            Some((scalar, value)) if !scalar.is_literal() => return Some(value),
            Some((scalar, _)) => self.unreadable(|| {
                let message = format!("expected {what}, found the text `{}`", scalar.shown());
                Problem::error(self.node.span, message).cure("leave the quotes out")
            }),
            None => self.wanted(what),
        }
        None
    }

    fn unknown(&self, structure: &str, key: &Key, fields: &[&str]) {
        let excuse = |missing: &str| {
            if self.node.get(missing).is_none() {
                self.passes.excused.borrow_mut().insert((self.node, missing.to_owned()));
                self.findings.pass_over(self.node.span);
            }
        };
        if let Some(when) = planned::key(structure, &key.name) {
            fields
                .iter()
                .filter(|field| when.contains(&format!("`{field}`")))
                .for_each(|field| excuse(field));
            self.note(
                Problem::error(
                    key.span,
                    format!("the key `{}` is not carried out by this version", key.name),
                )
                .cure(when),
            );
            return;
        }
        let by_hand = BY_HAND.iter().filter(|(owner, _)| *owner == structure).map(|(_, key)| *key);
        let known: Vec<&str> = fields.iter().chain(self.elsewhere).copied().chain(by_hand).collect();
        let problem = Problem::error(key.span, format!("unknown key `{}`", key.name));
        self.note(match nearest(&key.name, known.iter().copied()) {
            Some(near) => {
                excuse(near);
                problem.cure(format!("did you mean `{near}`?"))
            }
            None => problem.cure(format!("known keys are: {}", known.join(", "))),
        });
    }

    /// The entries of a mapping that are to be read: known, given a value, and not given up.
    fn entries(&self, name: &str, fields: &[&str], entries: &'n [(Key, Node)]) -> Vec<(&'n str, &'n Node)> {
        let mut known: Vec<(&str, &Node)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let owned = fields.contains(&key.name.as_str());
            let others =
                || self.elsewhere.contains(&key.name.as_str()) || BY_HAND.contains(&(name, &key.name));
            if value.value == Value::Null && planned::key(name, &key.name).is_some() {
                // Nothing is asked for.
            } else if !owned && !others() {
                self.unknown(name, key, fields);
            } else if value.value == Value::Null && !OFF_BY_NULL.contains(&(name, &key.name)) {
                let problem = Problem::error(key.span, format!("the key `{}` has no value", key.name));
                self.note(problem.cure("give it one, or leave the key out"));
                self.findings.pass_over(value.span);
                self.findings.pass_over(self.node.span);
            } else if owned
                && !self.passes.has_given_up(value)
                && known.iter().all(|(seen, _)| *seen != key.name)
            {
                known.push((&key.name, value));
            }
        }
        known
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
        deserialize_u32 visit_u32 u32, "a whole number without sign";
        deserialize_u64 visit_u64 u64, "a whole number without sign";
        deserialize_i8 visit_i8 i8, "a whole number";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_bool<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        let read = |text: &str| match text {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        };
        let value = self.plain("`true` or `false`", read).unwrap_or_default();
        visitor.visit_bool(value)
    }

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        let outcome = match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::List(items) => visitor.visit_seq(Items { items: items.iter(), of: self }),
            Value::Map(entries) => visitor.visit_map(Entries::all(entries, self)),
            Value::Scalar(scalar) => visitor.visit_borrowed_str(&scalar.text),
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
        match &self.node.value {
            Value::Map(_) if name == MAPPING_OR => self.located(visitor.visit_newtype_struct(self)),
            _ if name == MAPPING_OR => self.deserialize_any(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(_) => {}
            Value::Scalar(scalar) => self.unreadable(|| {
                let message = format!("expected a list, found `{}`", scalar.shown());
                Problem::error(self.node.span, message).cure(format!("write `[{}]`", scalar.shown()))
            }),
            _ => self.wanted("a list"),
        }
        let mut items = self.node.items();
        // Places are found by counting, so a list is whole or empty.
        if items.iter().any(|item| self.passes.has_given_up(item)) {
            self.findings.pass_over(self.node.span);
            items = &[];
        }
        self.located(visitor.visit_seq(Items { items: items.iter(), of: self }))
    }

    fn deserialize_map<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Value::Map(entries) = &self.node.value else {
            self.wanted("a mapping");
            return self.located(visitor.visit_map(Entries::all(&[], self)));
        };
        self.located(visitor.visit_map(Entries::all(entries, self)))
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let entries: &[(Key, Node)] = match &self.node.value {
            Value::Map(entries) => entries,
            _ => {
                self.wanted("a mapping");
                if !std::ptr::eq(self.node, &NOTHING) {
                    return self.beyond();
                }
                &[]
            }
        };
        let mut known = self.entries(name, fields, entries);
        let lacking =
            |field: &&str| self.passes.lacking.borrow().contains(&(std::ptr::from_ref(self.node), *field));
        known.extend(fields.iter().copied().filter(lacking).map(|field| (field, &NOTHING)));
        match visitor.visit_map(Entries { entries: known, next: 0, of: self }) {
            Err(Fault::Missing(key)) => {
                // Of a key that is there, the value is beyond reading, which is said there.
                let excused =
                    self.passes.excused.borrow().contains(&(std::ptr::from_ref(self.node), key.to_owned()));
                if !excused && entries.iter().all(|(written, _)| written.name != key) {
                    self.lacks(key);
                }
                self.findings.pass_over(self.node.span);
                self.passes.lacks(self.node, key);
                Err(Fault::Noted)
            }
            outcome => self.located(outcome),
        }
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Some(scalar) = self.scalar() else {
            self.wanted(&format!("one of {}", variants.join(", ")));
            return self.beyond();
        };
        match variants.iter().find(|variant| **variant == scalar.text) {
            Some(variant) => {
                let deserializer: StrDeserializer<'_, Fault> = (*variant).into_deserializer();
                self.located(visitor.visit_enum(deserializer))
            }
            None => {
                self.unreadable(|| {
                    let problem =
                        Problem::error(self.node.span, format!("unknown value `{}`", scalar.shown()));
                    match nearest(&scalar.text, variants.iter().copied()) {
                        Some(near) => problem.cure(format!("did you mean `{near}`?")),
                        None => problem.cure(format!("known values are: {}", variants.join(", "))),
                    }
                });
                self.beyond()
            }
        }
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'n>>
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// The name by which [`mapping_or`] tells the decoder what is wanted, as serde has no word for it.
const MAPPING_OR: &str = "a mapping, or something else";

/// Reads what may be a mapping or something else: a mapping is visited as a newtype, in which its type then
/// reads itself, anything else as what it is.
pub(crate) fn mapping_or<'n, D: Deserializer<'n>, V: Visitor<'n>>(
    deserializer: D,
    visitor: V,
) -> Result<V::Value, D::Error> {
    deserializer.deserialize_newtype_struct(MAPPING_OR, visitor)
}

/// Keys that [`super::document`] reads itself, member by member: because their shape depends on a `type`,
/// or so that a member beyond repair does not take its neighbours along.
const BY_HAND: [(&str, &str); 7] = [
    ("AnyOf", "policies"),
    ("Document", "policies"),
    ("Document", "routes"),
    ("Document", "route_overrides"),
    ("Document", "services"),
    ("Route", "policies"),
    ("Override", "policies"),
];

/// Keys that `null` turns off. Elsewhere a key without value is one whose value was forgotten, and guessing
/// could open what was meant to be closed.
const OFF_BY_NULL: [(&str, &str); 1] = [("Telemetry", "access_log")];

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
    entries: Vec<(&'n str, &'n Node)>,
    next: usize,
    of: Decoder<'n>,
}

impl<'n> Entries<'n> {
    fn all(entries: &'n [(Key, Node)], of: Decoder<'n>) -> Self {
        let entries = entries.iter().filter(|(_, value)| !of.passes.has_given_up(value));
        Self { entries: entries.map(|(key, value)| (key.name.as_str(), value)).collect(), next: 0, of }
    }
}

impl<'n> MapAccess<'n> for Entries<'n> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((key, _)) = self.entries.get(self.next) else { return Ok(None) };
        let deserializer: de::value::BorrowedStrDeserializer<'n, Fault> =
            de::value::BorrowedStrDeserializer::new(key);
        seed.deserialize(deserializer).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((_, node)) = self.entries.get(self.next) else { return Err(Fault::Noted) };
        self.next += 1;
        seed.deserialize(self.of.at(node))
    }
}
