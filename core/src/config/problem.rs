//! What is wrong with a configuration, said so that it can be mended: where, what, and how.

use std::fmt::Write;

use super::node::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know; nothing is wrong.
    Note,
    /// Valid, and may be what is meant; worth a look.
    Hint,
    /// Valid, and a reviewer would object.
    Warning,
    /// Nothing starts.
    Error,
}

impl Severity {
    /// The severity in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The rule of lint that found it; none for what was found by checking.
    pub rule: Option<&'static str>,
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
        let message = one_line(&message.into(), LONGEST);
        Self { severity: Severity::Error, rule: None, span, message, cure: None, related: None }
    }

    /// A note at `span`.
    pub fn note(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(span, message) }
    }

    /// With a way out.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(one_line(&cure.into(), usize::MAX));
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
    /// A file as it was read. Byte order marks are no part of its first line.
    pub fn new(name: impl Into<String>, text: String) -> Self {
        let text = match text.trim_start_matches('\u{feff}') {
            rest if rest.len() == text.len() => text,
            rest => rest.to_owned(),
        };
        Self { name: name.into(), text }
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
        let lines: Vec<Vec<&str>> = self.files.iter().map(|file| file.text.lines().collect()).collect();
        for problem in &self.problems {
            let severity = problem.severity.name();
            let rule = problem.rule.map(|rule| format!("[{rule}]")).unwrap_or_default();
            let _ = writeln!(out, "{severity}{rule}: {}", problem.message);
            self.snippet(&mut out, &lines, problem.span, "");
            if let Some((span, why)) = &problem.related {
                self.snippet(&mut out, &lines, *span, why);
            }
            if let Some(cure) = &problem.cure {
                let _ = writeln!(out, "   = help: {cure}");
            }
            out.push('\n');
        }
        out
    }

    fn snippet(&self, out: &mut String, lines: &[Vec<&str>], span: Span, label: &str) {
        let Some(file) = self.files.get(span.file) else { return };
        if span.line == 0 {
            let _ = writeln!(out, "  --> {}", file.name);
            return;
        }
        let line = lines.get(span.file).and_then(|lines| lines.get((span.line - 1) as usize));
        let line = Line::around(line.copied().unwrap_or_default(), span);
        let number = span.line.to_string();
        let gutter = " ".repeat(number.len());
        let separator = if label.is_empty() { "" } else { " " };
        let _ = writeln!(out, "{gutter}--> {}:{}:{}", file.name, span.line, span.column.max(1));
        let _ = writeln!(out, "{gutter} |");
        let _ = writeln!(out, "{}", format!("{number} | {}", line.text).trim_end());
        let _ = writeln!(out, "{gutter} | {}{}{separator}{label}", line.margin, line.carets);
    }
}

/// Characters of a message at most, whatever it quotes.
const LONGEST: usize = 400;

/// A text that quotes the user's own must neither break lines nor command a terminal.
fn one_line(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for (at, c) in text.chars().enumerate() {
        match c {
            _ if at == most => {
                out.push('…');
                break;
            }
            _ if c.is_control() => out.extend(c.escape_default()),
            _ => out.push(c),
        }
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
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let most = best.map_or((candidate.len() / 3).max(1) + 1, |(distance, _)| distance);
        if let Some(distance) = distance(&wanted, &folded(candidate), most) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How many edits apart two words are, if it is fewer than `most`. Two neighbours in the wrong order are one edit.
fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) >= most {
        return None;
    }
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    let (mut before, mut above): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(above.len());
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = at(&above, j) + usize::from(x != y);
            let shifted = at(&row, j).min(at(&above, j + 1)) + 1;
            let mut least = replaced.min(shifted);
            if let (Some(i), Some(j)) = (i.checked_sub(1), j.checked_sub(1))
                && (a.get(i), b.get(j)) == (Some(y), Some(x))
            {
                least = least.min(at(&before, j) + 1);
            }
            row.push(least);
        }
        // Later rows are no nearer.
        if row.iter().min().is_some_and(|least| *least >= most) && above.iter().min() >= Some(&most) {
            return None;
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().filter(|distance| *distance < most)
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
            assert_eq!(distance(a, b, 9), Some(wanted), "{a} {b}");
            assert_eq!(distance(a, b, wanted), None, "{a} {b}");
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
