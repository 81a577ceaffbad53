//! `cargo xtask edge`: the Worker, from Rust, JavaScript and a checked configuration to what `wrangler` uploads.
//!
//! `--test` builds the same with the hooks that the behaviour suite needs (a clock that requests turn, counters that
//! are asked directly), for workerd on this machine and never for a deployment.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    command::{ask, cargo, output, program, root, run},
    report::{Outcome, Stop},
    tools,
};

/// Where `wrangler.toml` looks for it.
const OUT: &str = "worker/build";
/// Where the suite looks for it.
const TEST_OUT: &str = "worker/build/test";
/// What the WebAssembly of a deployed Worker may weigh, compressed, in bytes.
const CEILING: u64 = 600 * 1024;
/// And with every part that a configuration may need: what the smallest plan of the platform takes.
const CEILING_OF_ALL: u64 = 3 * 1024 * 1024;
/// Stands in the code of all hooks, and so in every module and every script that has some.
const HOOK: &str = "x-tollgate-test";
/// What the runtime calls: as it is deployed, and with hooks.
const ENTRY: &str = "worker/js/index.mjs";
const TEST_ENTRY: &str = "worker/js/hooks.mjs";
/// The script that is made of it.
const SCRIPT: &str = "index.js";
/// The features of WebAssembly that Rust uses by default, which wasm-opt has to be told of.
const WASM_FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// Builds the Worker for `wrangler`, with the configuration that `wrangler.toml` names.
pub(crate) fn build() -> Outcome {
    let out = root().join(OUT);
    fs::create_dir_all(&out).map_err(|error| Stop::Failed(format!("{OUT}: {error}")))?;
    // First: a configuration that is not valid should not cost a build.
    let name = configuration()?;
    let mut bundle = cargo("run -q -p tollgate -- bundle --target workers");
    run(bundle.arg(&name).arg("--output").arg(out.join("configuration.txt")))?;
    let needs = needs_expressions(&out.join("configuration.txt"))?;
    println!("{} expressions, as the configuration needs", if needs { "with" } else { "without" });
    let options: &[&str] = if needs { &["--features", "expressions"] } else { &[] };
    let wasm = module(&out, ENTRY, options)?;
    let read = |path: &Path| fs::read(path).map_err(|error| Stop::Failed(error.to_string()));
    let bytes = read(&wasm)?;
    if has_hooks(&bytes) || has_hooks(&read(&out.join(SCRIPT))?) {
        return Err(Stop::Failed("the bundle has test hooks, which must not be deployed".to_owned()));
    }
    let compressed = compressed(&wasm)?;
    println!("{} KiB, {} KiB compressed", bytes.len() / 1024, compressed / 1024);
    fits(compressed, if needs { CEILING_OF_ALL } else { CEILING })
}

fn fits(compressed: u64, ceiling: u64) -> Outcome {
    if compressed > ceiling {
        return Err(Stop::Failed(format!("the module is larger than {} KiB compressed", ceiling / 1024)));
    }
    Ok(())
}

/// What the bundle says that it needs.
fn needs_expressions(bundle: &Path) -> Outcome<bool> {
    let text =
        fs::read_to_string(bundle).map_err(|error| Stop::Failed(format!("{}: {error}", bundle.display())))?;
    Ok(names_expressions(&text))
}

/// No text of the configuration's can pass for it: in those its quotes would be escaped.
fn names_expressions(bundle: &str) -> bool {
    bundle.contains(r#""parts":["expressions"]"#)
}

/// Builds the Worker for the behaviour suite, which brings its configurations.
pub(crate) fn build_for_tests() -> Outcome {
    let out = root().join(TEST_OUT);
    fs::create_dir_all(&out).map_err(|error| Stop::Failed(format!("{TEST_OUT}: {error}")))?;
    let wasm = module(&out, TEST_ENTRY, &["--features", "test-hooks,expressions"])?;
    let compressed = compressed(&wasm)?;
    println!("{} KiB compressed, with all parts", compressed / 1024);
    fits(compressed, CEILING_OF_ALL)?;
    // What looks for them has to find them where they are.
    for file in [wasm, out.join(SCRIPT)] {
        let bytes = fs::read(&file).map_err(|error| Stop::Failed(error.to_string()))?;
        if !has_hooks(&bytes) {
            return Err(Stop::Failed(format!("no `{HOOK}` in {}", file.display())));
        }
    }
    Ok(())
}

fn has_hooks(bytes: &[u8]) -> bool {
    bytes.windows(HOOK.len()).any(|window| window == HOOK.as_bytes())
}

/// Compiles, binds, shrinks and bundles; the path of the module.
fn module(out: &Path, entry: &str, options: &[&str]) -> Outcome<PathBuf> {
    tools::wasm_target()?;
    tools::node_packages()?;
    let bindgen = tools::wasm_bindgen()?;
    run(cargo("build --profile edge -p tollgate-worker --target").arg(tools::WASM).args(options))?;
    let compiled = tools::target_directory()?.join(tools::WASM).join("edge/tollgate_worker.wasm");
    let bound = out.join("bound");
    run(program(bindgen)
        // The instance is made by us, and made anew after a trap.
        .args(["--target", "web", "--omit-default-module-path", "--experimental-reset-state-function"])
        .args(["--no-typescript", "--remove-name-section", "--remove-producers-section"])
        .args(["--out-name", "tollgate", "--out-dir"])
        .arg(&bound)
        .arg(compiled))?;
    let wasm = out.join("index_bg.wasm");
    let mut shrink = tools::node_tool("wasm-opt");
    run(shrink.arg("-Os").args(WASM_FEATURES).arg(bound.join("tollgate_bg.wasm")).arg("-o").arg(&wasm))?;
    let mut join = tools::node_tool("esbuild");
    run(join
        .args([entry, "--bundle", "--format=esm", "--target=es2022", "--log-level=warning"])
        .arg(format!("--alias:tollgate/wasm={}", bound.join("tollgate.js").display()))
        .arg("--alias:tollgate/isolate=./worker/js/isolate.mjs")
        .args([
            "--external:./index_bg.wasm",
            "--external:./configuration.txt",
            "--external:cloudflare:workers",
        ])
        .arg(format!("--outfile={}", out.join(SCRIPT).display())))?;
    fs::remove_dir_all(bound).map_err(|error| Stop::Failed(error.to_string()))?;
    Ok(wasm)
}

/// The configuration that `wrangler.toml` names.
fn configuration() -> Outcome<String> {
    let text = fs::read_to_string(root().join("wrangler.toml"))
        .map_err(|error| Stop::Failed(format!("wrangler.toml: {error}")))?;
    named(&text).map(str::to_owned).ok_or_else(|| {
        Stop::Failed(
            "wrangler.toml names no configuration: add `TOLLGATE_CONFIG = \"…\"` to [vars]".to_owned(),
        )
    })
}

fn named(text: &str) -> Option<&str> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("TOLLGATE_CONFIG"))?;
    line.trim_start().strip_prefix('=')?.trim().strip_prefix('"')?.split('"').next()
}

/// The size that the platform's limits are about.
fn compressed(file: &Path) -> Outcome<u64> {
    let script = "process.stdout.write(String(require('zlib').gzipSync(require('fs').readFileSync(process.argv[1]), {level: 9}).length))";
    let size = output(program("node").arg("-e").arg(script).arg(file))?;
    size.trim().parse().map_err(|_| Stop::Failed(format!("`{size}` is no size")))
}

/// `wrangler deploy` as far as it goes without an account. It builds the Worker itself, as `wrangler.toml` says.
pub(crate) fn dry_run() -> Outcome {
    tools::node_packages()?;
    let mut deploy = tools::node_tool("wrangler");
    run(deploy.args(["deploy", "--dry-run", "--outdir", "target/edge-upload"]))?;
    // What would be uploaded is there.
    match ask(program("ls").arg("target/edge-upload")) {
        Some(files) if files.contains("index.js") => Ok(()),
        found => Err(Stop::Failed(format!("nothing to upload: {found:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_the_one_that_is_named() {
        let text = "name = \"x\"\n[vars]\nTOLLGATE_CONFIG = \"a/b.yaml\" # why\n";
        assert_eq!(named(text), Some("a/b.yaml"));
        assert_eq!(named("[vars]\n"), None);
    }

    #[test]
    fn a_bundle_says_whether_it_needs_expressions() {
        assert!(names_expressions(r#"{"form":1,"parts":["expressions"],"sources":[]}"#));
        assert!(!names_expressions(r#"{"form":1,"sources":["\"parts\":[\"expressions\"]"]}"#));
    }
}
