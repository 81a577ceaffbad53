//! The access log: one line a request, written by a thread of its own so that no request waits for a disk.
//!
//! A line is made on the request's way and put into a bounded [`spool`]; when that is full the line is
//! lost, and counted. This is no place for messages of the program itself.

mod line;
mod spool;
#[cfg(test)]
mod tests;

use std::{
    fs::OpenOptions,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use tollgate_core::event::Event;

use self::spool::Spool;
use crate::{clock::Clock, metrics::Count};

/// How a line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// An access log. Cheap to clone; clones are the same log. The default one is off, and costs nothing.
#[derive(Debug, Clone, Default)]
pub struct AccessLog(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    format: Format,
    spool: Arc<Spool>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl AccessLog {
    /// A log that is off.
    pub fn off() -> Self {
        Self(None)
    }

    /// A log to standard output (`-`) or to the end of a file.
    pub fn open(target: &str, format: Format, clock: Clock) -> io::Result<Self> {
        if target == "-" {
            return Self::to(io::stdout(), format, clock);
        }
        let file = OpenOptions::new().append(true).create(true).open(target)?;
        Self::to(file, format, clock)
    }

    /// A log to anything that can be written to.
    pub fn to(out: impl Write + Send + 'static, format: Format, clock: Clock) -> io::Result<Self> {
        let spool = Arc::new(Spool::new(spool::DEFAULT_CAPACITY));
        let source = spool.clone();
        let writer = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || spool::write_out(&source, out, |lost| line::lost(format, clock.now(), lost)))?;
        Ok(Self(Some(Arc::new(Open { format, spool, writer: Mutex::new(Some(writer)) }))))
    }

    /// Notes one request. Never waits for the disk.
    pub fn record(&self, event: &Event<'_>) {
        if let Some(open) = &self.0 {
            match line::render(open.format, event) {
                Ok(line) => open.spool.push(&line),
                Err(_) => open.spool.lose(1),
            }
        }
    }

    /// How many lines were lost so far.
    pub fn lost(&self) -> Arc<Count> {
        self.0.as_ref().map(|open| open.spool.lost()).unwrap_or_default()
    }

    /// Writes what is still to be written and ends. What is noted later is lost.
    pub fn close(&self) {
        if let Some(open) = &self.0 {
            open.close();
        }
    }
}

impl Open {
    fn close(&self) {
        self.spool.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            crate::notice::say("the access log's writer panicked; its last lines may be missing");
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close();
    }
}
