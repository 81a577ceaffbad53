//! A document as it is written: comments, blank lines and spellings included, and indentation left out. What the
//! values mean is [`super::super::node`]'s.

use super::flow::Flow;

/// A whole document.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// What stands before `---`.
    pub(super) before: Vec<Trivia>,
    /// The line of `---`.
    pub(super) start: Option<String>,
    /// The document itself.
    pub(super) root: Value,
    /// The line of `...`.
    pub(super) end: Option<String>,
    /// What stands after the document.
    pub(super) after: Vec<Trivia>,
}

/// What means nothing to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trivia {
    /// One or more blank lines.
    Blank,
    /// A comment on a line of its own, and the column where it was.
    Comment { column: usize, text: String },
}

impl Trivia {
    pub(super) fn is_comment(&self) -> bool {
        matches!(self, Self::Comment { .. })
    }
}

/// A value, from what follows the `:` or `-` to its end.
#[derive(Debug, Default)]
pub(super) struct Value {
    /// Anchor and tag.
    pub(super) props: Vec<String>,
    /// The comment on the line of the key or dash, where the content stands below it.
    pub(super) head: Option<String>,
    /// The lines between the key or dash and content that is no block.
    pub(super) lead: Vec<Trivia>,
    /// What it is.
    pub(super) content: Content,
    /// The comment behind it, or behind the first line of a block scalar.
    pub(super) comment: Option<String>,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing, and the comments that stand where something could.
    Empty(Vec<Trivia>),
    /// A plain or quoted scalar or an alias, line by line.
    Text(Vec<String>),
    /// A block scalar.
    Literal(Literal),
    /// A collection in brackets.
    Flow(Flow),
    /// A block mapping, and the comments after its last entry.
    Mapping(Vec<Entry>, Vec<Trivia>),
    /// A block sequence, and the comments after its last item.
    Sequence(Vec<Item>, Vec<Trivia>),
}

impl Default for Content {
    fn default() -> Self {
        Self::Empty(Vec::new())
    }
}

/// A block scalar.
#[derive(Debug)]
pub(super) struct Literal {
    /// `|` or `>` and what belongs to it.
    pub(super) header: String,
    /// The indentation that the header prescribes.
    pub(super) digit: Option<usize>,
    /// Blank lines at its end belong to it.
    pub(super) keep: bool,
    /// Its lines, without their indentation.
    pub(super) lines: Vec<String>,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Entry {
    /// What stands above it.
    pub(super) lead: Vec<Trivia>,
    /// The key as spelt, with anchor and tag.
    pub(super) key: String,
    /// Its value.
    pub(super) value: Value,
}

/// A member of a list.
#[derive(Debug)]
pub(super) struct Item {
    /// What stands above it.
    pub(super) lead: Vec<Trivia>,
    /// The member.
    pub(super) value: Value,
}

impl Value {
    /// A value that consists of its content.
    pub(super) fn of(content: Content) -> Self {
        Self { content, ..Self::default() }
    }

    /// Whether comments keep content that is no block from standing on the line of its key or dash.
    pub(super) fn is_below(&self) -> bool {
        self.head.is_some() || self.lead.iter().any(Trivia::is_comment)
    }

    /// Whether it takes more than the line of its key.
    pub(super) fn is_tall(&self) -> bool {
        match &self.content {
            Content::Empty(body) => body.iter().any(Trivia::is_comment),
            Content::Text(lines) => self.is_below() || lines.len() > 1,
            Content::Flow(flow) => self.is_below() || flow.must_stay(),
            Content::Literal(_) | Content::Mapping(..) | Content::Sequence(..) => true,
        }
    }

    /// Whether it is a block mapping.
    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.content, Content::Mapping(..))
    }
}
