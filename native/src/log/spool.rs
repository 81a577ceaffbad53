//! A bounded buffer of lines between those who note them and the one thread that writes them.
//!
//! It knows nothing of what a line says.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::metrics::Count;

/// Bytes that may wait to be written; as many again may be on their way to the disk.
pub(super) const DEFAULT_CAPACITY: usize = 8 << 20;

/// How long the writer lets lines gather. One write of many costs little more than one of one.
const GATHER: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct Spool {
    state: Mutex<State>,
    /// Woken when there is something to write after there was nothing, and at the end.
    wake: Condvar,
    capacity: usize,
    lost: Arc<Count>,
}

#[derive(Debug, Default)]
struct State {
    pending: Vec<u8>,
    /// Lines lost since that was last told.
    untold: u64,
    closing: bool,
}

impl Spool {
    pub(super) fn new(capacity: usize) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), capacity, lost: Arc::default() }
    }

    /// Adds a line, with its end, if there is room.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.closing || state.pending.len() + line.len() > self.capacity {
            state.untold += 1;
            self.lost.up();
            return;
        }
        let was_empty = state.pending.is_empty();
        state.pending.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// Counts lines that were lost elsewhere.
    pub(super) fn lose(&self, lines: u64) {
        self.lost.add(lines);
        self.untell(lines);
    }

    /// Lets the next report tell of so many lost lines more. At the end there is no next report.
    fn untell(&self, lines: u64) {
        let mut state = self.lock();
        if !state.closing {
            state.untold += lines;
        }
    }

    /// How many lines were lost, ever.
    pub(super) fn lost(&self) -> Arc<Count> {
        self.lost.clone()
    }

    /// Lets the writer end when it has written all.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }

    /// Waits for lines and swaps them with `batch`, which is empty; how many lines were lost meanwhile.
    /// `None` when all is written and nothing will come.
    fn take(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let waiting = |state: &mut State| state.pending.is_empty() && !state.closing;
        let state = self.wake.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner);
        let gathering = |state: &mut State| !state.closing;
        let (mut state, _) =
            self.wake.wait_timeout_while(state, GATHER, gathering).unwrap_or_else(PoisonError::into_inner);
        if state.pending.is_empty() && state.untold == 0 {
            return None;
        }
        std::mem::swap(&mut state.pending, batch);
        Some(std::mem::take(&mut state.untold))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all lines until the spool is closed; `report` makes the line that tells of lost ones.
///
/// A failure to write is told once on standard error, until it has been overcome.
pub(super) fn write_out(spool: &Spool, mut out: impl Write, report: impl Fn(u64) -> String) {
    let mut batch = Vec::new();
    let mut failing = false;
    while let Some(lost) = spool.take(&mut batch) {
        let lines = batch.iter().filter(|&&byte| byte == b'\n').count() as u64;
        if lost > 0 {
            batch.extend_from_slice(report(lost).as_bytes());
        }
        match write(&mut out, &batch, failing) {
            Ok(()) => failing = false,
            Err(error) => {
                if !failing {
                    crate::notice::say(format_args!("the access log can't be written: {error}"));
                }
                failing = true;
                spool.lose(lines);
                spool.untell(lost);
            }
        }
        batch.clear();
    }
}

fn write(out: &mut impl Write, batch: &[u8], after_failure: bool) -> io::Result<()> {
    if after_failure {
        // What failed may have been written in part: its torn line must not swallow the next.
        out.write_all(b"\n")?;
    }
    out.write_all(batch)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_lost_and_told_with_the_next_batch() {
        let spool = Spool::new(10);
        for line in ["one\n", "two\n", "three\n", "4\n", "5\n"] {
            spool.push(line.as_bytes());
        }
        let mut batch = Vec::new();
        assert_eq!(spool.take(&mut batch), Some(2));
        assert_eq!(batch, b"one\ntwo\n4\n");
        assert_eq!(spool.lost().get(), 2);
    }

    #[test]
    fn a_closed_spool_ends_when_it_is_empty() {
        let spool = Spool::new(10);
        spool.push(b"one\n");
        spool.close();
        let mut batch = Vec::new();
        assert_eq!(spool.take(&mut batch), Some(0));
        batch.clear();
        assert_eq!(spool.take(&mut batch), None);
    }

    #[test]
    fn a_writer_that_only_fails_ends_all_the_same() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let spool = Spool::new(10);
        for line in ["one\n", "two\n", "three\n"] {
            spool.push(line.as_bytes());
        }
        spool.close();
        write_out(&spool, Broken, |lost| format!("{lost}\n"));
        assert_eq!(spool.lost().get(), 3);
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let mut page = b"to".to_vec();
        write(&mut page, b"next\n", true).unwrap();
        assert_eq!(page, b"to\nnext\n");
    }
}
