//! Chunked content (RFC 9112 §7.1): sizes and ends, byte by byte; the content itself is only counted.

/// The most digits of a size. Fewer than would overflow anybody's number.
const MAX_DIGITS: u8 = 15;
/// Bytes of extensions with one chunk. (Signatures of chunks, which some clients send there, have a hundred.)
const MAX_EXTENSION: u16 = 256;
/// Bytes of extensions in all: hyper reads no more.
const MAX_EXTENSIONS: u16 = 16_000;

/// Where in chunked content a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunks {
    place: Place,
    /// Of the present chunk: its size while that is read, then what is left of it.
    left: u64,
    digits: u8,
    extension: u16,
    extensions: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Size,
    Extension,
    SizeLf,
    Content,
    ContentCr,
    ContentLf,
}

/// What came of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// All of them are good, and there is more to come.
    More,
    /// After so many the last chunk was announced.
    Last(usize),
    /// After so many comes what is wrong.
    Broken(usize, &'static str),
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self { place: Place::Size, left: 0, digits: 0, extension: 0, extensions: 0 }
    }

    pub(super) fn read(&mut self, bytes: &[u8]) -> Read {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.place == Place::Content {
                let there = (bytes.len() - at) as u64;
                let here = self.left.min(there);
                self.left -= here;
                // Not more than there are bytes.
                at += usize::try_from(here).unwrap_or(usize::MAX);
                if self.left == 0 {
                    self.place = Place::ContentCr;
                }
                continue;
            }
            match self.step(byte) {
                Ok(()) => at += 1,
                Err(why) => return Read::Broken(at, why),
            }
            if self.place == Place::Content && self.left == 0 {
                return Read::Last(at);
            }
        }
        Read::More
    }

    fn step(&mut self, byte: u8) -> Result<(), &'static str> {
        match (self.place, byte) {
            (Place::Size, b'\r' | b';') if self.digits > 0 => {
                self.place = if byte == b';' { Place::Extension } else { Place::SizeLf };
            }
            (Place::Size, _) => {
                let digit = char::from(byte).to_digit(16).ok_or("a chunk's size is no hexadecimal number")?;
                self.digits += 1;
                if self.digits > MAX_DIGITS {
                    return Err("a chunk's size is too large");
                }
                self.left = self.left << 4 | u64::from(digit);
            }
            (Place::Extension, b'\r') => self.place = Place::SizeLf,
            (Place::Extension, b' '..=b'~' | b'\t' | 0x80..) => {
                self.extension += 1;
                self.extensions += 1;
                if self.extension > MAX_EXTENSION || self.extensions > MAX_EXTENSIONS {
                    return Err("a chunk's extensions are too large");
                }
            }
            (Place::Extension, _) => return Err("a chunk's extension holds a control character"),
            (Place::SizeLf, b'\n') => {
                self.place = Place::Content;
                (self.digits, self.extension) = (0, 0);
            }
            (Place::SizeLf, _) => return Err("a chunk's size does not end with CR and LF"),
            (Place::ContentCr, b'\r') => self.place = Place::ContentLf,
            (Place::ContentLf, b'\n') => self.place = Place::Size,
            (Place::ContentCr | Place::ContentLf, _) => return Err("a chunk is longer than its size"),
            // Counted, and never looked at.
            (Place::Content, _) => {}
        }
        Ok(())
    }
}
