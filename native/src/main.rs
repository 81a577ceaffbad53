//! The command line of Tollgate. What the commands do is in the library; here they are only chosen.

use std::process::ExitCode;

use clap::Parser;
use tollgate::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().execute()
}
