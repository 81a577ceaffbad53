//! `tollgate lint`: what is unwise in a valid configuration, for people or for machines; and what each rule is for.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde_json::{Value, json};
use tollgate_core::config::{
    lint::{self, Choice, Rule},
    problem::Report,
};

use super::Target;

/// Exit code 0: nothing was found. 1: something was. 2: it could not be read, or is not valid.
#[derive(Debug, Args)]
pub(super) struct Lint {
    /// The configuration.
    #[arg(default_value = "tollgate.yaml")]
    file: PathBuf,
    /// The host it is meant for.
    #[arg(long, value_enum, default_value = "native")]
    target: Target,
    /// Answer with one JSON list.
    #[arg(long)]
    json: bool,
    /// Make what this rule finds an error, hints too.
    #[arg(long, value_name = "RULE", value_parser = a_rule(), hide_possible_values = true)]
    deny: Vec<String>,
    /// Leave out what this rule finds.
    #[arg(long, value_name = "RULE", value_parser = a_rule(), hide_possible_values = true)]
    allow: Vec<String>,
    /// Show hints too.
    #[arg(long)]
    strict: bool,
    /// List all rules instead.
    #[arg(long, exclusive = true)]
    rules: bool,
    /// Say what a rule is for instead.
    #[arg(long, value_name = "RULE", value_parser = a_rule(), hide_possible_values = true, exclusive = true)]
    explain: Option<String>,
}

fn a_rule() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(lint::rules().map(|rule| rule.id))
}

impl Lint {
    pub(super) fn execute(self) -> ExitCode {
        if self.rules {
            return super::print(list());
        }
        if let Some(rule) = self.explain.as_deref().and_then(lint::rule) {
            return super::print(explained(rule));
        }
        if let Some(rule) = self.deny.iter().find(|rule| self.allow.contains(rule)) {
            return super::fail(2, format_args!("`{rule}` can't be both denied and allowed"));
        }
        let mut linted = match crate::files::lint(&self.file, self.target.host()) {
            Ok(linted) => linted,
            Err(error) => return super::fail(2, error),
        };
        let file = self.file.display();
        if !linted.valid {
            // The answer is about what is valid: this is none, and no part of a list of findings.
            let _ = io::stderr().write_all(linted.report.render().as_bytes());
            return super::fail(2, format_args!("`{file}` is not valid, and so not looked at"));
        }
        linted.choose(&Choice { strict: self.strict, deny: self.deny, allow: self.allow });
        let report = linted.report;
        let printed = if self.json {
            super::print(format_args!("{:#}\n", as_json(&report)))
        } else {
            let summary = match report.problems.len() {
                0 => "nothing to object to".to_owned(),
                1 => "1 finding".to_owned(),
                many => format!("{many} findings"),
            };
            super::print(format_args!("{}{file}: {summary}\n", report.render()))
        };
        if report.problems.is_empty() { printed } else { ExitCode::from(1) }
    }
}

fn list() -> String {
    let width = lint::rules().map(|rule| rule.id.len()).max().unwrap_or_default();
    lint::rules()
        .map(|rule| format!("{:width$}  {:7}  {}\n", rule.id, rule.level.name(), rule.what))
        .collect()
}

fn explained(rule: &Rule) -> String {
    let Rule { id, what, why, cure, .. } = rule;
    format!("{id} ({}): {what}\n\n{why}\n\nWhat to do: {cure}.\n", rule.level.name())
}

fn as_json(report: &Report) -> Value {
    let finding = |problem: &tollgate_core::config::problem::Problem| {
        json!({
            "rule": problem.rule,
            "file": report.file_name(problem.span),
            "line": problem.span.line,
            "column": problem.span.column,
            "message": problem.message,
            "cure": problem.cure,
        })
    };
    report.problems.iter().map(finding).collect()
}
