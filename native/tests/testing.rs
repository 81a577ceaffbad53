//! `tollgate test`, driven as a user drives it: exit codes, what is said of what does not hold, and every form of
//! the report.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

const DOCUMENT: &str = include_str!("../../docs/testing.md");

const CONFIGURATION: &str = "\
routes:
  - {path: /shop/*, target_service: shop}
  - {path: /stock/*, target_service: stock}
policies:
  - {name: calm, type: FixedWindow, rate: 2, per: ip}
services:
  shop: {endpoints: ['http://127.0.0.1:9001']}
  stock: {endpoints: ['http://127.0.0.1:9002']}
";

const GOOD: &str = "\
given: {upstreams: {shop: {body: {open: true, until: {hour: 20}}}}}
cases:
  - name: the_shop_is_open
    steps:
      - request: GET /shop/door
        expect: {status: 200, body: {json: {open: true}}, counters: {calm: 1}}
";

const BROKEN: &str = "\
given: {upstreams: {shop: {body: {open: true, until: {hour: 20}}}}}
cases:
  - name: the_shop_is_open
    steps:
      - request: GET /shop/door
        expect: {status: 200, body: {json: {open: true, until: {hour: 22}}}, counters: {calm: 2}}
";

/// What is said of it, down to how the request was decided.
const DIFFERENCES: &str = "\
tests/shop.test.yaml
  ✗ the_shop_is_open in TIME

✗ shop/the_shop_is_open (tests/shop.test.yaml:3)
  tests/shop.test.yaml:5: step 1
    GET /shop/door
    host: gateway.test
    body /until/hour
      expected  22
      actual    20
    counter `calm`
      expected  2
      actual    1
";

/// A folder with a configuration and its tests, which goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(tests: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let own =
            format!("tollgate-testing-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(own));
        fs::create_dir_all(folder.0.join("tests")).unwrap();
        folder.write("tollgate.yaml", CONFIGURATION);
        folder.write("tests/shop.test.yaml", tests);
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn test(&self, arguments: &[&str]) -> Ended {
        test(&self.0, arguments)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

fn test(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let Output { status, stdout, stderr } =
        command.arg("test").args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: status.code(), out: text(stdout), err: text(stderr) }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The same text whatever the time that was taken.
fn timeless(text: &str) -> String {
    let lines = text.lines().map(|line| match line.rsplit_once(" in ") {
        Some((before, time)) if time.ends_with(" ms") || time.ends_with(" s") => {
            format!("{before} in TIME\n")
        }
        _ => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn the_example_holds_and_every_part_of_it_is_asked() {
    let ended = test(root(), &["examples/agent-platform", "--fail-uncovered"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("coverage: 15 of 15 routes and policies\n"), "{}", ended.out);
    assert!(!ended.out.contains("never seen"), "{}", ended.out);
}

#[test]
fn a_broken_expectation_is_told_with_both_values_and_the_decision() {
    let ended = Folder::new(BROKEN).test(&["--no-coverage"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(1), ""));
    let told = timeless(&ended.out);
    let (before, decision) = told.split_once("    how it was decided\n").unwrap();
    assert_eq!(before, DIFFERENCES);
    // How a decision is laid out is not the report's.
    let calm = decision.lines().find(|line| line.contains("FixedWindow calm")).unwrap();
    assert!(calm.contains("tollgate.yaml:5") && calm.contains("1 of 2 left"), "{decision}");
    assert!(decision.ends_with("\n\n0 cases hold, 1 does not in TIME\n"), "{decision}");
}

#[test]
fn what_no_case_asks_is_named_with_its_place() {
    let folder = Folder::new(GOOD);
    let ended = folder.test(&[]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    let wanted = "coverage: 2 of 3 routes and policies\n  \
                  unused route /stock/* (tollgate.yaml:3)\n  \
                  policy calm was never seen to refuse (tollgate.yaml:5)\n";
    assert!(ended.out.ends_with(wanted), "{}", ended.out);
    assert_eq!(folder.test(&["--fail-uncovered"]).code, Some(1));
}

#[test]
fn a_service_for_which_nothing_is_given_is_named() {
    let tests = "cases: [{name: stock, steps: [{request: GET /stock/x, expect: 502}]}]";
    let ended = Folder::new(tests).test(&[]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.out.contains("the service `stock` was asked, and nothing is given for it"),
        "{}",
        ended.out
    );
    let tests = "given: {default_upstream: {status: 204}}\n\
                 cases: [{name: stock, steps: [{request: GET /stock/x, expect: {status: 204, upstream: {stock: 1}}}]}]";
    let ended = Folder::new(tests).test(&[]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
}

#[test]
fn a_mistake_in_a_test_is_told_with_file_line_and_column() {
    let ended = Folder::new("cases:\n  - name: a\n    stepps: []\n").test(&[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(ended.err.contains("tests/shop.test.yaml:3:5: unknown field `stepps`"), "{}", ended.err);
}

#[test]
fn a_mistake_in_the_configuration_is_told_once_with_file_line_and_column() {
    let folder = Folder::new(GOOD);
    folder.write("tests/more.test.yaml", GOOD);
    folder.write("tollgate.yaml", "routes:\n  - {path: shop, target_service: shop}\n");
    let ended = folder.test(&[]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.err.matches("--> tollgate.yaml:2:12").count(), 1, "{}", ended.err);
}

#[test]
fn a_folder_without_tests_is_no_success() {
    let folder = Folder::new(GOOD);
    fs::remove_dir_all(folder.0.join("tests")).unwrap();
    assert_eq!(folder.test(&[]).code, Some(2));
    assert_eq!(folder.test(&["nowhere"]).code, Some(2));
}

#[test]
fn only_the_cases_that_are_asked_for_are_played() {
    let folder = Folder::new(GOOD);
    let ended = folder.test(&["--filter", "shop/the_shop"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.contains("1 case holds") && !ended.out.contains("coverage"), "{}", ended.out);
    assert_eq!(folder.test(&["--filter", "nothing"]).code, Some(2));
}

/// The names of the elements that are open at the end, and how many there were; panics where tags don't match.
fn elements(xml: &str) -> (Vec<&str>, usize) {
    let (mut open, mut count) = (Vec::new(), 0);
    let body = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        assert!(!text.contains('>') && tag.matches('"').count() % 2 == 0, "{part}");
        for escape in text.split('&').skip(1).chain(tag.split('&').skip(1)) {
            let known = ["amp;", "lt;", "gt;", "quot;"];
            assert!(known.iter().any(|entity| escape.starts_with(entity)), "{part}");
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else {
            count += 1;
            if !tag.ends_with('/') {
                open.push(tag.split(' ').next().unwrap());
            }
        }
    }
    (open, count)
}

#[test]
fn junit_is_well_formed_and_has_the_difference() {
    let folder = Folder::new(&BROKEN.replace("22", "'<&]]>'"));
    let ended = folder.test(&["--format", "junit", "--output", "report.xml"]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("1 does not"), "{}", ended.out);
    let xml = fs::read_to_string(folder.0.join("report.xml")).unwrap();
    let (open, count) = elements(&xml);
    assert_eq!((open.as_slice(), count), ([].as_slice(), 4), "{xml}");
    assert!(xml.contains("<testsuite name=\"tests/shop.test.yaml\" tests=\"1\" failures=\"1\""), "{xml}");
    assert!(xml.contains("expected  &quot;&lt;&amp;]]&gt;&quot;\n"), "{xml}");
}

#[test]
fn github_is_told_the_line() {
    let ended = Folder::new(BROKEN).test(&["--format", "github"]);
    assert_eq!(ended.code, Some(1));
    let first = ended.out.lines().next().unwrap();
    let begin = "::error file=tests/shop.test.yaml,line=5,title=shop/the_shop_is_open::body /until/hour: expected 22, not 20%0A";
    assert!(first.starts_with(begin), "{first}");
    assert!(ended.out.contains("::notice file=tollgate.yaml,line=3,"), "{}", ended.out);
}

#[test]
fn json_holds_the_differences_and_the_decision() {
    let ended = Folder::new(BROKEN).test(&["--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let failure = &report["cases"][0]["failures"][0];
    assert_eq!(failure["differences"][0]["what"], "body /until/hour");
    assert_eq!(failure["trail"][1]["line"], 2, "{failure:#}");
    assert_eq!(report["coverage"]["total"], 3);
}

#[test]
fn an_hour_of_a_cases_time_takes_no_time() {
    let mut tests =
        String::from("given: {upstreams: {shop: {body: x}}}\ncases:\n  - name: an_hour\n    steps:\n");
    for _ in 0..60 {
        tests.push_str("      - {request: GET /shop/x, expect: {status: 200, counters: {calm: 1}}}\n      - advance: 1m\n");
    }
    let folder = Folder::new(&tests);
    // Other tests run at the same time, so the best of a few is what it takes.
    let took = || {
        let ended = folder.test(&["--format", "json"]);
        assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
        let report: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        report["cases"][0]["took_ms"].as_f64().unwrap()
    };
    let best = (0..10).map(|_| took()).fold(f64::INFINITY, f64::min);
    assert!(best < 50.0, "{best} ms");
}

#[test]
fn a_change_is_played_again() {
    let folder = Folder::new(GOOD);
    let out = fs::File::create(folder.0.join("out.txt")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let mut child = command.args(["test", "--watch"]).current_dir(&folder.0).stdout(out).spawn().unwrap();
    let until = |wanted: &str| {
        let started = Instant::now();
        while !fs::read_to_string(folder.0.join("out.txt")).unwrap().contains(wanted) {
            if started.elapsed() > Duration::from_secs(20) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        true
    };
    let held = until("1 case holds") && until("watching");
    // What a test includes counts too, so the configuration is what changes.
    folder.write("tollgate.yaml", &CONFIGURATION.replace("rate: 2", "rate: 20"));
    let noticed = until("1 does not");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(held && noticed);
}

#[test]
fn what_the_document_shows_holds() {
    let block = |title: &str| {
        let (_, rest) = DOCUMENT.split_once(&format!("```yaml\n# {title}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let folder = Folder::new(&block("tests/shop.test.yaml"));
    folder.write("tollgate.yaml", &block("tollgate.yaml"));
    let ended = folder.test(&["--fail-uncovered"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
}
