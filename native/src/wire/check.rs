//! The bytes of an HTTP/1 connection, before hyper sees them: what RFC 9112 calls ambiguous goes no further.
//!
//! Of a head hyper is given all or nothing. One that lies in what was read as a whole, as nearly all do, is looked at
//! where it lies; the beginning of one is held back until the rest has come. So hyper never acts on anything that was
//! not looked at, and what comes of the bytes does not depend on the pieces in which they come.
//!
//! In the place of a head that is refused hyper gets another, which is well-formed; the service, which is asked about
//! it, learns from the [`Verdict`] what was wrong. After it nothing more is let through. Content that is wrong breaks
//! off where that begins, and nothing more is let through either.

use std::sync::Arc;

use tollgate_core::malformed::Fault;

use super::{
    chunks::{Chunks, Read},
    framing::Framing,
    head::{After, Head},
    section::Section,
    trailers::{self, Trailers},
    verdict::Verdict,
};

/// What may come of a connection before it is known whether it leaves HTTP. A client has nothing to say before.
const MAX_EARLY: usize = 16 << 10;

/// Looks at what one client sends.
#[derive(Debug)]
pub struct Check {
    state: State,
    /// What is held back, and from [`Self::given`] to [`Self::good`] may be given to hyper.
    held: Vec<u8>,
    given: usize,
    good: usize,
    /// Heads that were let through, stand-ins included.
    heads: u64,
    /// The present head may lead out of HTTP.
    may_switch: bool,
    max_head: usize,
    verdict: Arc<Verdict>,
}

#[derive(Debug)]
enum State {
    Head(Section, Head),
    Length(u64),
    Chunks(Chunks),
    Trailers(Section, Trailers),
    /// After a request for an upgrade: what comes is HTTP or not, by its answer.
    Undecided,
    /// Nothing more is let through: a head was refused, or nothing can come after it.
    Over,
    /// The content was wrong.
    Broken(&'static str),
    /// What comes is no HTTP.
    Off,
}

impl Check {
    /// A check of a new connection, of whose heads none may be larger than `max_head`.
    pub fn new(max_head: usize, verdict: Arc<Verdict>) -> Self {
        Self {
            state: State::head(),
            held: Vec::new(),
            given: 0,
            good: 0,
            heads: 0,
            may_switch: false,
            max_head,
            verdict,
        }
    }

    /// Looks at bytes that have come. So many of them, from the first, may be given to hyper now. The rest is held
    /// back, to be given later by [`Self::ready`], or never.
    #[inline]
    pub fn inspect(&mut self, bytes: &[u8]) -> usize {
        self.follow();
        if matches!(self.state, State::Off) && self.held.is_empty() {
            return bytes.len();
        }
        if self.held.is_empty() {
            let good = self.advance(bytes);
            // `advance` may have put a stand-in there, which comes after what is good, and the rest is nothing then.
            if self.holds_back() {
                self.held.extend_from_slice(&bytes[good..]);
            }
            return good;
        }
        self.held.extend_from_slice(bytes);
        self.advance_held();
        0
    }

    /// What hyper is to be given before anything else is read.
    #[inline]
    pub fn ready(&mut self) -> &[u8] {
        if !self.held.is_empty() {
            self.follow();
            if self.given == self.good {
                self.advance_held();
            }
        }
        &self.held[self.given..self.good]
    }

    /// So many bytes of what is ready have been given.
    pub fn gave(&mut self, length: usize) {
        self.given += length;
        if self.given == self.good {
            self.held.drain(..self.good);
            (self.given, self.good) = (0, 0);
            if self.held.is_empty() {
                // It is rarely needed, and connections are many.
                self.held = Vec::new();
            }
        }
    }

    /// Why reading fails now.
    pub fn broken(&self) -> Option<&'static str> {
        match self.state {
            State::Broken(why) => Some(why),
            _ => None,
        }
    }

    /// Whether nothing more will be let through, though the connection goes on until hyper ends it.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether there is room for more. If not, there will be when the request for an upgrade is answered.
    pub fn has_room(&self) -> bool {
        !matches!(self.state, State::Undecided) || self.held.len() < MAX_EARLY
    }

    /// Whether the beginning of a head was held back.
    pub fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head(..)) && !self.held.is_empty()
    }

    fn holds_back(&self) -> bool {
        !matches!(self.state, State::Over | State::Broken(_) | State::Off)
    }

    /// Learns from the answers what comes next.
    fn follow(&mut self) {
        if self.may_switch || matches!(self.state, State::Undecided) {
            if self.verdict.is_switched() {
                self.state = State::Off;
                self.may_switch = false;
            } else if self.verdict.has_answered(self.heads) {
                self.may_switch = false;
                if matches!(self.state, State::Undecided) {
                    self.state = State::head();
                }
            }
        }
    }

    /// Goes on with what is held, of which nothing is good that was not given.
    fn advance_held(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        let from = self.good;
        let good = from + self.advance(&held[from..]);
        if matches!(self.state, State::Off) {
            self.good = held.len();
        } else if self.holds_back() {
            self.good = good;
        } else {
            held.truncate(good);
            // The stand-in, if there is one.
            held.append(&mut self.held);
            self.good = held.len();
        }
        self.held = held;
    }

    /// Takes in bytes of which the first is the next that was not looked at or, within a head, the first of that.
    /// How many of them are good.
    fn advance(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match &mut self.state {
                State::Head(section, head) => {
                    if rest.is_empty() {
                        return at;
                    }
                    let outcome = section.read(rest, self.max_head, head);
                    match outcome.and_then(|end| end.map(|end| Ok((end, head.after()?))).transpose()) {
                        Ok(None) => return at,
                        Ok(Some((end, after))) => {
                            at += end;
                            self.enter(after);
                        }
                        Err(fault) => {
                            let line = head.request_line().and_then(|(start, end)| rest.get(start..end));
                            self.refuse(fault, stand_in(line));
                            return at;
                        }
                    }
                }
                State::Length(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= here as u64;
                    at += here;
                    if *left > 0 {
                        return at;
                    }
                    self.leave();
                }
                State::Chunks(chunks) => match chunks.read(rest) {
                    Read::More => return bytes.len(),
                    Read::Last(end) => {
                        at += end;
                        self.state = State::Trailers(Section::default(), Trailers::default());
                    }
                    Read::Broken(end, why) => {
                        self.state = State::Broken(why);
                        return at + end;
                    }
                },
                State::Trailers(section, lines) => match section.read(rest, trailers::MAX_BYTES, lines) {
                    Ok(None) => return at,
                    Ok(Some(end)) => {
                        at += end;
                        self.leave();
                    }
                    Err(_) => {
                        self.state =
                            State::Broken("a field after the content is malformed, or may not stand there");
                        return at;
                    }
                },
                State::Off => return bytes.len(),
                State::Undecided | State::Over | State::Broken(_) => return at,
            }
        }
    }

    /// Lets a head through.
    fn enter(&mut self, after: After) {
        self.heads += 1;
        self.may_switch = after.may_switch;
        self.state = match after.framing {
            // The answer is no tunnel, and whoever expects one goes on as if it were.
            _ if after.is_connect => State::Over,
            Framing::Length(0) => State::Length(0),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunks(Chunks::new()),
        };
    }

    /// The end of a request.
    fn leave(&mut self) {
        self.state = if self.may_switch { State::Undecided } else { State::head() };
        self.follow();
    }

    fn refuse(&mut self, fault: Fault, stand_in: Vec<u8>) {
        self.heads += 1;
        self.verdict.refuse(self.heads, fault);
        self.state = State::Over;
        self.good = stand_in.len();
        self.held = stand_in;
    }
}

impl State {
    fn head() -> Self {
        Self::Head(Section::default(), Head::default())
    }
}

/// A head in the place of one that was refused, which shows as much of it as was good: its first line.
fn stand_in(line: Option<&[u8]>) -> Vec<u8> {
    let line = line.unwrap_or(b"GET / HTTP/1.1");
    let mut head = Vec::with_capacity(line.len() + 4);
    head.extend_from_slice(line);
    head.extend_from_slice(b"\r\n\r\n");
    head
}
