//! A place in a text, and what stands there: lines, blanks, comments. What they belong to is [`super::read`]'s.

use super::{
    super::{node::Span, problem::Problem},
    tree::Trivia,
};

/// Blocks and brackets within one another at most: more than the reader of YAML lets through.
const MAX_DEPTH: usize = 64;

/// What can't be laid out.
pub(super) type Odd = Box<Problem>;

/// Goes through a text with line feeds.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    depth: usize,
    /// The column of the content that comes next; none at the end of the document.
    pub(super) next: Option<usize>,
    /// What was passed since the last content.
    pub(super) pending: Vec<Trivia>,
    /// Every comment so far, wherever it stands.
    pub(super) comments: Vec<String>,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, line: 0, depth: 0, next: None, pending: Vec::new(), comments: Vec::new() }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    pub(super) fn column(&self) -> usize {
        self.at.saturating_sub(self.line)
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &'t str {
        self.text.get(start..end).unwrap_or_default()
    }

    pub(super) fn byte(&self) -> Option<u8> {
        self.byte_at(self.at)
    }

    pub(super) fn byte_at(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The rest of the line.
    pub(super) fn line(&self) -> &'t str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        rest.split_once('\n').map_or(rest, |(line, _)| line)
    }

    /// Whether a line ends here, with or without a comment. Only for places after white space.
    pub(super) fn at_end_of_line(&self) -> bool {
        matches!(self.byte(), None | Some(b'\n' | b'#'))
    }

    /// Whether white space or the end follows at `at`.
    pub(super) fn is_gap(&self, at: usize) -> bool {
        matches!(self.byte_at(at), None | Some(b' ' | b'\t' | b'\n'))
    }

    /// Whether a list item begins here.
    pub(super) fn at_dash(&self) -> bool {
        self.byte() == Some(b'-') && self.is_gap(self.at + 1)
    }

    /// Whether a line that says where documents begin or end is here.
    pub(super) fn at_marker(&self) -> bool {
        self.column() == 0
            && matches!(self.slice(self.at, self.at + 3), "---" | "...")
            && self.is_gap(self.at + 3)
    }

    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Goes on to the end of the line.
    pub(super) fn skip_line(&mut self) -> &'t str {
        let line = self.line();
        self.at += line.len();
        line
    }

    /// Goes back to the beginning of a line.
    pub(super) fn rewind(&mut self, line: usize) {
        self.at = line;
        self.line = line;
    }

    /// Goes on to the next line.
    pub(super) fn break_line(&mut self) {
        if self.byte() == Some(b'\n') {
            self.at += 1;
            self.line = self.at;
        }
    }

    /// The comment that begins here.
    pub(super) fn comment(&mut self) -> String {
        let text = self.skip_line().trim_end().to_owned();
        self.comments.push(text.clone());
        text
    }

    /// Goes on from the end of a value to what comes next, and returns the comment behind the value.
    pub(super) fn end_line(&mut self) -> Result<Option<String>, Odd> {
        self.skip_blanks();
        let comment = match self.byte() {
            Some(b'#') => Some(self.comment()),
            None | Some(b'\n') => None,
            Some(_) => return Err(self.odd("it is not known what this belongs to")),
        };
        self.break_line();
        self.gather()?;
        Ok(comment)
    }

    /// Goes on from the beginning of a line to what comes next, and notes what is passed.
    pub(super) fn gather(&mut self) -> Result<(), Odd> {
        loop {
            self.skip_blanks();
            match self.byte() {
                None => {
                    self.next = None;
                    return Ok(());
                }
                Some(b'\n') => {
                    if self.pending.last() != Some(&Trivia::Blank) {
                        self.pending.push(Trivia::Blank);
                    }
                }
                Some(b'#') => {
                    let column = self.column();
                    let text = self.comment();
                    self.pending.push(Trivia::Comment { column, text });
                }
                // Moved to the beginning of the file it would be no part of the text any more.
                Some(_) if self.line().starts_with('\u{feff}') => {
                    return Err(self.odd("a byte order mark stands where it is none"));
                }
                Some(_) if self.slice(self.line, self.at).contains('\t') => {
                    return Err(self.odd("a tab stands in the indentation"));
                }
                Some(_) => {
                    self.next = if self.at_marker() { None } else { Some(self.column()) };
                    return Ok(());
                }
            }
            self.break_line();
        }
    }

    /// Of what was passed, the comments that belong to a block that ends here: those which are indented at least
    /// as it is, and further than what comes next.
    pub(super) fn take_tail(&mut self, column: usize) -> Vec<Trivia> {
        let least = self.next.map_or(column, |next| column.max(next + 1));
        let inside = |trivia: &Trivia| match trivia {
            Trivia::Blank => true,
            Trivia::Comment { column, .. } => *column >= least,
        };
        let run = self.pending.iter().take_while(|trivia| inside(trivia));
        let count = run.enumerate().filter(|(_, trivia)| trivia.is_comment()).map(|(at, _)| at + 1).last();
        let rest = self.pending.split_off(count.unwrap_or(0));
        std::mem::replace(&mut self.pending, rest)
    }

    /// Of what was passed, the comments before content; blank lines alone are nothing.
    pub(super) fn take_lead(&mut self) -> Vec<Trivia> {
        std::mem::take(&mut self.pending)
    }

    /// Goes into a block or a bracket.
    pub(super) fn enter(&mut self) -> Result<(), Odd> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.odd("this is nested too deeply to be a configuration"));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// What stands here can't be laid out.
    pub(super) fn odd(&self, why: &str) -> Odd {
        let before = self.slice(0, self.at);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let saturate = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let span = Span { file: 0, line: saturate(line), column: saturate(column), length: 1 };
        Box::new(Problem::error(span, format!("the file can't be laid out: {why}")))
    }
}
