//! `cargo xtask schema`: the JSON Schema that editors use, as a file that reviews can see changing.

use std::fs;

use crate::{
    command::{cargo, output, root},
    report::{Outcome, Stop},
};

const FILE: &str = "docs/tollgate.schema.json";

pub(crate) fn write() -> Outcome {
    fs::write(root().join(FILE), current()?).map_err(|error| Stop::Failed(format!("{FILE}: {error}")))
}

pub(crate) fn check() -> Outcome {
    let current = current()?;
    match fs::read_to_string(root().join(FILE)) {
        Ok(kept) if kept == current => Ok(()),
        Ok(_) => Err(Stop::Failed(format!(
            "{FILE} is not what the code says; `cargo xtask schema` writes it anew"
        ))),
        Err(error) => Err(Stop::Failed(format!("{FILE}: {error}; `cargo xtask schema` writes it"))),
    }
}

/// The schema as the code says it.
fn current() -> Outcome<String> {
    output(&mut cargo("run -q -p tollgate -- schema"))
}
