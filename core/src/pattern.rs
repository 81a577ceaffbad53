//! Path patterns: literal segments, `{name}` for one segment, a final `*` for the prefix and all below.
//!
//! How patterns relate (covers, overlaps, is more specific than) is decided here once, so that router,
//! overrides and `exclude_paths` can't disagree. Looking a path up among thousands is [`crate::route`]'s.

use std::{cmp::Ordering, fmt};

use thiserror::Error;

use crate::path::{NormalPath, for_matching};

/// A pattern over normalised paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
    open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    Literal(String),
    Parameter(String),
}

/// Segments of a pattern at most: the look-up is built by descending into them.
const MAX_SEGMENTS: usize = 128;
/// Parameters of a pattern at most: matchit has letters for 25.
const MAX_PARAMETERS: usize = 24;

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidPattern {
    /// Does not begin with `/`.
    #[error("a path begins with `/`")]
    Relative,
    /// `*` elsewhere than as the last segment.
    #[error("`*` may only be the last segment")]
    Star,
    /// A brace that does not enclose a whole segment.
    #[error("a parameter is a whole segment of letters, digits and `_`, as in `/users/{{user_id}}`")]
    Brace,
    /// A query.
    #[error("a query is no part of a path; match it by `query`")]
    Query,
    /// The same parameter twice.
    #[error("the parameter `{0}` stands twice")]
    Twice(String),
    /// A literal segment that no normalised path can match; the whole pattern as it is meant.
    #[error("no request has this path, as paths are normalised first; write `{0}`")]
    NotNormal(String),
    /// More than the look-up can hold.
    #[error("a path has at most {MAX_SEGMENTS} segments and {MAX_PARAMETERS} parameters")]
    TooLong,
    /// A literal that can't stand in a path at all.
    #[error("this can't stand in a path")]
    Unusable,
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let Some(inside) = text.strip_prefix('/') else { return Err(InvalidPattern::Relative) };
        let (inside, open) = match inside.strip_suffix('*') {
            Some(before) if before.is_empty() || before.ends_with('/') => (before, true),
            _ => (inside, false),
        };
        let inside = inside.strip_suffix('/').unwrap_or(inside);
        let mut segments: Vec<Segment> = Vec::new();
        for part in inside.split('/').filter(|_| !inside.is_empty()) {
            let segment = segment(part, text)?;
            if segments.contains(&segment)
                && let Segment::Parameter(name) = segment
            {
                return Err(InvalidPattern::Twice(name));
            }
            segments.push(segment);
        }
        let parameters = segments.iter().filter(|segment| matches!(segment, Segment::Parameter(_))).count();
        if segments.len() > MAX_SEGMENTS || parameters > MAX_PARAMETERS {
            return Err(InvalidPattern::TooLong);
        }
        Ok(Self { text: text.to_owned(), segments, open })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether it ends in `*`.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether a normalised path matches.
    pub fn matches(&self, path: &str) -> bool {
        let mut parts = parts(path);
        for segment in &self.segments {
            match (segment, parts.next()) {
                (_, None) => return false,
                (Segment::Literal(literal), Some(part)) if literal != part => return false,
                _ => {}
            }
        }
        self.open || parts.next().is_none()
    }

    /// What stands in a matching path for the parameter `name`.
    pub(crate) fn parameter<'p>(&self, name: &str, path: &'p str) -> Option<&'p str> {
        let at =
            self.segments.iter().position(|segment| matches!(segment, Segment::Parameter(n) if n == name))?;
        parts(path).nth(at)
    }

    /// What stands in a matching path for the final `*`: empty, or begins with `/`. Keeps a trailing slash.
    pub(crate) fn rest<'p>(&self, path: &'p str) -> &'p str {
        let mut rest = path;
        for _ in &self.segments {
            let inside = rest.strip_prefix('/').unwrap_or(rest);
            rest = inside.find('/').and_then(|at| inside.get(at..)).unwrap_or_default();
        }
        rest
    }

    /// Whether every path that `other` matches is matched by this one too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        if self.segments.len() > other.segments.len() || (!self.open && other.open) {
            return false;
        }
        if !self.open && self.segments.len() != other.segments.len() {
            return false;
        }
        self.segments.iter().zip(&other.segments).all(|(own, others)| match (own, others) {
            (Segment::Parameter(_), _) => true,
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            (Segment::Literal(_), Segment::Parameter(_)) => false,
        })
    }

    /// Whether some path is matched by both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let lengths = match self.segments.len().cmp(&other.segments.len()) {
            Ordering::Less => self.open,
            Ordering::Equal => true,
            Ordering::Greater => other.open,
        };
        lengths
            && self.segments.iter().zip(&other.segments).all(|(a, b)| match (a, b) {
                (Segment::Literal(a), Segment::Literal(b)) => a == b,
                _ => true,
            })
    }

    /// `Greater` when this one is more specific: literal before parameter before `*`, from left to right.
    /// Total, and `Equal` only for the same shape; among patterns that overlap it is the order of matching.
    pub(crate) fn specificity(&self, other: &Self) -> Ordering {
        for (a, b) in self.segments.iter().zip(&other.segments) {
            let order = match (a, b) {
                (Segment::Literal(a), Segment::Literal(b)) => b.cmp(a),
                (Segment::Literal(_), Segment::Parameter(_)) => Ordering::Greater,
                (Segment::Parameter(_), Segment::Literal(_)) => Ordering::Less,
                (Segment::Parameter(_), Segment::Parameter(_)) => Ordering::Equal,
            };
            if order.is_ne() {
                return order;
            }
        }
        self.segments.len().cmp(&other.segments.len()).then(other.open.cmp(&self.open))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn segment(part: &str, whole: &str) -> Result<Segment, InvalidPattern> {
    if let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let wellformed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return if name.is_empty() || !wellformed {
            Err(InvalidPattern::Brace)
        } else {
            Ok(Segment::Parameter(name.to_owned()))
        };
    }
    if part.contains(['{', '}']) {
        return Err(InvalidPattern::Brace);
    }
    if part.contains('*') {
        return Err(InvalidPattern::Star);
    }
    if part.contains('?') {
        return Err(InvalidPattern::Query);
    }
    let written = format!("/{part}");
    let normal = NormalPath::new(&written).map_err(|_| InvalidPattern::Unusable)?;
    if part.is_empty() || normal.text != written {
        let meant = NormalPath::new(whole).map_err(|_| InvalidPattern::Unusable)?;
        return Err(InvalidPattern::NotNormal(meant.text.replace("%7B", "{").replace("%7D", "}")));
    }
    Ok(Segment::Literal(part.to_owned()))
}

/// The segments of a normalised path.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    let path = for_matching(path);
    let inside = path.strip_prefix('/').unwrap_or(path);
    inside.split('/').filter(move |_| !inside.is_empty())
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_open_pattern_matches_its_prefix_and_all_below() {
        let open = pattern("/agents/research/*");
        for path in ["/agents/research", "/agents/research/", "/agents/research/a/b"] {
            assert!(open.matches(path), "{path}");
        }
        for path in ["/agents/researcher", "/agents", "/"] {
            assert!(!open.matches(path), "{path}");
        }
        assert!(pattern("/*").matches("/") && pattern("/*").matches("/a/b"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_trailing_slash_matches_the_same_exact_pattern() {
        assert!(pattern("/a/b").matches("/a/b/"));
        assert!(pattern("/a/b/").matches("/a/b"));
        assert!(!pattern("/a/b").matches("/a/b/c"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn specificity_goes_from_left_to_right() {
        let order = ["/a/b/c", "/a/b/*", "/a/{x}/c", "/a/{x}", "/a/*", "/{x}/b/c", "/*"];
        for (at, more) in order.iter().enumerate() {
            for less in &order[at + 1..] {
                assert_eq!(pattern(more).specificity(&pattern(less)), Ordering::Greater, "{more} {less}");
                assert_eq!(pattern(less).specificity(&pattern(more)), Ordering::Less, "{less} {more}");
            }
        }
        assert_eq!(pattern("/a/{x}").specificity(&pattern("/a/{y}")), Ordering::Equal);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn relations_hold() {
        for (a, b, covers, overlaps) in [
            ("/*", "/a", true, true),
            ("/a/*", "/a", true, true),
            ("/a", "/a/*", false, true),
            ("/a/{x}", "/a/b", true, true),
            ("/a/{x}/c", "/{y}/b/c", false, true),
            ("/a/b", "/a/c", false, false),
            ("/a/{x}", "/a/b/c", false, false),
            ("/{x}/*", "/a/b/*", true, true),
        ] {
            assert_eq!(pattern(a).covers(&pattern(b)), covers, "{a} covers {b}");
            assert_eq!(pattern(a).overlaps(&pattern(b)), overlaps, "{a} overlaps {b}");
            assert_eq!(pattern(b).overlaps(&pattern(a)), overlaps, "{b} overlaps {a}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn mistakes_are_named() {
        for (text, wanted) in [
            ("a", InvalidPattern::Relative),
            ("/a*", InvalidPattern::Star),
            ("/*/a", InvalidPattern::Star),
            ("/a{x}", InvalidPattern::Brace),
            ("/{x}/{x}", InvalidPattern::Twice("x".into())),
            ("/a?b", InvalidPattern::Query),
            ("/%61/{x}", InvalidPattern::NotNormal("/a/{x}".into())),
            ("/a b", InvalidPattern::NotNormal("/a%20b".into())),
            ("/a//b/*", InvalidPattern::NotNormal("/a/b/*".into())),
            ("/a/../b", InvalidPattern::NotNormal("/b".into())),
        ] {
            assert_eq!(Pattern::parse(text), Err(wanted), "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_pattern_is_no_longer_than_the_look_up_can_hold() {
        let parameters = |many: usize| (0..many).map(|n| format!("/{{p{n}}}")).collect::<String>();
        for (fine, too_long) in [("/a".repeat(128), "/a".repeat(129)), (parameters(24), parameters(25))] {
            assert!(Pattern::parse(&fine).is_ok());
            assert_eq!(Pattern::parse(&too_long), Err(InvalidPattern::TooLong));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_a_pattern_captured_can_be_read() {
        let both = pattern("/users/{id}/*");
        assert_eq!(both.parameter("id", "/users/7/x/y/"), Some("7"));
        assert_eq!(both.rest("/users/7/x/y/"), "/x/y/");
        assert_eq!(both.rest("/users/7"), "");
        assert_eq!(pattern("/*").rest("/"), "/");
    }
}
