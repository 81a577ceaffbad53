//! `tollgate diff`, driven as a user drives it: the example platform against another version of itself.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

const OLD: &str = "examples/agent-platform/tollgate.yaml";
const CHANGED: &str = "native/tests/diff/changed.yaml";
const REORDERED: &str = "native/tests/diff/reordered.yaml";

/// Runs it with `input` on its standard input.
fn diff(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .arg("diff")
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn code(arguments: &[&str]) -> i32 {
    diff(arguments, "").status.code().unwrap()
}

#[test]
fn a_raised_limit_a_removed_authentication_and_a_moved_route_are_told_with_both_places() {
    let found = text(&diff(&[OLD, CHANGED], ""));
    assert_eq!(
        found,
        "\
loosened (3)
  authentication removed (JWT_Validation), on /agents/code/*  examples/agent-platform/tollgate.yaml:40 → native/tests/diff/changed.yaml:19
  authorization removed (RBAC), on /agents/code/*  examples/agent-platform/tollgate.yaml:50 → native/tests/diff/changed.yaml:21
  rate_limiting rate: 100 → 1000, on 5 routes: /agents/code/*, /agents/image/*, /agents/research/*, /auth/*, …  examples/agent-platform/tollgate.yaml:57 → native/tests/diff/changed.yaml:58
changed (1)
  route moved: /orchestrator/* → /v2/orchestrator/*  examples/agent-platform/tollgate.yaml:22 → native/tests/diff/changed.yaml:24
"
    );
    let back = text(&diff(&[CHANGED, OLD], ""));
    assert!(back.contains("tightened (3)") && !back.contains("loosened"), "{back}");
}

#[test]
fn programs_are_told_the_same() {
    let found: Value = serde_json::from_slice(&diff(&[OLD, CHANGED, "--json"], "").stdout).unwrap();
    let removed = found.as_array().unwrap().iter().find(|one| one["policy"] == "authentication").unwrap();
    assert_eq!(
        *removed,
        json!({
            "kind": "loosened",
            "what": "policy_removed",
            "route": "/agents/code/*",
            "policy": "authentication",
            "on": [{"route": "/agents/code/*"}],
            "old": "JWT_Validation",
            "new": null,
            "old_at": "examples/agent-platform/tollgate.yaml:40",
            "new_at": "native/tests/diff/changed.yaml:19",
        })
    );
}

#[test]
fn another_order_other_quotes_and_an_included_file_are_no_difference() {
    let output = diff(&[OLD, REORDERED, "--exit-code"], "");
    assert_eq!((output.status.code(), &*text(&output)), (Some(0), "no change in meaning\n"));
}

#[test]
fn the_exit_code_tells_of_changes_where_that_is_wanted() {
    assert_eq!(code(&[OLD, CHANGED]), 0);
    assert_eq!(code(&[OLD, CHANGED, "--exit-code"]), 3);
    assert_eq!(code(&[CHANGED, OLD, "--exit-code"]), 1);
    assert_eq!(code(&[OLD, OLD, "--exit-code"]), 0);
    assert_eq!(code(&[OLD, "nowhere.yaml", "--exit-code"]), 2);
    assert_eq!(code(&[OLD, "Cargo.toml"]), 2);
    assert_eq!(code(&[OLD, OLD, "--replay", "nowhere.log"]), 2);
}

/// A line of the access log, at a second of one minute.
fn line(second: u32, path: &str, end: &str) -> String {
    let host = "api.myagentplatform.com";
    format!(
        r#"{{"time":"2026-03-01T12:00:{second:02}.000Z","request_id":"r","client":"192.0.2.7","method":"GET","host":"{host}","path":"{path}",{end}}}"#
    )
}

/// A log of the example platform, with 105 requests of one user in a minute, of which 100 are served.
fn log() -> String {
    let passed = |route: &str, service: &str, user: &str| {
        format!(r#""route":"{route}","service":"{service}","user":"{user}","status":200,"took_ms":3"#)
    };
    let refused = |route: &str, service: &str, user: &str, status: u16, why: &str| {
        let user = if user.is_empty() { String::new() } else { format!(r#""user":"{user}","#) };
        format!(
            r#""route":"{route}","service":"{service}",{user}"status":{status},"took_ms":0,"refusal":"{why}""#
        )
    };
    let (code, orchestrator) =
        (("/agents/code/*", "code-gen-agent-service"), ("/orchestrator/*", "orchestration-service"));
    let image = ("/agents/image/*", "image-gen-agent-service");
    let mut log = String::new();
    let missing = "jwt_validation.missing_token";
    let lines = [
        line(0, "/agents/code/run", &passed(code.0, code.1, "ada")),
        line(1, "/agents/code/run", &refused(code.0, code.1, "", 401, missing)),
        line(2, "/agents/code/run", &refused(code.0, code.1, "", 401, "jwt_validation.expired")),
        line(3, "/agents/code/run", &refused(code.0, code.1, "eve", 403, "rbac.denied")),
        line(4, "/orchestrator/status", &passed(orchestrator.0, orchestrator.1, "ada")),
        line(5, "/orchestrator/jobs", &refused(orchestrator.0, orchestrator.1, "", 401, missing)),
        line(6, "/nothing", r#""status":404,"took_ms":0,"refusal":"request.no_route""#),
        line(
            7,
            "/auth/login",
            r#""route":"/auth/*","service":"auth-service","status":502,"took_ms":9,"refusal":"upstream.failed""#,
        ),
        "no line of ours".to_owned(),
        r#"{"time":"2026-03-01T12:00:08.000Z","status":200}"#.to_owned(),
    ];
    lines.iter().for_each(|line| writeln!(log, "{line}").unwrap());
    for number in 0..105 {
        let end = match number {
            ..100 => passed(image.0, image.1, "bob"),
            _ => refused(image.0, image.1, "bob", 429, "fixed_window.exceeded"),
        };
        writeln!(log, "{}", line(10 + number / 5, "/agents/image/list", &end)).unwrap();
    }
    // A minute later he may again, under both.
    let later =
        line(59, "/agents/image/list", &passed(image.0, image.1, "bob")).replace("12:00:59", "12:01:00");
    writeln!(log, "{later}").unwrap();
    log
}

#[test]
fn a_replay_finds_exactly_the_requests_that_would_end_otherwise() {
    let output = diff(&[OLD, CHANGED, "--json", "--replay", "-"], &log());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let replay = &found["replay"];
    assert_eq!(replay["replayed"], 114);
    assert_eq!(replay["unlike_log"], 0);
    assert_eq!(replay["otherwise"], 10);
    let groups: Vec<_> = replay["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            let lines: Vec<u64> = group["examples"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["line"].as_u64().unwrap())
                .collect();
            let end = |side: &str| group[side]["refusal"].as_str().unwrap_or("passed").to_owned();
            (group["count"].as_u64().unwrap(), end("old"), end("new"), lines)
        })
        .collect();
    let group =
        |count, old: &str, new: &str, lines: &[u64]| (count, old.to_owned(), new.to_owned(), lines.to_vec());
    assert_eq!(
        groups,
        [
            group(5, "fixed_window.exceeded", "passed", &[111, 112, 113]),
            group(1, "jwt_validation.expired", "passed", &[3]),
            group(1, "jwt_validation.missing_token", "passed", &[2]),
            group(1, "rbac.denied", "passed", &[4]),
            group(1, "passed", "request.no_route", &[5]),
            group(1, "jwt_validation.missing_token", "request.no_route", &[6]),
        ]
    );
    let passed_over: Vec<_> =
        replay["not_replayed"].as_array().unwrap().iter().map(|one| &one["first_line"]).collect();
    assert_eq!(passed_over, [&json!(9), &json!(10)]);
}

#[test]
fn a_replay_tells_its_sum_its_assumptions_and_what_it_left_out() {
    let found = text(&diff(&[OLD, CHANGED, "--replay", "-"], &log()));
    for wanted in [
        "114 records replayed, 10 would end otherwise\n",
        "  5 on /agents/image/*: 429 fixed_window.exceeded → passed to image-gen-agent-service\n      line 111: GET /agents/image/list as bob\n",
        "not replayed: 1 line not a line of the JSON access log, first line 9\n",
        "assumed:\n  - services answer 200",
    ] {
        assert!(found.contains(wanted), "{wanted}\n{found}");
    }
    let same = text(&diff(&[OLD, REORDERED, "--replay", "-"], &log()));
    assert!(
        same.starts_with("no change in meaning\n\n114 records replayed, 0 would end otherwise\n"),
        "{same}"
    );
}

#[test]
fn a_pipe_that_is_closed_early_is_no_crash() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["diff", OLD, CHANGED])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
