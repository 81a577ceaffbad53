//! A text into the tree of what is written, block by block. Only for text that the reader of YAML has accepted: what
//! is no YAML is not found here, and what this room does not know it refuses.

use super::{
    flow,
    scalar::lines_of,
    scan::{Odd, Scanner},
    tree::{Content, Document, Entry, Item, Value},
};

/// The document in `text`, and all its comments.
pub(super) fn document(text: &str) -> Result<(Document, Vec<String>), Odd> {
    let mut scanner = Scanner::new(text);
    let mut document = Document::default();
    scanner.gather()?;
    if scanner.byte() == Some(b'%') {
        return Err(scanner.odd("it begins with a directive"));
    }
    if scanner.at_marker() && scanner.byte() == Some(b'-') {
        document.before = scanner.take_lead();
        document.start = Some(marker(&mut scanner)?);
    }
    match scanner.next {
        Some(_) => content(&mut scanner, None, false, &mut document.root)?,
        None => document.root.content = Content::Empty(scanner.take_tail(0)),
    }
    // An indented text may begin like a marker, and would be one at the margin.
    let like_marker = |line: &String| line.starts_with("---") || line.starts_with("...");
    if matches!(&document.root.content, Content::Text(lines) if lines.iter().any(like_marker)) {
        return Err(scanner.odd("it is a text that looks like a marker of documents"));
    }
    if scanner.at_marker() && scanner.byte() == Some(b'.') {
        document.end = Some(marker(&mut scanner)?);
    }
    if scanner.next.is_some() || scanner.byte().is_some() {
        return Err(scanner.odd("it is not known what this belongs to"));
    }
    document.after = scanner.take_lead();
    Ok((document, scanner.comments))
}

/// The line of `---` or `...`.
fn marker(scanner: &mut Scanner<'_>) -> Result<String, Odd> {
    let start = scanner.at();
    scanner.go_to(start + 3);
    let marker = scanner.slice(start, start + 3);
    let comment = scanner.end_line()?;
    Ok(comment.map_or(marker.to_owned(), |comment| format!("{marker} {comment}")))
}

/// What stands here, within a block of column `outer`; behind a key on its line there is no room for a block.
fn content(
    scanner: &mut Scanner<'_>,
    outer: Option<usize>,
    behind_key: bool,
    value: &mut Value,
) -> Result<(), Odd> {
    if !behind_key {
        let column = scanner.column();
        if scanner.at_dash() {
            value.content = sequence(scanner, column, column)?;
            return Ok(());
        }
        if let Some(key) = key(scanner)? {
            value.content = mapping(scanner, column, key)?;
            return Ok(());
        }
    }
    value.props.extend(scanner.props(false));
    if scanner.at_end_of_line() {
        return below(scanner, outer, behind_key, value);
    }
    // Blank lines alone don't keep it from its key.
    value.lead = scanner.take_lead();
    let start = scanner.at();
    value.content = match scanner.byte() {
        Some(b'|' | b'>') => {
            let (literal, comment) = scanner.literal(outer)?;
            value.comment = comment;
            value.content = Content::Literal(literal);
            return scanner.gather();
        }
        Some(quote @ (b'"' | b'\'')) => {
            scanner.quoted()?;
            Content::Text(lines_of(scanner.slice(start, scanner.at()), quote == b'"'))
        }
        Some(b'*') => Content::Text(vec![scanner.word(false).to_owned()]),
        Some(b'[' | b'{') => Content::Flow(flow::read(scanner)?),
        _ => Content::Text(scanner.plain(outer)),
    };
    value.comment = scanner.end_line()?;
    Ok(())
}

/// What stands on the lines below a key, a dash, or an anchor.
fn below(
    scanner: &mut Scanner<'_>,
    outer: Option<usize>,
    behind_key: bool,
    value: &mut Value,
) -> Result<(), Odd> {
    if value.head.is_some() && scanner.byte() == Some(b'#') {
        return Err(scanner.odd("two comments claim one place"));
    }
    let comment = scanner.end_line()?;
    value.head = value.head.take().or(comment);
    match scanner.next {
        Some(column) if outer.is_none_or(|outer| column > outer) => {
            scanner.enter()?;
            content(scanner, outer, false, value)?;
            scanner.leave();
        }
        // The items of a list may stand right below its key.
        Some(column) if behind_key && outer == Some(column) && scanner.at_dash() => {
            // A comment right below it, then, is one about the keys.
            value.content = sequence(scanner, column, column + 1)?;
        }
        _ => value.content = Content::Empty(scanner.take_tail(outer.map_or(0, |outer| outer + 1))),
    }
    Ok(())
}

/// What stands behind the colon or dash of a block of column `column`.
fn behind(scanner: &mut Scanner<'_>, column: usize, key: bool) -> Result<Value, Odd> {
    let mut value = Value::default();
    scanner.enter()?;
    scanner.skip_blanks();
    if scanner.at_end_of_line() {
        below(scanner, Some(column), key, &mut value)?;
    } else {
        content(scanner, Some(column), key, &mut value)?;
    }
    scanner.leave();
    Ok(value)
}

fn mapping(scanner: &mut Scanner<'_>, column: usize, first: String) -> Result<Content, Odd> {
    let mut entries = Vec::new();
    let mut at = Some(first);
    while let Some(name) = at {
        let lead = scanner.take_lead();
        let value = behind(scanner, column, true)?;
        entries.push(Entry { lead, key: name, value });
        at = if scanner.next == Some(column) { key(scanner)? } else { None };
    }
    end(scanner, column)?;
    Ok(Content::Mapping(entries, scanner.take_tail(column)))
}

/// A list at `column`, to which comments belong that are indented by `inside`.
fn sequence(scanner: &mut Scanner<'_>, column: usize, inside: usize) -> Result<Content, Odd> {
    let mut items = Vec::new();
    loop {
        let lead = scanner.take_lead();
        scanner.go_to(scanner.at() + 1);
        let value = behind(scanner, column, false)?;
        items.push(Item { lead, value });
        if scanner.next != Some(column) || !scanner.at_dash() {
            break;
        }
    }
    end(scanner, column)?;
    Ok(Content::Sequence(items, scanner.take_tail(inside)))
}

/// What comes after a block stands further out.
fn end(scanner: &Scanner<'_>, column: usize) -> Result<(), Odd> {
    match scanner.next {
        Some(next) if next > column => Err(scanner.odd("it is not known what this belongs to")),
        _ => Ok(()),
    }
}

/// The key that begins here, with its anchor and tag; goes on behind its colon. None, and nothing done, where a value
/// stands that is no key.
fn key(scanner: &mut Scanner<'_>) -> Result<Option<String>, Odd> {
    let start = scanner.at();
    if scanner.byte() == Some(b'?') && scanner.is_gap(start + 1) {
        return Err(scanner.odd("a key is marked by `?`"));
    }
    let mut parts = scanner.props(false);
    let name = scanner.at();
    let mut whole = false;
    let comments = scanner.comments.len();
    match scanner.byte() {
        None | Some(b'\n' | b'#' | b'|' | b'>') => {}
        Some(b'"' | b'\'') => scanner.quoted()?,
        Some(b'*') => {
            scanner.word(false);
        }
        Some(b'[' | b'{') => {
            whole = true;
            flow::read(scanner)?;
        }
        Some(_) => scanner.plain_line(),
    }
    let text = scanner.slice(name, scanner.at());
    scanner.skip_blanks();
    let colon = scanner.byte() == Some(b':') && scanner.is_gap(scanner.at() + 1);
    if !colon || text.contains('\n') {
        scanner.comments.truncate(comments);
        scanner.go_to(start);
        return Ok(None);
    }
    if text.is_empty() || whole {
        return Err(scanner.odd("a key is a text, and this is none"));
    }
    scanner.go_to(scanner.at() + 1);
    parts.push(text.to_owned());
    Ok(Some(parts.join(" ")))
}
