//! `include`: other files merged in. Lists and services append; a single value given twice is an error.

use super::{
    Files,
    node::{Key, Node, Span, Value},
    problem::{Problem, SourceFile},
    yaml,
};

/// Files in all; a loop of includes ends here at the latest.
const MAX_FILES: usize = 256;

/// Reads the first of `sources` and everything it includes, into one tree.
pub(crate) fn gather(
    sources: &mut Vec<SourceFile>,
    files: &dyn Files,
    problems: &mut Vec<Problem>,
) -> Option<Node> {
    let mut whole: Option<Node> = None;
    let mut next = 0;
    while let Some(source) = sources.get(next) {
        let (name, parsed) = (source.name.clone(), yaml::parse(next, &source.text));
        match parsed {
            Err(problem) => problems.push(problem),
            Ok(node) => {
                if !matches!(node.value, Value::Map(_)) {
                    let message = format!("a configuration is a mapping, this is {}", node.kind());
                    problems.push(Problem::error(node.span, message));
                } else {
                    follow(&node, &name, sources, files, problems);
                    whole = Some(match whole {
                        None => node,
                        Some(into) => merge(into, node, problems),
                    });
                }
            }
        }
        next += 1;
    }
    whole
}

/// Queues the files that `node` includes.
fn follow(
    node: &Node,
    name: &str,
    sources: &mut Vec<SourceFile>,
    files: &dyn Files,
    problems: &mut Vec<Problem>,
) {
    for include in node.get("include").map_or(&[][..], Node::items) {
        let Some(pattern) = include.text() else { continue };
        let pattern = beside(name, pattern);
        let found = match files.expand(&pattern) {
            Ok(found) => found,
            Err(error) => {
                problems.push(Problem::error(include.span, format!("can't include `{pattern}`: {error}")));
                continue;
            }
        };
        if found.is_empty() {
            problems.push(Problem::note(include.span, format!("no file matches `{pattern}`")));
        }
        for file in found {
            if sources.iter().any(|source| source.name == file) {
                problems.push(
                    Problem::error(include.span, format!("`{file}` is included twice"))
                        .cure("include each file once, and no file that includes this one"),
                );
            } else if sources.len() >= MAX_FILES {
                problems
                    .push(Problem::error(include.span, format!("more than {MAX_FILES} files are included")));
                return;
            } else {
                match files.read(&file) {
                    Ok(text) => sources.push(SourceFile { name: file, text }),
                    Err(error) => {
                        problems.push(Problem::error(include.span, format!("can't read `{file}`: {error}")));
                    }
                }
            }
        }
    }
}

/// A name relative to the folder of the file that gives it.
pub(crate) fn beside(file: &str, name: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
        _ => name.to_owned(),
    }
}

fn merge(into: Node, from: Node, problems: &mut Vec<Problem>) -> Node {
    let (Value::Map(mut entries), Value::Map(others)) = (into.value, from.value) else {
        return Node { span: into.span, value: Value::Null };
    };
    for (key, value) in others {
        match entries.iter_mut().find(|(own, _)| own.name == key.name) {
            None => entries.push((key, value)),
            Some((own, existing)) => join(own.span, existing, key, value, problems),
        }
    }
    Node { span: into.span, value: Value::Map(entries) }
}

fn join(first: Span, existing: &mut Node, key: Key, value: Node, problems: &mut Vec<Problem>) {
    match (&mut existing.value, value.value) {
        (_, Value::Null) => {}
        (own @ Value::Null, other) => {
            *own = other;
            existing.span = value.span;
        }
        (Value::List(items), Value::List(more)) => items.extend(more),
        (Value::Map(entries), Value::Map(more)) if key.name == "services" => {
            for (name, service) in more {
                if let Some((own, _)) = entries.iter().find(|(own, _)| own.name == name.name) {
                    let problem =
                        Problem::error(name.span, format!("the service `{}` is given twice", name.name));
                    problems.push(problem.related(own.span, "first given here"));
                } else {
                    entries.push((name, service));
                }
            }
        }
        _ => {
            let problem = Problem::error(key.span, format!("the key `{}` is given in two files", key.name));
            problems.push(problem.related(first, "first given here").cure("keep it in one of them"));
        }
    }
}
