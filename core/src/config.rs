//! The configuration language: from files to a [`Gateway`], with every mistake listed at once.
//!
//! Text → marked tree ([`node`]) → includes merged, variables filled → document ([`document`], [`policy`]) →
//! checked and compiled ([`compile`]). Files and variables are lent by the caller; nothing here reads either.

mod blot;
pub mod bundle;
pub mod compile;
mod decode;
pub mod document;
mod findings;
#[cfg(feature = "yaml")]
pub mod format;
#[cfg(feature = "yaml")]
mod include;
pub mod instant;
pub mod length;
#[cfg(feature = "yaml")]
pub mod lint;
pub mod node;
pub(crate) mod places;
mod planned;
pub mod policy;
pub mod problem;
#[cfg(feature = "schema")]
pub mod schema;
pub(crate) mod services;
pub mod variables;
#[cfg(feature = "yaml")]
mod yaml;

use std::collections::HashMap;

use zeroize::Zeroizing;

use self::{
    document::Whole,
    findings::Findings,
    node::{Node, Span, Value},
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
    /// The text of a file that may hold a secret, of which only the kind is asked. It is wiped after use, and no bundle
    /// takes it along.
    fn look(&self, name: &str) -> Result<Zeroizing<String>, String> {
        self.read(name).map(Zeroizing::new)
    }
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
    let mut sources = vec![SourceFile::new(name, text)];
    let findings = Findings::default();
    let gathered = include::gather(&mut sources, files, variables, &findings);
    finish(gathered, sources, findings, files, variables, host)
}

/// All files of a configuration in one tree.
struct Gathered {
    root: Node,
    /// Whether every file could be read, so that what is not in the tree is nowhere.
    complete: bool,
}

fn finish(
    gathered: Option<Gathered>,
    sources: Vec<SourceFile>,
    findings: Findings,
    files: &dyn Files,
    variables: &dyn Variables,
    host: Host,
) -> Loaded {
    finish_and(gathered, sources, findings, files, variables, host, |_, _, _| {})
}

/// The same, and has a look at a configuration in which there is no error.
fn finish_and(
    gathered: Option<Gathered>,
    mut sources: Vec<SourceFile>,
    findings: Findings,
    files: &dyn Files,
    variables: &dyn Variables,
    host: Host,
    look: impl FnOnce(&Whole<'_>, &Gateway, &[SourceFile]),
) -> Loaded {
    let Some(Gathered { mut root, complete }) = gathered else {
        return Loaded { gateway: None, report: reported(sources, findings) };
    };
    repeated_keys(&root, &findings);
    variables::fill(&mut root, variables, &findings);
    let whole = Whole::read(&root, &findings);
    let gateway = compile::compile(&whole, files, &sources, complete, host, &findings);
    blot::secrets(&root, &mut sources);
    let report = reported(sources, findings);
    let gateway = gateway.filter(|_| !report.has_errors());
    if let Some(gateway) = &gateway {
        look(&whole, gateway, &report.files);
    }
    Loaded { gateway, report }
}

fn reported(sources: Vec<SourceFile>, findings: Findings) -> Report {
    let mut report = Report { files: sources, problems: findings.into_problems() };
    report.sort();
    report
}

/// A name relative to the folder of the file that gives it, without detours: the same file has one name.
fn beside(file: &str, name: &str) -> String {
    let joined = match file.rsplit_once('/') {
        Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
        _ => name.to_owned(),
    };
    let parts: Vec<&str> = joined.split('/').filter(|part| *part != ".").collect();
    parts.join("/")
}

/// A key given twice means that one of the two is not carried out.
fn repeated_keys(node: &Node, findings: &Findings) {
    match &node.value {
        Value::Map(entries) => {
            let mut seen: HashMap<&str, Span> = HashMap::with_capacity(entries.len());
            for (key, value) in entries {
                let first = *seen.entry(&key.name).or_insert(key.span);
                if first != key.span {
                    let problem = Problem::error(key.span, format!("the key `{}` is given twice", key.name));
                    findings.push(problem.related(first, "first given here"));
                }
                repeated_keys(value, findings);
            }
        }
        Value::List(items) => items.iter().for_each(|item| repeated_keys(item, findings)),
        Value::Null | Value::Scalar(_) => {}
    }
}
