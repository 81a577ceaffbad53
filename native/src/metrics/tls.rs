//! How it stands with TLS, for Prometheus. Nothing where none is ended.
//!
//! Certificates are told by the names of their files, which are the configuration's: there are no more than that names.

use std::{
    fmt::{self, Write},
    sync::{Mutex, PoisonError},
};

use super::{Count, escaped, family};

/// How a handshake fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The client went.
    Closed,
    /// What came is no TLS.
    Malformed,
    /// No version, cipher or protocol in common.
    Incompatible,
    /// A name for which there is no certificate.
    Name,
    /// The client did not accept our certificate, or something else of what it was told.
    Rejected,
    /// No client certificate.
    NoCertificate,
    /// A client certificate that is not believed.
    BadCertificate,
}

/// As metrics name them.
const REASONS: [&str; 7] = [
    "closed",
    "malformed",
    "incompatible",
    "unknown_name",
    "rejected_by_client",
    "no_client_certificate",
    "bad_client_certificate",
];

/// What is counted of TLS.
#[derive(Debug, Default)]
pub struct TlsMetrics {
    pub(crate) full: Count,
    pub(crate) resumed: Count,
    failures: [Count; REASONS.len()],
    /// Files that changed and could not be used.
    pub(crate) reload_failures: Count,
    /// By file: until when a certificate is valid, in milliseconds since 1970.
    certificates: Mutex<Vec<(String, u64)>>,
}

impl TlsMetrics {
    /// A handshake has failed.
    pub(crate) fn failed(&self, how: Failed) {
        let at = match how {
            Failed::Closed => 0,
            Failed::Malformed => 1,
            Failed::Incompatible => 2,
            Failed::Name => 3,
            Failed::Rejected => 4,
            Failed::NoCertificate => 5,
            Failed::BadCertificate => 6,
        };
        if let Some(count) = self.failures.get(at) {
            count.up();
        }
    }

    /// How many handshakes have failed for a reason.
    #[cfg(test)]
    pub(crate) fn failures(&self, reason: &str) -> u64 {
        let at = REASONS.iter().position(|own| *own == reason).unwrap();
        self.failures[at].get()
    }

    /// From now on these certificates serve.
    pub(crate) fn serve(&self, certificates: Vec<(String, u64)>) {
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = certificates;
    }

    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        let certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        let (full, resumed) = (self.full.get(), self.resumed.get());
        let failed = self.failures.iter().any(|count| count.get() > 0);
        if certificates.is_empty() && full + resumed == 0 && !failed {
            return Ok(());
        }
        let name = "tollgate_tls_handshakes_total";
        family(out, name, "counter", "TLS handshakes of clients, by whether a session was resumed.")?;
        writeln!(out, "{name}{{kind=\"full\"}} {full}\n{name}{{kind=\"resumed\"}} {resumed}")?;
        let name = "tollgate_tls_handshakes_failed_total";
        family(out, name, "counter", "TLS handshakes of clients that failed, by reason.")?;
        for (reason, count) in REASONS.iter().zip(&self.failures) {
            writeln!(out, "{name}{{reason=\"{reason}\"}} {}", count.get())?;
        }
        let name = "tollgate_tls_reload_failures_total";
        family(out, name, "counter", "Files of certificates that changed and could not be used.")?;
        writeln!(out, "{name} {}", self.reload_failures.get())?;
        if certificates.is_empty() {
            return Ok(());
        }
        let name = "tollgate_tls_certificate_expires_timestamp_seconds";
        family(out, name, "gauge", "Until when a certificate from a file is valid.")?;
        for (file, until) in &*certificates {
            writeln!(out, "{name}{{file=\"{}\"}} {}", escaped(file), until / 1000)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_will_expire_is_to_be_seen() {
        let metrics = TlsMetrics::default();
        let mut text = String::new();
        metrics.write(&mut text).unwrap();
        assert_eq!(text, "", "nothing where no TLS is ended");
        metrics.serve(vec![("a\".pem".to_owned(), 1_900_000_000_999)]);
        metrics.failed(Failed::Name);
        metrics.write(&mut text).unwrap();
        for line in [
            r#"tollgate_tls_certificate_expires_timestamp_seconds{file="a\".pem"} 1900000000"#,
            r#"tollgate_tls_handshakes_failed_total{reason="unknown_name"} 1"#,
            r#"tollgate_tls_handshakes_total{kind="full"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
