//! What formatting would change, as a unified diff for reading. It is cut short: the cure is one command.

use std::{fmt::Write, ops::Range};

/// Lines shown around a change.
const CONTEXT: usize = 2;

/// Lines shown of a file.
const SHOWN: usize = 60;

/// Pairs of lines compared at most; texts that differ more are shown as replaced.
const PAIRS: usize = 4_000_000;

/// The difference between the text of the file `name` and its layout.
pub(super) fn diff(name: &str, before: &str, after: &str) -> String {
    let (before, after): (Vec<&str>, Vec<&str>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    let mut out = format!("--- {name}\n+++ {name} (formatted)\n");
    let mut room = SHOWN;
    let mut left_out = 0;
    for hunk in hunks(&edits(&before, &after)) {
        let lines = hunk.lines(&before, &after);
        if room == 0 {
            left_out += lines.len();
            continue;
        }
        let _ = writeln!(out, "{}", hunk.title());
        lines.iter().take(room).for_each(|line| out.push_str(line));
        left_out += lines.len().saturating_sub(room);
        room = room.saturating_sub(lines.len());
    }
    if left_out > 0 {
        let _ = writeln!(out, "… {left_out} more lines");
    }
    out
}

/// A run of lines that became another run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    before: Range<usize>,
    after: Range<usize>,
}

/// What has to be done to the one to get the other, in order.
fn edits(before: &[&str], after: &[&str]) -> Vec<Edit> {
    let start = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let (rest, others) = (before.get(start..).unwrap_or_default(), after.get(start..).unwrap_or_default());
    let same = rest.iter().rev().zip(others.iter().rev()).take_while(|(one, other)| one == other).count();
    let (rows, columns) = (rest.len() - same, others.len() - same);
    if rows.saturating_mul(columns) > PAIRS {
        return vec![Edit { before: start..start + rows, after: start..start + columns }];
    }
    let common = Common::new(rest.get(..rows).unwrap_or_default(), others.get(..columns).unwrap_or_default());
    let mut edits: Vec<Edit> = Vec::new();
    let (mut row, mut column) = (0, 0);
    while row < rows || column < columns {
        if row < rows && column < columns && rest.get(row) == others.get(column) {
            (row, column) = (row + 1, column + 1);
            continue;
        }
        let down =
            column == columns || (row < rows && common.of(row + 1, column) >= common.of(row, column + 1));
        let (next_row, next_column) = if down { (row + 1, column) } else { (row, column + 1) };
        match edits.last_mut() {
            Some(last) if last.before.end == start + row && last.after.end == start + column => {
                last.before.end = start + next_row;
                last.after.end = start + next_column;
            }
            _ => edits.push(Edit {
                before: start + row..start + next_row,
                after: start + column..start + next_column,
            }),
        }
        (row, column) = (next_row, next_column);
    }
    edits
}

/// How many lines two texts have in common, from each pair of lines on.
struct Common {
    width: usize,
    counts: Vec<u32>,
}

impl Common {
    fn new(rows: &[&str], columns: &[&str]) -> Self {
        let width = columns.len() + 1;
        let mut common = Self { width, counts: vec![0; (rows.len() + 1) * width] };
        for (row, one) in rows.iter().enumerate().rev() {
            for (column, other) in columns.iter().enumerate().rev() {
                let count = if one == other {
                    common.of(row + 1, column + 1) + 1
                } else {
                    common.of(row + 1, column).max(common.of(row, column + 1))
                };
                if let Some(cell) = common.counts.get_mut(row * width + column) {
                    *cell = count;
                }
            }
        }
        common
    }

    fn of(&self, row: usize, column: usize) -> u32 {
        self.counts.get(row * self.width + column).copied().unwrap_or(0)
    }
}

/// Edits near one another, shown together.
struct Hunk<'e>(&'e [Edit]);

fn hunks(edits: &[Edit]) -> impl Iterator<Item = Hunk<'_>> {
    edits.chunk_by(|one, next| next.before.start - one.before.end <= 2 * CONTEXT).map(Hunk)
}

impl Hunk<'_> {
    /// The lines before the first edit that are shown.
    fn context_above(&self) -> usize {
        self.0.first().map_or(0, |edit| edit.before.start.min(CONTEXT))
    }

    fn title(&self) -> String {
        let above = self.context_above();
        let place = |range: &Range<usize>| range.start - above + 1;
        self.0.first().map_or(String::new(), |edit| {
            format!("@@ line {}, formatted line {} @@", place(&edit.before), place(&edit.after))
        })
    }

    fn lines(&self, before: &[&str], after: &[&str]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut show = |mark: char, texts: &[&str]| {
            lines.extend(texts.iter().map(|text| shown(mark, text)));
        };
        let Some(first) = self.0.first() else { return lines };
        let mut at = first.before.start - self.context_above();
        for edit in self.0 {
            show(' ', slice(before, at..edit.before.start));
            show('-', slice(before, edit.before.clone()));
            show('+', slice(after, edit.after.clone()));
            at = edit.before.end;
        }
        show(' ', slice(before, at..(at + CONTEXT).min(before.len())));
        lines
    }
}

fn slice<'t, 'l>(lines: &'l [&'t str], range: Range<usize>) -> &'l [&'t str] {
    lines.get(range).unwrap_or_default()
}

/// A line behind its mark. What can't be seen, or would command a terminal, is spelt out.
fn shown(mark: char, line: &str) -> String {
    let (text, end) = match line.strip_suffix('\n') {
        Some(text) => (text, "\n"),
        None => (line, "\n\\ No newline at end of file\n"),
    };
    let mut out = String::from(mark);
    for c in text.chars() {
        if c.is_control() || c == '\u{feff}' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_among_its_neighbours() {
        let shown = diff("t.yaml", "a\nb\nc\nd\ne\nf\n", "a\nb\nc\nD\ne\nf\n");
        assert_eq!(
            shown,
            "--- t.yaml\n+++ t.yaml (formatted)\n@@ line 2, formatted line 2 @@\n b\n c\n-d\n+D\n e\n f\n"
        );
    }

    #[test]
    fn changes_far_apart_are_shown_apart() {
        let middle = "x\n".repeat(10);
        let shown = diff("t", &format!("a\n{middle}b\n"), &format!("{middle}b\nc\n"));
        assert!(shown.contains("@@ line 1, formatted line 1 @@\n-a\n x\n x\n@@"), "{shown}");
        assert!(shown.ends_with("@@ line 11, formatted line 10 @@\n x\n b\n+c\n"), "{shown}");
    }

    #[test]
    fn what_can_t_be_seen_is_spelt_out() {
        let shown = diff("t", "a\r\nb", "a\nb\n");
        assert!(shown.contains("-a\\r\n-b\n\\ No newline at end of file\n+a\n+b\n"), "{shown}");
    }

    #[test]
    fn a_long_difference_is_cut_short() {
        let before: String = (0..5_000).map(|line| format!("{line}\n")).collect();
        let after: String = (0..5_000).map(|line| format!(" {line}\n")).collect();
        let shown = diff("t", &before, &after);
        assert!(shown.ends_with("… 9940 more lines\n"), "{shown}");
    }

    #[test]
    fn edits_turn_the_one_text_into_the_other() {
        let words = ["a", "b", "c"];
        let text = |mut seed: usize| -> Vec<&str> {
            let mut lines = Vec::new();
            while seed > 0 {
                lines.push(words[seed % 3]);
                seed /= 3;
            }
            lines
        };
        for one in 0..120 {
            for other in 0..120 {
                let (before, after) = (text(one), text(other));
                let (mut at, mut out) = (0, Vec::<&str>::new());
                for edit in edits(&before, &after) {
                    out.extend(&before[at..edit.before.start]);
                    out.extend(&after[edit.after]);
                    at = edit.before.end;
                }
                out.extend(&before[at..]);
                assert_eq!(out, after);
            }
        }
    }
}
