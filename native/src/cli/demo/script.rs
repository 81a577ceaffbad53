//! What the demo prints: tokens, and requests to try, each with what it will be answered. Comments and
//! commands alternate, so the whole can be pasted into a shell or piped to one.

use std::{fmt::Write, net::SocketAddr};

use super::issuer::Issuer;

/// Windows are aligned to the minute: a burst that spans two of them would be counted in both.
const FRESH_MINUTE: &str = "sleep $((60 - $(date +%s) % 60))";

pub(super) fn script(gateway: SocketAddr, issuer: &Issuer) -> String {
    let base = format!("http://{gateway}");
    let codes = "-s -o /dev/null -w '%{http_code} '";
    let alice = "-H \"Authorization: Bearer $TOKEN\"";
    let guest = "-H \"Authorization: Bearer $GUEST\"";
    let examples = [
        (
            "200: alice, a researcher, asks the research agent",
            format!("curl -s -i {alice} '{base}/agents/research/query?q=tides'"),
        ),
        ("401: nobody asks", format!("curl -s -i '{base}/agents/research/query'")),
        (
            "403: the policy engine lets no guest make images",
            format!("curl -s -i {guest} '{base}/agents/image/generate'"),
        ),
        (
            "ten times 200, then 429: ten research queries a minute (waits for a fresh minute)",
            format!(
                "{FRESH_MINUTE}; for i in $(seq 11); do curl {codes} {alice} '{base}/agents/research/query'; done; echo"
            ),
        ),
        (
            "five times 200, then 429: five images a minute (waits for a fresh minute)",
            format!(
                "{FRESH_MINUTE}; for i in $(seq 6); do curl {codes} {alice} '{base}/agents/image/generate'; done; echo"
            ),
        ),
        (
            "the same status twice, the second time from the cache: see Cache-Status",
            format!(
                "for i in 1 2; do curl -s -i {alice} '{base}/orchestrator/status' | grep -iE '^cache-status|checks'; done"
            ),
        ),
        ("a stream, event by event", format!("curl -sN {alice} '{base}/agents/research/stream'")),
        (
            "a compressed image",
            format!(
                "curl -s --compressed -D - -o /dev/null -H 'Accept-Encoding: gzip' {guest_artist} '{base}/agents/image/generate' | grep -i '^content-encoding'",
                guest_artist = "-H \"Authorization: Bearer $ARTIST\""
            ),
        ),
        (
            "the orchestrator calls the research agent through the gateway: as alice, and counted as hers",
            format!("curl -s {alice} '{base}/orchestrator/plan'; echo"),
        ),
        (
            "a token of your own: paths below /auth need none",
            format!("curl -s '{base}/auth/login?user=bob&role=researcher'; echo"),
        ),
    ];
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# Tollgate serves examples/agent-platform/tollgate.yaml at {base} (stop with Ctrl-C)."
    );
    let _ = writeln!(out, "# Paste into another shell:\n");
    let _ = writeln!(out, "TOKEN={}", issuer.token("alice", "researcher"));
    let _ = writeln!(out, "GUEST={}", issuer.token("mallory", "guest"));
    let _ = writeln!(out, "ARTIST={}", issuer.token("frida", "artist"));
    for (number, (what, command)) in (1..).zip(&examples) {
        let _ = write!(out, "\n# {number}. {what}\n{command}\n");
    }
    let _ = writeln!(out);
    out
}
