//! `cargo xtask lint`: everything that can be said about the code without running it.

use crate::{
    command::{cargo, program, run},
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
        run(cargo("clippy -p tollgate-core --features yaml,verify --target").args([
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
    report.step("documentation", || {
        run(cargo("doc --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    report.step("licences and origins of dependencies", dependencies)
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
