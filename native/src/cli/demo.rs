//! `tollgate demo`: the example platform, whole, on loopback. The gateway and its configuration are the real
//! ones; the agents, the issuer and the policy engine behind it only pretend.

mod agents;
mod issuer;
mod script;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use tollgate_core::config::{self, NoFiles};

use self::{agents::Agents, issuer::Issuer};
use super::serve::{Options, Serving};

const CONFIGURATION: &str = include_str!("../../../examples/agent-platform/tollgate.yaml");

/// Where `wrangler dev` serves, as `wrangler.toml` says.
const EDGE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8787);

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Start only what stands behind the gateway, for `npx wrangler dev` to be the gateway.
    #[arg(long, conflicts_with = "listen")]
    edge: bool,
    /// Log each request.
    #[arg(long)]
    log: bool,
}

impl Demo {
    pub(super) fn execute(self) -> ExitCode {
        let issuer = match Issuer::new() {
            Ok(issuer) => Arc::new(issuer),
            Err(error) => return super::fail(1, error),
        };
        let agents = match Agents::start(issuer.clone(), self.edge) {
            Ok(agents) => agents,
            Err(error) => return super::fail(1, format_args!("the pretend agents can't start: {error}")),
        };
        if self.edge {
            agents.tell_gateway(EDGE);
            print!(
                "# In another shell, in the project's folder: npm ci --ignore-scripts && npx wrangler dev\n#\n"
            );
            print!("{}", script::script(EDGE, &issuer));
            return agents.until_stopped();
        }
        let addresses: HashMap<&str, String> = agents.variables();
        let variables = |name: &str| addresses.get(name).cloned();
        let loaded = config::load(
            "examples/agent-platform/tollgate.yaml",
            CONFIGURATION.to_owned(),
            &NoFiles,
            &variables,
            config::Host::Native,
        );
        let Some(mut gateway) = loaded.gateway else {
            return super::fail(1, loaded.report.render());
        };
        if !self.log {
            gateway.settings.telemetry.access_log = None;
        }
        let serving = match Serving::start(gateway, &Options { listen: Some(self.listen), threads: None }) {
            Ok(serving) => serving,
            Err(error) => {
                return super::fail(
                    1,
                    format_args!("{error}\nanother address can be had with --listen 127.0.0.1:PORT"),
                );
            }
        };
        let Some(gateway) = serving.addresses().first().copied() else {
            return super::fail(1, "the gateway listens nowhere");
        };
        agents.tell_gateway(gateway);
        print!("{}", script::script(gateway, &issuer));
        serving.until_stopped()
    }
}
