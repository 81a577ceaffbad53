//! Comments between a dash and what it stands for move above the dash, so that no dash stands alone on its line.

use super::tree::{Content, Trivia, Value};

/// Moves such comments in the whole document.
pub(super) fn hoist(value: &mut Value) {
    match &mut value.content {
        Content::Mapping(entries, _) => entries.iter_mut().for_each(|entry| hoist(&mut entry.value)),
        Content::Sequence(items, _) => {
            for item in items {
                hoist(&mut item.value);
                // What has to stay on the line of the dash keeps the rest below it.
                if item.value.head.is_none() && item.value.props.is_empty() {
                    item.lead.extend(lead_of(&mut item.value));
                }
            }
        }
        _ => {}
    }
}

fn lead_of(value: &mut Value) -> impl Iterator<Item = Trivia> + use<> {
    let lead = match &mut value.content {
        Content::Mapping(entries, _) => entries.first_mut().map(|entry| std::mem::take(&mut entry.lead)),
        Content::Sequence(items, _) => items.first_mut().map(|item| std::mem::take(&mut item.lead)),
        Content::Text(_) | Content::Flow(_) | Content::Literal(_) => Some(std::mem::take(&mut value.lead)),
        Content::Empty(_) => None,
    };
    lead.unwrap_or_default().into_iter().skip_while(|trivia| *trivia == Trivia::Blank)
}
