//! What is wrong with a configuration, said so that it can be mended: where, what, and how.

use std::fmt::Write;

use super::node::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know; nothing is wrong.
    Note,
    /// Nothing starts.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub span: Span,
    /// What: one sentence, lower case, no full stop, the user's words in backticks.
    pub message: String,
    /// How to mend it.
    pub cure: Option<String>,
    /// Another place that belongs to it, and why.
    pub related: Option<(Span, String)>,
}

impl Problem {
    /// An error at `span`.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        let message = one_line(&message.into());
        Self { severity: Severity::Error, span, message, cure: None, related: None }
    }

    /// A note at `span`.
    pub fn note(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(span, message) }
    }

    /// With a way out.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(one_line(&cure.into()));
        self
    }

    /// With another place that belongs to it.
    #[must_use]
    pub fn related(mut self, span: Span, why: impl Into<String>) -> Self {
        self.related = Some((span, why.into()));
        self
    }
}

/// A file that was read, for showing the lines that problems are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, as the user knows it.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// A file as it was read. A byte order mark is no part of its first line.
    pub fn new(name: impl Into<String>, text: String) -> Self {
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Self { name: name.into(), text }
    }

    fn line(&self, number: u32) -> &str {
        self.text.lines().nth(number.saturating_sub(1) as usize).unwrap_or("")
    }
}

/// All findings of one reading, and the files they point into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The files, in the order they were read.
    pub files: Vec<SourceFile>,
    /// The findings, in the order of the files.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether anything keeps the configuration from being used.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many findings there are of one severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    /// The name of a file.
    pub fn file_name(&self, span: Span) -> &str {
        self.files.get(span.file).map_or("", |file| file.name.as_str())
    }

    pub(crate) fn sort(&mut self) {
        self.problems.sort_by_key(|problem| (problem.span.file, problem.span.line, problem.span.column));
        self.problems.dedup();
    }

    /// All findings as text for people, with the lines they are about.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for problem in &self.problems {
            let severity = match problem.severity {
                Severity::Error => "error",
                Severity::Note => "note",
            };
            let _ = writeln!(out, "{severity}: {}", problem.message);
            self.snippet(&mut out, problem.span, "");
            if let Some((span, why)) = &problem.related {
                self.snippet(&mut out, *span, why);
            }
            if let Some(cure) = &problem.cure {
                let _ = writeln!(out, "   = help: {cure}");
            }
            out.push('\n');
        }
        out
    }

    fn snippet(&self, out: &mut String, span: Span, label: &str) {
        let Some(file) = self.files.get(span.file) else { return };
        if span.line == 0 {
            let _ = writeln!(out, "  --> {}", file.name);
            return;
        }
        let line = Line::around(file.line(span.line), span);
        let number = span.line.to_string();
        let gutter = " ".repeat(number.len());
        let separator = if label.is_empty() { "" } else { " " };
        let _ = writeln!(out, "{gutter}--> {}:{}:{}", file.name, span.line, span.column.max(1));
        let _ = writeln!(out, "{gutter} |");
        let _ = writeln!(out, "{}", format!("{number} | {}", line.text).trim_end());
        let _ = writeln!(out, "{gutter} | {}{}{separator}{label}", line.margin, line.carets);
    }
}

/// A text that quotes the user's own must neither break lines nor command a terminal.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// As much of a line as a terminal shows.
const WIDTH: usize = 120;

/// A line to be shown, and what goes below it.
struct Line {
    text: String,
    margin: String,
    carets: String,
}

impl Line {
    /// The part of `line` around `span`: a document may consist of one line of megabytes.
    fn around(line: &str, span: Span) -> Self {
        let column = span.column.max(1) as usize - 1;
        let length = line.chars().count();
        let start = if length <= WIDTH { 0 } else { column.saturating_sub(WIDTH / 2).min(length - WIDTH) };
        let before = if start > 0 { "…" } else { "" };
        let after = if start + WIDTH < length { "…" } else { "" };
        // What a terminal would obey is not shown to it.
        let shown = |c: char| if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
        let window: String = line.chars().skip(start).take(WIDTH).map(shown).collect();
        let text = format!("{before}{window}{after}");
        // Tabs are kept in the margin, so that the carets stand below what they mean.
        let blank = |c: char| if c == '\t' { '\t' } else { ' ' };
        let skipped = column - start + before.chars().count();
        let margin: String = text.chars().take(skipped).map(blank).collect();
        let room = (start + WIDTH).min(length).saturating_sub(column).max(1);
        let carets = "^".repeat((span.length.max(1) as usize).min(room));
        Self { text, margin, carets }
    }
}

/// The known word nearest to `word`, if any is near enough to be meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let folded = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = folded(word);
    let near = |candidate: &str| (candidate.len() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (folded(candidate), candidate))
        // Most are told by their length alone.
        .filter(|(folded, candidate)| folded.len().abs_diff(wanted.len()) <= near(candidate))
        .map(|(folded, candidate)| (distance(&wanted, &folded), candidate))
        .filter(|(distance, candidate)| *distance <= near(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many edits apart two words are; two neighbours in the wrong order are one edit.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let cell = |up: usize, left: usize| {
                let row = (i + 1).checked_sub(up).and_then(|at| rows.get(at));
                row.and_then(|row| row.get((j + 1).checked_sub(left)?)).copied().unwrap_or(usize::MAX - 1)
            };
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            let left = row.last().copied().unwrap_or(0) + 1;
            let replaced = cell(1, 1) + usize::from(x != y);
            let swap = if swapped { cell(2, 2) + 1 } else { usize::MAX };
            row.push(left.min(cell(1, 0) + 1).min(replaced).min(swap));
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn distance_counts_edits() {
        for (a, b, wanted) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
            ("", "ab", 2),
            ("ab", "", 2),
            ("TLT", "TTL", 1),
        ] {
            assert_eq!(distance(a, b), wanted, "{a} {b}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = ["target_service", "strip_prefix", "timeout_ms"];
        assert_eq!(nearest("target-service", known), Some("target_service"));
        assert_eq!(nearest("strip_prefx", known), Some("strip_prefix"));
        assert_eq!(nearest("colour", known), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_snippet_underlines_the_place() {
        let file = SourceFile { name: "t.yaml".into(), text: "a: 1\nrouts: 2\n".into() };
        let span = Span { file: 0, line: 2, column: 1, length: 5 };
        let report = Report {
            files: vec![file],
            problems: vec![Problem::error(span, "unknown key `routs`").cure("did you mean `routes`?")],
        };
        let expected = "error: unknown key `routs`\n --> t.yaml:2:1\n  |\n2 | routs: 2\n  | ^^^^^\n   = help: did you mean `routes`?\n\n";
        assert_eq!(report.render(), expected);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let text = format!("{}here{}", "a".repeat(500), "z".repeat(500));
        let line = Line::around(&text, Span { file: 0, line: 1, column: 501, length: 4 });
        assert_eq!(line.text.chars().count(), WIDTH + 2);
        let below: String =
            line.text.chars().skip(line.margin.chars().count()).take(line.carets.len()).collect();
        assert_eq!(below, "here");
        let last = Line::around(&text, Span { file: 0, line: 1, column: 1004, length: 9 });
        assert_eq!((last.text.ends_with('z'), last.carets.as_str()), (true, "^"));
    }
}
