//! The tree as text: the one place that knows indentation, blank lines and the space around marks.

use super::{
    STEP,
    keys::Place,
    tree::{Content, Document, Entry, Item, Literal, Trivia, Value},
};

/// The text of a document.
pub(super) fn document(document: &Document) -> String {
    let mut writer = Writer::default();
    writer.trivia(&document.before, 0);
    if let Some(start) = &document.start {
        writer.line(0, start);
    }
    writer.root(&document.root);
    if let Some(end) = &document.end {
        writer.line(0, end);
    }
    writer.trivia(&document.after, 0);
    writer.out
}

#[derive(Default)]
struct Writer {
    out: String,
    /// A blank line is due before the next line.
    blank: bool,
    /// A blank line would belong to the text above.
    sealed: bool,
}

/// What stands on a line before a value, which decides where the value may stand.
#[derive(Clone, Copy, PartialEq)]
enum Behind {
    Key,
    Dash,
}

impl Writer {
    fn begin_line(&mut self, indent: usize) {
        if self.blank && !self.sealed && !self.out.is_empty() {
            self.out.push('\n');
        }
        self.blank = false;
        self.sealed = false;
        self.out.push_str(&" ".repeat(indent));
    }

    fn line(&mut self, indent: usize, text: &str) {
        self.begin_line(indent);
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn trivia(&mut self, trivia: &[Trivia], indent: usize) {
        for one in trivia {
            match one {
                Trivia::Blank => self.blank = true,
                Trivia::Comment { text, .. } => self.line(indent, text),
            }
        }
    }

    /// What stands above a member of a block; a block does not begin with a blank line.
    fn lead(&mut self, lead: &[Trivia], indent: usize, first: bool) {
        self.blank &= !first;
        let skipped = if first { lead.iter().take_while(|one| **one == Trivia::Blank).count() } else { 0 };
        self.trivia(lead.get(skipped..).unwrap_or_default(), indent);
    }

    fn root(&mut self, root: &Value) {
        let props = root.props.join(" ");
        let block = matches!(root.content, Content::Empty(_) | Content::Mapping(..) | Content::Sequence(..));
        if (block && !props.is_empty()) || root.head.is_some() {
            self.begin_line(0);
            self.out.push_str(&props);
            self.head(root);
        }
        match &root.content {
            Content::Empty(body) => self.trivia(body, 0),
            Content::Mapping(entries, tail) => self.mapping(entries, tail, 0, false, Place::Whole),
            Content::Sequence(items, tail) => self.sequence(items, tail, 0, false, Place::Elsewhere),
            Content::Text(_) | Content::Flow(_) | Content::Literal(_) => {
                self.trivia(&root.lead, 0);
                self.begin_line(0);
                if root.head.is_none() && !props.is_empty() {
                    self.out.push_str(&props);
                    self.out.push(' ');
                }
                self.inline(root, 0, 0);
            }
        }
    }

    /// A block mapping; `compact` where its first key stands on the line of a dash.
    fn mapping(&mut self, entries: &[Entry], tail: &[Trivia], indent: usize, compact: bool, place: Place) {
        let mut above: Option<&Value> = None;
        for entry in entries {
            let tall = entry.value.is_tall() || above.is_some_and(Value::is_tall);
            self.blank |= place == Place::Whole && above.is_some() && tall;
            if above.is_some() || !compact {
                self.lead(&entry.lead, indent, above.is_none() && indent > 0);
                self.begin_line(indent);
            }
            self.out.push_str(&entry.key);
            // The colon would be part of the alias.
            self.out.push_str(if entry.key.starts_with('*') { " :" } else { ":" });
            self.value(&entry.value, indent, Behind::Key, place.below(super::order::plain(&entry.key)));
            above = Some(&entry.value);
        }
        self.trivia(tail, indent);
    }

    fn sequence(&mut self, items: &[Item], tail: &[Trivia], indent: usize, compact: bool, place: Place) {
        let mut above: Option<&Value> = None;
        for item in items {
            let mapping = item.value.is_mapping() || above.is_some_and(Value::is_mapping);
            self.blank |= place.is_spaced() && above.is_some() && mapping;
            if above.is_some() || !compact {
                self.lead(&item.lead, indent, above.is_none() && indent > 0);
                self.begin_line(indent);
            }
            self.out.push('-');
            self.value(&item.value, indent, Behind::Dash, place.item());
            above = Some(&item.value);
        }
        self.trivia(tail, indent);
    }

    /// A value behind a key or dash at column `indent`.
    fn value(&mut self, value: &Value, indent: usize, behind: Behind, place: Place) {
        for prop in &value.props {
            self.out.push(' ');
            self.out.push_str(prop);
        }
        let compact = behind == Behind::Dash && value.props.is_empty() && value.head.is_none();
        let inner = indent + STEP;
        match &value.content {
            Content::Empty(body) => {
                self.head(value);
                self.lead(body, inner, true);
            }
            Content::Mapping(entries, tail) => {
                self.open(value, compact);
                self.mapping(entries, tail, inner, compact, place);
            }
            Content::Sequence(items, tail) => {
                self.open(value, compact);
                self.sequence(items, tail, inner, compact, place);
            }
            Content::Text(_) | Content::Flow(_) | Content::Literal(_) if value.is_below() => {
                self.head(value);
                self.lead(&value.lead, inner, true);
                self.begin_line(inner);
                self.inline(value, indent, inner);
            }
            Content::Text(_) | Content::Flow(_) | Content::Literal(_) => {
                self.out.push(' ');
                self.inline(value, indent, if behind == Behind::Dash { inner } else { indent });
            }
        }
    }

    fn open(&mut self, value: &Value, compact: bool) {
        if compact {
            self.out.push(' ');
        } else {
            self.head(value);
        }
    }

    fn head(&mut self, value: &Value) {
        if let Some(head) = &value.head {
            self.out.push(' ');
            self.out.push_str(head);
        }
        self.out.push('\n');
    }

    /// Content that begins on the present line, and its comment. It stands within a block of column `indent`; a
    /// bracket closes at column `close`.
    fn inline(&mut self, value: &Value, indent: usize, close: usize) {
        let comment = value.comment.as_deref();
        match &value.content {
            Content::Literal(literal) => self.literal(literal, comment, indent),
            Content::Flow(flow) => self.lines(&flow.lines(close), 0, comment),
            Content::Text(lines) => self.lines(lines, indent + STEP, comment),
            _ => self.out.push('\n'),
        }
    }

    fn lines(&mut self, lines: &[String], indent: usize, comment: Option<&str>) {
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                self.out.push('\n');
                if !line.is_empty() {
                    self.out.push_str(&" ".repeat(indent));
                }
            }
            self.out.push_str(line);
        }
        self.end(comment);
    }

    fn literal(&mut self, literal: &Literal, comment: Option<&str>, indent: usize) {
        self.out.push_str(&literal.header);
        self.end(comment);
        let indent = indent + literal.digit.unwrap_or(STEP);
        for line in &literal.lines {
            if !line.is_empty() {
                self.out.push_str(&" ".repeat(indent));
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
        self.sealed = literal.keep;
    }

    fn end(&mut self, comment: Option<&str>) {
        if let Some(comment) = comment {
            self.out.push(' ');
            self.out.push_str(comment);
        }
        self.out.push('\n');
    }
}
