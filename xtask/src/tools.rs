//! What the checks need and Rust does not bring: found, or built once into the user's cache.

use std::{
    env::{self, consts::EXE_SUFFIX},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    command::{ask, cargo, program, root, run},
    report::{Outcome, Stop},
};

pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// Fixed, so that a new release does not turn an old commit red.
const CARGO_DENY: &str = "0.20.2";

/// The standard library for WebAssembly.
pub(crate) fn wasm_target() -> Outcome {
    // The compiler knows where the library would be. Asking rustup would leave out every Rust without it.
    let library = ask(program("rustc").args(["--print", "target-libdir", "--target", WASM]));
    if library.is_some_and(|library| Path::new(&library).is_dir()) {
        return Ok(());
    }
    run(program("rustup").args(["target", "add", WASM]))
        .map_err(|_| Stop::Missing(format!("the target {WASM} is not installed and rustup could not add it")))
}

/// Node.js, in which core's tests run as WebAssembly.
pub(crate) fn node() -> Outcome {
    match ask(program("node").arg("--version")) {
        Some(_) => Ok(()),
        None => Err(Stop::Missing("`node` is not on the PATH".into())),
    }
}

/// A server of Redis, in which limits are shared.
pub(crate) fn redis_server() -> Outcome {
    debian("redis-server", &["redis-server"])
}

/// An authority that issues certificates for tests alone.
pub(crate) fn pebble() -> Outcome {
    debian("pebble", &["pebble", "pebble-challtestsrv"])
}

/// What a package of Debian brings and nothing else does, and only where whoever runs this may install packages and
/// nothing may be skipped.
fn debian(package: &str, programs: &[&str]) -> Outcome {
    let is_found = |name: &&str| ask(program("sh").args(["-c", "command -v \"$0\"", name])).is_some();
    let is_there = || programs.iter().all(is_found);
    if is_there() {
        return Ok(());
    }
    let missing =
        || Stop::Missing(format!("`{package}` is not on the PATH: install the package `{package}`"));
    let is_root = ask(program("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if !crate::report::is_ci() || !is_root || ask(program("apt-get").arg("--version")).is_none() {
        return Err(missing());
    }
    // A package would start a server of its own, as a service; tests start what they need.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let is_ours = !policy.exists() && fs::write(policy, "#!/bin/sh\nexit 101\n").is_ok();
    if is_ours {
        let _ = run(program("chmod").arg("755").arg(policy));
    }
    let install = || {
        let mut install = program("apt-get");
        install.args(["install", "-y", "--no-install-recommends", package]);
        run(install.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // A fresh machine does not know what packages there are.
    let installed = install().or_else(|_| run(program("apt-get").arg("update")).and_then(|()| install()));
    if is_ours {
        let _ = fs::remove_file(policy);
    }
    if installed.is_ok() && is_there() { Ok(()) } else { Err(missing()) }
}

/// What runs core's tests in Node.js. It reads a format of `wasm-bindgen`'s own that changes with every
/// release, so it is of exactly the version in the lock file.
pub(crate) fn wasm_test_runner() -> Outcome<PathBuf> {
    wasm_bindgen_tool("wasm-bindgen-test-runner")
}

/// What binds the Worker's WebAssembly to JavaScript; of the same package.
pub(crate) fn wasm_bindgen() -> Outcome<PathBuf> {
    wasm_bindgen_tool("wasm-bindgen")
}

fn wasm_bindgen_tool(binary: &str) -> Outcome<PathBuf> {
    let lock = root().join("Cargo.lock");
    let lock = fs::read_to_string(&lock).map_err(|error| Stop::Failed(format!("Cargo.lock: {error}")))?;
    let version = locked(&lock, "wasm-bindgen")
        .ok_or_else(|| Stop::Failed("Cargo.lock does not mention wasm-bindgen".into()))?;
    // Its default features download browsers' drivers, which nothing here needs.
    tool(binary, "wasm-bindgen-cli", version, &["--no-default-features"])
}

/// The packages of `package-lock.json`: wrangler, workerd, esbuild, wasm-opt. None needs its install script.
pub(crate) fn node_packages() -> Outcome {
    node()?;
    let installed = root().join("node_modules/.package-lock.json");
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let current = match (modified(&installed), modified(&root().join("package-lock.json"))) {
        (Some(installed), Some(wanted)) => installed >= wanted,
        _ => false,
    };
    if current {
        return Ok(());
    }
    run(program("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))
        .map_err(|_| Stop::Missing("the packages of package-lock.json could not be installed".into()))
}

/// A program of those packages, quiet and asking nobody outside.
pub(crate) fn node_tool(name: &str) -> Command {
    let folder = root().join("node_modules/.bin");
    let mut command = program(folder.join(name));
    // Their own Node.js comes first: wrangler needs a newer one than some systems have.
    let path = env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(folder).chain(env::split_paths(&path));
    if let Ok(path) = env::join_paths(paths) {
        command.env("PATH", path);
    }
    for (name, value) in [
        ("WRANGLER_SEND_METRICS", "false"),
        ("WRANGLER_SEND_ERROR_REPORTS", "false"),
        ("DO_NOT_TRACK", "1"),
        ("CLOUDFLARE_CF_FETCH_ENABLED", "false"),
        ("WRANGLER_HIDE_BANNER", "true"),
    ] {
        command.env(name, value);
    }
    command
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> Outcome<PathBuf> {
    let described = ask(&mut cargo("metadata --no-deps --format-version 1"));
    let metadata = described.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let folder = metadata.as_ref().and_then(|metadata| metadata["target_directory"].as_str());
    folder.map(PathBuf::from).ok_or_else(|| Stop::Failed("cargo does not say where it builds".to_owned()))
}

/// What checks licences and origins of the dependencies.
pub(crate) fn cargo_deny() -> Outcome<PathBuf> {
    tool("cargo-deny", "cargo-deny", CARGO_DENY, &[])
}

/// The path of `binary` of exactly `version`, built from `package` unless it is there already.
fn tool(binary: &str, package: &str, version: &str, options: &[&str]) -> Outcome<PathBuf> {
    let tools = directory()?;
    let path = tools.join("bin").join(format!("{binary}{EXE_SUFFIX}"));
    // The binary itself says of what version it is: no marker that could be wrong.
    let found = ask(program(&path).arg("--version"));
    if found.is_some_and(|found| found.split_whitespace().any(|word| word == version)) {
        return Ok(path);
    }
    println!("building {package} {version}, once; this takes some minutes");
    // Its own target directory: the workspace's is not to be cleaned of it, nor to wait for it.
    let target = tools.join("build");
    let mut install = cargo("install --locked --force --version");
    install
        .args([version, package])
        .args(options)
        .arg("--root")
        .arg(&tools)
        .env("CARGO_TARGET_DIR", &target)
        // Tools that run for seconds need not be built for minutes more.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        // Flags meant for the workspace have no business in a tool.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    run(&mut install).map_err(|_| Stop::Missing(format!("{package} {version} could not be installed")))?;
    // Some hundred megabytes that nobody would think of deleting. A failed build keeps them, to go on from.
    let _ = fs::remove_dir_all(target);
    Ok(path)
}

/// Where tools are kept from one run, and one checkout, to the next.
fn directory() -> Outcome<PathBuf> {
    // A relative XDG_CACHE_HOME is to be ignored, says its specification.
    env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .map(|cache| cache.join("tollgate").join("tools"))
        .ok_or_else(|| Stop::Missing("neither XDG_CACHE_HOME nor HOME says where to keep tools".into()))
}

/// The version of `package` in the text of a lock file.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_package_and_not_of_its_namesakes() {
        let lock = "[[package]]\nname = \"wasm-bindgen-test\"\nversion = \"0.3.79\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.129\"\n";
        assert_eq!(locked(lock, "wasm-bindgen"), Some("0.2.129"));
        assert_eq!(locked(lock, "wasm-bindgen-shared"), None);
    }
}
