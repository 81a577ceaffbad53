//! Trails for people: aligned lines for a terminal, and lines short enough for header fields.

use std::fmt::Write;

use http::HeaderValue;
use serde_json::{Map, Value};

use super::{Placed, Step, Verdict};
use crate::config::node::Span;

/// A field line is cut beyond this, so that a trail never makes an answer's head too large.
const MAX_FIELD_BYTES: usize = 400;
/// Steps that are told in fields at most.
const MAX_FIELDS: usize = 48;

pub(super) fn file(at: Span, files: &[String]) -> &str {
    files.get(at.file).map_or("tollgate.yaml", String::as_str)
}

fn place(at: Span, files: &[String]) -> String {
    format!("{}:{}", file(at, files), at.line)
}

impl Step {
    /// Room and name.
    fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("{} {name}", self.room),
            None => self.room.to_owned(),
        }
    }
}

impl Placed<'_> {
    /// One line a step, in columns; `color` paints verdicts with ANSI sequences.
    pub fn render(&self, color: bool) -> String {
        let rows: Vec<(String, String, &Step)> =
            self.trail.steps.iter().map(|step| (step.title(), place(step.at, self.files), step)).collect();
        let longest = |texts: &mut dyn Iterator<Item = &String>| {
            texts.map(|text| text.chars().count()).max().unwrap_or_default()
        };
        let titles = longest(&mut rows.iter().map(|(title, ..)| title));
        let places = longest(&mut rows.iter().map(|(_, place, _)| place));
        let mut out = String::new();
        for (title, place, step) in &rows {
            let (mark, paint) = match step.verdict {
                Verdict::Pass => ("✓", "\x1b[32m"),
                Verdict::Skip => ("·", "\x1b[2m"),
                Verdict::Refuse => ("✗", "\x1b[31m"),
                Verdict::Fail => ("!", "\x1b[33m"),
            };
            let (begin, dim, end) = if color { (paint, "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
            let text = &step.text;
            let _ = writeln!(out, "{begin}{mark} {title:<titles$}{end}  {dim}{place:<places$}{end}  {text}");
            let margin = titles + places + 6;
            if let Some(description) = &step.description {
                let _ = writeln!(out, "{:margin$}{dim}“{description}”{end}", "");
            }
            for line in shown(&step.facts) {
                let _ = writeln!(out, "{:margin$}{dim}{line}{end}", "");
            }
        }
        out
    }

    /// One field value a step: `room [name] file:line verdict: text`, in visible ASCII.
    pub(crate) fn fields(&self) -> impl Iterator<Item = HeaderValue> {
        let line = |step: &Step| {
            let place = place(step.at, self.files);
            format!("{} {place} {}: {}", step.title(), step.verdict.name(), step.text)
        };
        let visible = |text: String| -> String {
            text.chars()
                .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
                .take(MAX_FIELD_BYTES)
                .collect()
        };
        let fields = self.trail.steps.iter().take(MAX_FIELDS);
        fields.filter_map(move |step| HeaderValue::try_from(visible(line(step))).ok())
    }
}

/// The figures: plain ones together in one line, lists of pairs one pair a line.
fn shown(facts: &Map<String, Value>) -> Vec<String> {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (pairs, figures): (Vec<_>, Vec<_>) = facts.iter().partition(|(_, value)| value.is_array());
    let figures: Vec<String> =
        figures.into_iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
    let mut lines = if figures.is_empty() { Vec::new() } else { vec![figures.join("  ")] };
    for item in pairs.into_iter().filter_map(|(_, value)| value.as_array()).flatten() {
        let parts = item.as_array().map(Vec::as_slice).unwrap_or_default();
        lines.push(parts.iter().map(plain).collect::<Vec<_>>().join(": "));
    }
    lines
}
