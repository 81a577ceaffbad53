//! What HTTP/2 lets clients ask for at next to no cost to themselves: pings, settings, requests taken back. Counts the
//! frames as they come in, by their headers alone (RFC 9113 §4.1); what they mean is hyper's.

use tollgate_core::config::document::Http2Limits;

/// `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`: what a client begins with (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const CONTROL_WINDOW_MS: u64 = 10_000;
const RESET_WINDOW_MS: u64 = 60_000;
/// Control frames that each request brings along in good faith, a priority or a ping.
const FOR_EACH_REQUEST: u32 = 8;
/// Bytes written for each window update: the smallest frame with content is ten bytes long, and is taken by two updates.
const FOR_EACH_UPDATE: u64 = 5;

/// The limits of one connection, and how near it is to them.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes to pass by before the next frame header: of the preface, or of a payload.
    skip: usize,
    header: [u8; 9],
    have: usize,
    /// A request's head has begun and goes on in further frames.
    within_head: bool,
    control: Window,
    resets: Window,
    /// Window updates without content that they could be about.
    updates: Window,
    /// Updates that what was written may still bring along.
    owed: u64,
    written: u64,
}

#[derive(Debug)]
struct Window {
    began: u64,
    count: u32,
    most: u32,
    length_ms: u64,
    /// Requests since it began, and in the one before.
    requests: [u32; 2],
}

/// A client asks for more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flood {
    Control,
    Resets,
}

impl Frames {
    pub(super) fn new(limits: &Http2Limits) -> Self {
        let window = |most, length_ms| Window { began: 0, count: 0, most, length_ms, requests: [0; 2] };
        Self {
            skip: PREFACE.len(),
            header: [0; 9],
            have: 0,
            within_head: false,
            control: window(limits.max_control_frames, CONTROL_WINDOW_MS),
            resets: window(limits.max_resets_per_minute, RESET_WINDOW_MS),
            updates: window(limits.max_control_frames, CONTROL_WINDOW_MS),
            owed: 0,
            written: 0,
        }
    }

    /// Bytes have been written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes as u64);
        self.owed = self.owed.saturating_add(self.written / FOR_EACH_UPDATE);
        self.written %= FOR_EACH_UPDATE;
    }

    /// Whether a request's head has begun to arrive and has not ended.
    pub(super) fn within_head(&self) -> bool {
        self.within_head
    }

    /// Bytes have come. `now`, in milliseconds, is asked for seldom.
    pub(super) fn inspect(&mut self, mut bytes: &[u8], now: impl Fn() -> u64) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let passed = self.skip.min(bytes.len());
                self.skip -= passed;
                bytes = &bytes[passed..];
                continue;
            }
            let take = (self.header.len() - self.have).min(bytes.len());
            self.header[self.have..self.have + take].copy_from_slice(&bytes[..take]);
            self.have += take;
            bytes = &bytes[take..];
            if self.have == self.header.len() {
                self.have = 0;
                self.frame(&now)?;
            }
        }
        Ok(())
    }

    fn frame(&mut self, now: &impl Fn() -> u64) -> Result<(), Flood> {
        const END_STREAM: u8 = 0x1;
        const END_HEADERS: u8 = 0x4;
        let [a, b, c, kind, flags, ..] = self.header;
        self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        match kind {
            // DATA that says nothing.
            0 if self.skip == 0 && flags & END_STREAM == 0 => self.control(now),
            0 => Ok(()),
            // WINDOW_UPDATE: as many as there is content under way.
            8 if self.owed > 0 => {
                self.owed -= 1;
                Ok(())
            }
            8 if self.updates.exceeded(now()) => Err(Flood::Control),
            8 => Ok(()),
            // HEADERS
            1 => {
                self.within_head = flags & END_HEADERS == 0;
                self.control.request();
                self.updates.request();
                Ok(())
            }
            // RST_STREAM
            3 if self.resets.exceeded(now()) => Err(Flood::Resets),
            3 => Ok(()),
            // CONTINUATION
            9 => {
                self.within_head &= flags & END_HEADERS == 0;
                self.control(now)
            }
            // PRIORITY, SETTINGS, PUSH_PROMISE, PING, GOAWAY, and what nobody knows.
            _ => self.control(now),
        }
    }

    fn control(&mut self, now: &impl Fn() -> u64) -> Result<(), Flood> {
        if self.control.exceeded(now()) { Err(Flood::Control) } else { Ok(()) }
    }
}

impl Window {
    /// One more, besides those that requests bring along.
    fn exceeded(&mut self, now: u64) -> bool {
        if now.saturating_sub(self.began) >= self.length_ms || self.count == 0 {
            (self.began, self.count) = (now, 0);
            self.requests = [0, self.requests[0]];
        }
        self.count = self.count.saturating_add(1);
        let requests = self.requests[0].saturating_add(self.requests[1]);
        self.count > self.most.saturating_add(requests.saturating_mul(FOR_EACH_REQUEST))
    }

    /// A request has come, which brings some along.
    fn request(&mut self) {
        self.requests[0] = self.requests[0].saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PING: u8 = 6;
    const RESET: u8 = 3;
    const HEADERS: u8 = 1;
    const UPDATE: u8 = 8;

    fn frames() -> Frames {
        Frames::new(&Http2Limits { max_streams: 1, max_resets_per_minute: 5, max_control_frames: 10 })
    }

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 0];
        frame.resize(9 + usize::from(length), 0xff);
        frame
    }

    fn play(frames: &mut Frames, kind: u8, many: usize, now: u64) -> Result<(), Flood> {
        (0..many).try_for_each(|_| frames.inspect(&frame(kind, 4, 8), || now))
    }

    fn begun() -> Frames {
        let mut frames = frames();
        frames.inspect(PREFACE, || 0).unwrap();
        frames
    }

    #[test]
    fn pings_are_answered_up_to_a_point() {
        let mut frames = begun();
        assert_eq!(play(&mut frames, PING, 10, 0), Ok(()));
        assert_eq!(play(&mut frames, PING, 1, 9_999), Err(Flood::Control));
        let mut frames = begun();
        assert_eq!(play(&mut frames, PING, 10, 0), Ok(()));
        assert_eq!(play(&mut frames, PING, 10, 10_000), Ok(()));
    }

    #[test]
    fn requests_bring_an_allowance() {
        let mut frames = begun();
        play(&mut frames, HEADERS, 2, 0).unwrap();
        assert_eq!(play(&mut frames, PING, 11, 0), Ok(()));
    }

    #[test]
    fn requests_are_not_taken_back_again_and_again() {
        let mut frames = begun();
        for _ in 0..5 {
            play(&mut frames, HEADERS, 1, 0).unwrap();
            play(&mut frames, RESET, 1, 0).unwrap();
        }
        play(&mut frames, HEADERS, 1, 0).unwrap();
        assert_eq!(play(&mut frames, RESET, 1, 59_000), Err(Flood::Resets));
    }

    #[test]
    fn windows_grow_by_what_was_sent_and_a_little_more() {
        let mut frames = begun();
        assert_eq!(play(&mut frames, UPDATE, 10, 0), Ok(()));
        assert_eq!(play(&mut frames, UPDATE, 1, 9_999), Err(Flood::Control));
        let mut frames = begun();
        // Frames of one byte each, taken by an update of the stream and one of the connection.
        for _ in 0..1_000 {
            (0..10).for_each(|_| frames.wrote(1));
            assert_eq!(play(&mut frames, UPDATE, 2, 0), Ok(()));
        }
        assert_eq!(play(&mut frames, UPDATE, 11, 0), Err(Flood::Control));
    }

    #[test]
    fn a_head_in_pieces_is_noticed() {
        let mut frames = begun();
        frames.inspect(&frame(HEADERS, 0, 3), || 0).unwrap();
        assert!(frames.within_head());
        frames.inspect(&frame(9, 4, 3), || 0).unwrap();
        assert!(!frames.within_head());
    }

    proptest! {
        /// However the bytes are cut, the same is counted; and nothing makes it panic.
        #[test]
        fn hostile_frames_count_the_same_in_any_pieces(
            bytes in proptest::collection::vec(prop_oneof![Just(0u8), 0u8..10, any::<u8>()], 0..600),
            cut in 1usize..40,
        ) {
            let (mut whole, mut pieces) = (begun(), begun());
            let one = whole.inspect(&bytes, || 0);
            let other = bytes.chunks(cut).try_for_each(|piece| pieces.inspect(piece, || 0));
            prop_assert_eq!(one, other);
            if one.is_ok() {
                prop_assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
            }
        }
    }
}
