//! `cargo xtask lint`: everything that can be said about the code without running it.

use std::{fs, io, path::PathBuf};

use crate::{
    command::{cargo, program, root, run},
    edge, invariants,
    report::{Outcome, Report, Stop, Stopped},
    schema, tools, wasm_imports,
};

pub(crate) fn all(report: &mut Report) -> Result<(), Stopped> {
    report.step("format", || run(&mut cargo("fmt --all --check")))?;
    report.step("invariants of core", invariants::check)?;
    report.step("clippy", || run(&mut cargo("clippy --workspace --all-targets -- -D warnings")))?;
    report.step("clippy, core in WebAssembly", || {
        tools::wasm_target()?;
        run(cargo("clippy -p tollgate-core --features yaml,verify,expressions --target").args([
            tools::WASM,
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    report.step("imports of core in WebAssembly", wasm_imports::check)?;
    report.step("clippy, the Worker", || {
        run(cargo("clippy -p tollgate-worker --target").args([tools::WASM, "--", "-D", "warnings"]))
    })?;
    report.step("the Worker's upload", edge::dry_run)?;
    report.step("schema", schema::check)?;
    report.step("advice on the examples", examples)?;
    report.step("layout of the examples", layout)?;
    report.step("documentation", || {
        run(cargo("doc --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    report.step("licences and origins of dependencies", dependencies)
}

/// What we show must be what we would advise; where it isn't, the file says why.
fn examples() -> Outcome {
    let folder = root().join("examples");
    let unreadable = |error: std::io::Error| Stop::Failed(format!("examples: {error}"));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.path().join("tollgate.yaml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    // Looking at nothing finds nothing, and would do so for ever.
    if names.is_empty() {
        return Err(Stop::Failed("there are no examples".into()));
    }
    for name in names {
        let file = format!("examples/{name}/tollgate.yaml");
        run(cargo("run -q -p tollgate -- lint").arg(file))?;
    }
    Ok(())
}

/// What users copy looks as `tollgate fmt` leaves it.
fn layout() -> Outcome {
    let files = configurations().map_err(|error| Stop::Failed(format!("examples: {error}")))?;
    if files.is_empty() {
        return Err(Stop::Failed("examples holds no configuration".into()));
    }
    run(cargo("run -q -p tollgate -- fmt --check").args(files))
}

/// `examples/*/*.yaml`.
fn configurations() -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for example in fs::read_dir(root().join("examples"))? {
        let folder = example?.path();
        if folder.is_dir() {
            for file in fs::read_dir(folder)? {
                files.push(file?.path());
            }
        }
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    // Named as a user names them, and in the same order on every machine.
    let mut files: Vec<PathBuf> =
        files.iter().map(|file| file.strip_prefix(root()).unwrap_or(file).to_owned()).collect();
    files.sort();
    Ok(files)
}

fn dependencies() -> Outcome {
    let deny = tools::cargo_deny()?;
    // The check reads the manifest of every locked package, those for other platforms included, and a build
    // downloads only its own.
    run(&mut cargo("fetch --locked"))
        .map_err(|_| Stop::Missing("not every package in Cargo.lock could be downloaded".into()))?;
    // Offline, and without advisories: a commit that was green must not turn red overnight.
    run(program(deny).args(["--offline", "check", "bans", "licenses", "sources"]))
}
