//! `tollgate schema`: the JSON Schema of the configuration.

use std::{
    io::{Write, stdout},
    process::ExitCode,
};

use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn execute(self) -> ExitCode {
        let schema = tollgate_core::config::schema::schema();
        match writeln!(stdout(), "{schema:#}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => super::fail(1, error),
        }
    }
}
