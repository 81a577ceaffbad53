//! Collections in brackets that are too long for a line become blocks.

use super::{
    STEP, WIDTH,
    flow::{Flow, Kind, Member, Members, Part},
    tree::{Content, Entry, Item, Value},
};

/// Breaks what is too long in the whole document.
pub(super) fn fit(root: &mut Value) {
    within(&mut root.content, 0);
}

/// Looks through a block at column `indent`.
fn within(content: &mut Content, indent: usize) {
    match content {
        Content::Mapping(entries, _) => {
            for entry in entries {
                let colon = 1 + usize::from(entry.key.starts_with('*'));
                one(&mut entry.value, indent, entry.key.chars().count() + colon);
            }
        }
        Content::Sequence(items, _) => {
            for item in items {
                one(&mut item.value, indent, 1);
            }
        }
        _ => {}
    }
}

/// Looks at the value of a key or dash at column `indent`, of which the first `before` columns of its line are taken.
fn one(value: &mut Value, indent: usize, before: usize) {
    if let Content::Flow(flow) = &value.content {
        let props: usize = value.props.iter().map(|prop| prop.chars().count() + 1).sum();
        let start = if value.is_below() { indent + STEP } else { indent + before + props + 1 };
        // There is one place for a comment at the head of a block.
        let crowded = value.head.is_some() && value.comment.is_some();
        let fixed = flow.must_stay() || flow.marked || crowded;
        if !fixed && start + flow.members.render().chars().count() > WIDTH {
            break_up(value);
        }
    }
    within(&mut value.content, indent + STEP);
}

fn break_up(value: &mut Value) {
    let Content::Flow(flow) = std::mem::take(&mut value.content) else { return };
    value.content = match block(flow.members) {
        Ok(content) => content,
        Err(members) => {
            value.content = Content::Flow(Flow::of(members));
            return;
        }
    };
    let comment = value.comment.take();
    value.head = value.head.take().or(comment);
    let lead = std::mem::take(&mut value.lead);
    match &mut value.content {
        Content::Mapping(entries, _) => {
            entries.iter_mut().take(1).for_each(|entry| entry.lead = lead.clone())
        }
        Content::Sequence(items, _) => items.iter_mut().take(1).for_each(|item| item.lead = lead.clone()),
        _ => {}
    }
}

/// The members as a block; themselves where there are none, or where keys are no texts.
fn block(members: Members) -> Result<Content, Members> {
    let odd = |member: &Member| !matches!(member.first.kind, Kind::Text(_));
    match members {
        Members::Sequence(members) if members.iter().any(|m| m.second.is_some() && odd(m)) => {
            Err(Members::Sequence(members))
        }
        Members::Mapping(members) if members.iter().any(odd) => Err(Members::Mapping(members)),
        Members::Sequence(members) if members.is_empty() => Err(Members::Sequence(members)),
        Members::Mapping(members) if members.is_empty() => Err(Members::Mapping(members)),
        Members::Sequence(members) => {
            let items = members.into_iter().map(|member| {
                let value = match member.second {
                    None => value(member.first),
                    Some(_) => Value::of(Content::Mapping(vec![entry(member)], Vec::new())),
                };
                Item { lead: Vec::new(), value }
            });
            Ok(Content::Sequence(items.collect(), Vec::new()))
        }
        Members::Mapping(members) => {
            Ok(Content::Mapping(members.into_iter().map(entry).collect(), Vec::new()))
        }
    }
}

fn entry(member: Member) -> Entry {
    let key = match member.first.kind {
        Kind::Text(text) => text,
        Kind::Empty | Kind::Nested(_) => String::new(),
    };
    Entry { lead: Vec::new(), key, value: member.second.map(value).unwrap_or_default() }
}

fn value(part: Part) -> Value {
    Value::of(match part.kind {
        Kind::Empty => Content::default(),
        Kind::Text(text) => Content::Text(vec![text]),
        Kind::Nested(members) => Content::Flow(Flow::of(members)),
    })
}
