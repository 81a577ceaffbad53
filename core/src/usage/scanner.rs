//! JSON (RFC 8259) as it passes: follows the places that mean something and skips everything else.
//!
//! It is no validator. Along the way to those places it keeps to the grammar, and reads no further once that is broken;
//! what is skipped is only followed to its end, for which strings and brackets are enough, whatever their depth. A
//! document that is JSON is never misread.

use super::{
    heard::{Count, Heard},
    place::{DEEPEST, Place},
    until,
};

/// Where in a document the next byte stands.
#[derive(Debug, Clone)]
pub(super) struct Scanner {
    state: State,
    /// Of the value that is due or under way.
    place: Place,
    /// What is open around it, outermost first. Only what is worth reading: the rest is skipped.
    open: [(Place, Kind); DEEPEST],
    depth: usize,
    word: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// A value is due.
    Value,
    /// After `[`: a value, or its end.
    FirstElement,
    /// After `{`: a key, or its end.
    FirstKey,
    /// After `,` in an object.
    Key,
    Colon,
    /// After a value: `,` or the end of what it stands in.
    Next,
    String(Use),
    Escape(Use),
    /// In `\uXXXX`: so many digits are to come, this is the number so far.
    Unicode(Use, u8, u32),
    Literal(Literal),
    /// In something that is skipped: so many brackets are open.
    Skipped(u64),
    Closed,
    Broken,
}

/// What a string is for.
#[derive(Debug, Clone, Copy)]
enum Use {
    Key,
    Type,
    Text,
    Nothing,
    /// It stands in something that is skipped, with so many brackets open.
    Skipped(u64),
}

/// What a number, `true`, `false` or `null` is for.
#[derive(Debug, Clone, Copy)]
enum Literal {
    /// The number so far, as long as it is one.
    Count(Count, Option<u64>),
    /// How many letters of `true` have come, as long as it is that.
    Done(Option<usize>),
    Nothing,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            state: State::Value,
            place: Place::Root,
            open: [(Place::Nothing, Kind::Object); DEEPEST],
            depth: 0,
            word: Word::default(),
        }
    }
}

impl Scanner {
    /// Whether the document has ended, and nothing but white space has followed.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// A piece passes.
    pub(super) fn read(&mut self, mut bytes: &[u8], heard: &mut Heard) {
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = match self.state {
                State::String(of) => self.string(of, bytes, heard),
                State::Skipped(open) => self.skip(open, bytes, heard),
                State::Literal(literal) if is_literal(byte) => {
                    self.state = State::Literal(literal.and(byte));
                    rest
                }
                State::Literal(literal) => {
                    literal.ends(heard);
                    self.value_ends(heard);
                    bytes
                }
                State::Escape(of) => {
                    self.escape(of, byte, heard);
                    rest
                }
                State::Unicode(of, left, unit) => {
                    self.unicode(of, left, unit, byte, heard);
                    rest
                }
                State::Broken => return,
                _ if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => rest,
                _ => {
                    self.structure(byte, heard);
                    rest
                }
            };
        }
    }

    /// A byte between values that is no white space.
    fn structure(&mut self, byte: u8, heard: &mut Heard) {
        let around = self.depth.checked_sub(1).and_then(|last| self.open.get(last)).copied();
        self.state = match (self.state, byte, around) {
            (State::FirstKey | State::Key, b'"', _) => {
                self.word = Word::default();
                State::String(Use::Key)
            }
            (State::Colon, b':', _) => State::Value,
            (State::Next, b',', Some((_, Kind::Object))) => State::Key,
            (State::Next, b',', Some((place, Kind::Array))) => {
                self.place = place.element();
                State::Value
            }
            (State::FirstKey | State::Next, b'}', Some((place, Kind::Object)))
            | (State::FirstElement | State::Next, b']', Some((place, Kind::Array))) => {
                self.depth -= 1;
                if place == Place::Chunk {
                    heard.next_chunk();
                }
                return self.value_ends(heard);
            }
            (State::Value | State::FirstElement, _, _) => self.value(byte),
            _ => State::Broken,
        };
    }

    /// The first byte of a value.
    fn value(&mut self, byte: u8) -> State {
        match byte {
            b'{' if self.place.has_members() => self.enter(Kind::Object, State::FirstKey),
            b'[' if self.place.has_elements() => self.enter(Kind::Array, State::FirstElement),
            b'{' | b'[' => State::Skipped(1),
            b'"' if self.place == Place::Type => {
                self.word = Word::default();
                State::String(Use::Type)
            }
            b'"' if self.place.is_text() => State::String(Use::Text),
            b'"' => State::String(Use::Nothing),
            _ if is_literal(byte) => State::Literal(Literal::at(self.place).and(byte)),
            _ => State::Broken,
        }
    }

    fn enter(&mut self, kind: Kind, then: State) -> State {
        // There is always room: no place lies deeper.
        let Some(slot) = self.open.get_mut(self.depth) else { return State::Skipped(1) };
        *slot = (self.place, kind);
        self.depth += 1;
        self.place = self.place.element();
        then
    }

    fn value_ends(&mut self, heard: &mut Heard) {
        self.state = State::Next;
        if self.depth == 0 {
            self.state = State::Closed;
            heard.closed();
        }
    }

    /// In a string: as far as its end, or something escaped.
    fn string<'a>(&mut self, of: Use, bytes: &'a [u8], heard: &mut Heard) -> &'a [u8] {
        let (run, rest) = until(bytes, |byte| byte == b'"' || byte == b'\\');
        match of {
            Use::Key | Use::Type => run.iter().for_each(|byte| self.word.push(*byte)),
            Use::Text => heard.text(run.len() as u64),
            Use::Skipped(_) => self.skipped(run.len(), heard),
            Use::Nothing => {}
        }
        let Some((end, rest)) = rest.split_first() else { return rest };
        match of {
            _ if *end == b'\\' => self.state = State::Escape(of),
            Use::Key => {
                // Where there is a key, an object is open.
                let around = self.depth.checked_sub(1).and_then(|last| self.open.get(last));
                self.place = around.map_or(Place::Nothing, |(place, _)| place.member(self.word.get()));
                self.state = State::Colon;
            }
            Use::Skipped(open) => {
                self.skipped(1, heard);
                self.state = State::Skipped(open);
            }
            Use::Type => {
                heard.kind(self.word.get());
                self.value_ends(heard);
            }
            Use::Text | Use::Nothing => self.value_ends(heard),
        }
        rest
    }

    /// What follows a `\`.
    fn escape(&mut self, of: Use, byte: u8, heard: &mut Heard) {
        self.state = match of {
            Use::Key | Use::Type | Use::Text if byte == b'u' => State::Unicode(of, 4, 0),
            Use::Skipped(_) => {
                self.skipped(2, heard);
                State::String(of)
            }
            _ => {
                // Whatever it is, no name has it.
                self.character(of, 0xff, 1, heard);
                State::String(of)
            }
        };
    }

    fn unicode(&mut self, of: Use, left: u8, unit: u32, byte: u8, heard: &mut Heard) {
        let Some(digit) = char::from(byte).to_digit(16) else {
            self.state = State::Broken;
            return;
        };
        let unit = unit * 16 + digit;
        self.state = State::Unicode(of, left.saturating_sub(1), unit);
        if left <= 1 {
            let (byte, length) = match unit {
                0..0x80 => (unit as u8, 1),
                0x80..0x800 => (0xff, 2),
                // Half of a character that takes four bytes.
                0xd800..0xe000 => (0xff, 2),
                _ => (0xff, 3),
            };
            self.character(of, byte, length, heard);
            self.state = State::String(of);
        }
    }

    /// An escaped character, or half of one, that would take so many bytes.
    fn character(&mut self, of: Use, byte: u8, length: u64, heard: &mut Heard) {
        match of {
            Use::Key | Use::Type => self.word.push(byte),
            Use::Text => heard.text(length),
            Use::Nothing | Use::Skipped(_) => {}
        }
    }

    /// In something that is skipped: as far as the next string or bracket.
    fn skip<'a>(&mut self, open: u64, bytes: &'a [u8], heard: &mut Heard) -> &'a [u8] {
        let (run, rest) = until(bytes, |byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'));
        self.skipped(run.len(), heard);
        let Some((byte, rest)) = rest.split_first() else { return rest };
        self.skipped(1, heard);
        match byte {
            b'"' => self.state = State::String(Use::Skipped(open)),
            b'{' | b'[' => self.state = State::Skipped(open.saturating_add(1)),
            _ if open <= 1 => self.value_ends(heard),
            _ => self.state = State::Skipped(open - 1),
        }
        rest
    }

    /// So many bytes of something are skipped, which may have been generated all the same.
    fn skipped(&self, bytes: usize, heard: &mut Heard) {
        if self.place == Place::Made {
            heard.text(bytes as u64);
        }
    }
}

/// Whether this byte may stand in a number, `true`, `false` or `null`. (Or in `NaN`, which Python writes.)
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

impl Literal {
    /// Nothing of a literal at this place.
    fn at(place: Place) -> Self {
        match place {
            Place::Count(count) => Self::Count(count, Some(0)),
            Place::Done => Self::Done(Some(0)),
            _ => Self::Nothing,
        }
    }

    /// With one byte more.
    fn and(self, byte: u8) -> Self {
        match self {
            Self::Count(count, number) => {
                let digit = char::from(byte).to_digit(10);
                let with = |number: u64, digit| number.checked_mul(10)?.checked_add(u64::from(digit));
                Self::Count(count, number.zip(digit).and_then(|(number, digit)| with(number, digit)))
            }
            Self::Done(letters) => {
                Self::Done(letters.filter(|come| b"true".get(*come) == Some(&byte)).map(|come| come + 1))
            }
            Self::Nothing => Self::Nothing,
        }
    }

    fn ends(self, heard: &mut Heard) {
        match self {
            Self::Count(count, Some(number)) => heard.count(count, number),
            Self::Done(Some(4)) => heard.done(),
            _ => {}
        }
    }
}

/// A key or a type, as long as any that means something.
#[derive(Debug, Clone, Default)]
struct Word {
    bytes: [u8; 32],
    length: usize,
}

impl Word {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
        }
        self.length = self.length.saturating_add(1);
    }

    /// The word; nothing when it is longer than any that means something.
    fn get(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}
