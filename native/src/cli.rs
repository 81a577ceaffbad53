//! The commands, one a file. Each says how it ended by its exit code: 0 well, 1 not, 2 not even tried.

mod bundle;
mod demo;
mod diff;
mod explain;
mod fmt;
mod key;
mod lint;
mod pass;
mod proxy;
mod run;
mod schema;
mod serve;
mod test;
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
    /// Say how a request would be decided, step by step, with the line of the file that decides.
    Explain(Box<explain::Explain>),
    /// Make API keys, and the digests by which a configuration knows them.
    Key(key::Key),
    /// Make a pass with which a serving gateway explains single requests.
    Pass(pass::Pass),
    /// Say what is unwise in a valid configuration: what a reviewer would object to.
    Lint(lint::Lint),
    /// Play the tests of a configuration in memory, and say what does not hold and what no test asks.
    Test(test::Test),
    /// Tell what two configurations mean differently, and which requests of a log would end otherwise.
    Diff(diff::Diff),
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
            Command::Explain(command) => command.execute(),
            Command::Key(command) => command.execute(),
            Command::Pass(command) => command.execute(),
            Command::Lint(command) => command.execute(),
            Command::Test(command) => command.execute(),
            Command::Diff(command) => command.execute(),
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

/// Prints what was asked for, and says by the exit code whether that succeeded.
fn print(text: impl std::fmt::Display) -> ExitCode {
    match put(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, error),
    }
}

/// Writes to standard output. That nobody reads on is no failure of ours.
fn put(text: impl std::fmt::Display) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Whether what is printed may be coloured: on a terminal, unless the user minds (`NO_COLOR`).
fn colours() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Says why a command was not carried out.
fn fail(code: u8, message: impl std::fmt::Display) -> ExitCode {
    crate::notice::say(message);
    ExitCode::from(code)
}
