//! `cargo xtask test`: every test there is, in the order in which failures are cheapest to understand.

use crate::{
    command::{cargo, run},
    edge,
    report::{Outcome, Report, Stopped},
    tools,
};

pub(crate) fn all(report: &mut Report) -> Result<(), Stopped> {
    // Apart from the others: a workspace-wide build would choose other features for this program's own
    // dependencies, and so build it anew on every `cargo xtask`.
    report.step("tests of the checks themselves", || run(&mut cargo("test -p xtask")))?;
    // The smoke tests drive the program as it ships, so it has to be there, with the features it ships with.
    report.step("the tollgate binary", || run(&mut cargo("build -p tollgate")))?;
    report.step("the example's own tests", || {
        run(&mut cargo("run -p tollgate -- test examples/agent-platform --fail-uncovered"))
    })?;
    // Before the native tests, some of which run it in workerd.
    report.step("the Worker with test hooks", edge::build_for_tests)?;
    // And others need it; without it they are skipped.
    report.step("a server of Redis", tools::redis_server)?;
    report.step("an authority for certificates", tools::pebble)?;
    report.step("native tests", || run(&mut cargo("test --workspace --exclude xtask")))?;
    report.step("core without expressions", || {
        run(&mut cargo("test -p tollgate-core --features yaml --test without_expressions"))
    })?;
    report.step("core's tests in WebAssembly", || {
        tools::wasm_target()?;
        tools::node()?;
        let runner = tools::wasm_test_runner()?;
        let mut test = cargo("test -p tollgate-core --features yaml,verify,expressions --target");
        run(test.arg(tools::WASM).env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner))
    })?;
    report.step("behaviour suite, on every host", || run(&mut cargo("run -p tollgate-tests --bin suite")))
}

/// The properties of what reads hostile input, each for so many cases.
pub(crate) fn fuzz(cases: &str) -> Outcome {
    let mut test = cargo("test --profile fuzz -p tollgate-core --features yaml,verify,expressions hostile");
    run(test.env("PROPTEST_CASES", cases))?;
    let mut test = cargo(
        "test --profile fuzz -p tollgate-core --features yaml,verify,expressions --test structured --test usage",
    );
    run(test.env("PROPTEST_CASES", cases))?;
    let mut test = cargo("test --profile fuzz -p tollgate --test hostile_bytes");
    run(test.env("PROPTEST_CASES", cases))
}

/// What decisions cost in core, what it costs natively and at the edge to know who asks, and there to count.
pub(crate) fn bench() -> Outcome {
    run(&mut cargo("bench -p tollgate-core --features yaml,expressions"))?;
    run(&mut cargo("bench -p tollgate --bench tokens"))?;
    run(&mut cargo("bench -p tollgate --bench wire"))?;
    edge::build_for_tests()?;
    run(&mut cargo("run --release -p tollgate-tests --bin edge_tokens"))?;
    run(&mut cargo("run --release -p tollgate-tests --bin edge_limits"))
}
