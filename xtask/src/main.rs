//! The commands behind the README and CI: `cargo xtask <command>`.
//!
//! Only std and a JSON reader, so that the first command on a fresh machine starts within seconds.

mod command;
mod edge;
mod invariants;
mod lint;
mod reference;
mod report;
mod schema;
mod test;
mod tools;
mod wasm_imports;

use std::{env, process::ExitCode};

use crate::report::Report;

const USAGE: &str = "\
usage: cargo xtask <command>

  test             every test there is: native, in WebAssembly, the behaviour suite on every host
  lint             every check there is: format, clippy, invariants, schema, docs, dependencies, imports
  invariants       what core must not mention, looked for in its sources
  schema           write docs/tollgate.schema.json and docs/configuration.md
  schema --check   fail when one of them is not what the code says
  edge             the Worker, for wrangler: checks its configuration, builds, weighs
  edge --test      the Worker with test hooks, for the behaviour suite
  bench            what decisions cost, and who asks
  fuzz [CASES]     hostile tokens, keys, answers and clocks, made up: a million of each kind unless told otherwise

What this machine can't run is skipped loudly, or fails where CI=true.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut report = Report::new();
    let result = match arguments.as_slice() {
        ["test"] => test::all(&mut report),
        ["lint"] => lint::all(&mut report),
        ["invariants"] => report.step("invariants of core", invariants::check),
        ["schema"] => report.step("schema", schema::write),
        ["schema", "--check"] => report.step("schema", schema::check),
        ["edge"] => report.step("the Worker", edge::build),
        ["edge", "--test"] => report.step("the Worker with test hooks", edge::build_for_tests),
        ["fuzz"] => report.step("hostile input", || test::fuzz("1000000")),
        ["fuzz", cases] if cases.bytes().all(|byte| byte.is_ascii_digit()) => {
            report.step("hostile input", || test::fuzz(cases))
        }
        ["bench"] => report.step("benchmarks", test::bench),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    report.print();
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
