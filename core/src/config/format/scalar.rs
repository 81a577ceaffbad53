//! Scalars: where they end, and the lines they consist of. Their spelling is never touched.

use super::{
    scan::{Odd, Scanner},
    tree::Literal,
};

impl<'t> Scanner<'t> {
    /// Anchors and tags that begin here, each as written.
    pub(super) fn props(&mut self, in_flow: bool) -> Vec<String> {
        let mut props = Vec::new();
        while matches!(self.byte(), Some(b'&' | b'!')) {
            props.push(self.word(in_flow).to_owned());
            self.skip_blanks();
        }
        props
    }

    /// An anchor, a tag or an alias.
    pub(super) fn word(&mut self, in_flow: bool) -> &'t str {
        let start = self.at();
        // In `!<tag:…>` the brackets of flow collections are no brackets.
        let verbatim = self.slice(start, start + 2) == "!<";
        while let Some(byte) = self.byte() {
            let ends = in_flow && !verbatim && matches!(byte, b',' | b'[' | b']' | b'{' | b'}');
            if ends || self.is_gap(self.at()) {
                break;
            }
            self.go_to(self.at() + 1);
        }
        self.slice(start, self.at())
    }

    /// Goes on from a quote to behind the one that closes it.
    pub(super) fn quoted(&mut self) -> Result<(), Odd> {
        let quote = self.byte();
        let mut at = self.at() + 1;
        loop {
            match self.byte_at(at) {
                None => return Err(self.odd("this quote is not closed")),
                Some(b'\\') if quote == Some(b'"') => at += 1,
                byte if byte == quote && quote == Some(b'\'') && self.byte_at(at + 1) == quote => at += 1,
                byte if byte == quote => break,
                Some(_) => {}
            }
            at += 1;
        }
        self.go_to(at + 1);
        Ok(())
    }

    /// Goes on to the end of what a plain scalar has on this line.
    pub(super) fn plain_line(&mut self) {
        let start = self.at();
        let mut at = start;
        while let Some(byte) = self.byte_at(at) {
            let ends = match byte {
                b'\n' => true,
                b':' => self.is_gap(at + 1),
                b'#' => at > start && self.is_gap(at - 1),
                _ => false,
            };
            if ends {
                break;
            }
            at += 1;
        }
        self.go_to(start + self.slice(start, at).trim_end_matches([' ', '\t']).len());
    }

    /// The lines of a plain scalar that stands within a block of column `outer`.
    pub(super) fn plain(&mut self, outer: Option<usize>) -> Vec<String> {
        let start = self.at();
        self.plain_line();
        let mut end = self.at();
        loop {
            self.skip_blanks();
            if self.byte() != Some(b'\n') {
                break;
            }
            while self.byte() == Some(b'\n') {
                self.break_line();
                self.skip_blanks();
            }
            let inside = outer.is_none_or(|outer| self.column() > outer);
            if !inside || self.at_marker() || self.at_end_of_line() {
                break;
            }
            self.plain_line();
            if self.at() == end {
                break;
            }
            end = self.at();
        }
        self.go_to(end);
        lines_of(self.slice(start, end), false)
    }

    /// The block scalar whose header begins here, within a block of column `outer`, and the comment behind its
    /// header.
    pub(super) fn literal(&mut self, outer: Option<usize>) -> Result<(Literal, Option<String>), Odd> {
        let Some(outer) = outer else {
            return Err(self.odd("a configuration is a mapping"));
        };
        let header = self.word(false).to_owned();
        let digit = header.chars().find_map(|c| c.to_digit(10)).map(|digit| digit as usize);
        let keep = header.contains('+');
        self.skip_blanks();
        let comment = (self.byte() == Some(b'#')).then(|| self.comment());
        if !self.at_end_of_line() {
            return Err(self.odd("it is not known what this belongs to"));
        }
        self.break_line();
        let indent = match digit {
            Some(digit) => outer + digit,
            // Where there is no text, blank lines are nothing but that.
            None => self.literal_indent().filter(|indent| *indent > outer).unwrap_or(usize::MAX),
        };
        let mut lines = Vec::new();
        // Where the text ends that is sure to be content, and how many lines that is.
        let (mut end, mut content) = (self.at(), 0);
        while let Some(byte) = self.byte() {
            let line = self.line();
            let spaces = line.len() - line.trim_start_matches(' ').len();
            let blank = spaces == line.len();
            if !blank && spaces < indent {
                break;
            }
            let own = line.get(indent..).unwrap_or_default();
            lines.push(own.to_owned());
            if byte != b'\n' {
                self.skip_line();
            }
            self.break_line();
            if keep || !own.is_empty() {
                (end, content) = (self.at(), lines.len());
            }
        }
        lines.truncate(content);
        self.rewind(end);
        Ok((Literal { header, digit, keep, lines }, comment))
    }

    /// The indentation of the first line below that is not blank.
    fn literal_indent(&self) -> Option<usize> {
        let mut at = self.at();
        let mut indent = 0;
        loop {
            match self.byte_at(at) {
                Some(b' ') => indent += 1,
                Some(b'\n') => indent = 0,
                None => return None,
                Some(_) => return Some(indent),
            }
            at += 1;
        }
    }
}

/// The lines of a scalar, without the white space around them, which means nothing (YAML 1.2.2 §6.5).
pub(super) fn lines_of(text: &str, escapes: bool) -> Vec<String> {
    if !text.contains('\n') {
        return vec![text.to_owned()];
    }
    let count = text.split('\n').count();
    let blank = [' ', '\t'];
    text.split('\n')
        .enumerate()
        .map(|(at, line)| {
            let line = if at == 0 { line } else { line.trim_start_matches(blank) };
            if at + 1 == count { line.to_owned() } else { without_end(line, escapes).to_owned() }
        })
        .collect()
}

/// A line without the white space at its end, but for a blank that is escaped.
fn without_end(line: &str, escapes: bool) -> &str {
    let short = line.trim_end_matches([' ', '\t']);
    let backslashes = short.len() - short.trim_end_matches('\\').len();
    if escapes && backslashes % 2 == 1 {
        let kept = short.len() + usize::from(short.len() < line.len());
        return line.get(..kept).unwrap_or(line);
    }
    short
}
