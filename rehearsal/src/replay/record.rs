//! A line of the access log in its JSON form, as far as a request can be made of it.

use std::{
    io::{self, BufRead, Read},
    net::IpAddr,
};

use serde::Deserialize;
use tollgate_core::{event::Rfc3339, host::Timestamp};

/// A longer line is none of Tollgate's.
const MAX_LINE_BYTES: u64 = 256 * 1024;

/// A request as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it came.
    pub at: Timestamp,
    /// From whom.
    pub client: IpAddr,
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path, normalised.
    pub path: String,
    /// The route's path, as written then.
    pub route: Option<String>,
    /// The route's service.
    pub service: Option<String>,
    /// Who it was.
    pub user: Option<String>,
    /// Why it was refused, if it was.
    pub refusal: Option<String>,
}

/// What a line of a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A request.
    Record(Record),
    /// The log has lost so many lines.
    Lost(u64),
    /// Nothing that can be made again.
    Unusable(Unusable),
}

/// Why a line can't be made a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unusable {
    /// It is no JSON object, or far too long.
    Malformed,
    /// Time, client, method, host or path are missing, or are none.
    Incomplete,
    /// Refused before its host was known, for something that is not in the log.
    TurnedAway,
    /// Refused before credentials were looked at, or for want of keys: whose it was is not known.
    Unidentified,
    /// Its method or path can't be spoken.
    Unspeakable,
}

impl Unusable {
    /// In words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "not a line of the JSON access log",
            Self::Incomplete => "without a time, client, method, host or path that can be read",
            Self::TurnedAway => "refused at the door for what the log does not hold",
            Self::Unidentified => "refused before its user was known",
            Self::Unspeakable => "with a method or path that can't be sent",
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    time: Option<String>,
    client: Option<String>,
    method: Option<String>,
    host: Option<String>,
    path: Option<String>,
    route: Option<String>,
    service: Option<String>,
    user: Option<String>,
    refusal: Option<String>,
    lost: Option<u64>,
}

impl Line {
    fn read(line: &[u8]) -> Self {
        let Ok(written) = serde_json::from_slice::<Written>(line) else {
            return Self::Unusable(Unusable::Malformed);
        };
        if let Some(lost) = written.lost.filter(|_| written.method.is_none()) {
            return Self::Lost(lost);
        }
        match written.refusal.as_deref() {
            // Only what gets past the door has its host recorded.
            Some(_) if written.host.as_deref() == Some("") => return Self::Unusable(Unusable::TurnedAway),
            Some(
                "jwt_validation.keys_unavailable"
                | "oauth_introspection.unavailable"
                | "authentication.too_many_failures",
            ) => {
                return Self::Unusable(Unusable::Unidentified);
            }
            _ => {}
        }
        written.record().map_or(Self::Unusable(Unusable::Incomplete), Self::Record)
    }
}

impl Written {
    fn record(self) -> Option<Record> {
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        Some(Record {
            at: Rfc3339::parse(&self.time?)?,
            client: self.client?.parse().ok()?,
            method: present(self.method)?,
            host: present(self.host)?,
            path: present(self.path).filter(|path| path.starts_with('/'))?,
            route: self.route,
            service: self.service,
            user: present(self.user),
            refusal: self.refusal,
        })
    }
}

/// The lines of a log with their numbers, one in memory at a time. Empty ones are not told.
#[derive(Debug)]
pub struct Lines<R> {
    log: R,
    number: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `log`.
    pub fn new(log: R) -> Self {
        Self { log, number: 0, line: Vec::new() }
    }

    /// Whether there was one more.
    fn advance(&mut self) -> io::Result<bool> {
        self.line.clear();
        (&mut self.log).take(MAX_LINE_BYTES).read_until(b'\n', &mut self.line)?;
        if self.line.is_empty() {
            return Ok(false);
        }
        self.number += 1;
        if self.line.len() as u64 == MAX_LINE_BYTES && !self.line.ends_with(b"\n") {
            self.skip()?;
        }
        Ok(true)
    }

    /// Leaves the rest of a line where it is.
    fn skip(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.log.fill_buf()?;
            let (used, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.log.consume(used);
            if ended {
                return Ok(());
            }
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<(u64, Line)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.advance() {
                Err(error) => return Some(Err(error)),
                Ok(false) => return None,
                Ok(true) => {}
            }
            let line = self.line.trim_ascii();
            if !line.is_empty() {
                return Some(Ok((self.number, Line::read(line))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u64, Line)> {
        Lines::new(text.as_bytes()).map(Result::unwrap).collect()
    }

    #[test]
    fn each_line_is_a_record_or_has_a_reason_why_not() {
        let good = r#"{"time":"1970-01-01T00:00:01.000Z","client":"::1","method":"GET","host":"h","path":"/a","status":200}"#;
        let (long, misdirected) = (
            "x".repeat(300_000),
            r#"{"time":"1970-01-01T00:00:01.000Z","client":"::1","method":"GET","host":"","path":"/a","refusal":"request.misdirected"}"#,
        );
        let without = |key: &str| good.replace(&format!("\"{key}\":"), "\"other\":");
        let text = [
            good,
            "",
            "GET / HTTP/1.1",
            r#"{"time":"1970-01-01T00:00:00.000Z","lost":7}"#,
            &without("method"),
            &without("path"),
            &without("time"),
            &long,
            misdirected,
            &good.replace("\"status\"", "\"refusal\":\"jwt_validation.keys_unavailable\",\"status\""),
            good,
        ];
        let found = lines(&text.join("\n"));
        assert!(matches!(&found[0], (1, Line::Record(record)) if record.at == 1_000 && record.path == "/a"));
        let rest: Vec<_> = found[1..found.len() - 1].iter().map(|(at, line)| (*at, line.clone())).collect();
        let unusable = Line::Unusable;
        assert_eq!(
            rest,
            [
                (3, unusable(Unusable::Malformed)),
                (4, Line::Lost(7)),
                (5, unusable(Unusable::Incomplete)),
                (6, unusable(Unusable::Incomplete)),
                (7, unusable(Unusable::Incomplete)),
                (8, unusable(Unusable::Malformed)),
                (9, unusable(Unusable::TurnedAway)),
                (10, unusable(Unusable::Unidentified)),
            ]
        );
        assert!(matches!(found.last(), Some((11, Line::Record(_)))));
    }
}
