//! Entries of block mappings in the order of the document's types, comments with them. Where the order of a file means
//! something to YAML, as with anchors and what refers to them, it stays.

use std::collections::HashMap;

use super::{
    keys::{Keys, Place},
    tree::{Content, Entry, Trivia, Value},
};

/// Puts the whole document in order.
pub(super) fn order(root: &mut Value) {
    Order::default().value(root, Place::Whole);
}

#[derive(Default)]
struct Order {
    /// The keys of the places met so far.
    known: HashMap<(Place, Option<String>), Keys>,
}

impl Order {
    fn value(&mut self, value: &mut Value, place: Place) {
        match &mut value.content {
            Content::Mapping(entries, _) => {
                for entry in entries.iter_mut() {
                    self.value(&mut entry.value, place.below(plain(&entry.key)));
                }
                self.sort(entries, place);
            }
            Content::Sequence(items, _) => {
                for item in items {
                    self.value(&mut item.value, place.item());
                }
            }
            _ => {}
        }
    }

    fn sort(&mut self, entries: &mut [Entry], place: Place) {
        if place == Place::Elsewhere || entries.iter().any(is_bound) {
            return;
        }
        let kind = if place == Place::Policy { kind_of(entries) } else { None };
        let keys =
            self.known.entry((place, kind)).or_insert_with_key(|(place, kind)| place.keys(kind.as_deref()));
        let rank = |entry: &Entry| keys.rank(plain(&entry.key));
        if entries.is_sorted_by_key(rank) {
            return;
        }
        let header = if place == Place::Whole { header(entries) } else { Vec::new() };
        entries.sort_by_key(rank);
        if let Some(first) = entries.first_mut() {
            let own = std::mem::take(&mut first.lead);
            let own = own.into_iter().skip_while(|trivia| *trivia == Trivia::Blank);
            first.lead = header.into_iter().chain(own).collect();
        }
    }
}

/// What stands at the top of the file, a blank line after it, is about the file and not about the first entry.
fn header(entries: &mut [Entry]) -> Vec<Trivia> {
    let Some(first) = entries.first_mut() else { return Vec::new() };
    let end = first.lead.iter().rposition(|trivia| *trivia == Trivia::Blank).map_or(0, |blank| blank + 1);
    let rest = first.lead.split_off(end);
    std::mem::replace(&mut first.lead, rest)
}

/// A key without its quotes.
pub(super) fn plain(key: &str) -> &str {
    let stripped = |quote: char| key.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    stripped('"').or_else(|| stripped('\'')).unwrap_or(key)
}

fn kind_of(entries: &[Entry]) -> Option<String> {
    let entry = entries.iter().find(|entry| plain(&entry.key) == "type")?;
    match &entry.value.content {
        Content::Text(lines) => lines.first().map(|kind| plain(kind).to_owned()),
        _ => None,
    }
}

/// Whether an entry has to stay where it is: an anchor stands before what refers to it.
fn is_bound(entry: &Entry) -> bool {
    entry.key.starts_with(['&', '!', '*']) || plain(&entry.key) == "<<" || holds_marks(&entry.value)
}

fn holds_marks(value: &Value) -> bool {
    let marked = |prop: &String| prop.starts_with('&');
    value.props.iter().any(marked)
        || match &value.content {
            Content::Empty(_) | Content::Literal(_) => false,
            Content::Text(lines) => lines.first().is_some_and(|line| line.starts_with('*')),
            Content::Flow(flow) => flow.marked,
            Content::Mapping(entries, _) => entries.iter().any(is_bound),
            Content::Sequence(items, _) => items.iter().any(|item| holds_marks(&item.value)),
        }
}
