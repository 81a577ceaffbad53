//! What a costly call has used: the tokens of language models, read from the answer while it streams by.
//!
//! Nothing of the answer is kept and nothing is held up: a [`UsageReader`] is a few hundred bytes of state, whatever
//! passes, and owns no memory besides. It prices nothing and limits nobody.
//!
//! It reads what OpenAI (chat, completions, embeddings, responses), Anthropic, Gemini, Ollama and those who speak
//! like one of them answer with, as a JSON document, as JSON lines or as server-sent events. It need not be told
//! which, for no place where one of them tells usage means something else to another.
//!
//! **Only places count.** `usage` and `usageMetadata` are read at the top of a document, line or event, in its
//! `message` and in its `response`, and nowhere else. What a model writes is always further down or in a string, so
//! no prompt makes it say what settles a bill.
//!
//! **The later one wins**, number by number, as these numbers are running totals. Within one document, line or event
//! there is no later: a number told twice there counts as the larger. What is no unsigned integer has not been told.

mod events;
mod heard;
mod place;
mod scanner;

use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    response::Parts,
};

use self::{events::Events, heard::Heard, scanner::Scanner};

/// What an answer says it has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// What was asked, with what was read from a cache and what was written to one.
    pub input_tokens: u64,
    /// What was made, with what a model has thought.
    pub output_tokens: u64,
    /// As told, but never less than the sum of the two.
    pub total_tokens: u64,
    /// How much of the input was read from a cache: never more than `input_tokens`.
    pub cached_tokens: u64,
}

/// Reads usage from an answer's body as its pieces pass.
///
/// How the body is cut into pieces makes no difference.
#[derive(Debug, Clone)]
pub struct UsageReader {
    /// How much of a byte order mark has come; `None` once that is settled.
    mark: Option<usize>,
    format: Format,
    heard: Heard,
}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one an answer, and it owns no memory besides")]
enum Format {
    /// One document, or an array of them (Gemini's stream when nobody asks it for events).
    Document(Scanner),
    /// A document a line (Ollama).
    Lines(Scanner),
    /// Server-sent events, a document each.
    Events(Events),
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl UsageReader {
    /// A reader for the body that follows this head. `None` where nothing can be read: the media type is neither JSON
    /// nor a stream of it, the content is encoded, or is a part only.
    pub fn for_answer(head: &Parts) -> Option<Self> {
        // Of a part the client has chosen where it begins, and so what its places seem to be.
        if head.status == StatusCode::PARTIAL_CONTENT || is_encoded(&head.headers) {
            return None;
        }
        let content_type = head.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let media_type = content_type.split(';').next()?.trim().to_ascii_lowercase();
        let format = match media_type.as_str() {
            "text/event-stream" => Format::Events(Events::default()),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                Format::Lines(Scanner::default())
            }
            "application/json" => Format::Document(Scanner::default()),
            other if other.ends_with("+json") => Format::Document(Scanner::default()),
            _ => return None,
        };
        Some(Self { mark: Some(0), format, heard: Heard::default() })
    }

    /// A piece passes.
    pub fn see(&mut self, mut piece: &[u8]) {
        while let Some(come) = self.mark {
            let Some((byte, rest)) = piece.split_first() else { return };
            if BYTE_ORDER_MARK.get(come) == Some(byte) {
                piece = rest;
                self.mark = Some(come + 1).filter(|come| *come < BYTE_ORDER_MARK.len());
            } else {
                // It only began like one.
                self.mark = None;
                self.read(BYTE_ORDER_MARK.get(..come).unwrap_or_default());
            }
        }
        self.read(piece);
    }

    fn read(&mut self, mut piece: &[u8]) {
        match &mut self.format {
            Format::Document(scanner) => scanner.read(piece, &mut self.heard),
            Format::Events(events) => events.read(piece, &mut self.heard),
            Format::Lines(scanner) => loop {
                let (line, rest) = until(piece, |byte| byte == b'\n');
                scanner.read(line, &mut self.heard);
                let Some((_, next)) = rest.split_first() else { return };
                // No string holds a line's end: whatever became of this line, the next one is a new beginning.
                *scanner = Scanner::default();
                self.heard.next_chunk();
                piece = next;
            },
        }
    }

    /// What has been told so far; `None` when no usage has been told (yet).
    ///
    /// While the stream is not [complete](Self::is_complete) this may be a beginning only: Anthropic tells the input at
    /// once and of the output a first token. An event counts when its blank line has come, so what a stream says last
    /// without one has not been said; a document's or a line's usage counts at once.
    pub fn told(&self) -> Option<Usage> {
        self.heard.usage()
    }

    /// An estimate of the output tokens that have passed, for answers that end before their usage is told: a token for
    /// each event with content, or one for every four bytes (UTF-8) of generated text, whichever is more.
    ///
    /// What was made and is not shown (hidden reasoning, pictures) isn't in it.
    pub fn generated(&self) -> u64 {
        self.heard.generated()
    }

    /// Whether what has passed of it had not been made long before: events and lines, not a document.
    pub fn is_stream(&self) -> bool {
        !matches!(self.format, Format::Document(_))
    }

    /// Whether the answer has said that it is complete: a document is closed, a line says `"done": true`, an event is
    /// `[DONE]` or of a type that ends a message or a response. Gemini's events don't say.
    pub fn is_complete(&self) -> bool {
        match &self.format {
            Format::Document(scanner) => scanner.is_closed(),
            Format::Lines(_) => self.heard.is_done,
            Format::Events(events) => events.is_complete(),
        }
    }
}

/// Whether the content is anything but what it is (RFC 9110 §8.4).
fn is_encoded(headers: &HeaderMap) -> bool {
    let is_plain = |coding: &str| coding.trim().is_empty() || coding.trim().eq_ignore_ascii_case("identity");
    let mut lines = headers.get_all(CONTENT_ENCODING).iter();
    !lines.all(|line| line.to_str().is_ok_and(|line| line.split(',').all(is_plain)))
}

/// The bytes before the first that `stops`, and those from there.
fn until(bytes: &[u8], stops: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|byte| stops(*byte)).unwrap_or(bytes.len()))
}

#[cfg(test)]
mod tests;
