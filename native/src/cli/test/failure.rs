//! A failure in lines for people: the request, what should have come of it and what did, and how it was decided.

use std::fmt::Write;

use tollgate_rehearsal::{
    play::Sent,
    rehearse::{Failure, Verdict},
};

use super::text::Paint;

/// Failures of one case that are told at most: those after the first mostly follow from it.
const MAX_TOLD: usize = 3;
/// Characters of a request's content that are shown at most.
const MAX_CONTENT: usize = 200;

/// All that is to be said of a case that does not hold. Of a request that is repeated, the first failure is told.
pub(super) fn render(verdict: &Verdict, paint: Paint) -> String {
    let mut out = String::new();
    let mut told: Vec<&Failure> = Vec::new();
    for failure in &verdict.failures {
        if told.len() < MAX_TOLD && told.iter().all(|other| other.place.step != failure.place.step) {
            told.push(failure);
            one(&mut out, failure, &verdict.files, paint);
        }
    }
    let more = verdict.failures.len() - told.len();
    if more > 0 {
        let _ = writeln!(out, "… and {more} more of this case");
    }
    out
}

/// In a few words: the first difference.
pub(super) fn headline(failure: &Failure) -> String {
    if let Some(service) = failure.unknown.first() {
        return unknown(service);
    }
    failure.faults.first().map_or_else(String::new, |fault| {
        format!("{}: expected {}, not {}", fault.what, fault.wanted, fault.found)
    })
}

fn unknown(service: &str) -> String {
    format!("the service `{service}` was asked, and nothing is given for it")
}

fn one(out: &mut String, failure: &Failure, files: &[String], paint: Paint) {
    let _ = writeln!(out, "{}", paint.bold(&failure.place.to_string()));
    request(out, &failure.sent, paint);
    for service in &failure.unknown {
        let _ = writeln!(out, "  {}", paint.red(&unknown(service)));
    }
    for fault in &failure.faults {
        let _ = writeln!(out, "  {}", fault.what);
        let _ = writeln!(out, "    expected  {}", paint.green(&fault.wanted));
        let _ = writeln!(out, "    actual    {}", paint.red(&fault.found));
    }
    if let Some(trail) = &failure.trail {
        let _ = writeln!(out, "  how it was decided");
        for line in trail.placed(files).render(paint.color).lines() {
            let _ = writeln!(out, "    {line}");
        }
    }
}

fn request(out: &mut String, sent: &Sent, paint: Paint) {
    let _ = writeln!(out, "  {} {}", visible(&sent.method), visible(&sent.target));
    for (name, value) in &sent.headers {
        let value = match value.split_once(' ') {
            Some((scheme, _)) if name.eq_ignore_ascii_case("authorization") => format!("{scheme} …"),
            _ => value.clone(),
        };
        let _ = writeln!(out, "  {}", paint.dim(&format!("{name}: {}", visible(&value))));
    }
    let content = sent.pieces.concat();
    if !content.is_empty() {
        let text = String::from_utf8_lossy(&content);
        let cut: String = text.chars().take(MAX_CONTENT).collect();
        let more = if cut.len() < text.len() { "…" } else { "" };
        let _ = writeln!(out, "  {}", paint.dim(&format!("{}{more}", visible(&cut))));
    }
}

/// What a terminal would obey is not shown to it.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
