//! Advice on a configuration that is valid: what a reviewer who knows gateways would object to. What is impossible
//! is [`super::compile`]'s to say; nothing here keeps a configuration from being used.
//!
//! A rule is a pure function over the document as it was written and the gateway as it was compiled. The rules
//! stand in groups, one file a group, each with its reason; a file may answer one by a comment with a reason.

mod access;
mod allow;
mod anchors;
mod caching;
mod choice;
mod counting;
mod encryption;
mod exposure;
mod hosts;
mod limits;
mod redundant;
mod routes;
mod rule;
mod secrets;
mod subject;
mod tokens;
mod transport;
mod words;

use self::subject::Subject;
pub use self::{
    choice::Choice,
    rule::{Rule, rule, rules},
};
use super::{
    Files, Host,
    document::Whole,
    findings::Findings,
    finish_and, include,
    problem::{Problem, Report, SourceFile},
    variables::Variables,
};
use crate::gateway::Gateway;

/// What came of looking at a configuration.
#[derive(Debug)]
pub struct Linted {
    /// Whether it could be looked at: only what is valid is.
    pub valid: bool,
    /// What lint found, or where it is not valid, what checking found.
    pub report: Report,
}

impl Linted {
    /// Leaves what the user wants to hear of. Errors of checking stay.
    pub fn choose(&mut self, choice: &Choice) {
        if self.valid {
            choice.apply(&mut self.report.problems);
        }
    }
}

/// Reads, checks and compiles the configuration in `text`, as [`super::load`] does, and looks at it.
pub fn lint(name: &str, text: String, files: &dyn Files, variables: &dyn Variables, host: Host) -> Linted {
    let mut sources = vec![SourceFile::new(name, text)];
    let findings = Findings::default();
    let gathered = include::gather(&mut sources, files, variables, &findings);
    let mut advice = None;
    let loaded =
        finish_and(gathered, sources, findings, files, variables, host, |whole, gateway, sources| {
            advice = Some(advise(whole, gateway, sources, host));
        });
    match advice {
        Some(report) => Linted { valid: true, report },
        None => Linted { valid: false, report: loaded.report },
    }
}

fn advise(whole: &Whole<'_>, gateway: &Gateway, sources: &[SourceFile], host: Host) -> Report {
    let subject = Subject::new(whole, gateway, host);
    let found: Vec<Problem> = rules().flat_map(|rule| rule.find(&subject)).collect();
    let problems = allow::answer(found, sources, whole.root);
    let mut report = Report { files: secrets::veiled(sources, whole), problems };
    report.sort();
    report
}
