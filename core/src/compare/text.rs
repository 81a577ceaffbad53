//! Differences for people, one line each, and for programs.

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
};

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{Change, Changes, Kind, On, What};
use crate::config::node::Span;

/// Routes of a difference that are named; of the others it is told how many there are.
const MAX_NAMED: usize = 4;

/// Differences with the names of the files that their places are in.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'c> {
    changes: &'c Changes,
    old: &'c [String],
    new: &'c [String],
}

impl Changes {
    /// The differences as people and programs read them; the files are [`crate::gateway::Gateway::files`].
    pub fn placed<'c>(&'c self, old: &'c [String], new: &'c [String]) -> Placed<'c> {
        Placed { changes: self, old, new }
    }
}

impl Placed<'_> {
    /// One line a difference, by kind; `color` paints with ANSI sequences.
    pub fn render(&self, color: bool) -> String {
        let mut out = String::new();
        let (dim, end) = if color { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        for kind in Kind::ALL {
            let list: Vec<&Change> = self.changes.list.iter().filter(|change| change.kind == kind).collect();
            if list.is_empty() {
                continue;
            }
            let paint = match kind {
                _ if !color => "",
                Kind::Loosened => "\x1b[1;31m",
                Kind::Tightened => "\x1b[32m",
                Kind::Changed => "\x1b[33m",
            };
            let _ = writeln!(out, "{paint}{} ({}){end}", kind.name(), list.len());
            for change in list {
                let (old, new) = (place(change.old_at, self.old), place(change.new_at, self.new));
                let _ = writeln!(out, "  {}  {dim}{old} → {new}{end}", printable(&change.to_string()));
            }
        }
        out
    }
}

/// What is different and on which routes, without where that is written.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
        let (old, new) = (or(&self.old), or(&self.new));
        let policy = self.policy.as_deref().unwrap_or_default();
        let key = self.key.as_deref().unwrap_or_default();
        match self.what {
            What::PolicyRemoved => write!(f, "{policy} removed ({old})")?,
            What::PolicyAdded => write!(f, "{policy} added ({new})")?,
            What::PolicyReplaced => write!(f, "{policy} replaced: {old} → {new}")?,
            What::PolicyChanged => write!(f, "{policy} {key}: {old} → {new}")?,
            What::PathExcluded => write!(f, "{policy} does not hold any more: {new} is excluded")?,
            What::PathIncluded => write!(f, "{policy} holds now: {old} is no longer excluded")?,
            What::RouteRemoved => {
                write!(f, "route removed: {old}")?;
                return self.new.as_ref().map_or(Ok(()), |instead| write!(f, ", now served by {instead}"));
            }
            What::RouteAdded => {
                write!(f, "route added: {new}")?;
                return self.old.as_ref().map_or(Ok(()), |before| write!(f, ", before served by {before}"));
            }
            What::RouteMoved => return write!(f, "route moved: {old} → {new}"),
            What::RouteChanged | What::GatewayChanged => write!(f, "{key}: {old} → {new}")?,
            What::ServiceChanged => {
                write!(f, "service {} {key}: {old} → {new}", self.service.as_deref().unwrap_or_default())?;
            }
        }
        let routes: BTreeSet<&str> = self.on.iter().map(|on| &*on.route).collect();
        let named: Vec<String> = self.on.iter().take(MAX_NAMED).map(ToString::to_string).collect();
        let more = if self.on.len() > MAX_NAMED { ", …" } else { "" };
        match routes.len() {
            0 => Ok(()),
            1 => write!(f, ", on {}{more}", named.join(", ")),
            many => write!(f, ", on {many} routes: {}{more}", named.join(", ")),
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path.as_deref().unwrap_or(&self.route))?;
        if self.methods.is_empty() { Ok(()) } else { write!(f, " ({})", self.methods.join(", ")) }
    }
}

/// A list of `{kind, what, route?, policy?, service?, key?, on?, old, new, old_at, new_at}`; `route` where there
/// is just one.
impl Serialize for Placed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.changes.list.iter().map(|change| PlacedChange { change, placed: self }))
    }
}

struct PlacedChange<'c> {
    change: &'c Change,
    placed: &'c Placed<'c>,
}

impl Serialize for PlacedChange<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { change, placed } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", change.kind.name())?;
        map.serialize_entry("what", change.what.name())?;
        let mut routes = change.on.iter().map(|on| &on.route);
        if let Some(first) = routes.next()
            && routes.all(|route| route == first)
        {
            map.serialize_entry("route", first)?;
        }
        for (name, value) in [("policy", &change.policy), ("service", &change.service), ("key", &change.key)]
        {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        if !change.on.is_empty() {
            map.serialize_entry("on", &change.on)?;
        }
        map.serialize_entry("old", &change.old)?;
        map.serialize_entry("new", &change.new)?;
        map.serialize_entry("old_at", &place(change.old_at, placed.old))?;
        map.serialize_entry("new_at", &place(change.new_at, placed.new))?;
        map.end()
    }
}

/// `{route, path?, methods?}`
impl Serialize for On {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("route", &self.route)?;
        if let Some(path) = &self.path {
            map.serialize_entry("path", path)?;
        }
        if !self.methods.is_empty() {
            map.serialize_entry("methods", &self.methods)?;
        }
        map.end()
    }
}

/// What is written nowhere has the configuration as a whole for its place.
fn place(at: Span, files: &[String]) -> String {
    format!("{}:{}", files.get(at.file).map_or("", String::as_str), at.line.max(1))
}

/// Values are the users' own, and must not command a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}
