//! Where to look: paths and methods that stand for all requests of a route, one for each place in which
//! something of its own may hold on either side.

use http::Method;

use crate::{
    config::node::Span,
    pattern::{Pattern, Segment},
    route::Route,
};

/// Stands for a segment that no pattern names.
const ANY: &str = "any-other";
/// Of more patterns than this not all pairs are asked whether they cross.
const MAX_CROSSED: usize = 256;

/// Requests that nothing tells apart.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// What the paths have in common, as people write it.
    pub(super) pattern: Pattern,
    /// One such path.
    pub(super) path: String,
    /// One of the methods.
    pub(super) method: Method,
    /// The name of the method where methods make a difference.
    pub(super) label: Option<String>,
}

/// Points of a route for these patterns, and for those in which they cross, with methods that `other` serves too.
pub(super) fn points(
    route: &Route,
    other: &Route,
    mut patterns: Vec<Pattern>,
    methods: &[String],
) -> Vec<Point> {
    let mut crossings = Vec::new();
    if patterns.len() <= MAX_CROSSED {
        for (at, a) in patterns.iter().enumerate() {
            for b in patterns.iter().skip(at + 1) {
                if a.overlaps(b) && !a.covers(b) && !b.covers(a) {
                    crossings.extend(meet(a, b));
                }
            }
        }
    }
    for crossing in crossings {
        if !patterns.contains(&crossing) {
            patterns.push(crossing);
        }
    }
    let methods = sampled([route, other], methods);
    let deepest = patterns.iter().map(|pattern| pattern.segments().len()).max().unwrap_or_default();
    let mut points = Vec::new();
    for pattern in &patterns {
        let Some(path) = sample(pattern, &route.pattern, &patterns, deepest) else { continue };
        for (method, label) in &methods {
            let (path, label) = (path.clone(), label.clone());
            points.push(Point { pattern: pattern.clone(), path, method: method.clone(), label });
        }
    }
    points
}

/// A method for each that something is said about, and one for all others.
fn sampled(routes: [&Route; 2], named: &[String]) -> Vec<(Method, Option<String>)> {
    let own_methods = || routes.iter().filter_map(|route| route.methods.as_ref());
    let serves = |method: &Method| own_methods().all(|methods| methods.contain(method));
    let mut own = Vec::new();
    own_methods().for_each(|methods| methods.list_into(&mut own));
    let usual = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS];
    let mut others = own.into_iter().chain(usual).filter(|method| serves(method));
    if named.is_empty() {
        return others.next().map(|method| (method, None)).into_iter().collect();
    }
    let other = others.find(|method| !named.iter().any(|named| named == method.as_str()));
    let mut sampled: Vec<(Method, Option<String>)> = Vec::new();
    for name in named {
        if let Ok(method) = Method::from_bytes(name.as_bytes())
            && serves(&method)
            && !sampled.iter().any(|(own, _)| *own == method)
        {
            sampled.push((method, Some(name.clone())));
        }
    }
    sampled.extend(other.map(|method| (method, Some("others".to_owned()))));
    sampled
}

/// A path of `pattern` and of the route that, if possible, no more specific pattern matches.
pub(super) fn sample(pattern: &Pattern, route: &Pattern, all: &[Pattern], deepest: usize) -> Option<String> {
    let both = if route.covers(pattern) { pattern.clone() } else { meet(pattern, route)? };
    let mut path = String::new();
    for segment in both.segments() {
        path.push('/');
        path.push_str(match segment {
            Segment::Literal(literal) => literal,
            Segment::Parameter(_) => ANY,
        });
    }
    let depth = if both.is_open() { deepest + 1 - both.segments().len().min(deepest) } else { 0 };
    let deep = format!("{path}{}", format!("/{ANY}").repeat(depth));
    let candidates = [deep.clone(), format!("{path}/{ANY}"), path];
    let own = |path: &&String| {
        let better = |other: &Pattern| other.matches(path) && other.specificity(pattern).is_gt();
        both.matches(path) && !all.iter().any(better)
    };
    let found = candidates.iter().find(own).cloned().unwrap_or(deep);
    Some(if found.is_empty() { "/".to_owned() } else { found })
}

/// The paths that both match, as one pattern.
fn meet(a: &Pattern, b: &Pattern) -> Option<Pattern> {
    let (long, short) = if a.segments().len() < b.segments().len() { (b, a) } else { (a, b) };
    let mut text = String::new();
    for (at, segment) in long.segments().iter().enumerate() {
        text.push('/');
        match (segment, short.segments().get(at)) {
            (Segment::Literal(literal), _) | (_, Some(Segment::Literal(literal))) => text.push_str(literal),
            (Segment::Parameter(name), _) => text.push_str(&format!("{{{name}}}")),
        }
    }
    written(text, a.is_open() && b.is_open())
}

/// The pattern that stands to `to` as `pattern` stands to `from`: what an override becomes with its route.
pub(super) fn carried(pattern: &Pattern, from: &Pattern, to: &Pattern) -> Option<Pattern> {
    let front = pattern.segments().get(..from.segments().len())?;
    if front != from.segments() {
        return None;
    }
    let below = pattern.segments().get(from.segments().len()..)?;
    if !below.is_empty() && !to.is_open() {
        return None;
    }
    let mut text = String::new();
    for segment in to.segments().iter().chain(below) {
        text.push('/');
        match segment {
            Segment::Literal(literal) => text.push_str(literal),
            Segment::Parameter(name) => text.push_str(&format!("{{{name}}}")),
        }
    }
    written(text, pattern.is_open() && to.is_open())
}

fn written(mut text: String, open: bool) -> Option<Pattern> {
    if open {
        text.push_str("/*");
    } else if text.is_empty() {
        text.push('/');
    }
    Pattern::parse(&text).ok()
}

/// Where an exclusion that is known by its place stands, as a pattern.
pub(super) fn excluded_at(excluded: &[(Pattern, Span)], at: Span) -> Option<&Pattern> {
    excluded.iter().find(|(_, own)| *own == at).map(|(pattern, _)| pattern)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_sample_is_of_no_more_specific_pattern() {
        let all = ["/a/*", "/a", "/a/{x}", "/a/b", "/a/b/*"].map(pattern);
        let path = |text: &str| sample(&pattern(text), &pattern("/a/*"), &all, 2).unwrap();
        assert_eq!(path("/a/*"), "/a/any-other/any-other");
        assert_eq!(path("/a/{x}"), "/a/any-other");
        assert_eq!(path("/a/b/*"), "/a/b/any-other");
        let all = ["/*", "/{x}/*"].map(pattern);
        assert_eq!(sample(&pattern("/*"), &pattern("/*"), &all, 1).unwrap(), "/");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn patterns_meet_and_are_carried_along() {
        assert_eq!(meet(&pattern("/a/{x}/c"), &pattern("/{y}/b/*")), Some(pattern("/a/b/c")));
        let (from, to) = (pattern("/a/*"), pattern("/v2/a/*"));
        assert_eq!(carried(&pattern("/a/b"), &from, &to), Some(pattern("/v2/a/b")));
        assert_eq!(carried(&from, &from, &to), Some(to.clone()));
        assert_eq!(carried(&pattern("/{x}/b"), &from, &to), None);
    }
}
