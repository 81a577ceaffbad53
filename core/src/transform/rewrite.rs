//! The target sent on: the normalised path with a prefix stripped or rewritten, below the endpoint's base
//! path, and the query as it came.

use std::{borrow::Cow, fmt};

use http::uri::{InvalidUri, PathAndQuery};

use crate::pattern::{Pattern, Segment};

/// How a route changes the path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Target {
    /// Not at all.
    #[default]
    Kept,
    /// This is taken from its front, at a segment's end.
    Stripped(String),
    /// It is put together anew.
    Rewritten(Vec<Piece>),
}

/// A piece of a rewritten path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(String),
    Parameter(String),
    /// What the pattern's `*` matched.
    Rest,
}

/// As it is written.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => Ok(()),
            Self::Stripped(prefix) => f.write_str(prefix),
            Self::Rewritten(pieces) => pieces.iter().try_for_each(|piece| match piece {
                Piece::Literal(literal) => f.write_str(literal),
                Piece::Parameter(name) => write!(f, "{{{name}}}"),
                Piece::Rest => f.write_str("/*"),
            }),
        }
    }
}

impl Target {
    /// Reads `rewrite`; `Err` says what the pattern does not have.
    pub(crate) fn rewritten(template: &str, pattern: &Pattern) -> Result<Self, String> {
        if !template.starts_with('/') {
            return Err("a path begins with `/`".to_owned());
        }
        let (template, rest) = match template.strip_suffix("/*") {
            Some(before) => (before, true),
            None => (template, false),
        };
        if rest && !pattern.is_open() {
            return Err("the route's path has no `*` whose match could be put here".to_owned());
        }
        let mut pieces = Vec::new();
        let mut text = template;
        while let Some((before, after)) = text.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a `{` is not closed")?;
            let known = |segment: &Segment| matches!(segment, Segment::Parameter(n) if n == name);
            if !pattern.segments().iter().any(known) {
                return Err(format!("the route's path has no parameter `{{{name}}}`"));
            }
            pieces.push(Piece::Literal(before.to_owned()));
            pieces.push(Piece::Parameter(name.to_owned()));
            text = after;
        }
        pieces.push(Piece::Literal(text.to_owned()));
        if rest {
            pieces.push(Piece::Rest);
        }
        Ok(Self::Rewritten(pieces))
    }

    /// The path for the service.
    fn path<'p>(&self, pattern: &Pattern, path: &'p str) -> Cow<'p, str> {
        match self {
            Self::Kept => Cow::Borrowed(path),
            Self::Stripped(prefix) => match path.strip_prefix(prefix.as_str()) {
                Some("") => Cow::Borrowed("/"),
                Some(rest) if rest.starts_with('/') => Cow::Borrowed(rest),
                _ => Cow::Borrowed(path),
            },
            Self::Rewritten(pieces) => {
                let mut out = String::with_capacity(path.len() + 16);
                for piece in pieces {
                    out.push_str(match piece {
                        Piece::Literal(literal) => literal,
                        Piece::Parameter(name) => pattern.parameter(name, path).unwrap_or_default(),
                        Piece::Rest => pattern.rest(path),
                    });
                }
                Cow::Owned(if out.is_empty() { "/".to_owned() } else { out })
            }
        }
    }

    /// The whole target below `base`, with the query as it came.
    pub(crate) fn apply(
        &self,
        pattern: &Pattern,
        path: &str,
        base: &str,
        original: Option<&PathAndQuery>,
    ) -> Result<PathAndQuery, InvalidUri> {
        let path = self.path(pattern, path);
        // The usual case needs no new text: nothing was normalised, stripped or prefixed.
        if let Some(original) = original
            && base.is_empty()
            && original.path() == path
        {
            return Ok(original.clone());
        }
        let query = original.and_then(PathAndQuery::query);
        let mut text =
            String::with_capacity(base.len() + path.len() + query.map_or(0, |query| query.len() + 1));
        text.push_str(base);
        text.push_str(&path);
        if let Some(query) = query {
            text.push('?');
            text.push_str(query);
        }
        PathAndQuery::try_from(text)
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[track_caller]
    fn check(target: &Target, pattern: &str, base: &str, original: &'static str, wanted: &str) {
        let original = PathAndQuery::from_static(original);
        let pattern = Pattern::parse(pattern).unwrap();
        let found = target.apply(&pattern, original.path(), base, Some(&original)).unwrap();
        assert_eq!(found.as_str(), wanted);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_prefix_is_stripped_at_a_segments_end() {
        let target = Target::Stripped("/agents/research".into());
        for (original, wanted) in [
            ("/agents/research", "/"),
            ("/agents/research/", "/"),
            ("/agents/research?x=1", "/?x=1"),
            ("/agents/research/a/b/", "/a/b/"),
        ] {
            check(&target, "/agents/research/*", "", original, wanted);
        }
        check(&target, "/agents/research/*", "/v1", "/agents/research/a?b", "/v1/a?b");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_rewrite_puts_matches_in_their_places() {
        let pattern = Pattern::parse("/users/{id}/*").unwrap();
        let target = Target::rewritten("/v2/{id}/x/*", &pattern).unwrap();
        check(&target, "/users/{id}/*", "", "/users/7/a/b?q", "/v2/7/x/a/b?q");
        assert!(Target::rewritten("/v2/{name}", &pattern).is_err());
        assert!(Target::rewritten("/v2/*", &Pattern::parse("/a").unwrap()).is_err());
        assert!(Target::rewritten("v2", &pattern).is_err());
    }
}
