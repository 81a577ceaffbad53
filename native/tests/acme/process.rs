//! The gateway as it ships, from its configuration to the bytes that clients get.

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::client::TlsStream;

use super::around::{Authority, Temporary, connect, free_port, is_missing, until};

const SOON: Duration = Duration::from_secs(60);

/// A process that ends with the test.
struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An upstream that says yes.
async fn upstream() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 8192];
                while let Ok(1..) = stream.read(&mut bytes).await {
                    let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(text).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    stream.write_all(b"GET /x HTTP/1.1\r\nhost: one.test\r\n\r\n").await?;
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\nok") {
        if stream.read_buf(&mut text).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    assert!(text.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&text));
    Ok(())
}

async fn open(port: u16) -> std::io::Result<TlsStream<TcpStream>> {
    connect(([127, 0, 0, 1], port).into(), ServerName::try_from("one.test").unwrap()).await
}

async fn certificate(port: u16) -> Option<CertificateDer<'static>> {
    let stream = open(port).await.ok()?;
    Some(stream.get_ref().1.peer_certificates()?.first()?.clone().into_owned())
}

/// What its metrics say of a name; 0 where nothing.
async fn metric(port: u16, name: &str) -> u64 {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return 0 };
    let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text).await;
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.and_then(|number| number.parse().ok()).unwrap_or(0)
}

struct Site {
    tls: u16,
    admin: u16,
    folder: Temporary,
}

impl Site {
    async fn new(challenge: &str, seconds: u64) -> (Self, Authority, Gateway) {
        let (plain, tls, admin) = (free_port(), free_port(), free_port());
        let mut authority = Authority::asking((plain, tls), seconds, false);
        authority.run().await;
        let folder = Temporary::new();
        let text = format!(
            "services: {{app: {{endpoints: ['http://127.0.0.1:{}']}}}}\n\
             routes: [{{path: '/*', target_service: app}}]\n\
             listeners:\n- {{address: '127.0.0.1:{plain}'}}\n- {{address: '127.0.0.1:{tls}', tls: {{acme: [one.test]}}}}\n\
             admin: {{address: '127.0.0.1:{admin}'}}\ntelemetry: {{access_log: null, prometheus: true}}\n\
             acme: {{{}, folder: acme}}\n",
            upstream().await,
            authority.keys(challenge)
        );
        fs::write(folder.path("tollgate.yaml"), text).unwrap();
        let site = Self { tls, admin, folder };
        let gateway = site.run();
        (site, authority, gateway)
    }

    fn run(&self) -> Gateway {
        let child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["run", "--config", &self.folder.path("tollgate.yaml")])
            .stdout(Stdio::null())
            .spawn();
        Gateway(child.unwrap())
    }

    async fn issued(&self) -> u64 {
        metric(self.admin, "tollgate_acme_orders_total{result=\"issued\"}").await
    }

    async fn has_issued(&self, many: u64) {
        for _ in 0..600 {
            if self.issued().await >= many {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("there are no {many} certificates");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_over_certificates_that_are_renewed_all_are_answered() {
    if is_missing() {
        return;
    }
    for challenge in ["TlsAlpn01", "Http01"] {
        let (site, _authority, _gateway) = Site::new(challenge, 12).await;
        site.has_issued(1).await;
        let first = certificate(site.tls).await.unwrap();
        let counts: [Arc<AtomicU64>; 3] = Default::default();
        let stop = Arc::<AtomicBool>::default();
        let clients: Vec<_> = (0..6)
            .map(|number| {
                let ([fresh, kept, failed], stop, port) = (counts.clone(), stop.clone(), site.tls);
                tokio::spawn(async move {
                    let mut lasting = open(port).await.unwrap();
                    while !stop.load(Ordering::Relaxed) {
                        // Half of them come anew each time.
                        let (count, done) = if number % 2 == 0 {
                            let asked = async { ask(&mut open(port).await?).await };
                            (&fresh, asked.await)
                        } else {
                            (&kept, ask(&mut lasting).await)
                        };
                        if let Err(error) = done {
                            eprintln!("{error}");
                            failed.fetch_add(1, Ordering::Relaxed);
                        } else {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        site.has_issued(4).await;
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        let [fresh, kept, failed] = counts.map(|count| count.load(Ordering::Relaxed));
        eprintln!(
            "{challenge}: {fresh} requests over connections of their own and {kept} over lasting ones, {failed} failed"
        );
        assert!(fresh > 100 && kept > 100 && failed == 0, "{fresh}, {kept}, {failed}");
        assert_ne!(certificate(site.tls).await.unwrap(), first);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_starts_without_its_authority_serves_with_what_it_has() {
    if is_missing() {
        return;
    }
    let (site, mut authority, gateway) = Site::new("TlsAlpn01", 90 * 86_400).await;
    site.has_issued(1).await;
    let first = certificate(site.tls).await.unwrap();
    until("it is kept", SOON, || {
        fs::read_dir(site.folder.path("acme"))
            .unwrap()
            .flatten()
            .any(|account| account.path().join("attempts").exists())
    })
    .await;
    drop(gateway);
    authority.stop();
    let _again = site.run();
    let mut found = None;
    for _ in 0..200 {
        found = certificate(site.tls).await;
        if found.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(found, Some(first));
    ask(&mut open(site.tls).await.unwrap()).await.unwrap();
}
