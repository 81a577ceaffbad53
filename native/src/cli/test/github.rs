//! The report as workflow commands of GitHub Actions: each failure at its line in the file.

use std::fmt::Write;

use tollgate_rehearsal::rehearse::Verdict;

use super::{Report, failure, text::Paint};

pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    for verdict in &report.outcome.verdicts {
        annotate(&mut out, verdict);
    }
    for part in report.coverage.iter().flat_map(|coverage| &coverage.parts) {
        if let Some(remark) = part.remark() {
            command(&mut out, "notice", &part.file, part.line.into(), "tollgate test", &remark);
        }
    }
    out
}

fn annotate(out: &mut String, verdict: &Verdict) {
    let Some(first) = verdict.failures.first() else { return };
    let whole = failure::render(verdict, Paint { color: false });
    let message = format!("{}\n{whole}", failure::headline(first));
    let file = first.place.file.display().to_string();
    command(out, "error", &file, first.place.line, &verdict.scene.name(), message.trim_end());
}

fn command(out: &mut String, kind: &str, file: &str, line: u64, title: &str, message: &str) {
    let (file, title, message) = (property(file), property(title), data(message));
    let _ = writeln!(out, "::{kind} file={file},line={line},title={title}::{message}");
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_begins_another_command() {
        let mut out = String::new();
        command(&mut out, "error", "a,b:c", 7, "50 %\n::error::x", "one\r\ntwo :: three");
        assert_eq!(
            out,
            "::error file=a%2Cb%3Ac,line=7,title=50 %25%0A%3A%3Aerror%3A%3Ax::one%0D%0Atwo :: three\n"
        );
    }
}
