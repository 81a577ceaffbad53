//! Collections in brackets: read, and written on one line. Those that hold comments, or scalars of several lines, stay
//! on the lines where they are.

use super::{
    STEP,
    scalar::lines_of,
    scan::{Odd, Scanner},
};

/// A collection in brackets.
#[derive(Debug)]
pub(super) struct Flow {
    /// The collection.
    pub(super) members: Members,
    /// Whether anchors, tags or aliases stand within.
    pub(super) marked: bool,
    /// Its lines, where they have to stay.
    lines: Option<Vec<Line>>,
}

/// What is between the brackets.
#[derive(Debug)]
pub(super) enum Members {
    /// `[…]`
    Sequence(Vec<Member>),
    /// `{…}`
    Mapping(Vec<Member>),
}

/// A member of a collection.
#[derive(Debug)]
pub(super) struct Member {
    /// A value, or the key where there is one.
    pub(super) first: Part,
    /// The value behind a colon.
    pub(super) second: Option<Part>,
}

/// A value in a collection.
#[derive(Debug)]
pub(super) struct Part {
    /// Anchor and tag.
    props: Vec<String>,
    /// What it is.
    pub(super) kind: Kind,
}

/// What a value in a collection is.
#[derive(Debug)]
pub(super) enum Kind {
    /// Nothing.
    Empty,
    /// A scalar or an alias, as spelt.
    Text(String),
    /// A collection.
    Nested(Members),
}

#[derive(Debug)]
struct Line {
    depth: usize,
    text: String,
}

impl Flow {
    /// A collection within another that is neither marked nor bound to its lines.
    pub(super) fn of(members: Members) -> Self {
        Self { members, marked: false, lines: None }
    }

    /// Whether its lines have to stay.
    pub(super) fn must_stay(&self) -> bool {
        self.lines.is_some()
    }

    /// Its lines, the later ones indented for a block of column `indent`.
    pub(super) fn lines(&self, indent: usize) -> Vec<String> {
        let Some(lines) = &self.lines else { return vec![self.members.render()] };
        lines
            .iter()
            .enumerate()
            .map(|(at, Line { depth, text })| {
                let indented = at > 0 && !text.is_empty();
                format!("{}{text}", " ".repeat(if indented { indent + depth * STEP } else { 0 }))
            })
            .collect()
    }
}

impl Members {
    /// On one line.
    pub(super) fn render(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        let (open, members, close) = match self {
            Self::Sequence(members) => ('[', members, ']'),
            Self::Mapping(members) => ('{', members, '}'),
        };
        out.push(open);
        for (at, member) in members.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            member.first.write(out);
            if let Some(second) = &member.second {
                // The colon would be part of the alias.
                out.push_str(if matches!(&member.first.kind, Kind::Text(text) if text.starts_with('*')) {
                    " :"
                } else {
                    ":"
                });
                if !second.props.is_empty() || !matches!(second.kind, Kind::Empty) {
                    out.push(' ');
                    second.write(out);
                }
            }
        }
        out.push(close);
    }
}

impl Part {
    fn write(&self, out: &mut String) {
        out.push_str(&self.props.join(" "));
        if !self.props.is_empty() && !matches!(self.kind, Kind::Empty) {
            out.push(' ');
        }
        match &self.kind {
            Kind::Empty => {}
            Kind::Text(text) => out.push_str(text),
            Kind::Nested(members) => members.write(out),
        }
    }
}

/// Reads the collection that begins here, and goes on behind it.
pub(super) fn read(scanner: &mut Scanner<'_>) -> Result<Flow, Odd> {
    let start = scanner.at();
    let mut reader = Reader { scanner, marked: false, stays: false, depth: 0, breaks: Vec::new() };
    let members = reader.members()?;
    let Reader { marked, stays, breaks, .. } = reader;
    let text = scanner.slice(start, scanner.at());
    let lines = stays.then(|| {
        let depths = std::iter::once(0).chain(breaks);
        let texts = lines_of(text, true);
        texts.into_iter().zip(depths).map(|(text, depth)| Line { depth, text }).collect()
    });
    Ok(Flow { members, marked, lines })
}

struct Reader<'s, 't> {
    scanner: &'s mut Scanner<'t>,
    marked: bool,
    stays: bool,
    depth: usize,
    /// How deep each line after the first begins.
    breaks: Vec<usize>,
}

impl Reader<'_, '_> {
    fn members(&mut self) -> Result<Members, Odd> {
        self.scanner.enter()?;
        self.depth += 1;
        let sequence = self.scanner.byte() == Some(b'[');
        let close = if sequence { b']' } else { b'}' };
        self.step();
        let mut members = Vec::new();
        loop {
            self.skip();
            match self.scanner.byte() {
                Some(byte) if byte == close => break,
                None => return Err(self.scanner.odd("this bracket is not closed")),
                Some(_) => members.push(self.member()?),
            }
            self.skip();
            match self.scanner.byte() {
                Some(b',') => self.step(),
                Some(byte) if byte == close => break,
                _ => return Err(self.scanner.odd("it is not known what this belongs to")),
            }
        }
        self.step();
        self.depth -= 1;
        self.scanner.leave();
        Ok(if sequence { Members::Sequence(members) } else { Members::Mapping(members) })
    }

    fn step(&mut self) {
        self.scanner.go_to(self.scanner.at() + 1);
    }

    fn member(&mut self) -> Result<Member, Odd> {
        let at = self.scanner.at();
        if matches!(self.scanner.byte(), Some(b'?' | b':')) && self.ends_plain(at + 1) {
            return Err(self.scanner.odd("a key is a text, and this is none"));
        }
        let first = self.part()?;
        let end = self.scanner.at();
        self.skip();
        let colon = self.scanner.at();
        // Behind a quote or a bracket the colon needs no space after it.
        let tight = !matches!(self.scanner.byte_at(end.saturating_sub(1)), Some(b'"' | b'\'' | b']' | b'}'));
        if self.scanner.byte() != Some(b':') || (tight && !self.ends_plain(colon + 1)) {
            return Ok(Member { first, second: None });
        }
        self.step();
        self.skip();
        Ok(Member { first, second: Some(self.part()?) })
    }

    fn part(&mut self) -> Result<Part, Odd> {
        let mut props = Vec::new();
        loop {
            let more = self.scanner.props(true);
            if more.is_empty() {
                break;
            }
            self.marked = true;
            props.extend(more);
            self.skip();
        }
        let start = self.scanner.at();
        let kind = match self.scanner.byte() {
            None | Some(b',' | b']' | b'}') => Kind::Empty,
            Some(b':') if self.ends_plain(start + 1) => Kind::Empty,
            Some(b'[' | b'{') => Kind::Nested(self.members()?),
            Some(b'"' | b'\'') => {
                self.scanner.quoted()?;
                self.text(start)
            }
            Some(b'*') => {
                self.marked = true;
                self.scanner.word(true);
                self.text(start)
            }
            Some(_) => {
                self.plain();
                if self.scanner.at() == start {
                    return Err(self.scanner.odd("it is not known what this belongs to"));
                }
                self.text(start)
            }
        };
        Ok(Part { props, kind })
    }

    fn text(&mut self, start: usize) -> Kind {
        let text = self.scanner.slice(start, self.scanner.at());
        for _ in text.matches('\n') {
            self.stays = true;
            self.breaks.push(self.depth);
        }
        Kind::Text(text.to_owned())
    }

    /// Goes on to the end of a plain scalar, which may go over lines.
    fn plain(&mut self) {
        let mut end = self.plain_line();
        loop {
            let mut at = end;
            while self.scanner.is_gap(at) && self.scanner.byte_at(at).is_some() {
                at += 1;
            }
            let broken = self.scanner.slice(end, at).contains('\n');
            let ends = match self.scanner.byte_at(at) {
                None | Some(b',' | b'[' | b']' | b'{' | b'}' | b'#') => true,
                Some(b':') => self.ends_plain(at + 1),
                Some(_) => false,
            };
            if !broken || ends {
                break;
            }
            self.scanner.go_to(at);
            end = self.plain_line();
        }
        self.scanner.go_to(end);
    }

    /// Where what a plain scalar has on this line ends.
    fn plain_line(&self) -> usize {
        let start = self.scanner.at();
        let mut at = start;
        while let Some(byte) = self.scanner.byte_at(at) {
            let ends = match byte {
                b'\n' | b',' | b'[' | b']' | b'{' | b'}' => true,
                b':' => self.ends_plain(at + 1),
                b'#' => at > start && self.scanner.is_gap(at - 1),
                _ => false,
            };
            if ends {
                break;
            }
            at += 1;
        }
        start + self.scanner.slice(start, at).trim_end_matches([' ', '\t']).len()
    }

    /// Whether a colon before `at` ends a plain scalar.
    fn ends_plain(&self, at: usize) -> bool {
        self.scanner.is_gap(at) || matches!(self.scanner.byte_at(at), Some(b',' | b'[' | b']' | b'{' | b'}'))
    }

    /// Goes over white space, line breaks and comments.
    fn skip(&mut self) {
        loop {
            self.scanner.skip_blanks();
            match self.scanner.byte() {
                Some(b'\n') => {
                    self.step();
                    self.scanner.skip_blanks();
                    let closes = matches!(self.scanner.byte(), Some(b']' | b'}'));
                    self.breaks.push(self.depth - usize::from(closes));
                }
                Some(b'#') => {
                    self.stays = true;
                    self.scanner.comment();
                }
                _ => return,
            }
        }
    }
}
