//! `tollgate diff`: what two configurations mean differently. The comparing is core's, the replaying the
//! rehearsal's; here files are read and answers printed.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::{Value, json};
use tollgate_core::{
    compare::{Changes, Kind, compare},
    gateway::Gateway,
};
use tollgate_rehearsal::replay::{replay, tally::Tally};

use super::Target;

/// Exit code 0: compared. 2: a file could not be read or is not valid. With `--exit-code` also 1: something has
/// changed, and 3: something was loosened.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The configuration that was.
    old: PathBuf,
    /// The configuration that is to be.
    new: PathBuf,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
    /// Make the requests of this access log (JSON lines; `-`: standard input) of both, and tell which would end
    /// otherwise. Nothing is sent anywhere.
    #[arg(long, value_name = "LOG")]
    replay: Option<PathBuf>,
    /// The host they are meant for.
    #[arg(long, value_enum, default_value = "native")]
    target: Target,
    /// Tell by the exit code: 1 if anything has changed, 3 if protection got weaker.
    #[arg(long)]
    exit_code: bool,
}

impl Diff {
    pub(super) fn execute(self) -> ExitCode {
        let (old, new) = match (self.load(&self.old), self.load(&self.new)) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(code), _) | (_, Err(code)) => return code,
        };
        let changes = compare(&old, &new);
        let tally = match self.replay.as_deref().map(|log| rehearse(&old, &new, log)).transpose() {
            Ok(tally) => tally,
            Err(error) => return super::fail(2, error),
        };
        let answer = match self.json {
            true => format!("{:#}\n", as_json(&changes, tally.as_ref(), &old, &new)),
            false => as_text(&changes, tally.as_ref(), &old, &new),
        };
        if let Err(error) = super::put(answer) {
            return super::fail(2, error);
        }
        ExitCode::from(match (changes.count(Kind::Loosened), changes.list.len()) {
            _ if !self.exit_code => 0,
            (0, 0) => 0,
            (0, _) => 1,
            _ => 3,
        })
    }

    fn load(&self, path: &Path) -> Result<Gateway, ExitCode> {
        let loaded = crate::files::load(path, self.target.host()).map_err(|error| super::fail(2, error))?;
        let report = loaded.report;
        loaded.gateway.ok_or_else(|| {
            super::fail(2, format_args!("`{}` is not valid\n{}", path.display(), report.render()))
        })
    }
}

fn rehearse(old: &Gateway, new: &Gateway, log: &Path) -> Result<Tally, String> {
    let unreadable = |error: io::Error| format!("can't read `{}`: {error}", log.display());
    let lines: Box<dyn BufRead> = if log.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(log).map_err(unreadable)?))
    };
    // Nothing waits: there are neither sockets nor clocks.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.map_err(|error| error.to_string())?.block_on(replay(old, new, lines)).map_err(unreadable)
}

fn as_json(changes: &Changes, tally: Option<&Tally>, old: &Gateway, new: &Gateway) -> Value {
    // INVARIANT: all keys are texts, so there is nothing that JSON could not hold.
    let list = serde_json::to_value(changes.placed(old.files(), new.files())).unwrap_or_default();
    match tally {
        Some(tally) => json!({"changes": list, "replay": tally.to_json()}),
        None => list,
    }
}

fn as_text(changes: &Changes, tally: Option<&Tally>, old: &Gateway, new: &Gateway) -> String {
    let color = super::colours();
    let mut text = changes.placed(old.files(), new.files()).render(color);
    if changes.list.is_empty() {
        text.push_str("no change in meaning\n");
    }
    if let Some(tally) = tally {
        text.push('\n');
        text.push_str(&tally.render(color));
    }
    text
}
