//! `tollgate bundle`: a configuration, checked, in the form in which it travels to where no files are.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Args;

use super::Target;

/// Exit code 0: it was bundled. 1: it can't be served. 2: a file could not be read or written.
#[derive(Debug, Args)]
pub(super) struct Bundle {
    /// The configuration.
    #[arg(default_value = "tollgate.yaml")]
    file: PathBuf,
    /// The host it is meant for.
    #[arg(long, value_enum, default_value = "workers")]
    target: Target,
    /// Where to put the bundle; standard output when absent.
    #[arg(short, long)]
    output: Option<PathBuf>,
}

impl Bundle {
    pub(super) fn execute(self) -> ExitCode {
        let (bundle, report) = match crate::files::bundle(&self.file, self.target.host()) {
            Ok(bundled) => bundled,
            Err(error) => return super::fail(2, error),
        };
        eprint!("{}", report.render());
        let Some(bundle) = bundle else {
            return super::fail(1, format_args!("`{}` can't be served", self.file.display()));
        };
        let json = bundle.to_json();
        let Some(output) = self.output else {
            println!("{json}");
            return ExitCode::SUCCESS;
        };
        match fs::write(&output, json) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => super::fail(2, format_args!("can't write `{}`: {error}", output.display())),
        }
    }
}
