//! What the server recorded of each request, read back from its access log.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tollgate::{
    clock::Clock,
    host::NativeHost,
    log::{AccessLog, Format},
};

use tollgate_rehearsal::observed::{Noted, Raw};

/// The fields of a line on which hosts agree; the others tell of the moment.
const COMPARED: [&str; 11] =
    ["client", "method", "host", "path", "route", "service", "user", "status", "refusal", "shadow", "cache"];

/// A log that is kept in memory.
#[derive(Debug, Clone, Default)]
pub struct Events(Arc<Mutex<Vec<u8>>>);

impl Events {
    /// The log, and what writes it.
    pub fn new(clock: Clock) -> Result<(Self, AccessLog), String> {
        let events = Self::default();
        let log = AccessLog::to(events.clone(), Format::Json, clock).map_err(|error| error.to_string())?;
        Ok((events, log))
    }

    /// Waits until all is written, and gives each answer the event of the same request.
    pub async fn give_to(&self, observed: &mut [Raw], host: NativeHost) {
        // It waits for a thread.
        let _ = tokio::task::spawn_blocking(move || host.close()).await;
        let written = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let lines: Vec<Value> = written
            .split(|&byte| byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        Self::assign(observed, lines);
    }

    /// Gives each answer the event of the same request.
    pub fn assign(observed: &mut [Raw], mut lines: Vec<Value>) {
        for raw in observed {
            let id =
                raw.headers.iter().find(|(name, _)| name == "x-request-id").map(|(_, value)| value.as_str());
            // Requests with the same identifier were recorded in their order.
            let at = lines.iter().position(|line| line["request_id"].as_str() == id && id.is_some());
            raw.event = at.map(|at| noted(&lines.remove(at)));
        }
    }
}

fn noted(line: &Value) -> Noted {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    COMPARED.into_iter().filter_map(|name| Some((name.to_owned(), text(line.get(name)?)))).collect()
}

impl Write for Events {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
