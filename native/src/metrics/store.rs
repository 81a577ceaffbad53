//! How it stands with counters that are shared, for Prometheus. Nothing where they are not.

use std::{
    fmt::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Count, Gauged, family};

/// Upper bounds of what a draw takes, in microseconds, and as Prometheus writes them in seconds.
const BOUNDS: [(u64, &str); 9] = [
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (1_000_000, "1"),
];

/// How a question to the store fails.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failed {
    /// There was no answer in time.
    Late,
    /// The connection broke.
    Connection,
    /// The store said no.
    Refused,
    /// There was no connection, and so nobody was asked.
    Down,
}

/// What is counted of a shared store.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    shared: AtomicBool,
    pub(crate) draws: Count,
    pub(crate) settlements: Count,
    pub(crate) settlements_dropped: Count,
    /// Times at which the store could no longer be reached.
    pub(crate) outages: Count,
    failures: [Count; 4],
    connections: Arc<Count>,
    took: [Count; BOUNDS.len() + 1],
    took_us: Count,
}

impl StoreMetrics {
    /// From now on there is something to tell.
    pub(crate) fn is_shared(&self) {
        self.shared.store(true, Ordering::Relaxed);
    }

    /// A question has failed.
    pub(crate) fn failed(&self, how: Failed) {
        let at = match how {
            Failed::Late => 0,
            Failed::Connection => 1,
            Failed::Refused => 2,
            Failed::Down => 3,
        };
        if let Some(count) = self.failures.get(at) {
            count.up();
        }
    }

    /// A draw has taken so long, well or badly.
    pub(crate) fn took(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.iter().position(|(bound, _)| us <= *bound).unwrap_or(BOUNDS.len());
        if let Some(count) = self.took.get(at) {
            count.up();
        }
        self.took_us.add(us);
    }

    /// A connection is open until the guard is dropped.
    pub(crate) fn connection(&self) -> Gauged {
        Gauged::of(&self.connections)
    }

    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        if !self.shared.load(Ordering::Relaxed) {
            return Ok(());
        }
        for (name, kind, help, count) in [
            ("draws_total", "counter", "Draws from shared counters.", &self.draws),
            (
                "settlements_total",
                "counter",
                "Draws of shared counters that were put right.",
                &self.settlements,
            ),
            (
                "settlements_dropped_total",
                "counter",
                "Draws of shared counters that could not be put right.",
                &self.settlements_dropped,
            ),
            (
                "outages_total",
                "counter",
                "Times at which shared counters could no longer be reached.",
                &self.outages,
            ),
            ("connections", "gauge", "Connections to shared counters.", &*self.connections),
        ] {
            let name = format!("tollgate_store_{name}");
            family(out, &name, kind, help)?;
            writeln!(out, "{name} {}", count.get())?;
        }
        let name = "tollgate_store_failures_total";
        family(out, name, "counter", "Questions to shared counters that were not answered, by reason.")?;
        for (reason, count) in ["timeout", "connection", "refused", "down"].iter().zip(&self.failures) {
            writeln!(out, "{name}{{reason=\"{reason}\"}} {}", count.get())?;
        }
        let name = "tollgate_store_draw_seconds";
        family(out, name, "histogram", "What a draw from shared counters took.")?;
        let mut total = 0;
        let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
        for (bound, count) in bounds.zip(&self.took) {
            total += count.get();
            writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {total}")?;
        }
        let us = self.took_us.get();
        writeln!(out, "{name}_sum {}.{:06}\n{name}_count {total}", us / 1_000_000, us % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_of_what_is_not_shared() {
        let mut text = String::new();
        StoreMetrics::default().write(&mut text).unwrap();
        assert_eq!(text, "");
    }

    #[test]
    fn a_store_that_is_down_is_to_be_seen() {
        let metrics = StoreMetrics::default();
        metrics.is_shared();
        metrics.draws.add(3);
        metrics.failed(Failed::Late);
        metrics.failed(Failed::Down);
        metrics.took(Duration::from_micros(300));
        metrics.took(Duration::from_secs(2));
        let mut text = String::new();
        metrics.write(&mut text).unwrap();
        for line in [
            "tollgate_store_draws_total 3",
            "tollgate_store_failures_total{reason=\"timeout\"} 1",
            "tollgate_store_failures_total{reason=\"down\"} 1",
            "tollgate_store_connections 0",
            "tollgate_store_draw_seconds_bucket{le=\"0.0005\"} 1",
            "tollgate_store_draw_seconds_bucket{le=\"1\"} 1",
            "tollgate_store_draw_seconds_bucket{le=\"+Inf\"} 2",
            "tollgate_store_draw_seconds_sum 2.000300",
            "tollgate_store_draw_seconds_count 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
