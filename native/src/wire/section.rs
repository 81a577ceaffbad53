//! Lines up to an empty one: the head of a request, or what follows its content. Each line is looked at once, when all
//! of it is there; what the lines say is [`Lines`]' business.

use memchr::memchr;
use tollgate_core::malformed::Fault;

/// Who looks at lines.
pub(super) trait Lines {
    /// A line without its end, and where it begins. Holds no control character but HTAB. `true`: it was the last.
    fn line(&mut self, line: &[u8], at: usize) -> Result<bool, Fault>;
}

/// How far a section has come. Offsets count from its first byte.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Section {
    /// Where the first line begins that was not looked at.
    line_at: usize,
    /// No line ends before this.
    looked: usize,
}

impl Section {
    /// Goes on with `bytes`, which is all of the section that is there and maybe what follows it. How long the section
    /// is, once that is known. It may have `limit` bytes.
    ///
    /// A line that can't become a good one is refused before its end has come: the same way that it would be then.
    #[inline]
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        limit: usize,
        lines: &mut impl Lines,
    ) -> Result<Option<usize>, Fault> {
        loop {
            let found = bytes.get(self.looked..).and_then(|rest| memchr(b'\n', rest));
            let end = match found {
                Some(found) if self.looked + found < limit => self.looked + found,
                _ => return self.unfinished(bytes, limit).map(|()| None),
            };
            let whole = &bytes[self.line_at..end];
            let (line, ends_well) = match whole.split_last() {
                Some((b'\r', line)) => (line, true),
                _ => (whole, false),
            };
            if has_control(line) {
                return Err(Fault::Control);
            }
            if !ends_well {
                return Err(Fault::LineEnd);
            }
            let at = self.line_at;
            self.line_at = end + 1;
            self.looked = end + 1;
            if lines.line(line, at)? {
                return Ok(Some(self.line_at));
            }
        }
    }

    /// The end of the line has not come, or comes too late.
    fn unfinished(&mut self, bytes: &[u8], limit: usize) -> Result<(), Fault> {
        let there = &bytes[..bytes.len().min(limit)];
        // The CR may be the one that ends the line.
        let sure = there.len() - usize::from(there.ends_with(b"\r"));
        if there.get(self.looked.max(self.line_at)..sure).is_some_and(has_control) {
            return Err(Fault::Control);
        }
        if bytes.len() > limit {
            return Err(Fault::TooLarge);
        }
        self.looked = sure.max(self.looked);
        Ok(())
    }
}

/// Whether there is a control character, HTAB excepted. Without a branch for each byte, so that many are looked at once.
#[inline]
fn has_control(bytes: &[u8]) -> bool {
    let bad = |byte: u8| u8::from((byte < b' ' && byte != b'\t') || byte == 0x7f);
    bytes.iter().fold(0, |found, &byte| found | bad(byte)) != 0
}
