//! An explanation for people and for programs.

use serde_json::{Value, json};
use tollgate_core::gateway::Gateway;
use tollgate_rehearsal::supposed::Explained;

/// Why the gateway itself refused, if it did.
pub(super) fn refusal(explained: &Explained) -> Option<&str> {
    explained.trail.steps.last()?.facts.get("refusal")?.as_str()
}

/// What was supposed, then one line a step.
pub(super) fn text(explained: &Explained, gateway: &Gateway, color: bool) -> String {
    let mut out = String::new();
    for supposition in &explained.suppositions {
        out.push_str(&format!("supposed: {supposition}\n"));
    }
    if !explained.suppositions.is_empty() {
        out.push('\n');
    }
    out.push_str(&explained.trail.placed(gateway.files()).render(color));
    out
}

/// `{status, refusal?, suppositions, steps, headers}` in one line.
pub(super) fn json(explained: &Explained, gateway: &Gateway) -> String {
    let headers: Vec<Value> = explained
        .head
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let whole = json!({
        "status": explained.head.status.as_u16(),
        "refusal": refusal(explained),
        "suppositions": explained.suppositions,
        "steps": explained.trail.placed(gateway.files()),
        "headers": headers,
    });
    format!("{whole}\n")
}
