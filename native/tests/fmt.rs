//! `tollgate fmt`, driven as a user drives it: exit codes, what is written where, and what files it leaves behind.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const ROUGH: &str = "routes:\n- target_service: a   # The service.\n  path: /a\n";
const FINE: &str = "routes:\n  - path: /a\n    target_service: a # The service.\n";

/// An empty folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fmt-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Runs `tollgate fmt` here.
    fn fmt(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        Said::from(output)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.arg("fmt").args(arguments).current_dir(&self.0);
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

#[test]
fn files_are_rewritten_and_named() {
    let folder = Folder::new("rewritten");
    folder.put("tollgate.yaml", ROUGH);
    let said = folder.fmt(&[]);
    assert_eq!(
        (said.code, said.out.as_str(), said.err.as_str()),
        (Some(0), "tollgate.yaml is formatted\n", "")
    );
    assert_eq!(folder.text("tollgate.yaml"), FINE);
    assert_eq!(folder.names(), ["tollgate.yaml"]);
    let said = folder.fmt(&[]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""));
}

#[test]
fn a_check_shows_what_would_change_and_changes_nothing() {
    let folder = Folder::new("check");
    folder.put("rough.yaml", ROUGH);
    folder.put("fine.yaml", FINE);
    let said = folder.fmt(&["--check", "fine.yaml", "rough.yaml"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.starts_with("--- rough.yaml\n+++ rough.yaml (formatted)\n"), "{}", said.out);
    assert!(said.out.contains("\n-- target_service: a   # The service.\n"), "{}", said.out);
    assert_eq!(folder.text("rough.yaml"), ROUGH);
    let said = folder.fmt(&["--check", "fine.yaml"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""));
}

#[test]
fn standard_input_is_laid_out_on_standard_output() {
    let folder = Folder::new("stdin");
    let run = |arguments: &[&str], text: &[u8]| {
        let mut command = folder.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text).unwrap();
        Said::from(child.wait_with_output().unwrap())
    };
    let said = run(&["-"], ROUGH.as_bytes());
    assert_eq!((said.code, said.out.as_str()), (Some(0), FINE));
    assert_eq!(run(&["-", "--check"], ROUGH.as_bytes()).code, Some(1));
    let said = run(&["-"], b"a: [");
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.err.contains("--> standard input:1:"), "{}", said.err);
    assert_eq!(run(&["-"], b"\xff").code, Some(2));
}

#[test]
fn a_file_that_is_no_yaml_is_shown_and_left_alone_and_others_are_not() {
    let folder = Folder::new("broken");
    folder.put("broken.yaml", "routes:\n  - path: [\n");
    folder.put("rough.yaml", ROUGH);
    let said = folder.fmt(&["broken.yaml", "rough.yaml"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("error: this is not YAML"), "{}", said.err);
    assert!(said.err.contains("--> broken.yaml:") && said.err.contains('^'), "{}", said.err);
    assert_eq!(folder.text("broken.yaml"), "routes:\n  - path: [\n");
    assert_eq!(folder.text("rough.yaml"), FINE);
}

#[test]
fn what_can_t_be_read_or_written_is_told_apart() {
    let folder = Folder::new("missing");
    let said = folder.fmt(&[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("can't read `tollgate.yaml`"), "{}", said.err);
    let path = folder.put("fixed.yaml", ROUGH);
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    let said = folder.fmt(&["fixed.yaml"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("can't write `fixed.yaml`: it is read-only"), "{}", said.err);
    assert_eq!(folder.text("fixed.yaml"), ROUGH);
}

#[test]
fn what_a_file_includes_is_not_followed() {
    let folder = Folder::new("include");
    folder.put("tollgate.yaml", "include: [ more.yaml ]\n");
    folder.put("more.yaml", ROUGH);
    assert_eq!(folder.fmt(&[]).code, Some(0));
    assert_eq!(folder.text("tollgate.yaml"), "include: [more.yaml]\n");
    assert_eq!(folder.text("more.yaml"), ROUGH);
}

#[cfg(unix)]
#[test]
fn permissions_and_links_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = Folder::new("links");
    let path = folder.put("file.yaml", ROUGH);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("file.yaml", folder.0.join("link.yaml")).unwrap();
    assert_eq!(folder.fmt(&["link.yaml"]).code, Some(0));
    assert!(fs::symlink_metadata(folder.0.join("link.yaml")).unwrap().is_symlink());
    assert_eq!(folder.text("file.yaml"), FINE);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(folder.names(), ["file.yaml", "link.yaml"]);
}

#[test]
fn the_configurations_in_the_documents_are_laid_out() {
    let documents = [include_str!("../../README.md"), include_str!("../../docs/commands.md")];
    for text in documents.iter().flat_map(|document| document.split("```yaml\n").skip(1)) {
        let text = text.split("```").next().unwrap_or_default();
        assert_eq!(tollgate_core::config::format::format(text).unwrap(), text);
    }
}
