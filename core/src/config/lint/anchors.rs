//! Where a comment may stand to concern a place: on its line, or on that of anything it is part of.

use std::collections::HashMap;

use crate::config::node::{Node, Span, Value};

/// For every place in the tree, the lines on which it and what it is part of begin.
pub(super) struct Anchors(HashMap<Span, Vec<u32>>);

/// Keys at the top whose members stand for themselves: a comment above one of these would concern them all.
const COLLECTIONS: &[&str] = &["policies", "route_overrides", "routes", "services"];

impl Anchors {
    pub(super) fn of(root: &Node) -> Self {
        let mut anchors = Self(HashMap::new());
        anchors.walk(root, &mut Vec::new());
        anchors
    }

    /// The lines, in the file of the place.
    pub(super) fn lines(&self, place: Span) -> Vec<u32> {
        let mut lines = self.0.get(&place).cloned().unwrap_or_default();
        lines.push(place.line);
        lines
    }

    /// `above` is what the node is part of.
    fn walk(&mut self, node: &Node, above: &mut Vec<Span>) {
        match &node.value {
            Value::Null | Value::Scalar(_) => {}
            Value::List(items) => items.iter().for_each(|item| self.within(item.span, item, above)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    if above.is_empty() && COLLECTIONS.contains(&key.name.as_str()) {
                        self.walk_collection(value);
                    } else {
                        self.note(key.span, above);
                        self.within(key.span, value, above);
                    }
                }
            }
        }
    }

    fn walk_collection(&mut self, node: &Node) {
        match &node.value {
            Value::Map(entries) => {
                for (key, value) in entries {
                    self.note(key.span, &[key.span]);
                    self.within(key.span, value, &mut Vec::new());
                }
            }
            _ => self.walk(node, &mut Vec::new()),
        }
    }

    fn within(&mut self, part: Span, node: &Node, above: &mut Vec<Span>) {
        above.push(part);
        self.note(node.span, above);
        self.walk(node, above);
        above.pop();
    }

    /// A place may come several times: an alias stands where it is used.
    fn note(&mut self, place: Span, above: &[Span]) {
        let lines = above.iter().filter(|span| span.file == place.file).map(|span| span.line);
        self.0.entry(place).or_default().extend(lines);
    }
}
