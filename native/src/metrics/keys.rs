//! How it stands with the keys of issuers, for Prometheus: an issuer that is down is noticed here long before its last
//! good keys are too old.
//!
//! The sources are the configuration's, so there are no more labels than that names.

use std::fmt::{self, Write};

use tollgate_core::keys::Standing;

use super::{escaped, family};

/// A family of numbers, one for each source that has it.
type Family = (&'static str, &'static str, &'static str, fn(&Standing) -> Option<u64>);

const FAMILIES: [Family; 5] = [
    ("keys", "gauge", "Keys of an issuer that can be used.", |keys| u64::try_from(keys.keys).ok()),
    ("keys_serving", "gauge", "Whether tokens can be judged by the keys of an issuer.", |keys| {
        Some(keys.serving.into())
    }),
    ("keys_stale", "gauge", "Whether the keys of an issuer should have been fetched again by now.", |keys| {
        Some(keys.stale.into())
    }),
    ("keys_fetched_timestamp_seconds", "gauge", "When the keys of an issuer last came.", |keys| {
        keys.fetched_at.map(|at| at / 1000)
    }),
    ("keys_fetch_failures_total", "counter", "Failures to fetch the keys of an issuer.", |keys| {
        Some(keys.failures)
    }),
];

pub(super) fn write(out: &mut String, standings: &[Standing]) -> fmt::Result {
    if standings.is_empty() {
        return Ok(());
    }
    for (name, kind, help, number) in FAMILIES {
        let name = format!("tollgate_{name}");
        family(out, &name, kind, help)?;
        for standing in standings {
            if let Some(number) = number(standing) {
                writeln!(out, "{name}{{source=\"{}\"}} {number}", escaped(&standing.source))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_that_is_down_is_to_be_seen() {
        let standing = Standing {
            source: "https://a/\"b\\".to_owned(),
            keys: 2,
            fetched_at: Some(1_700_000_000_123),
            stale: true,
            serving: true,
            failures: 3,
            failure: Some("down".to_owned()),
        };
        let mut text = String::new();
        write(&mut text, &[standing]).unwrap();
        for line in [
            r#"tollgate_keys{source="https://a/\"b\\"} 2"#,
            r#"tollgate_keys_serving{source="https://a/\"b\\"} 1"#,
            r#"tollgate_keys_stale{source="https://a/\"b\\"} 1"#,
            r#"tollgate_keys_fetched_timestamp_seconds{source="https://a/\"b\\"} 1700000000"#,
            r#"tollgate_keys_fetch_failures_total{source="https://a/\"b\\"} 3"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
