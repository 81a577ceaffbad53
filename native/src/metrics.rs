//! What this process counts, and its text form for Prometheus.
//!
//! Only numbers with a fixed set of names: a label that a client could choose would grow without bound.
//! What happened to single requests stands in the access log.

mod acme;
mod keys;
mod store;
mod tls;

use std::{
    fmt::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tollgate_core::{event::Event, keys::Standing};

pub use self::acme::AcmeMetrics;
pub(crate) use self::store::Failed;
pub(crate) use self::tls::Failed as TlsFailed;
pub use self::{store::StoreMetrics, tls::TlsMetrics};
use crate::log::AccessLog;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Labels for the classes of status codes, 100 to 599.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// A number that many threads change.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn up(&self) {
        self.add(1);
    }

    /// `many` more.
    pub fn add(&self, many: u64) {
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connections whose bytes are forwarded.
#[derive(Debug, Default)]
pub(crate) struct Forwarding {
    /// Those that were.
    pub(crate) forwarded: Count,
    /// Those whose service could not be reached.
    pub(crate) failed: Count,
    /// Those that named nothing to go to.
    pub(crate) nowhere: Count,
}

/// All that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: [Count; CLASSES.len()],
    refusals: Count,
    /// Requests that a policy in shadow would have refused.
    shadow_refusals: Count,
    in_flight: Arc<Count>,
    connections: Arc<Count>,
    /// Connections whose bytes were not HTTP or whose head was too large; the client was told.
    pub(crate) malformed: Count,
    /// Connections that ended in the middle of a request or a response.
    pub(crate) broken: Count,
    /// Connections that did not send a request's head in time.
    pub(crate) late: Count,
    /// Connections whose client took what it was sent too slowly.
    pub(crate) slow: Count,
    /// Connections of HTTP/2 whose client asked for more than it may: resets, pings, settings.
    pub(crate) flooded: Count,
    /// Connections that were turned away because there were as many as there may be.
    pub(crate) shed: Count,
    /// Connections that were closed because their address had as many as it may have.
    pub(crate) crowded: Count,
    /// Connections that should have begun with a proxy's word on whose they are, and did not.
    pub(crate) unannounced: Count,
    /// Times at which the system had no connection to give.
    pub(crate) accept_failures: Count,
    /// Deferred jobs for which there was no room.
    pub(crate) jobs_dropped: Count,
    pub(crate) forwarding: Forwarding,
    log_lost: Arc<Count>,
    store: Arc<StoreMetrics>,
    pub(crate) tls: TlsMetrics,
    acme: Arc<AcmeMetrics>,
}

impl Metrics {
    /// Nothing counted yet but what `log` has lost.
    pub fn with_log(log: &AccessLog) -> Self {
        Self { log_lost: log.lost(), ..Self::default() }
    }

    /// Counts one request.
    pub fn count(&self, event: &Event<'_>) {
        let class = usize::from(event.status.as_u16() / 100).saturating_sub(1);
        // A status beyond 599 is nobody's class, and counts as the server's fault.
        if let Some(count) = self.requests.get(class).or(self.requests.last()) {
            count.up();
        }
        if event.refusal.is_some() {
            self.refusals.up();
        }
        if event.shadow.is_some() {
            self.shadow_refusals.up();
        }
    }

    /// A request begins; it is in flight until the guard is dropped.
    pub fn request(&self) -> Gauged {
        Gauged::of(&self.in_flight)
    }

    /// A connection begins; it is open until the guard is dropped.
    pub fn connection(&self) -> Gauged {
        Gauged::of(&self.connections)
    }

    /// What is counted of counters that are shared.
    pub fn store(&self) -> &Arc<StoreMetrics> {
        &self.store
    }

    /// What is counted of certificates that are ordered.
    pub fn acme(&self) -> &Arc<AcmeMetrics> {
        &self.acme
    }

    /// The text exposition format, version 0.0.4.
    pub fn render(&self, keys: &[Standing]) -> String {
        let mut text = String::with_capacity(4096);
        // Writing to a `String` does not fail.
        let _ = self
            .write(&mut text)
            .and_then(|()| keys::write(&mut text, keys))
            .and_then(|()| self.store.write(&mut text))
            .and_then(|()| self.tls.write(&mut text))
            .and_then(|()| self.acme.write(&mut text));
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let name = "tollgate_requests_total";
        family(out, name, "counter", "Requests answered, by class of status code.")?;
        for (class, count) in CLASSES.iter().zip(&self.requests) {
            writeln!(out, "{name}{{status=\"{class}\"}} {}", count.get())?;
        }
        let name = "tollgate_connections_failed_total";
        family(out, name, "counter", "Connections that ended badly, by reason.")?;
        for (reason, count) in [
            ("malformed", &self.malformed),
            ("broken", &self.broken),
            ("late", &self.late),
            ("slow", &self.slow),
            ("flooded", &self.flooded),
            ("shed", &self.shed),
            ("crowded", &self.crowded),
            ("unannounced", &self.unannounced),
        ] {
            writeln!(out, "{name}{{reason=\"{reason}\"}} {}", count.get())?;
        }
        let name = "tollgate_tcp_connections_total";
        family(out, name, "counter", "Connections of listeners that forward bytes, by what became of them.")?;
        let forwarding = &self.forwarding;
        for (result, count) in [
            ("forwarded", &forwarding.forwarded),
            ("failed", &forwarding.failed),
            ("nowhere", &forwarding.nowhere),
        ] {
            writeln!(out, "{name}{{result=\"{result}\"}} {}", count.get())?;
        }
        for (name, kind, help, count) in [
            ("refusals_total", "counter", "Requests that Tollgate itself refused.", &self.refusals),
            (
                "shadow_refusals_total",
                "counter",
                "Requests that a policy in shadow would have refused.",
                &self.shadow_refusals,
            ),
            ("requests_in_flight", "gauge", "Requests whose response has not ended.", &*self.in_flight),
            ("connections", "gauge", "Open connections of clients, tunnels included.", &*self.connections),
            ("accept_failures_total", "counter", "Failures to accept a connection.", &self.accept_failures),
            ("jobs_dropped_total", "counter", "Background jobs that were dropped.", &self.jobs_dropped),
            ("access_log_lost_total", "counter", "Lines that the access log lost.", &*self.log_lost),
        ] {
            let name = format!("tollgate_{name}");
            family(out, &name, kind, help)?;
            writeln!(out, "{name} {}", count.get())?;
        }
        Ok(())
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// A text as the value of a label.
fn escaped(label: &str) -> String {
    label.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// Counts as long as it lives.
#[derive(Debug)]
pub struct Gauged(Arc<Count>);

impl Gauged {
    fn of(count: &Arc<Count>) -> Self {
        count.up();
        Self(count.clone())
    }
}

impl Drop for Gauged {
    fn drop(&mut self) {
        self.0.down();
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;

    fn event(status: u16, refusal: Option<&'static str>) -> Event<'static> {
        Event {
            at: 0,
            took_ms: 0,
            request_id: "id",
            client: [127, 0, 0, 1].into(),
            method: &Method::GET,
            host: "example.org",
            path: "/",
            route: None,
            service: None,
            user: None,
            status: StatusCode::from_u16(status).unwrap(),
            refusal,
            shadow: None,
            detail: None,
            trail: None,
            cache: None,
        }
    }

    #[test]
    fn requests_are_counted_by_class_of_status() {
        let metrics = Metrics::default();
        for status in [101, 200, 204, 404, 503, 999] {
            metrics.count(&event(status, (status == 404).then_some("route.not_found")));
        }
        let text = metrics.render(&[]);
        for line in [
            "tollgate_requests_total{status=\"1xx\"} 1",
            "tollgate_requests_total{status=\"2xx\"} 2",
            "tollgate_requests_total{status=\"3xx\"} 0",
            "tollgate_requests_total{status=\"4xx\"} 1",
            "tollgate_requests_total{status=\"5xx\"} 2",
            "tollgate_refusals_total 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn what_would_have_been_refused_is_counted_apart_from_what_was() {
        let metrics = Metrics::default();
        metrics.count(&Event { shadow: Some("rbac.denied"), ..event(200, None) });
        let text = metrics.render(&[]);
        for line in ["tollgate_shadow_refusals_total 1", "tollgate_refusals_total 0"] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_gauge_falls_when_its_guard_is_dropped() {
        let metrics = Metrics::default();
        let guards = (metrics.request(), metrics.request());
        assert!(metrics.render(&[]).contains("\ntollgate_requests_in_flight 2\n"));
        drop(guards);
        assert!(metrics.render(&[]).contains("\ntollgate_requests_in_flight 0\n"));
    }

    #[test]
    fn every_sample_stands_under_the_type_of_its_family() {
        let text = Metrics::default().render(&[]);
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                family = name;
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family) && !family.is_empty(), "{line}");
            }
        }
        assert!(text.ends_with('\n'));
    }
}
