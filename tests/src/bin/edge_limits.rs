//! What it costs workerd to count, and to watch an answer while it passes: processor time a request, and a piece.
//! Figures, not a test: `cargo xtask bench`.

use std::{error::Error, net::Ipv4Addr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tollgate_rehearsal::play::Sent;
use tollgate_tests::stage::{
    native::client::exchange,
    workers::{self, process::Process},
};

/// Requests of each kind.
const MANY: u64 = 4_000;
/// Pieces of the answer that is watched.
const PIECES: u64 = 20_000;

fn request(path: &str, meter: &str, client: u64) -> Sent {
    let mut headers = vec![
        ("host".to_owned(), "gateway.test".to_owned()),
        ("cf-connecting-ip".to_owned(), format!("192.0.{}.{}", client / 250, client % 250)),
    ];
    if !meter.is_empty() {
        headers.push(("x-tollgate-test-meter".to_owned(), meter.to_owned()));
    }
    Sent {
        method: "GET".to_owned(),
        target: path.to_owned(),
        headers,
        pieces: Vec::new(),
        peer: Ipv4Addr::LOCALHOST.into(),
        certificate: None,
        trailers: Vec::new(),
        over: Default::default(),
    }
}

/// Ticks of a hundredth of a second that so many requests take.
async fn ticks(worker: &Process, path: &str, clients: u64, status: u16) -> Result<u64, Box<dyn Error>> {
    let before = worker.ticks()?;
    for number in 0..MANY {
        let answered = exchange(worker.address(), &request(path, "", number % clients)).await?.status;
        if answered != status {
            return Err(format!("{path}: {answered}").into());
        }
    }
    Ok(worker.ticks()? - before)
}

/// A service that sends what is short in many pieces.
async fn stream() -> Result<u16, Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = connection.read(&mut [0; 4096]).await;
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
                let _ = connection.write_all(head.as_bytes()).await;
                for _ in 0..PIECES {
                    let _ = connection.write_all(format!("64\r\n{}\r\n", "x".repeat(100)).as_bytes()).await;
                    tokio::task::yield_now().await;
                }
                let _ = connection.write_all(b"0\r\n\r\n").await;
            });
        }
    });
    Ok(port)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    if let Some(why) = workers::unavailable() {
        return Err(why.into());
    }
    // Each request ends with a refusal after what it is counted by, so that no service is asked.
    let worker = workers::start(
        "services: {app: {endpoints: ['http://127.0.0.1:9']}}\n\
         routes: [{path: '/*', target_service: app}]\n\
         policies:\n\
         - {name: one, type: FixedWindow, rate: 1000000, per: ip, window: 1d, exclude_paths: [/none, /full]}\n\
         - {name: two, type: FixedWindow, rate: 1000000, per: service, window: 1d, exclude_paths: [/none, /one, /full]}\n\
         - {name: full, type: FixedWindow, rate: 1, per: route, window: 1d, exclude_paths: [/none, /one, /two]}\n\
         - {name: authorization, type: Cel, expression: 'request.method == \"POST\"'}\n",
    )
    .await?;
    ticks(&worker, "/none", 1, 403).await?;
    let none = ticks(&worker, "/none", 1, 403).await?;
    println!("no limit: {} µs of workerd's processor time a request", none * 10_000 / MANY);
    for (name, path, clients) in [
        ("a limit of one client", "/one", 1),
        ("a limit of a thousand clients", "/one", 1_000),
        ("two limits of one client", "/two", 1),
    ] {
        let more = ticks(&worker, path, clients, 403).await?.saturating_sub(none);
        println!("{name}: {} µs more", more * 10_000 / MANY);
    }
    exchange(worker.address(), &request("/full", "", 0)).await?;
    let refused = ticks(&worker, "/full", 1, 429).await?;
    println!("a limit that has refused: {} µs a request", refused * 10_000 / MANY);

    let port = stream().await?;
    let worker = workers::start(&format!(
        "services: {{app: {{endpoints: ['http://127.0.0.1:{port}']}}}}\nroutes: [{{path: '/*', target_service: app}}]"
    ))
    .await?;
    for (name, meter) in [("(warm)", ""), ("not watched", ""), ("its end", "ends"), ("each piece", "reads")] {
        let before = worker.ticks()?;
        let answer = exchange(worker.address(), &request("/", meter, 0)).await?;
        if answer.broken || answer.body.len() as u64 != PIECES * 100 {
            return Err(format!("{name}: {} bytes", answer.body.len()).into());
        }
        let ticks = worker.ticks()? - before;
        println!(
            "an answer of {PIECES} pieces, {name}: {} µs a thousand of them",
            ticks * 10_000 * 1_000 / PIECES
        );
    }
    Ok(())
}
