//! `tollgate fmt`: configuration files into their one layout. What that is, core says; here are only files.

mod diff;
mod replace;

use std::{
    io::{Read, Write, stdin},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use tollgate_core::config::{
    Files,
    format::format,
    problem::{Problem, Report, SourceFile},
};

use crate::files::Disk;

/// Exit code 0: all is laid out. 1: with `--check` something would change, or a file can't be laid out. 2: a file
/// could not be read or written.
#[derive(Debug, Args)]
pub(super) struct Fmt {
    /// The files; `-` reads standard input and writes standard output. What a file includes is not followed.
    #[arg(default_value = "tollgate.yaml")]
    files: Vec<PathBuf>,
    /// Change nothing: show what would change.
    #[arg(long)]
    check: bool,
}

/// How one file ended; the worst of all files is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Done,
    Refused,
    Failed,
}

impl Fmt {
    pub(super) fn execute(self) -> ExitCode {
        // A mistake in one file does not keep the others from being laid out.
        let worst = self.files.iter().map(|file| self.one(file)).max().unwrap_or(End::Done);
        match worst {
            End::Done => ExitCode::SUCCESS,
            End::Refused => ExitCode::from(1),
            End::Failed => ExitCode::from(2),
        }
    }

    fn one(&self, file: &Path) -> End {
        let piped = file.as_os_str() == "-";
        let (name, text) = match if piped { piped_in() } else { read(file) } {
            Ok(read) => read,
            Err(error) => return failed(error),
        };
        let formatted = match format(&text) {
            Ok(formatted) => formatted,
            Err(problem) => {
                say_why(name, text, *problem);
                return End::Refused;
            }
        };
        if self.check {
            if formatted == text {
                return End::Done;
            }
            return put(&diff::diff(name, &text, &formatted)).max(End::Refused);
        }
        if piped {
            return put(&formatted);
        }
        if formatted == text {
            return End::Done;
        }
        match replace::replace(file, &formatted) {
            Ok(()) => put(&format!("{name} is formatted\n")),
            Err(error) => failed(format_args!("can't write `{name}`: {error}")),
        }
    }
}

fn read(file: &Path) -> Result<(&str, String), String> {
    let name = file.to_str().ok_or_else(|| format!("the name of `{}` is not UTF-8", file.display()))?;
    let text = Disk.read(name).map_err(|error| format!("can't read `{name}`: {error}"))?;
    Ok((name, text))
}

fn piped_in<'n>() -> Result<(&'n str, String), String> {
    let mut text = String::new();
    stdin().read_to_string(&mut text).map_err(|error| format!("can't read standard input: {error}"))?;
    Ok(("-", text))
}

fn put(text: &str) -> End {
    match super::put(text) {
        Ok(()) => End::Done,
        Err(error) => failed(format_args!("can't write: {error}")),
    }
}

fn failed(error: impl std::fmt::Display) -> End {
    crate::notice::say(error);
    End::Failed
}

/// Standard output may be where the formatted text is wanted, so this goes elsewhere.
fn say_why(name: &str, text: String, problem: Problem) {
    let name = if name == "-" { "standard input" } else { name };
    let report = Report { files: vec![SourceFile::new(name, text)], problems: vec![problem] };
    let _ = std::io::stderr().write_all(report.render().as_bytes());
}
