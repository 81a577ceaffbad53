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
        Self { severity: Severity::Error, span, message: message.into(), cure: None, related: None }
    }

    /// A note at `span`.
    pub fn note(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(span, message) }
    }

    /// With a way out.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
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
        let line = file.line(span.line);
        let number = span.line.to_string();
        let gutter = " ".repeat(number.len());
        let column = span.column.max(1) as usize;
        let room = line.chars().count().saturating_sub(column - 1).max(1);
        let carets = "^".repeat((span.length.max(1) as usize).min(room));
        // Tabs are kept in the margin, so that the carets stand below what they mean.
        let margin: String =
            line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let _ = writeln!(out, "{gutter}--> {}:{}:{}", file.name, span.line, column);
        let _ = writeln!(out, "{gutter} |");
        let _ = writeln!(out, "{number} | {line}");
        let _ = writeln!(out, "{gutter} | {margin}{carets} {label}");
    }
}

/// The known word nearest to `word`, if any is near enough to be meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let folded = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = folded(word);
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, &folded(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            let cost = diagonal + usize::from(x != *y);
            left = cost.min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn distance_counts_edits() {
        for (a, b, wanted) in
            [("", "", 0), ("abc", "abc", 0), ("kitten", "sitting", 3), ("", "ab", 2), ("ab", "", 2)]
        {
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
        let expected = "error: unknown key `routs`\n --> t.yaml:2:1\n  |\n2 | routs: 2\n  | ^^^^^ \n   = help: did you mean `routes`?\n\n";
        assert_eq!(report.render(), expected);
    }
}
