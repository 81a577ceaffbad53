//! Certificates that are exchanged in files while clients come, stay and come again: by the gateway as it ships, over real
//! sockets. That orders of ACME do the same is shown beside them.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, client::Resumption, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How often the gateway looks at files, and what a busy machine may take besides.
const LOOKS_WITHIN: Duration = Duration::from_millis(5_000 + 2_000);
/// Between connections of one client, so that ports are there for all of them.
const PAUSE: Duration = Duration::from_millis(4);

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tollgate-rotation-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Files as mounted in Kubernetes: behind a link to a folder that can be exchanged as a whole.
    fn fill(&self, name: &str, pair: &Pair) {
        fs::create_dir(self.0.join(name)).unwrap();
        fs::write(self.0.join(name).join("own.pem"), &pair.pem).unwrap();
        fs::write(self.0.join(name).join("own.key"), &pair.key).unwrap();
        symlink(name, self.0.join("next")).unwrap();
        fs::rename(self.0.join("next"), self.0.join("live")).unwrap();
    }

    /// As most programs that bring certificates do: written beside, and moved there.
    fn rename(&self, pem: &str, key: &str) {
        for (name, text) in [("own.key", key), ("own.pem", pem)] {
            fs::write(self.0.join("new"), text).unwrap();
            fs::rename(self.0.join("new"), self.0.join("live").join(name)).unwrap();
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Pair {
    pem: String,
    key: String,
    der: CertificateDer<'static>,
}

impl Pair {
    fn new(issuer: &Issuer<'static, KeyPair>) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap();
        let own = params.signed_by(&key, issuer).unwrap();
        Self { pem: own.pem(), key: key.serialize_pem(), der: own.der().clone() }
    }
}

/// The gateway, stopped however the test ends.
struct Gateway {
    child: Child,
    port: u16,
    said: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    fn start(folder: &Folder, upstream: u16) -> Self {
        let text = format!(
            "services: {{app: {{endpoints: ['http://127.0.0.1:{upstream}']}}}}\n\
             routes: [{{path: '/*', target_service: app}}]\n\
             listeners:\n- address: '127.0.0.1:0'\n  tls: {{cert_file: live/own.pem, key_file: live/own.key}}\n\
             telemetry: {{access_log: null}}\n"
        );
        fs::write(folder.0.join("tollgate.yaml"), text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["run", "--threads", "2"])
            .current_dir(&folder.0)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("the gateway ended").unwrap();
            if line.contains("listening on") {
                break line.rsplit(':').next().unwrap().trim().parse().unwrap();
            }
        };
        let said = Arc::<Mutex<Vec<String>>>::default();
        let heard = said.clone();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line));
        });
        Self { child, port, said }
    }

    fn has_said(&self, what: &str) -> bool {
        self.said.lock().unwrap().iter().any(|line| line.contains(what))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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

/// A client that believes one authority and nobody else.
#[derive(Clone)]
struct Client {
    config: Arc<ClientConfig>,
    port: u16,
}

impl Client {
    fn new(root: &CertificateDer<'static>, port: u16, protocol: &[u8], resumes: bool) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        config.resumption = if resumes { Resumption::in_memory_sessions(64) } else { Resumption::disabled() };
        Self { config: Arc::new(config), port }
    }

    async fn open(&self) -> Fallible<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let name = ServerName::try_from("gateway.test")?;
        Ok(TlsConnector::from(self.config.clone()).connect(name, stream).await?)
    }

    async fn certificate(&self) -> CertificateDer<'static> {
        let stream = self.open().await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }

    async fn sees(&self, new: &Pair) -> Duration {
        let begun = Instant::now();
        while self.certificate().await != new.der {
            assert!(begun.elapsed() < LOOKS_WITHIN, "the new certificate is not there");
            sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> Fallible<()> {
    stream.write_all(b"GET /x HTTP/1.1\r\nhost: gateway.test\r\n\r\n").await?;
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\nok") {
        if stream.read_buf(&mut text).await? == 0 {
            return Err("the connection has ended".into());
        }
    }
    let good = text.starts_with(b"HTTP/1.1 200 ");
    if good { Ok(()) } else { Err(String::from_utf8_lossy(&text).into()) }
}

type Sender = h2::client::SendRequest<Bytes>;

/// A connection of HTTP/2, and what drives it.
async fn open_http2(client: &Client) -> Fallible<(Sender, JoinHandle<()>)> {
    let (sender, connection) = h2::client::handshake(client.open().await?).await?;
    Ok((sender, tokio::spawn(async move { drop(connection.await) })))
}

async fn ask_http2(sender: &mut Sender) -> Fallible<()> {
    let request = http::Request::get("https://gateway.test/x").body(())?;
    let mut ready = sender.clone().ready().await?;
    let response = ready.send_request(request, true)?.0.await?;
    if response.status() != 200 {
        return Err(response.status().as_str().into());
    }
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        text.extend_from_slice(&piece);
    }
    if text == b"ok" { Ok(()) } else { Err("another body".into()) }
}

/// What clients have done.
#[derive(Default)]
struct Counts {
    full: AtomicU64,
    resumed: AtomicU64,
    lasting: AtomicU64,
    lasting_http2: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    fn note(&self, done: Fallible<&AtomicU64>) {
        match done {
            Ok(count) => count.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                eprintln!("failed: {error}");
                self.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }

    /// A connection of its own for one request.
    async fn visit(&self, client: &Client) -> Fallible<&AtomicU64> {
        let mut stream = client.open().await?;
        ask(&mut stream).await?;
        let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        stream.shutdown().await?;
        Ok(if resumed { &self.resumed } else { &self.full })
    }

    async fn visit_http2(&self, client: &Client) -> Fallible<&AtomicU64> {
        let (mut sender, driver) = open_http2(client).await?;
        ask_http2(&mut sender).await?;
        drop(sender);
        driver.await?;
        Ok(&self.full)
    }
}

/// All kinds of clients, until they are told to stop.
fn clients(root: &CertificateDer<'static>, port: u16) -> (Arc<Counts>, Arc<AtomicBool>, Vec<JoinHandle<()>>) {
    let (counts, stop) = (Arc::<Counts>::default(), Arc::<AtomicBool>::default());
    let mut tasks = Vec::new();
    for (protocol, resumes) in [("http/1.1", false), ("http/1.1", true), ("h2", false)] {
        let (counts, stop) = (counts.clone(), stop.clone());
        let client = Client::new(root, port, protocol.as_bytes(), resumes);
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let is_http2 = protocol == "h2";
                let done =
                    if is_http2 { counts.visit_http2(&client).await } else { counts.visit(&client).await };
                counts.note(done);
                sleep(PAUSE).await;
            }
        }));
    }
    let (all, stopped) = (counts.clone(), stop.clone());
    let client = Client::new(root, port, b"http/1.1", false);
    tasks.push(tokio::spawn(async move {
        let mut stream = client.open().await.unwrap();
        while !stopped.load(Ordering::Relaxed) {
            all.note(ask(&mut stream).await.map(|()| &all.lasting));
            sleep(PAUSE).await;
        }
    }));
    let (all, stopped) = (counts.clone(), stop.clone());
    let client = Client::new(root, port, b"h2", false);
    tasks.push(tokio::spawn(async move {
        let (mut sender, _driver) = open_http2(&client).await.unwrap();
        while !stopped.load(Ordering::Relaxed) {
            all.note(ask_http2(&mut sender).await.map(|()| &all.lasting_http2));
            sleep(PAUSE).await;
        }
    }));
    (counts, stop, tasks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_exchanged_and_no_client_notices() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);

    let folder = Folder::new();
    let first = Pair::new(&issuer);
    folder.fill("1", &first);
    let gateway = Gateway::start(&folder, upstream().await);
    let looking = Client::new(&root, gateway.port, b"http/1.1", false);
    assert_eq!(looking.certificate().await, first.der);
    let (counts, stop, tasks) = clients(&root, gateway.port);

    let mut took = Vec::new();
    for _ in 0..2 {
        let next = Pair::new(&issuer);
        folder.rename(&next.pem, &next.key);
        took.push(looking.sees(&next).await);
    }
    let linked = Pair::new(&issuer);
    folder.fill("2", &linked);
    took.push(looking.sees(&linked).await);

    // What is broken is said at the second look, when it is no exchange that is under way.
    folder.rename("no certificate", &linked.key);
    let begun = Instant::now();
    while !gateway.has_said("(what was read before goes on serving)") {
        assert!(begun.elapsed() < LOOKS_WITHIN * 2, "nothing is said of a broken file");
        assert_eq!(looking.certificate().await, linked.der);
        sleep(Duration::from_millis(100)).await;
    }
    assert!(gateway.has_said("live/own.pem"));
    let last = Pair::new(&issuer);
    folder.rename(&last.pem, &last.key);
    took.push(looking.sees(&last).await);

    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (full, resumed) = (of(&counts.full), of(&counts.resumed));
    let (lasting, lasting_http2) = (of(&counts.lasting), of(&counts.lasting_http2));
    let failed = of(&counts.failed);
    eprintln!(
        "{full} full handshakes and {resumed} resumed ones with a request each, {lasting} requests over one connection \
         of HTTP/1.1 and {lasting_http2} over one of HTTP/2, {failed} failed; new certificates were seen after {took:?}"
    );
    assert_eq!(failed, 0);
    for many in [full, resumed, lasting, lasting_http2] {
        assert!(many > 100, "{many}");
    }
}
