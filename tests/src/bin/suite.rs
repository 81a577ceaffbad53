//! `cargo run -p tollgate-tests --bin suite`: plays the cases and prints what each host made of them.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use tollgate_tests::{
    stage::Stage,
    suite::{Program, run},
};

/// Plays the behaviour suite. Exit code 0: all cases hold and no host differs from another. 1: not so.
/// 2: the cases can't be read.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only cases whose `topic/name` contains this.
    #[arg(default_value = "")]
    filter: String,
    /// Only on this host.
    #[arg(long, value_enum)]
    host: Option<Host>,
    /// The folder of the cases.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/cases"))]
    cases: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Host {
    Fake,
    Native,
    Workers,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let stages = match arguments.host {
        None => Stage::ALL.to_vec(),
        Some(Host::Fake) => vec![Stage::Fake],
        Some(Host::Native) => vec![Stage::Native],
        Some(Host::Workers) => vec![Stage::Workers],
    };
    let stages = match Stage::available(stages) {
        Ok(stages) => stages,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    // As seen from where the command was given, so that places in messages are short and can be opened.
    let here = std::env::current_dir().unwrap_or_default();
    let folder = arguments.cases.strip_prefix(&here).unwrap_or(&arguments.cases);
    match run(folder, &Program { filter: arguments.filter, stages }).await {
        Err(mistake) => {
            eprintln!("{mistake}");
            ExitCode::from(2)
        }
        Ok(outcome) => {
            print!("{}", outcome.render());
            if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
    }
}
