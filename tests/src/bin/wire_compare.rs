//! Plays the hostile bytes of the suite against Tollgate, nginx and HAProxy before the same service, and prints what
//! each makes of them. Figures, not a test.

use std::{env, error::Error, fs, net::SocketAddr, process, time::Duration};

use tollgate::host::Settings;
use tollgate_core::config::{self, Host, NoFiles};
use tollgate_tests::{
    stage::native::start,
    wire::{
        cases::{self, Case},
        client::play,
        judge::{Kind, judge},
        peers::Peer,
        recorder::Recorder,
    },
};

const QUIET: Duration = Duration::from_millis(700);

async fn of(
    server: SocketAddr,
    recorder: &Recorder,
    cases: &[Case],
) -> Result<Vec<(Kind, String)>, Box<dyn Error>> {
    let mut outcomes = Vec::new();
    for case in cases {
        recorder.take();
        let answers = play(server, &[&case.bytes], 1, QUIET).await?;
        outcomes.push(judge(&case.bytes, &answers, &recorder.take()));
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

    for (number, case) in cases.iter().enumerate() {
        print!("{:<52}", case.name);
        for (_, outcomes) in &columns {
            let told = outcomes.get(number).map(|(kind, what)| format!("{}: {what}", kind.word()));
            print!(" | {:<48}", told.unwrap_or_default().chars().take(48).collect::<String>());
        }
        println!();
    }
    print!("\n{:<12}", "");
    for kind in Kind::ALL {
        print!(" {:>12}", kind.word());
    }
    println!("  of {}", cases.len());
    for (name, outcomes) in &columns {
        print!("{name:<12}");
        for wanted in Kind::ALL {
            print!(" {:>12}", outcomes.iter().filter(|(kind, _)| *kind == wanted).count());
        }
        println!();
    }
    Ok(())
}
