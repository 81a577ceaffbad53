//! Other programs: shown before they run, so that every step can be repeated by hand.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use crate::report::{Outcome, Stop};

/// The workspace's directory. Steps run there, wherever they were asked for.
pub(crate) fn root() -> &'static Path {
    // As `cargo run` tells it, and not as it was when this was built: several clones may share a build folder,
    // and a check of another clone would say nothing of this one.
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let built = || env!("CARGO_MANIFEST_DIR").into();
        let here: PathBuf = env::var_os("CARGO_MANIFEST_DIR").map_or_else(built, PathBuf::from);
        here.parent().map(Path::to_owned).unwrap_or(here)
    });
    &ROOT
}

/// A program that runs in the workspace.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// Cargo with `arguments`, none of which holds a blank; the same cargo that runs this.
pub(crate) fn cargo(arguments: &str) -> Command {
    let mut command = program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments.split_whitespace());
    command
}

/// Runs a command to its end, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Outcome {
    println!("$ {}", shown(command));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Stop::Failed(format!("`{}` failed ({status})", shown(command)))),
        Err(error) => Err(Stop::Failed(format!("`{}` did not start: {error}", shown(command)))),
    }
}

/// Runs a command to its end and returns what it wrote to stdout. Its stderr goes where ours goes.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    println!("$ {}", shown(command));
    match command.stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout)
            .map_err(|_| Stop::Failed(format!("`{}` wrote what is not UTF-8", shown(command)))),
        Ok(output) => Err(Stop::Failed(format!("`{}` failed ({})", shown(command), output.status))),
        Err(error) => Err(Stop::Failed(format!("`{}` did not start: {error}", shown(command)))),
    }
}

/// Asks a program that may not be there. `None` when it is not, or has no answer.
pub(crate) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let quoted = |text: &OsStr| match text.to_string_lossy() {
        text if text.contains(' ') => format!("\"{text}\""),
        text => text.into_owned(),
    };
    // What is removed from the environment has no value, and is not worth showing.
    let environment = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    // Cargo comes as an absolute path into some toolchain: its name is what one would type.
    let name = Path::new(command.get_program()).file_stem().unwrap_or(command.get_program());
    environment.chain([quoted(name)]).chain(command.get_args().map(quoted)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_typed() {
        let mut command = Command::new("/some/where/cargo");
        command.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").env_remove("CARGO_TARGET_DIR");
        assert_eq!(shown(&command), r#"RUSTDOCFLAGS="-D warnings" cargo doc --no-deps"#);
    }
}
