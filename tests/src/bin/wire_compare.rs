//! Plays the hostile bytes of the suite against Tollgate, nginx and HAProxy before the same service, and prints what
//! each makes of them. Figures, not a test.

use std::{env, error::Error, fs, net::SocketAddr, process, time::Duration};

use tollgate::host::Settings;
use tollgate_core::config::{self, Host, NoFiles};
use tollgate_tests::{
    stage::native::start,
    wire::{
        cases::{self, Case, Wish},
        client::{Answers, play},
        peers::Peer,
        recorder::{Recorded, Recorder},
    },
};

const QUIET: Duration = Duration::from_millis(300);

/// What became of a case, in words; and its kind: refused, forwarded canonically, forwarded otherwise.
fn told(case: &Case, answers: &Answers, mut seen: Vec<Recorded>) -> (usize, String) {
    let status = answers.statuses.first().map_or_else(|| "closed".to_owned(), u16::to_string);
    if answers.went_on && seen.last().is_some_and(|request| request.target() == "/after") {
        seen.pop();
    }
    if let Some(hidden) = seen.iter().find(|request| request.target().contains("hidden")) {
        return (2, format!("SMUGGLED {}", hidden.line));
    }
    if let Some(odd) = seen.iter().find_map(Recorded::odd) {
        return (2, format!("with {odd}"));
    }
    let whole: Vec<&Recorded> = seen.iter().filter(|request| request.content.is_some()).collect();
    match (&whole[..], case.wish) {
        ([], _) => (0, status),
        ([request], Wish::Forwarded(_, _, content))
            if request.content.as_deref() != Some(content.as_bytes()) =>
        {
            (2, "with other content".to_owned())
        }
        ([request], _) => (1, request.line.chars().take(40).collect()),
        (several, _) => (2, format!("as {} requests", several.len())),
    }
}

async fn of(
    server: SocketAddr,
    recorder: &Recorder,
    cases: &[Case],
) -> Result<Vec<(usize, String)>, Box<dyn Error>> {
    let mut outcomes = Vec::new();
    for case in cases {
        recorder.take();
        let answers = play(server, &[&case.bytes], 1, QUIET).await?;
        outcomes.push(told(case, &answers, recorder.take()));
    }
    Ok(outcomes)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let cases = cases::all();
    let recorder = Recorder::open().await?;
    let service = recorder.address();
    let text = format!(
        "services: {{app: {{endpoints: ['http://{service}']}}}}\nroutes: [{{path: '/*', target_service: app}}]"
    );
    let loaded = config::load("compare", text, &NoFiles, &|_: &str| None, Host::Native);
    let gateway = loaded.gateway.ok_or("the configuration is not valid")?;
    let (tollgate, _) = start(gateway, Settings::default())?;
    let folder = env::temp_dir().join(format!("wire-compare-{}", process::id()));
    fs::create_dir_all(&folder)?;

    let mut columns = Vec::new();
    let address = *tollgate.addresses().first().ok_or("the server listens nowhere")?;
    columns.push(("tollgate", of(address, &recorder, &cases).await?));
    for (name, peer) in
        [("nginx", Peer::nginx(&folder, service)), ("haproxy", Peer::haproxy(&folder, service))]
    {
        match peer {
            Ok(peer) => columns.push((name, of(peer.address, &recorder, &cases).await?)),
            Err(error) => eprintln!("SKIPPED: {name}: {error}"),
        }
    }
    fs::remove_dir_all(&folder)?;

    const KINDS: [&str; 3] = ["refused", "one request", "OTHERWISE"];
    for (number, case) in cases.iter().enumerate() {
        print!("{:<52}", case.name);
        for (_, outcomes) in &columns {
            let (kind, what) = outcomes.get(number).map_or((0, ""), |(kind, what)| (*kind, what.as_str()));
            print!(
                " | {:<42}",
                format!("{}: {what}", KINDS.get(kind).unwrap_or(&"")).chars().take(42).collect::<String>()
            );
        }
        println!();
    }
    println!("\n{:<12} {:>12} {:>12} {:>12}  of {}", "", KINDS[0], KINDS[1], KINDS[2], cases.len());
    for (name, outcomes) in &columns {
        let count = |wanted: usize| outcomes.iter().filter(|(kind, _)| *kind == wanted).count();
        println!("{name:<12} {:>12} {:>12} {:>12}", count(0), count(1), count(2));
    }
    Ok(())
}
