//! `tollgate pass`: what a request needs to be explained by a gateway that serves.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use tollgate_core::{config, config::length};

use crate::clock::Clock;

/// Exit code 0: the pass is printed. 1: the configuration can't be used, or allows nobody to have requests
/// explained. 2: the configuration can't be read, or the time is none.
#[derive(Debug, Args)]
pub(super) struct Pass {
    /// The configuration, whose `explain.secret` signs the pass.
    #[arg(short, long, default_value = "tollgate.yaml")]
    config: PathBuf,
    /// How long the pass is good, such as `10m`; a day at most.
    #[arg(long, default_value = "10m")]
    r#for: String,
}

impl Pass {
    pub(super) fn execute(self) -> ExitCode {
        let day = 24 * 60 * 60 * 1000;
        let Some(life) = length::milliseconds(&self.r#for).filter(|life| (1..=day).contains(life)) else {
            return super::fail(2, format_args!("`{}` is no time from `1s` to `24h`", self.r#for));
        };
        let loaded = match crate::files::load(&self.config, config::Host::Native) {
            Ok(loaded) => loaded,
            Err(error) => return super::fail(2, error),
        };
        let Some(gateway) = loaded.gateway else { return super::fail(1, loaded.report.render()) };
        let Some(guard) = gateway.guard() else {
            let cure = "add `explain: {secret: \"${EXPLAIN_SECRET}\"}` and set that variable";
            return super::fail(1, format_args!("this configuration has no `explain.secret`; {cure}"));
        };
        super::print(format_args!("{}\n", guard.pass(Clock::System.now().saturating_add(life))))
    }
}
