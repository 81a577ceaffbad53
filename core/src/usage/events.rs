//! Server-sent events (WHATWG HTML §9.2.6), of which only `data` matters: each is a JSON document, read while it passes.
//!
//! An event counts when its blank line comes and its document is whole, and not at all otherwise. No event is too long.

use super::{heard::Heard, scanner::Scanner, until};

/// What OpenAI ends its streams with.
const MARK: &[u8] = b"[DONE]";

/// Where in the stream the next byte stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    line: Line,
    /// The last byte was a CR, and ended a line: a LF now belongs to it.
    after_cr: bool,
    /// The event has a line of data already.
    has_data: bool,
    /// How much of [`MARK`] the data is, as long as it is nothing else.
    mark: Mark,
    data: Scanner,
    /// What will have been heard once this event has come.
    staged: Heard,
    is_complete: bool,
}

#[derive(Debug, Clone, Copy)]
enum Line {
    /// So much of it is `data`.
    Name(usize),
    /// A space here belongs to nobody.
    Colon,
    Data,
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Name(0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark(Option<usize>);

impl Default for Mark {
    fn default() -> Self {
        Self(Some(0))
    }
}

impl Events {
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// A piece passes.
    pub(super) fn read(&mut self, mut bytes: &[u8], heard: &mut Heard) {
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = match (self.line, byte) {
                _ if std::mem::take(&mut self.after_cr) && byte == b'\n' => rest,
                (_, b'\n' | b'\r') => {
                    self.line_ends(heard);
                    self.after_cr = byte == b'\r';
                    rest
                }
                (Line::Name(4), b':') => {
                    self.data_begins();
                    self.line = Line::Colon;
                    rest
                }
                (Line::Name(come), _) if b"data".get(come) == Some(&byte) => {
                    self.line = Line::Name(come + 1);
                    rest
                }
                (Line::Colon, b' ') => {
                    self.line = Line::Data;
                    rest
                }
                (Line::Colon | Line::Data, _) => {
                    self.line = Line::Data;
                    let (data, rest) = until(bytes, is_end);
                    self.data(data);
                    rest
                }
                // Another field, or a comment.
                (Line::Name(_) | Line::Other, _) => {
                    self.line = Line::Other;
                    until(bytes, is_end).1
                }
            };
        }
    }

    fn line_ends(&mut self, heard: &mut Heard) {
        match std::mem::take(&mut self.line) {
            Line::Name(0) => self.event_ends(heard),
            Line::Name(4) => self.data_begins(),
            _ => {}
        }
    }

    fn data_begins(&mut self) {
        if std::mem::replace(&mut self.has_data, true) {
            self.data(b"\n");
        }
    }

    fn data(&mut self, data: &[u8]) {
        for byte in data {
            let Some(come) = self.mark.0 else { break };
            self.mark.0 = Some(come + 1).filter(|_| MARK.get(come) == Some(byte));
        }
        self.data.read(data, &mut self.staged);
    }

    fn event_ends(&mut self, heard: &mut Heard) {
        if !std::mem::take(&mut self.has_data) {
            return;
        }
        self.is_complete |= self.mark.0 == Some(MARK.len());
        if self.data.is_closed() {
            self.is_complete |= self.staged.is_last;
            *heard = self.staged.clone();
        } else {
            self.staged = heard.clone();
        }
        self.staged.next_chunk();
        self.mark = Mark::default();
        self.data = Scanner::default();
    }
}

fn is_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}
