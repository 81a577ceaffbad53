//! `tollgate run`: serve a configuration until told to stop.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Args;
use tollgate_core::config;

use super::serve::{Options, serve};

/// Exit code 0: stopped as asked. 1: the configuration or an address can't be used.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The configuration.
    #[arg(short, long, default_value = "tollgate.yaml")]
    config: PathBuf,
    /// Listen here instead of where the configuration says.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Threads that serve; one a core when absent.
    #[arg(long)]
    threads: Option<usize>,
}

impl Run {
    pub(super) fn execute(self) -> ExitCode {
        let loaded = match crate::files::load(&self.config, config::Host::Native) {
            Ok(loaded) => loaded,
            Err(error) => return super::fail(1, error),
        };
        eprint!("{}", loaded.report.render());
        let Some(gateway) = loaded.gateway else {
            return super::fail(1, format_args!("`{}` can't be served", self.config.display()));
        };
        serve(gateway, &Options { listen: self.listen, threads: self.threads })
    }
}
