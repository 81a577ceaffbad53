//! The built binary, driven as a user drives it: the demo's printed requests, exit codes, signals.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Output, Stdio},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

fn tollgate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command
}

/// A running gateway that is stopped however the test ends.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> (Self, BufReader<ChildStdout>, BufReader<std::process::ChildStderr>) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        (Self(child), BufReader::new(out), BufReader::new(err))
    }

    fn terminate(mut self) -> Option<i32> {
        Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// The demo as it introduces itself: the assignments of tokens, and each command with its title.
struct Demo {
    running: Running,
    tokens: String,
    examples: Vec<(String, String)>,
}

impl Demo {
    fn start() -> Self {
        let (running, mut out, _) = Running::start(&mut tollgate(&["demo", "--listen", "127.0.0.1:0"]));
        let (mut tokens, mut examples, mut title) = (String::new(), Vec::new(), String::new());
        loop {
            let mut line = String::new();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "the demo ended");
            match line.trim_end() {
                "" if examples.len() == 10 => break,
                "" => {}
                comment if comment.starts_with('#') => title = comment.to_owned(),
                line if line.contains("=ey") => tokens.push_str(&format!("{line}\n")),
                command => examples.push((title.clone(), command.to_owned())),
            }
        }
        Self { running, tokens, examples }
    }

    fn run(&self, title: &str) -> String {
        self.run_as(title, "TOKEN")
    }

    /// Runs the command whose title holds `title`, with that token, without waiting for a fresh minute.
    fn run_as(&self, title: &str, token: &str) -> String {
        let (_, command) = self.examples.iter().find(|(own, _)| own.contains(title)).unwrap();
        let command = match command.strip_prefix("sleep ") {
            Some(rest) => rest.split_once("; ").unwrap().1,
            None => command,
        };
        let command = command.replace("$TOKEN", &format!("${token}"));
        let Output { stdout, stderr, .. } =
            Command::new("sh").arg("-c").arg(format!("{}{command}", self.tokens)).output().unwrap();
        let found = text(&stdout);
        assert!(!found.is_empty(), "{command}: {}", text(&stderr));
        found
    }
}

/// Windows are aligned to the minute; what is counted here takes far less than ten seconds.
fn wait_for_room_in_the_minute() {
    let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 60;
    if second > 50 {
        thread::sleep(Duration::from_secs(61 - second));
    }
}

#[test]
fn the_demo_keeps_its_promises() {
    let demo = Demo::start();
    wait_for_room_in_the_minute();
    let queries = demo.run("ten times 200, then 429");
    assert_eq!(queries.split_whitespace().collect::<Vec<_>>(), [["200"; 10].as_slice(), &["429"]].concat());
    let images = demo.run("five times 200, then 429");
    assert_eq!(images.split_whitespace().collect::<Vec<_>>(), [["200"; 5].as_slice(), &["429"]].concat());
    assert!(demo.run("401:").starts_with("HTTP/1.1 401"));
    assert!(demo.run("403:").starts_with("HTTP/1.1 403"));
    let status = demo.run("the same status twice").to_lowercase();
    assert!(status.contains("fwd=uri-miss; stored") && status.contains("hit; ttl="), "{status}");
    assert_eq!(status.matches("\"checks\":1,").count(), 2, "{status}");
    assert_eq!(demo.run("a stream").matches("event: finding").count(), 5);
    assert!(demo.run("a compressed image").contains("gzip"));
    // Alice has had her ten queries of this minute.
    let plan = demo.run_as("the orchestrator", "ARTIST");
    assert!(plan.contains(r#""user":"frida""#) && plan.contains(r#""counted":"\"rate_limiting\""#), "{plan}");
    assert!(demo.run("a token of your own").contains("\"token\""));
    assert_eq!(demo.running.terminate(), Some(0));
}

#[test]
fn events_of_the_demo_arrive_one_by_one() {
    let demo = Demo::start();
    let (_, command) = demo.examples.iter().find(|(title, _)| title.contains("a stream")).unwrap();
    let mut curl = Command::new("sh")
        .arg("-c")
        .arg(format!("{}exec {command}", demo.tokens))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(curl.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    // The stream takes two seconds: it can't have ended when its first line is here.
    assert!(curl.try_wait().unwrap().is_none(), "the stream was held back");
    assert_eq!(first, "event: finding\n");
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(curl.wait().unwrap().success());
}

#[test]
fn validate_says_by_its_exit_code_what_it_found() {
    let good = tollgate(&["validate", "examples/agent-platform/tollgate.yaml"]).output().unwrap();
    assert_eq!(
        (good.status.code(), text(&good.stdout).as_str()),
        (Some(0), "examples/agent-platform/tollgate.yaml is valid\n")
    );
    let workers = tollgate(&["validate", "--target", "workers", "examples/agent-platform/tollgate.yaml"]);
    assert_eq!({ workers }.output().unwrap().status.code(), Some(0));

    let bad = std::env::temp_dir().join(format!("tollgate-smoke-{}.yaml", std::process::id()));
    std::fs::write(&bad, "routs: []\n").unwrap();
    let found = tollgate(&["validate", "--format", "json", bad.to_str().unwrap()]).output().unwrap();
    assert_eq!(found.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(json["valid"], false);
    let named = |problem: &serde_json::Value| {
        problem["cure"] == "did you mean `routes`?" && problem["at"]["line"] == 1
    };
    assert!(json["problems"].as_array().unwrap().iter().any(named), "{json:#}");
    let served = tollgate(&["run", "-c", bad.to_str().unwrap()]).output().unwrap();
    assert_eq!(served.status.code(), Some(1));
    std::fs::remove_file(&bad).unwrap();

    assert_eq!(tollgate(&["validate", "no-such-file.yaml"]).output().unwrap().status.code(), Some(2));
    assert_eq!(tollgate(&["validate", "--target", "moon"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn proxy_needs_no_file_and_ends_when_told() {
    let mut command = tollgate(&["proxy", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"]);
    let (running, mut out, mut err) = Running::start(&mut command);
    let mut line = String::new();
    err.read_line(&mut line).unwrap();
    let address = line.trim().rsplit("http://").next().unwrap().to_owned();
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"GET /secret?token=hunter2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(!answer.contains("127.0.0.1:9"), "the inside shows: {answer}");
    assert_eq!(running.terminate(), Some(0));
    let mut log = String::new();
    out.read_to_string(&mut log).unwrap();
    let record: serde_json::Value = serde_json::from_str(log.trim()).unwrap();
    assert_eq!(record["refusal"], "upstream.failed");
    assert!(record["detail"].as_str().unwrap().contains("cannot connect"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}
