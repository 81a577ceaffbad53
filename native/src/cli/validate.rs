//! `tollgate validate`: what is wrong with a configuration, for people or for machines.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tollgate_core::config::{
    node::Span,
    problem::{Report, Severity},
};

use super::Target;

/// Exit code 0: it can be served. 1: it can't. 2: it could not be read.
#[derive(Debug, Args)]
pub(super) struct Validate {
    /// The configuration.
    #[arg(default_value = "tollgate.yaml")]
    file: PathBuf,
    /// The host it is meant for.
    #[arg(long, value_enum, default_value = "native")]
    target: Target,
    /// The form of the answer.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Validate {
    pub(super) fn execute(self) -> ExitCode {
        let loaded = match crate::files::load(&self.file, self.target.host()) {
            Ok(loaded) => loaded,
            Err(error) => return super::fail(2, error),
        };
        let report = loaded.report;
        match self.format {
            Format::Json => println!("{:#}", as_json(&report)),
            Format::Text => {
                print!("{}", report.render());
                let file = self.file.display();
                match report.count(Severity::Error) {
                    0 => println!("{file} is valid"),
                    1 => println!("{file} has 1 error"),
                    many => println!("{file} has {many} errors"),
                }
            }
        }
        if report.has_errors() { ExitCode::from(1) } else { ExitCode::SUCCESS }
    }
}

fn as_json(report: &Report) -> Value {
    let place = |span: Span| json!({"file": report.file_name(span), "line": span.line, "column": span.column, "length": span.length});
    let problems: Vec<Value> = report
        .problems
        .iter()
        .map(|problem| {
            let related =
                problem.related.as_ref().map(|(span, why)| json!({"at": place(*span), "message": why}));
            json!({
                "severity": problem.severity.name(),
                "message": problem.message,
                "at": place(problem.span),
                "cure": problem.cure,
                "related": related,
            })
        })
        .collect();
    json!({"valid": !report.has_errors(), "problems": problems})
}
