//! The report as JUnit's XML: one suite a file. There is no standard; this is what CI systems agree on.

use std::{fmt::Write, path::Path, time::Duration};

use tollgate_rehearsal::rehearse::Verdict;

use super::{Report, failure, text::Paint};

pub(super) fn render(report: &Report) -> String {
    let verdicts = &report.outcome.verdicts;
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts = counts(verdicts);
    let _ = writeln!(out, "<testsuites name=\"tollgate test\" {counts} time=\"{}\">", seconds(report.took));
    for suite in verdicts.chunk_by(|a, b| a.scene.file == b.scene.file) {
        let file = suite.first().map(|verdict| verdict.scene.file.as_path()).unwrap_or(Path::new(""));
        let took = suite.iter().map(|verdict| verdict.took).sum();
        let name = escaped(&file.display().to_string());
        let _ =
            writeln!(out, "  <testsuite name=\"{name}\" {} time=\"{}\">", self::counts(suite), seconds(took));
        suite.iter().for_each(|verdict| case(&mut out, verdict));
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(out: &mut String, verdict: &Verdict) {
    let scene = &verdict.scene;
    let (name, class) = (escaped(&scene.case.name), escaped(&scene.topic));
    let file = escaped(&scene.file.display().to_string());
    let (line, time) = (scene.line, seconds(verdict.took));
    let _ = write!(
        out,
        "    <testcase name=\"{name}\" classname=\"{class}\" file=\"{file}\" line=\"{line}\" time=\"{time}\""
    );
    if let Some(why) = &verdict.skipped {
        let _ = writeln!(out, "><skipped message=\"{}\"/></testcase>", escaped(why));
    } else if let Some(first) = verdict.failures.first() {
        let message = escaped(&failure::headline(first));
        let whole = escaped(&failure::render(verdict, Paint { color: false }));
        let _ = writeln!(out, "><failure message=\"{message}\">{whole}</failure></testcase>");
    } else {
        out.push_str("/>\n");
    }
}

fn counts(verdicts: &[Verdict]) -> String {
    let failed = verdicts.iter().filter(|verdict| !verdict.is_good()).count();
    let skipped = verdicts.iter().filter(|verdict| verdict.skipped.is_some()).count();
    format!("tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\"", verdicts.len())
}

fn seconds(took: Duration) -> String {
    format!("{:.6}", took.as_secs_f64())
}

/// A text as it may stand in XML. Characters that XML 1.0 does not have at all (§2.2) are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() && c < '\u{80}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_out_of_the_xml() {
        assert_eq!(
            escaped("a<b>&\"c\"\u{1b}\0\u{ffff}"),
            "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}\u{fffd}\u{fffd}"
        );
    }
}
