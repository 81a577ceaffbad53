//! What a user is told to be unwise: for each file in `lint/` exactly what stands in the `.expected` beside it, hints
//! included, and of the same file without the mistake nothing. With the variable `BLESS` set, the expectations are
//! written anew, for a review to see.
#![cfg(feature = "yaml")]

use tollgate_core::config::{
    self, NoFiles,
    lint::{self, Choice, Linted},
    problem::Severity,
};
use wasm_bindgen_test::wasm_bindgen_test;

/// A configuration, what is to be said of it, and the same without the mistake.
struct Case {
    name: &'static str,
    text: &'static str,
    expected: &'static str,
    clean: &'static str,
}

/// Embedded, as a test in WebAssembly has no files.
macro_rules! cases {
    ($($name:literal)*) => {
        &[$(Case {
            name: $name,
            text: include_str!(concat!("lint/", $name, ".yaml")),
            expected: include_str!(concat!("lint/", $name, ".expected")),
            clean: include_str!(concat!("lint/", $name, "-clean.yaml")),
        }),*]
    };
}

/// One a rule, named after it.
const RULES: &[Case] = cases! {
    "01-shadowed-route"
    "02-timeout-below-connect"
    "03-unauthenticated-write"
    "04-excluded-write"
    "05-exclude-paths-too-wide"
    "06-fails-open"
    "07-no-issuer-or-audience"
    "08-unlimited-costly-route"
    "09-unlimited-route"
    "10-rate-limit-header-spoofable"
    "11-limit-per-ip-behind-proxies"
    "12-limit-fails-open"
    "13-long-window-alone"
    "14-shared-cache-of-identities"
    "15-per-user-cache-defeats-itself"
    "16-plain-text-upstream"
    "17-plain-text-keys"
    "18-wide-open-admin"
    "19-no-enforce-domain"
    "20-secret-in-file"
    "21-unused-service"
    "22-unused-policy-override"
    "23-same-limit-twice"
    "24-duplicate-service-endpoints"
    "25-unused-allow"
    "26-allow-without-reason"
    "30-plain-text-clients"
    "31-redirect-in-vain"
    "32-hsts-not-preloaded"
};

const SEVERAL: &[Case] = cases! {
    "27-nothing-is-asked"
    "29-ten-mistakes"
};

fn cases() -> impl Iterator<Item = &'static Case> {
    RULES.iter().chain(SEVERAL)
}

/// A value that no message may show.
const SECRET: &str = "hunter2";

fn variable(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some(SECRET.to_owned()),
        "LONG" => Some(SECRET.repeat(6)),
        "EMPTY" => Some(String::new()),
        // RFC 8037, appendix A.1.
        "KEY" => Some(
            r#"{"kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
                .to_owned(),
        ),
        _ => None,
    }
}

fn look(name: &str, text: &str) -> Linted {
    let linted = lint::lint(name, text.to_owned(), &NoFiles, &variable, config::Host::Native);
    assert!(linted.valid, "{name} is not valid\n\n{}", linted.report.render());
    linted
}

fn found(linted: &Linted) -> Vec<&'static str> {
    linted.report.problems.iter().filter_map(|problem| problem.rule).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn every_mistake_is_named_at_its_place_and_nothing_else_is() {
    for case in cases() {
        let report = look(&format!("{}.yaml", case.name), case.text).report.render();
        if !bless(case.name, &report) {
            assert!(report == case.expected, "{} is answered with\n\n{report}", case.name);
        }
    }
}

/// Writes an expectation, where that is asked for and there are files.
#[cfg(not(target_family = "wasm"))]
fn bless(name: &str, report: &str) -> bool {
    let file = format!("{}/tests/lint/{name}.expected", env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("BLESS").is_some() && std::fs::write(file, report).is_ok()
}

#[cfg(target_family = "wasm")]
fn bless(_: &str, _: &str) -> bool {
    false
}

#[wasm_bindgen_test(unsupported = test)]
fn without_its_mistake_the_same_file_is_clean() {
    for case in cases() {
        let report = look(&format!("{}-clean.yaml", case.name), case.clean).report.render();
        assert!(report.is_empty(), "{}\n\n{report}", case.name);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn every_rule_is_shown_at_work() {
    let shown: Vec<&str> = RULES.iter().filter_map(|case| Some(case.name.split_once('-')?.1)).collect();
    assert_eq!(shown, lint::rules().map(|rule| rule.id).collect::<Vec<_>>());
    for case in RULES {
        let found = found(&look(case.name, case.text));
        let (_, rule) = case.name.split_once('-').unwrap();
        // An answer without a reason answers nothing.
        let others = found.iter().filter(|id| **id != rule).count();
        assert!(found.contains(&rule), "{}: {found:?}", case.name);
        assert_eq!(others, usize::from(rule == "allow-without-reason"), "{}: {found:?}", case.name);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn ten_mistakes_are_ten_findings() {
    let case = SEVERAL.iter().find(|case| case.name.contains("ten-mistakes")).unwrap();
    let mut linted = look(case.name, case.text);
    linted.choose(&Choice::default());
    let mut rules = found(&linted);
    rules.sort_unstable();
    rules.dedup();
    assert_eq!((rules.len(), linted.report.problems.len()), (10, 10), "{}", linted.report.render());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_comment_with_a_reason_answers_a_finding_wherever_it_may_stand() {
    let text = include_str!("lint/28-answers.yaml");
    let report = look("28-answers.yaml", text).report.render();
    assert!(report.is_empty(), "{report}");
    let unanswered = text.replace("# lint: allow", "#");
    let mut asked: Vec<&str> =
        text.split("# lint: allow ").skip(1).filter_map(|rest| rest.split_whitespace().next()).collect();
    let mut found = found(&look("28-answers.yaml", &unanswered));
    asked.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, asked);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_platform_does_is_not_held_against_a_file() {
    for name in ["11-limit-per-ip-behind-proxies", "18-wide-open-admin"] {
        let case = RULES.iter().find(|case| case.name == name).unwrap();
        let linted = lint::lint(name, case.text.into(), &NoFiles, &variable, config::Host::Workers);
        assert!(linted.valid && linted.report.problems.is_empty(), "{}", linted.report.render());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn no_secret_is_ever_shown() {
    for case in cases() {
        let linted = look(case.name, case.text);
        let shown = format!("{:?}{}", linted.report.problems, linted.report.render());
        assert!(!shown.contains(SECRET) && !shown.contains("letmein"), "{shown}");
        assert!(!shown.contains("correct horse"), "{shown}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_not_valid_is_not_looked_at() {
    let linted = lint::lint("t.yaml", "routes: 1\n".into(), &NoFiles, &variable, config::Host::Native);
    assert!(!linted.valid);
    assert!(linted.report.has_errors());
    assert!(linted.report.problems.iter().all(|problem| problem.rule.is_none()));
}

#[wasm_bindgen_test(unsupported = test)]
fn of_the_agent_platform_only_hints_are_left() {
    let example = include_str!("../../examples/agent-platform/tollgate.yaml");
    for host in [config::Host::Native, config::Host::Workers] {
        let mut linted = lint::lint("tollgate.yaml", example.to_owned(), &NoFiles, &|_: &str| None, host);
        assert!(linted.report.problems.iter().all(|problem| problem.severity == Severity::Hint));
        linted.choose(&Choice::default());
        assert_eq!(linted.report.render(), "");
    }
}

/// The page of all rules.
const PAGE: &str = include_str!("../../docs/lint.md");

#[wasm_bindgen_test(unsupported = test)]
fn the_page_lists_every_rule_as_the_code_has_it() {
    let table: String = lint::rules()
        .map(|rule| {
            format!(
                "| `{}` | {} | {} | {} | {} |\n",
                rule.id,
                rule.level.name(),
                rule.what,
                rule.why,
                rule.cure
            )
        })
        .collect();
    let head = "| rule | level | what is found | why | what to do |\n|---|---|---|---|---|\n";
    let start = PAGE.find(head).unwrap() + head.len();
    let kept = PAGE[start..].split("\n\n").next().unwrap().trim_end();
    assert!(kept == table.trim_end(), "the table in docs/lint.md is to be\n\n{head}{table}");
}
