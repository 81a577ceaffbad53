//! The commands, one a file. Each says how it ended by its exit code: 0 well, 1 not, 2 not even tried.

mod bundle;
mod demo;
mod fmt;
mod proxy;
mod run;
mod schema;
mod serve;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tollgate_core::config;

/// Reverse proxy and API gateway whose decisions are the same at the edge and at home.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a configuration.
    Run(run::Run),
    /// Serve one service, without a configuration.
    Proxy(proxy::Proxy),
    /// Check a configuration and list everything that is wrong with it.
    Validate(validate::Validate),
    /// Check a configuration and put it, with the files it names, into the form that the Worker reads.
    #[command(visible_alias = "publish")]
    Bundle(bundle::Bundle),
    /// Rewrite configuration files into the one layout, and change nothing else.
    Fmt(fmt::Fmt),
    /// Print the JSON Schema of the configuration, for editors.
    Schema(schema::Schema),
    /// Serve the example platform with pretend agents, and print requests to try.
    Demo(demo::Demo),
}

impl Cli {
    /// Does what was asked for.
    pub fn execute(self) -> ExitCode {
        match self.command {
            Command::Run(command) => command.execute(),
            Command::Proxy(command) => command.execute(),
            Command::Validate(command) => command.execute(),
            Command::Bundle(command) => command.execute(),
            Command::Fmt(command) => command.execute(),
            Command::Schema(command) => command.execute(),
            Command::Demo(command) => command.execute(),
        }
    }
}

/// The host that a configuration is meant for: what it can't honour is an error there.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Target {
    Native,
    Workers,
}

impl Target {
    fn host(self) -> config::Host {
        match self {
            Self::Native => config::Host::Native,
            Self::Workers => config::Host::Workers,
        }
    }
}

/// Says why a command was not carried out.
fn fail(code: u8, message: impl std::fmt::Display) -> ExitCode {
    crate::notice::say(message);
    ExitCode::from(code)
}
