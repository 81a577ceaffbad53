//! The written configuration as a tree in which every node knows where it stands.
//!
//! Decoding, checking and explaining all point into this tree; nothing here knows what a key means.

/// A place in a file; lines and columns count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Index of the file among those that were read.
    pub file: usize,
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
    /// How many characters to underline.
    pub length: u32,
}

/// One value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// What stands at a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing.
    Null,
    /// Text, number or truth value, as written.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

/// A scalar keeps its spelling: what it means depends on what is wanted of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The text, variables filled in.
    pub text: String,
    /// Not quoted, so it may be a number or a truth value.
    pub plain: bool,
    /// The text as written, where variables were filled in: the only form that messages may show.
    pub written: Option<String>,
}

impl Scalar {
    /// Whether it was put in quotes, and so means neither a number nor a truth value. A variable has to be
    /// quoted in places, so its value may mean either.
    pub fn is_literal(&self) -> bool {
        !self.plain && self.written.is_none()
    }

    /// What a message may say of it: never the value of a variable.
    pub fn shown(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.text)
    }
}

impl Node {
    /// The value of a key of a mapping.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entry(name).map(|(_, node)| node)
    }

    /// A key and its value.
    pub fn entry(&self, name: &str) -> Option<(&Key, &Self)> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(key, _)| key.name == name).map(|(key, node)| (key, node))
    }

    /// The members of a list; none where it is not one.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The members of what may be one text or a list of texts.
    pub fn each(&self) -> &[Self] {
        match &self.value {
            Value::Scalar(_) => std::slice::from_ref(self),
            _ => self.items(),
        }
    }

    /// What was read from the list `key`, each member with its place. Members of a default have this node's.
    pub fn members<'n, T>(&'n self, key: &str, values: &'n [T]) -> impl Iterator<Item = (&'n T, &'n Self)> {
        let nodes = self.get(key).map_or(&[][..], Self::each);
        values.iter().enumerate().map(move |(at, value)| (value, nodes.get(at).unwrap_or(self)))
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// What messages may show of the node: its text as written, never the value of a variable.
    pub fn shown(&self) -> &str {
        match &self.value {
            Value::Scalar(scalar) => scalar.shown(),
            _ => self.kind(),
        }
    }

    /// Whether its text holds the value of a variable, so that no message may quote any part of it.
    pub fn is_filled(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.written.is_some())
    }

    /// Whether any text in it holds the value of a variable.
    pub(crate) fn holds_filled(&self) -> bool {
        match &self.value {
            Value::Null | Value::Scalar(_) => self.is_filled(),
            Value::List(items) => items.iter().any(Self::holds_filled),
            Value::Map(entries) => entries.iter().any(|(_, node)| node.holds_filled()),
        }
    }

    /// The node in one spelling. Where variables were filled in, it is the spelling of the file that counts.
    pub(crate) fn spelled(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Scalar(scalar) => scalar.shown().to_owned(),
            Value::List(items) => {
                format!("[{}]", items.iter().map(Self::spelled).collect::<Vec<_>>().join(", "))
            }
            Value::Map(entries) => {
                let mut pairs: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{}: {}", key.name, value.spelled())).collect();
                pairs.sort();
                format!("{{{}}}", pairs.join(", "))
            }
        }
    }

    /// Where the value of `name` stands, or else where this node does.
    pub fn span_of(&self, name: &str) -> Span {
        self.get(name).map_or(self.span, |node| node.span)
    }

    /// What the node is, in words for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}
