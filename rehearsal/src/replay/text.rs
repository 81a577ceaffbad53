//! The sum of a replay for people and for programs. What comes from the log is shown so that no terminal obeys it.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{
    ASSUMED,
    outcome::Outcome,
    tally::{Example, Tally},
};

impl Tally {
    /// In lines; `color` paints with ANSI sequences.
    pub fn render(&self, color: bool) -> String {
        let (bold, dim, end) = if color { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        let mut out = String::new();
        let (replayed, otherwise) = (thousands(self.replayed), thousands(self.otherwise()));
        let records = if self.replayed == 1 { "record" } else { "records" };
        let _ = writeln!(out, "{bold}{replayed} {records} replayed, {otherwise} would end otherwise{end}");
        for (before, after, group) in self.groups() {
            let (count, route) = (thousands(group.count), printable(&route(before, after)));
            let (before, after) = (printable(&before.to_string()), printable(&after.to_string()));
            let _ = writeln!(out, "  {count} on {route}: {before} → {after}");
            for example in &group.examples {
                let _ = writeln!(out, "      {dim}{}{end}", printable(&shown(example)));
            }
        }
        for (why, count, first) in self.passed_over() {
            let lines = if count == 1 { "line" } else { "lines" };
            let _ = writeln!(
                out,
                "not replayed: {} {lines} {}, first line {first}",
                thousands(count),
                why.reason()
            );
        }
        if self.lost > 0 {
            let _ = writeln!(out, "not in the log: {} lines that it has lost", thousands(self.lost));
        }
        if let Some(first) = self.first_unlike_log {
            let _ = writeln!(
                out,
                "{} of the records don't end under the old configuration as the log says, first line {first}",
                thousands(self.unlike_log)
            );
        }
        let _ = writeln!(out, "{dim}assumed:");
        for assumption in ASSUMED {
            let _ = writeln!(out, "  - {assumption}");
        }
        out.push_str(end);
        out
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let groups = self.groups();
        let groups = groups.iter().map(|(before, after, group)| {
            let examples = group.examples.iter();
            let examples: Vec<Value> = examples
                .map(
                    |one| json!({"line": one.line, "method": one.method, "path": one.path, "user": one.user}),
                )
                .collect();
            json!({
                "old": ended(before),
                "new": ended(after),
                "count": group.count,
                "examples": examples,
            })
        });
        let passed_over = self.passed_over();
        let passed_over = passed_over
            .iter()
            .map(|(why, count, first)| json!({"why": why.reason(), "count": count, "first_line": first}));
        json!({
            "replayed": self.replayed,
            "otherwise": self.otherwise(),
            "groups": groups.collect::<Vec<_>>(),
            "not_replayed": passed_over.collect::<Vec<_>>(),
            "lost": self.lost,
            "unlike_log": self.unlike_log,
            "assumed": ASSUMED,
        })
    }
}

fn ended(outcome: &Outcome) -> Value {
    let Outcome { route, service, refusal } = outcome;
    let (status, reason) = refusal.as_ref().map(|(status, reason)| (status, reason)).unzip();
    json!({
        "route": route,
        "service": service,
        "status": status.and_then(|status| status.parse::<u16>().ok()),
        "refusal": reason,
    })
}

fn route(before: &Outcome, after: &Outcome) -> String {
    match (&before.route, &after.route) {
        (Some(old), Some(new)) if old != new => format!("{old}, then {new}"),
        (Some(route), _) | (None, Some(route)) => route.clone(),
        (None, None) => "no route".to_owned(),
    }
}

fn shown(example: &Example) -> String {
    let user = example.user.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
    format!("line {}: {} {}{user}", example.line, example.method, example.path)
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// `12000` as `12,000`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_thousands() {
        let shown = [0, 999, 1_000, 12_000, 1_234_567].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "12,000", "1,234,567"]);
    }
}
