//! What was done, what was left out and why: said as it happens, and again at the end where it is read.

use std::{env, time::Instant};

/// Why a step did not go through.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The code is at fault.
    Failed(String),
    /// The machine is: it lacks something. No reason to stop a contributor, but CI must never be green
    /// for what it did not run.
    Missing(String),
}

/// How a step ends.
pub(crate) type Outcome<T = ()> = Result<T, Stop>;

/// A step failed, the report says which and why, and nothing comes after it.
#[derive(Debug)]
pub(crate) struct Stopped;

/// Whether nothing may be skipped.
pub(crate) fn is_ci() -> bool {
    matches!(env::var("CI").as_deref(), Ok("true" | "1"))
}

/// The steps so far.
pub(crate) struct Report {
    ci: bool,
    lines: Vec<String>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { ci: is_ci(), lines: Vec::new() }
    }

    /// Announces a step, does it, and notes how it went.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Outcome) -> Result<(), Stopped> {
        println!("\n==> {name}");
        let begun = Instant::now();
        let (line, result) = match work() {
            Ok(()) => (format!("ok: {name} ({:.1} s)", begun.elapsed().as_secs_f32()), Ok(())),
            Err(Stop::Missing(reason)) if !self.ci => (format!("SKIPPED: {name}, because {reason}"), Ok(())),
            Err(Stop::Missing(reason)) => {
                (format!("FAILED: {name}, because {reason}, and CI skips nothing"), Err(Stopped))
            }
            Err(Stop::Failed(reason)) => (format!("FAILED: {name}: {reason}"), Err(Stopped)),
        };
        println!("{line}");
        self.lines.push(line);
        result
    }

    pub(crate) fn print(&self) {
        println!("\n==> summary");
        for line in &self.lines {
            println!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing() -> Outcome {
        Err(Stop::Missing("it is not there".into()))
    }

    #[test]
    fn what_is_missing_is_skipped_on_a_desk_and_fails_in_ci() {
        let mut desk = Report { ci: false, lines: Vec::new() };
        assert!(desk.step("a", missing).is_ok());
        assert_eq!(desk.lines, ["SKIPPED: a, because it is not there"]);

        let mut ci = Report { ci: true, lines: Vec::new() };
        assert!(ci.step("a", missing).is_err());
        assert_eq!(ci.lines, ["FAILED: a, because it is not there, and CI skips nothing"]);
    }

    #[test]
    fn a_failure_fails_everywhere() {
        for ci in [false, true] {
            let mut report = Report { ci, lines: Vec::new() };
            assert!(report.step("a", || Err(Stop::Failed("no".into()))).is_err());
        }
    }
}
