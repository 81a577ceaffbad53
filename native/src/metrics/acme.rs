//! How it stands with certificates that are ordered, for Prometheus: one that can't be renewed is noticed here weeks before
//! clients notice. Nothing where none are ordered.
//!
//! The names are the configuration's, so there are no more labels than that names.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tollgate_core::host::Timestamp;

use super::{Count, family};

/// What is counted of certificates that are ordered.
#[derive(Debug, Default)]
pub struct AcmeMetrics {
    /// Orders of this process, of which a certificate came.
    pub(crate) issued: Count,
    /// Orders of this process of which none came.
    pub(crate) failed: Count,
    /// Until when the certificates in service are good; `None` where there is none.
    names: Mutex<BTreeMap<String, Option<Timestamp>>>,
}

impl AcmeMetrics {
    /// Until when the certificate for a name is good, if there is one.
    pub(crate) fn serves(&self, name: &str, until: Option<Timestamp>) {
        self.names().insert(name.to_owned(), until);
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Option<Timestamp>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        let names = self.names();
        if names.is_empty() {
            return Ok(());
        }
        let name = "tollgate_acme_orders_total";
        family(out, name, "counter", "Orders of certificates by this process, by what came of them.")?;
        for (result, count) in [("issued", &self.issued), ("failed", &self.failed)] {
            writeln!(out, "{name}{{result=\"{result}\"}} {}", count.get())?;
        }
        let name = "tollgate_acme_certificate_expires_timestamp_seconds";
        family(out, name, "gauge", "Until when the certificate for a name is good; 0 where there is none.")?;
        for (of, until) in &*names {
            writeln!(out, "{name}{{name=\"{of}\"}} {}", until.unwrap_or(0) / 1_000)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(metrics: &AcmeMetrics) -> String {
        let mut text = String::new();
        metrics.write(&mut text).unwrap();
        text
    }

    #[test]
    fn nothing_is_told_where_nothing_is_ordered() {
        assert_eq!(written(&AcmeMetrics::default()), "");
    }

    #[test]
    fn a_name_without_certificate_is_to_be_seen() {
        let metrics = AcmeMetrics::default();
        metrics.serves("a.test", None);
        metrics.serves("b.test", Some(1_800_000_000_123));
        metrics.failed.up();
        let text = written(&metrics);
        for line in [
            "tollgate_acme_orders_total{result=\"failed\"} 1",
            "tollgate_acme_certificate_expires_timestamp_seconds{name=\"a.test\"} 0",
            "tollgate_acme_certificate_expires_timestamp_seconds{name=\"b.test\"} 1800000000",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
