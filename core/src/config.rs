//! The configuration language: from files to a [`Gateway`], with every mistake listed at once.
//!
//! Text → marked tree ([`node`]) → includes merged, variables filled → document ([`document`], [`policy`]) →
//! checked and compiled ([`compile`]). Files and variables are lent by the caller; nothing here reads either.

pub mod compile;
mod decode;
pub mod document;
#[cfg(feature = "yaml")]
mod include;
pub mod node;
mod planned;
pub mod policy;
pub mod problem;
#[cfg(feature = "schema")]
pub mod schema;
mod services;
pub mod variables;
#[cfg(feature = "yaml")]
mod yaml;

use self::{
    decode::Findings,
    document::Whole,
    node::{Node, Value},
    problem::{Problem, Report, SourceFile},
    variables::Variables,
};
use crate::gateway::Gateway;

/// The host a configuration is meant for: what it can't honour is an error there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The self-hosted binary.
    Native,
    /// Cloudflare Workers.
    Workers,
}

/// Reads the files that a configuration names. Names are relative to the folder of the naming file, already
/// joined to it.
pub trait Files {
    /// The text of a file.
    fn read(&self, name: &str) -> Result<String, String>;
    /// The files a glob stands for, sorted; just the name itself where it is no glob.
    fn expand(&self, pattern: &str) -> Result<Vec<String>, String>;
}

/// A configuration that consists of one text and names no other file.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("files can't be read here".to_owned())
    }

    fn expand(&self, _: &str) -> Result<Vec<String>, String> {
        Err("files can't be read here".to_owned())
    }
}

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The gateway; none when there are errors.
    pub gateway: Option<Gateway>,
    /// Errors and notes.
    pub report: Report,
}

/// Reads, checks and compiles the configuration in `text`, known to the user as `name`.
#[cfg(feature = "yaml")]
pub fn load(name: &str, text: String, files: &dyn Files, variables: &dyn Variables, host: Host) -> Loaded {
    let mut sources = vec![SourceFile { name: name.to_owned(), text }];
    let mut problems = Vec::new();
    let root = include::gather(&mut sources, files, &mut problems);
    finish(root, sources, problems, files, variables, host)
}

fn finish(
    root: Option<Node>,
    sources: Vec<SourceFile>,
    mut problems: Vec<Problem>,
    files: &dyn Files,
    variables: &dyn Variables,
    host: Host,
) -> Loaded {
    let mut gateway = None;
    if let Some(mut root) = root {
        repeated_keys(&root, &mut problems);
        variables::fill(&mut root, variables, &mut problems);
        let findings = Findings::default();
        let whole = Whole::read(&root, &findings);
        let compiled = compile::compile(&whole, files, &sources, host, &findings);
        problems.extend(findings.into_problems());
        gateway = compiled;
    }
    let mut report = Report { files: sources, problems };
    report.sort();
    if report.has_errors() {
        gateway = None;
    }
    Loaded { gateway, report }
}

/// A key given twice means that one of the two is not carried out.
fn repeated_keys(node: &Node, problems: &mut Vec<Problem>) {
    match &node.value {
        Value::Map(entries) => {
            for (at, (key, value)) in entries.iter().enumerate() {
                if let Some((first, _)) = entries.iter().take(at).find(|(other, _)| other.name == key.name) {
                    let problem = Problem::error(key.span, format!("the key `{}` is given twice", key.name));
                    problems.push(problem.related(first.span, "first given here"));
                }
                repeated_keys(value, problems);
            }
        }
        Value::List(items) => items.iter().for_each(|item| repeated_keys(item, problems)),
        Value::Null | Value::Scalar(_) => {}
    }
}
