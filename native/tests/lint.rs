//! `tollgate lint` as a user drives it: exit codes, choices, the list for machines. What the rules find is core's to
//! show (`core/tests/lint.rs`).

use std::process::{Command, Stdio};

use serde_json::Value;

const EXAMPLE: &str = "examples/agent-platform/tollgate.yaml";
const TEN: &str = "core/tests/lint/29-ten-mistakes.yaml";
const HINT: &str = "core/tests/lint/23-same-limit-twice.yaml";
const INVALID: &str = "core/tests/broken/10-missing-keys.yaml";

/// Exit code, standard output, standard error.
fn lint(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.arg("lint").args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command
}

#[test]
fn the_exit_code_says_what_became_of_it() {
    let clean = format!("{EXAMPLE}: nothing to object to\n");
    assert_eq!(lint(&[EXAMPLE]), (Some(0), clean.clone(), String::new()));
    assert_eq!(lint(&[EXAMPLE, "--target", "workers"]), (Some(0), clean, String::new()));
    let (code, out, _) = lint(&[TEN]);
    assert_eq!((code, out.ends_with(&format!("{TEN}: 10 findings\n"))), (Some(1), true), "{out}");
    let (code, out, err) = lint(&[INVALID]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.starts_with("error: ") && err.contains("is not valid"), "{err}");
    let (code, _, err) = lint(&["no/such/file.yaml"]);
    assert!(code == Some(2) && err.contains("no/such/file.yaml"), "{err}");
}

#[test]
fn the_user_chooses_what_to_hear_of() {
    assert_eq!(lint(&[HINT]).0, Some(0));
    assert_eq!(lint(&[HINT, "--strict"]).0, Some(1));
    let (code, out, _) = lint(&[HINT, "--deny", "same-limit-twice"]);
    assert!(code == Some(1) && out.starts_with("error[same-limit-twice]: "), "{out}");
    assert_eq!(lint(&[HINT, "--strict", "--allow", "same-limit-twice"]).0, Some(0));
    let (code, out, _) = lint(&[TEN, "--allow", "fails-open", "--allow", "unused-service"]);
    assert!(code == Some(1) && out.ends_with(": 8 findings\n"), "{out}");
    assert_eq!(lint(&[TEN, "--allow", "no-such-rule"]).0, Some(2));
    assert_eq!(lint(&[TEN, "--allow", "fails-open", "--deny", "fails-open"]).0, Some(2));
}

#[test]
fn machines_are_given_one_list() {
    let (code, out, err) = lint(&[TEN, "--json"]);
    assert_eq!((code, err.as_str()), (Some(1), ""));
    let list: Vec<serde_json::Map<String, Value>> = serde_json::from_str(&out).unwrap();
    assert_eq!(list.len(), 10);
    for finding in &list {
        let keys: Vec<&str> = finding.keys().map(String::as_str).collect();
        assert_eq!(keys, ["column", "cure", "file", "line", "message", "rule"]);
    }
    let open = list.iter().find(|finding| finding["rule"] == "fails-open").unwrap();
    assert_eq!((&open["file"], &open["line"], &open["column"]), (&TEN.into(), &31.into(), &15.into()));
    assert_eq!(lint(&[EXAMPLE, "--json"]), (Some(0), "[]\n".to_owned(), String::new()));
    assert_eq!(lint(&[INVALID, "--json"]).1, "");
}

#[test]
fn every_rule_that_is_listed_can_be_explained() {
    let (code, list, _) = lint(&["--rules"]);
    assert_eq!(code, Some(0));
    let rules: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(rules.len() > 20, "{list}");
    for rule in rules {
        let (code, text, _) = lint(&["--explain", rule]);
        assert!(code == Some(0) && text.starts_with(rule) && text.contains("What to do: "), "{text}");
    }
}

#[test]
fn that_nobody_reads_is_no_failure() {
    let mut child = command(&[TEN]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(1), &b""[..]));
}
