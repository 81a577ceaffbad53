//! The built binary explains: without a server, and while it serves to whoever may ask.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const EXAMPLE: &str = "examples/agent-platform/tollgate.yaml";

fn tollgate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command
}

fn explain(arguments: &[&str]) -> Output {
    tollgate(&[&["explain", "-c", EXAMPLE], arguments].concat()).output().unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

fn json(arguments: &[&str]) -> Value {
    let output = explain(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The line of the example in which `text` stands.
fn line_of(text: &str) -> u64 {
    let example = include_str!("../../examples/agent-platform/tollgate.yaml");
    1 + example.lines().position(|line| line.contains(text)).unwrap() as u64
}

#[test]
fn each_step_names_the_line_that_decides() {
    let explained = json(&["/agents/research/query", "--as-user", "alice", "--at", "2030-01-01T00:00:15Z"]);
    let steps = explained["steps"].as_array().unwrap();
    let step =
        |room: &str| steps.iter().find(|step| step["room"] == room && step["verdict"] != "skip").unwrap();
    assert_eq!(step("route")["line"], line_of("path: /agents/research/*"));
    assert_eq!(step("override")["line"], line_of("path: /agents/research/query"));
    assert_eq!(step("JWT_Validation")["line"], line_of("name: authentication"));
    assert_eq!(step("RBAC")["line"], line_of("name: authorization"));
    assert_eq!(step("upstream")["line"], line_of("timeout_ms: 60000"));
    assert_eq!(step("FixedWindow")["facts"]["remaining"], 9);
    assert_eq!(step("FixedWindow")["facts"]["reset_ms"], 45_000);
    assert_eq!(step("FixedWindow")["description"], "Stricter limit for intensive research queries (10/min).");
    assert!(steps.iter().all(|step| step["file"] == EXAMPLE && step["line"].as_u64() > Some(0)));
}

#[test]
fn what_an_issuer_says_of_a_token_may_be_supposed() {
    let file = std::env::temp_dir().join(format!("tollgate-introspection-{}.yaml", std::process::id()));
    let configuration = "services: {s: {endpoints: ['http://127.0.0.1:9']}}\nroutes: [{path: /a, target_service: s}]\n\
        policies: [{name: auth, type: OAuthIntrospection, introspection_endpoint: 'https://issuer.example.com/ask', \
        client_id: c, client_secret: '${SECRET:-hunter2}', scopes: [read]}]\n";
    std::fs::write(&file, configuration).unwrap();
    let told = |more: &[&str]| {
        let arguments = ["explain", "-c", file.to_str().unwrap(), "/a", "-H", "Authorization: Bearer opaque"];
        let output = tollgate(&[&arguments, more].concat()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let active = told(&[]);
    assert!(active.contains("`issuer.example.com` says of the token {"), "{active}");
    assert!(active.contains("its issuer says that its token is active"), "{active}");
    assert!(told(&["--as-user", "alice"]).contains("`alice`: its issuer"));
    assert!(told(&["--introspection", "inactive"]).contains("oauth_introspection.inactive"));
    let down = told(&["--introspection", "down"]);
    assert!(down.contains("oauth_introspection.unavailable"), "{down}");
    for told in [active, down] {
        assert!(!told.contains("hunter2") && !told.contains("opaque"), "{told}");
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_request_may_be_made_several_times_and_the_gateway_says_when_it_is_too_much() {
    let refused = json(&["/agents/image/generate", "--as-user", "alice", "--times", "6"]);
    assert_eq!((&refused["status"], &refused["refusal"]), (&429.into(), &"fixed_window.exceeded".into()));
    let output = explain(&["/agents/image/generate", "--fail"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert_eq!(explain(&["/agents/image/generate"]).status.code(), Some(0));
}

#[test]
fn credentials_are_never_shown() {
    let secret = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2VjcmV0LXNpZ25hdHVyZQ";
    let header = format!("Authorization: Bearer {secret}");
    let output =
        explain(&["/auth/login?code=hidden-code", "-H", &header, "-H", "Cookie: session=hidden-cookie"]);
    let shown = text(&output.stdout);
    assert!(shown.contains("authorization: <hidden>") && shown.contains("cookie: <hidden>"), "{shown}");
    assert!(!shown.contains(secret) && !shown.contains("hidden-c"), "{shown}");
}

#[test]
fn a_key_is_not_shown_whatever_its_header_is_called() {
    let file = std::env::temp_dir().join(format!("tollgate-explain-pass-{}.yaml", std::process::id()));
    let config = "services: {app: {endpoints: ['http://127.0.0.1:1']}}\nroutes: [{path: '/*', target_service: app}]\n\
                  policies:\n- {name: k, type: ApiKey, header: X-Pass, keys: [{subject: ci, hash: \
                  'sha256:27042f4e6eca7d0b2a7ee4026df2ecfa51d3339e6d122aa099118ecd8563bad9'}]}\n";
    std::fs::write(&file, config).unwrap();
    let output = tollgate(&["explain", "-c", file.to_str().unwrap(), "/a", "-H", "X-Pass: right"]).output();
    std::fs::remove_file(&file).unwrap();
    let shown = text(&output.unwrap().stdout);
    assert!(shown.contains("x-pass: <hidden>") && !shown.contains("x-pass: right"), "{shown}");
}

#[test]
fn what_can_not_be_explained_is_said_to_be_so() {
    for (arguments, wanted) in [
        (&["/a", "--at", "noon"][..], "`noon` is no time"),
        (&["/a", "-H", "nonsense"], "not of the form `Name: value`"),
        (&["/a", "--as-user", "a", "--claims", "{"], "the claims:"),
        (&["--raw", "no-such-file"], "can't read `no-such-file`"),
    ] {
        let output = explain(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(wanted), "{}", text(&output.stderr));
    }
}

struct Served {
    child: Child,
    gateway: String,
    admin: String,
    folder: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn serve() -> Served {
    let folder = std::env::temp_dir().join(format!("tollgate-explain-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let configuration = "listeners: [{address: '127.0.0.1:0'}]\nadmin: {address: '127.0.0.1:0', token: t}\n\
        explain: {secret: '${EXPLAIN_SECRET}'}\ntelemetry: {access_log: null}\n\
        services: {s: {endpoints: ['http://127.0.0.1:9']}}\nroutes: [{path: /a, target_service: s}]\n";
    std::fs::write(folder.join("tollgate.yaml"), configuration).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .arg("run")
        .current_dir(&folder)
        .env("EXPLAIN_SECRET", SECRET)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut address = |what: &str| {
        let line = lines.find_map(|line| line.ok().filter(|line| line.contains(what))).unwrap();
        line.rsplit("http://").next().unwrap().to_owned()
    };
    let (admin, gateway) = (address("administration"), address("listening"));
    Served { child, gateway, admin, folder }
}

fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{}\r\nhost: h\r\nconnection: close\r\n\r\n", request.trim_end()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_live_request_is_explained_to_whoever_has_a_pass_and_to_the_admin() {
    let served = serve();
    let pass = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["pass", "--for", "1m"])
        .current_dir(&served.folder)
        .env("EXPLAIN_SECRET", SECRET)
        .output()
        .unwrap();
    let pass = text(&pass.stdout).trim().to_owned();
    let with = |pass: &str| ask(&served.gateway, &format!("GET /b HTTP/1.1\r\nx-tollgate-explain: {pass}"));
    let explained = with(&pass);
    assert!(
        explained
            .contains("x-tollgate-trail: route tollgate.yaml:6 refuse: none of 1 routes has the path `/b`"),
        "{explained}"
    );
    assert!(!with("1.2").contains("x-tollgate-trail"));

    let admin = |request: &str| ask(&served.admin, &format!("{request} HTTP/1.1\r\nauthorization: Bearer t"));
    assert!(ask(&served.admin, "GET /trails HTTP/1.1").starts_with("HTTP/1.1 401"));
    assert!(admin("POST /trails?next=1&path=%2Fa").contains("202 Accepted"));
    assert!(admin("POST /trails?nexxt=1").contains("unknown field `nexxt`"));
    for path in ["/other", "/a", "/a"] {
        ask(&served.gateway, &format!("GET {path} HTTP/1.1"));
    }
    let listed = admin("GET /trails");
    let listed: Value = serde_json::from_str(listed.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let trails = listed["trails"].as_array().unwrap();
    // The one that was explained by pass, and the one that was wanted.
    let paths: Vec<_> = trails.iter().map(|trail| trail["path"].as_str().unwrap()).collect();
    assert_eq!((paths, &listed["wanted"]), (vec!["/a", "/b"], &0.into()));
    let rooms: Vec<_> =
        trails[0]["steps"].as_array().unwrap().iter().map(|step| step["room"].as_str().unwrap()).collect();
    assert_eq!(rooms, ["request", "route", "upstream", "upstream", "answer"]);
    let id = trails[0]["request_id"].as_str().unwrap();
    assert!(admin(&format!("GET /trails/{id}")).contains("\"steps\""));
    assert!(admin("GET /trails/unknown").starts_with("HTTP/1.1 404"));
}
