//! The whole text of an error: what happened, and what caused it. For logs, never for clients.

use std::{error::Error, fmt::Write};

/// `error` and its sources, outermost first, without what a source merely repeats.
pub(crate) fn text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for source in sources(error).skip(1) {
        let source = source.to_string();
        if !text.ends_with(&source) {
            // Writing to a string can't fail.
            let _ = write!(text, ": {source}");
        }
    }
    text
}

/// The first error of type `E` among `error` and its sources.
pub(crate) fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    sources(error).find_map(|source| source.downcast_ref())
}

fn sources<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use std::io;

    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn the_text_names_every_cause_once() {
        assert_eq!(text(&Outer(io::Error::other("inner"))), "outer: inner");
        assert_eq!(text(&io::Error::other(Outer(io::Error::other("inner")))), "outer: inner");
    }

    #[test]
    fn a_cause_is_found_by_its_type() {
        assert!(find::<io::Error>(&Outer(io::Error::other("inner"))).is_some());
        assert!(find::<std::fmt::Error>(&Outer(io::Error::other("inner"))).is_none());
    }
}
