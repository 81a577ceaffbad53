//! The report for people.

use std::{fmt::Write, path::Path, time::Duration};

use super::{Report, failure};

/// Whether a terminal is told about colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    pub(super) color: bool,
}

impl Paint {
    pub(super) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

pub(super) fn render(report: &Report, color: bool) -> String {
    let paint = Paint { color };
    let mut out = String::new();
    let mut file: Option<&Path> = None;
    for verdict in &report.outcome.verdicts {
        if file != Some(&verdict.scene.file) {
            file = Some(&verdict.scene.file);
            let _ = writeln!(out, "{}", paint.bold(&verdict.scene.file.display().to_string()));
        }
        let name = &verdict.scene.case.name;
        let took = paint.dim(&format!("in {}", length(verdict.took)));
        let _ = match &verdict.skipped {
            Some(why) => writeln!(out, "  {} {name}: skipped, {why}", paint.yellow("-")),
            None if verdict.is_good() => writeln!(out, "  {} {name} {took}", paint.green("✓")),
            None => writeln!(out, "  {} {name} {took}", paint.red("✗")),
        };
    }
    for verdict in report.outcome.verdicts.iter().filter(|verdict| !verdict.is_good()) {
        let scene = &verdict.scene;
        let place = format!("({}:{})", scene.file.display(), scene.line);
        let _ = writeln!(out, "\n{} {} {}", paint.red("✗"), paint.bold(&scene.name()), paint.dim(&place));
        for line in failure::render(verdict, paint).lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
    let _ = writeln!(out, "\n{} in {}", summary(report, paint), length(report.took));
    if let Some(coverage) = &report.coverage {
        let _ = writeln!(out, "{}", coverage.summary());
        for part in &coverage.parts {
            if let Some(remark) = part.remark() {
                let place = format!("({}:{})", part.file, part.line);
                let _ = writeln!(out, "  {} {}", paint.yellow(&remark), paint.dim(&place));
            }
        }
    }
    out
}

fn summary(report: &Report, paint: Paint) -> String {
    let (failed, skipped) = (report.failed(), report.skipped());
    let hold = report.outcome.verdicts.len() - failed - skipped;
    let mut parts = vec![paint.green(&match hold {
        1 => "1 case holds".to_owned(),
        many => format!("{many} cases hold"),
    })];
    if failed > 0 {
        parts.push(paint.red(&match failed {
            1 => "1 does not".to_owned(),
            many => format!("{many} do not"),
        }));
    }
    if skipped > 0 {
        parts.push(paint.yellow(&format!("{skipped} skipped")));
    }
    parts.join(", ")
}

fn length(took: Duration) -> String {
    let milliseconds = took.as_secs_f64() * 1000.0;
    if milliseconds < 1000.0 {
        format!("{milliseconds:.1} ms")
    } else {
        format!("{:.2} s", took.as_secs_f64())
    }
}
