//! The report for programs: everything that the others tell.

use serde_json::{Value, json};
use tollgate_rehearsal::rehearse::{Failure, Verdict};

use super::Report;

pub(super) fn render(report: &Report) -> String {
    let coverage = report.coverage.as_ref().map(|coverage| {
        let parts = coverage.parts.iter().map(|part| {
            json!({
                "kind": part.kind.name(),
                "name": part.name,
                "file": part.file,
                "line": part.line,
                "covered": part.decided,
                "never_refused": part.never_refused,
            })
        });
        json!({
            "covered": coverage.decided(),
            "total": coverage.parts.len(),
            "parts": parts.collect::<Vec<_>>(),
        })
    });
    let document = json!({
        "holds": report.failed() == 0,
        "cases": report.outcome.verdicts.iter().map(case).collect::<Vec<_>>(),
        "failed": report.failed(),
        "skipped": report.skipped(),
        "took_ms": report.took.as_secs_f64() * 1000.0,
        "coverage": coverage,
    });
    format!("{document:#}\n")
}

fn case(verdict: &Verdict) -> Value {
    let scene = &verdict.scene;
    let result = match (&verdict.skipped, verdict.is_good()) {
        (Some(_), _) => "skipped",
        (None, true) => "holds",
        (None, false) => "fails",
    };
    json!({
        "name": scene.case.name,
        "file": scene.file.display().to_string(),
        "line": scene.line,
        "result": result,
        "skipped": verdict.skipped,
        "took_ms": verdict.took.as_secs_f64() * 1000.0,
        "failures": verdict.failures.iter().map(|failure| told(failure, &verdict.files)).collect::<Vec<_>>(),
    })
}

fn told(failure: &Failure, files: &[String]) -> Value {
    let place = &failure.place;
    let differences = failure
        .faults
        .iter()
        .map(|fault| json!({"what": fault.what, "expected": fault.wanted, "actual": fault.found}));
    json!({
        "file": place.file.display().to_string(),
        "line": place.line,
        "step": place.step,
        "round": place.round.0,
        "method": failure.sent.method,
        "target": failure.sent.target,
        "not_given": failure.unknown,
        "differences": differences.collect::<Vec<_>>(),
        "trail": failure.trail.as_ref().map(|trail| json!(trail.placed(files))),
    })
}
