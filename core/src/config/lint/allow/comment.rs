//! The comments in the text of a file. The tree of nodes has none, so that they are looked for here; what stands
//! in quotes or in a block of text is no comment.

use crate::config::node::Span;

/// One `# lint: allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comment {
    /// The rule, as written.
    pub(super) rule: String,
    /// Whether a reason follows.
    pub(super) reasoned: bool,
    /// The line for which it is written: its own, or the first below that is no comment.
    pub(super) line: u32,
    /// Where it stands.
    pub(super) span: Span,
}

impl Comment {
    pub(super) fn file(&self) -> usize {
        self.span.file
    }
}

const MARK: &str = "lint: allow";

/// All of them in a text.
pub(super) fn read(file: usize, text: &str) -> Vec<Comment> {
    let mut comments: Vec<Comment> = Vec::new();
    // How many of the last comments still wait for the line below.
    let mut waiting = 0;
    let mut block: Option<usize> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let indent = line.len() - line.trim_start().len();
        if block.is_some_and(|outer| line.trim().is_empty() || indent > outer) {
            continue;
        }
        block = None;
        let (content, comment) = split(line);
        // Behind the dash of a list it is above what the member begins with.
        let blank = matches!(content.trim(), "" | "-");
        if !blank {
            comments.iter_mut().rev().take(waiting).for_each(|comment| comment.line = number);
        }
        if !blank || comment.is_none() {
            waiting = 0;
        }
        if opens_block(content) {
            block = Some(indent);
        }
        let Some(found) = comment.and_then(|comment| parse(comment, file, number, content)) else { continue };
        comments.push(found);
        waiting += usize::from(blank);
    }
    comments
}

/// A line's content, and its comment without the `#`.
fn split(line: &str) -> (&str, Option<&str>) {
    let mut quote: Option<char> = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open && before != '\\' => quote = None,
            // Within a word, as in `don't`, a quote is a letter.
            (None, '"' | '\'') if before.is_whitespace() || "[{,(".contains(before) => quote = Some(c),
            (None, '#') if before.is_whitespace() => {
                let (content, comment) = line.split_at(at);
                return (content, comment.strip_prefix('#'));
            }
            _ => {}
        }
        before = c;
    }
    (line, None)
}

/// Whether the lines below that stand further right are a text: `key: |`, `- >-`.
fn opens_block(content: &str) -> bool {
    let last = content.split_whitespace().next_back().unwrap_or_default();
    let modifiers = last.strip_prefix(['|', '>']);
    modifiers.is_some_and(|rest| rest.chars().all(|c| c == '-' || c == '+' || c.is_ascii_digit()))
}

fn parse(comment: &str, file: usize, number: u32, content: &str) -> Option<Comment> {
    let said = comment.trim().strip_prefix(MARK)?;
    if !said.is_empty() && !said.starts_with(char::is_whitespace) {
        return None;
    }
    let said = said.trim_start();
    let (rule, reason) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
    let counted = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let span = Span {
        file,
        line: number,
        column: counted(content).saturating_add(1),
        length: counted(comment.trim_end()).saturating_add(1),
    };
    Some(Comment {
        rule: rule.trim_end_matches([':', ',']).to_owned(),
        reasoned: reason.chars().any(char::is_alphanumeric),
        line: number,
        span,
    })
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[track_caller]
    fn check(text: &str, wanted: &[(&str, bool, u32)]) {
        let found = read(0, text);
        let found: Vec<_> = found.iter().map(|one| (one.rule.as_str(), one.reasoned, one.line)).collect();
        assert_eq!(found, wanted, "{text}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_comment_is_for_its_own_line_or_for_the_first_below() {
        check("a: 1 # lint: allow x why\n", &[("x", true, 1)]);
        check("# lint: allow x why\n# more\n# lint: allow y: too\na: 1\n", &[("x", true, 4), ("y", true, 4)]);
        check("# lint: allow x why\n\na: 1\n", &[("x", true, 1)]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_reason_is_made_of_words() {
        check("# lint: allow x\na: 1\n", &[("x", false, 2)]);
        check("a: 1 # lint: allow x …!\n", &[("x", false, 1)]);
        check("a: 1 # lint: allow\n", &[("", false, 1)]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_comment_is_none() {
        check("a: \"b # lint: allow x why\"\nc: 'd # lint: allow x why'\n", &[]);
        check("a: b# lint: allow x why\n# lint: allowed x\n", &[]);
        check(
            "a: |-\n  # lint: allow x why\n\n  # lint: allow x why\nb: 1 # lint: allow y why\n",
            &[("y", true, 5)],
        );
        check("a: don't # lint: allow x why\n", &[("x", true, 1)]);
    }
}
