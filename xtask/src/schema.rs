//! `cargo xtask schema`: the JSON Schema that editors use and the reference that people read, as files whose
//! changes reviews can see.

use std::fs;

use crate::{
    command::{cargo, output, root},
    reference,
    report::{Outcome, Stop},
};

pub(crate) fn write() -> Outcome {
    for (file, content) in current()? {
        fs::write(root().join(file), content).map_err(|error| Stop::Failed(format!("{file}: {error}")))?;
    }
    Ok(())
}

pub(crate) fn check() -> Outcome {
    for (file, content) in current()? {
        match fs::read_to_string(root().join(file)) {
            Ok(kept) if kept == content => {}
            Ok(_) => {
                let message =
                    format!("{file} is not what the code says; `cargo xtask schema` writes it anew");
                return Err(Stop::Failed(message));
            }
            Err(error) => {
                return Err(Stop::Failed(format!("{file}: {error}; `cargo xtask schema` writes it")));
            }
        }
    }
    Ok(())
}

/// The files as the code says them.
fn current() -> Outcome<[(&'static str, String); 2]> {
    let schema = output(&mut cargo("run -q -p tollgate -- schema"))?;
    let parsed =
        serde_json::from_str(&schema).map_err(|error| Stop::Failed(format!("the schema: {error}")))?;
    let page = reference::render(&parsed);
    Ok([("docs/tollgate.schema.json", schema), ("docs/configuration.md", page)])
}
