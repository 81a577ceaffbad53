//! One layout for every configuration: text in, the same configuration in its canonical layout out. Nothing here
//! reads or writes files, and nothing knows what a key means beyond where it stands.
//!
//! Text → `tree` with comments (`read`) → long collections in brackets broken (`fit`), keys put in the order of the
//! document's types (`order`), dashes joined with what they stand for (`hoist`) → text (`write`). What comes out is read
//! again and must say the same (`same`), so that whatever this room gets wrong is refused, and never lands in
//! anybody's file.

mod fit;
mod flow;
mod hoist;
mod keys;
mod order;
mod read;
mod same;
mod scalar;
mod scan;
mod tree;
mod write;

use self::tree::{Content, Document};
use super::{
    node::Span,
    problem::{Problem, SourceFile},
    yaml,
};

/// Columns of a line that holds a collection in brackets; a longer one is broken.
const WIDTH: usize = 100;

/// Spaces by which a block is indented within another.
const STEP: usize = 2;

/// The configuration in `text`, laid out. What is no YAML, and what can't be laid out safely, is refused with the
/// place of what stands in the way.
///
/// A document that is one collection in brackets (JSON) is returned as it is: in blocks it would be another format.
pub fn format(text: &str) -> Result<String, Box<Problem>> {
    let source = SourceFile::new("", text.to_owned()).text;
    let before = yaml::parse(0, &source).map_err(Box::new)?;
    let normal = with_line_feeds(&source);
    let (mut document, mut comments) = read::document(&normal)?;
    if matches!(document.root.content, Content::Flow(_)) {
        return Ok(text.to_owned());
    }
    let formatted = lay_out(&mut document);
    let changed = |why: &str| {
        let message = format!("this file can't be laid out without changing {why}, so it is left as it is");
        Box::new(Problem::error(Span { line: 0, ..Span::default() }, message))
    };
    let after = yaml::parse(0, &formatted).map_err(|_| changed("what it means"))?;
    if !same::same(&before, &after) {
        return Err(changed("what it means"));
    }
    let (_, mut kept) = read::document(&formatted).map_err(|_| changed("its form"))?;
    comments.sort_unstable();
    kept.sort_unstable();
    if comments != kept {
        return Err(changed("its comments"));
    }
    Ok(formatted)
}

fn lay_out(document: &mut Document) -> String {
    fit::fit(&mut document.root);
    order::order(&mut document.root);
    hoist::hoist(&mut document.root);
    write::document(document)
}

/// YAML reads every kind of line break as the same one (YAML 1.2.2 §5.4).
fn with_line_feeds(text: &str) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() }
}
