//! `include`: other files merged in. Lists and services append; a single value given twice is an error.

use super::{
    Files, Gathered, beside,
    findings::Findings,
    node::{Key, Node, Span, Value},
    problem::{Problem, SourceFile},
    variables::{self, Variables},
    yaml,
};

/// Files in all; a loop of includes ends here at the latest.
const MAX_FILES: usize = 256;

/// Reads the first of `sources` and everything it includes.
pub(crate) fn gather(
    sources: &mut Vec<SourceFile>,
    files: &dyn Files,
    variables: &dyn Variables,
    findings: &Findings,
) -> Option<Gathered> {
    let mut whole: Option<Node> = None;
    let mut complete = true;
    let mut next = 0;
    while let Some(source) = sources.get(next) {
        let (name, parsed) = (source.name.clone(), yaml::parse(next, &source.text));
        match parsed {
            Err(problem) => {
                findings.push(problem);
                complete = false;
            }
            Ok(node) if !matches!(node.value, Value::Map(_)) => {
                let message = format!("a configuration is a mapping, this is {}", node.kind());
                findings.push(Problem::error(node.span, message));
                complete = false;
            }
            Ok(node) => {
                complete &= follow(&node, &name, sources, files, variables, findings);
                whole = Some(match whole {
                    None => node,
                    Some(into) => merge(into, node, findings),
                });
            }
        }
        // Without the first file the others are in nobody's name.
        whole.as_ref()?;
        next += 1;
    }
    whole.map(|root| Gathered { root, complete })
}

/// Queues the files that `node` includes. Whether all could be read.
fn follow(
    node: &Node,
    name: &str,
    sources: &mut Vec<SourceFile>,
    files: &dyn Files,
    variables: &dyn Variables,
    findings: &Findings,
) -> bool {
    let mut complete = true;
    let mut failed = |span: Span, message: String| {
        findings.push(Problem::error(span, message));
        complete = false;
    };
    for include in node.get("include").map_or(&[][..], Node::items) {
        let mut include = include.clone();
        variables::fill(&mut include, variables, findings);
        let Some(text) = include.text() else { continue };
        let (span, pattern) = (include.span, beside(name, text));
        let found = match files.expand(&pattern) {
            Ok(found) => found,
            Err(error) => {
                failed(span, format!("can't include `{}`: {error}", include.shown()));
                continue;
            }
        };
        if found.is_empty() {
            findings.push(Problem::note(span, format!("no file matches `{}`", include.shown())));
        }
        let shown = |file: &str| if include.is_filled() { include.shown() } else { file }.to_owned();
        for file in found {
            if sources.iter().any(|source| source.name == file) {
                findings.push(
                    Problem::error(span, format!("`{}` is included twice", shown(&file)))
                        .cure("include each file once, and no file that includes this one"),
                );
            } else if sources.len() >= MAX_FILES {
                failed(span, format!("more than {MAX_FILES} files are included"));
                return complete;
            } else {
                let shown = shown(&file);
                match files.read(&file) {
                    Ok(text) => sources.push(SourceFile::new(file, text)),
                    Err(error) => failed(span, format!("can't read `{}`: {error}", shown)),
                }
            }
        }
    }
    complete
}

fn merge(into: Node, from: Node, findings: &Findings) -> Node {
    let (Value::Map(mut entries), Value::Map(others)) = (into.value, from.value) else {
        return Node { span: into.span, value: Value::Null };
    };
    for (key, value) in others {
        match entries.iter_mut().find(|(own, _)| own.name == key.name) {
            None => entries.push((key, value)),
            Some((own, existing)) => join(own.span, existing, key, value, findings),
        }
    }
    Node { span: into.span, value: Value::Map(entries) }
}

fn join(first: Span, existing: &mut Node, key: Key, value: Node, findings: &Findings) {
    match (&mut existing.value, value.value) {
        (Value::List(items), Value::List(more)) => items.extend(more),
        // Names given twice are found with all other keys given twice.
        (Value::Map(entries), Value::Map(more)) if key.name == "services" => entries.extend(more),
        _ => {
            let problem = Problem::error(key.span, format!("the key `{}` is given in two files", key.name));
            findings.push(problem.related(first, "first given here").cure("keep it in one of them"));
        }
    }
}
