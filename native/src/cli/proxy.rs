//! `tollgate proxy URL`: the smallest gateway there is, for one service and without a file.

use std::{net::SocketAddr, process::ExitCode};

use clap::Args;
use serde_json::json;
use tollgate_core::config::{self, NoFiles};

use super::serve::{Options, serve};

#[derive(Debug, Args)]
pub(super) struct Proxy {
    /// The service, such as `http://127.0.0.1:3000`.
    url: String,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Threads that serve; one a core when absent.
    #[arg(long)]
    threads: Option<usize>,
}

impl Proxy {
    pub(super) fn execute(self) -> ExitCode {
        let text = json!({
            "services": {"upstream": {"endpoints": [self.url]}},
            "routes": [{"path": "/*", "target_service": "upstream"}],
        });
        // Nothing of a command line is a variable's name.
        let none = |_: &str| None;
        let loaded = config::load("command line", text.to_string(), &NoFiles, &none, config::Host::Native);
        let Some(gateway) = loaded.gateway else {
            return super::fail(1, loaded.report.render());
        };
        serve(gateway, &Options { listen: Some(self.listen), threads: self.threads })
    }
}
