//! What the tests here put around orders: an authority that asks ports of this machine whatever the name is, gateways'
//! part in orders with servers that answer it, and clients that look which certificate they get.

use std::{
    collections::HashMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, client::TlsStream};
use tollgate::{
    acme::{Acme, Challenges, Pace, Shelf},
    clock::Clock,
    files,
    metrics::Metrics,
};
use tollgate_core::config::Host;

/// Whether there is no `pebble`. Where nothing may be skipped, there has to be.
pub(crate) fn is_missing() -> bool {
    let found = |program: &str| Command::new(program).arg("-help").output().is_ok();
    if found("pebble") && found("pebble-challtestsrv") {
        return false;
    }
    let why = "skipped: `pebble` is not on the PATH; `cargo xtask test` says how to get it";
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("{why}");
    true
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let begun = tokio::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < within, "this does not happen within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn free_port() -> u16 {
    StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// A folder that ends with the test.
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Temporary {
    pub(crate) fn new() -> Self {
        let folder =
            std::env::temp_dir().join(format!("tollgate-acme-{}-{}", std::process::id(), free_port()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with the test.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An authority: pebble, with names that all lead here.
pub(crate) struct Authority {
    pub(crate) folder: Temporary,
    pub(crate) port: u16,
    config: String,
    dns: u16,
    process: Option<Process>,
    _names: Process,
}

impl Authority {
    /// One that asks for what `challenges` answers, and whose certificates are good for so many seconds.
    pub(crate) async fn start(front: &Front, seconds: u64) -> Self {
        Self::with(front, seconds, false).await
    }

    pub(crate) async fn with(front: &Front, seconds: u64, is_bound: bool) -> Self {
        let mut authority = Self::prepared(front, seconds, is_bound);
        authority.run().await;
        authority
    }

    /// One that is not there yet.
    pub(crate) fn prepared(front: &Front, seconds: u64, is_bound: bool) -> Self {
        Self::asking((front.plain.port(), front.tls.port()), seconds, is_bound)
    }

    /// One that asks at these ports, without TLS and with it.
    pub(crate) fn asking((plain, tls): (u16, u16), seconds: u64, is_bound: bool) -> Self {
        let folder = Temporary::new();
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().unwrap();
        let own =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        for (name, text) in [("ca.pem", root.pem()), ("own.pem", own.pem()), ("own.key", key.serialize_pem())]
        {
            fs::write(folder.path(name), text).unwrap();
        }
        let (port, dns, management) = (free_port(), free_port(), free_port());
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": "",
            "certificate": folder.path("own.pem"),
            "privateKey": folder.path("own.key"),
            "httpPort": plain,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": is_bound,
            "externalAccountMACKeys": {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"},
            "certificateValidityPeriod": seconds,
        }});
        let path = folder.path("pebble.json");
        fs::write(&path, config.to_string()).unwrap();
        let names = Command::new("pebble-challtestsrv")
            .args(["-dns01", &format!("127.0.0.1:{dns}"), "-management", &format!("127.0.0.1:{management}")])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { folder, port, config: path, dns, process: None, _names: Process(names) }
    }

    pub(crate) async fn run(&mut self) {
        self.process = None;
        let pebble = Command::new("pebble")
            .args(["-config", &self.config, "-dnsserver", &format!("127.0.0.1:{}", self.dns)])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(Process(pebble));
        let port = self.port;
        until("pebble answers", Duration::from_secs(30), || {
            StdStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })
        .await;
    }

    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// The keys of `acme` for this authority, without where things are kept.
    pub(crate) fn keys(&self, challenge: &str) -> String {
        format!(
            "directory_url: 'https://127.0.0.1:{}/dir', contact: 'mailto:ops@example.com', terms_agreed: true, \
             challenge: {challenge}, ca_file: {}",
            self.port,
            self.folder.path("ca.pem")
        )
    }
}

/// Where certificates are put, and found by handshakes.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    names: Mutex<HashMap<String, Arc<CertifiedKey>>>,
    challenges: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Certificates {
    pub(crate) fn of(&self, name: &str) -> Option<CertificateDer<'static>> {
        self.names.lock().unwrap().get(name).map(|key| key.cert[0].clone())
    }
}

impl Shelf for Certificates {
    fn put(&self, names: &[String], key: Arc<CertifiedKey>) {
        self.names.lock().unwrap().extend(names.iter().map(|name| (name.clone(), key.clone())));
    }

    fn challenge(&self, name: &str, key: Arc<CertifiedKey>) {
        self.challenges.lock().unwrap().insert(name.to_owned(), key);
    }

    fn withdraw(&self, name: &str) {
        self.challenges.lock().unwrap().remove(name);
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.names.lock().unwrap().get(hello.server_name()?).cloned()
    }
}

/// What always answers with one certificate.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// What the authority is answered with, once there is something.
type Answering = Arc<Mutex<Option<(Arc<Challenges>, Arc<Certificates>)>>>;

/// Ports at which an authority asks, and clients. Who answers is said later.
pub(crate) struct Front {
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    answering: Answering,
    tasks: [JoinHandle<()>; 2],
}

impl Front {
    pub(crate) async fn start() -> Self {
        let answering: Answering = Arc::default();
        let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let tls = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addresses = (plain.local_addr().unwrap(), tls.local_addr().unwrap());
        let (here, there) = (answering.clone(), answering.clone());
        let http = tokio::spawn(async move {
            while let Ok((stream, _)) = plain.accept().await {
                let answering = here.lock().unwrap().clone();
                tokio::spawn(async move { Some(answer(stream, answering?.0).await) });
            }
        });
        let handshakes = tokio::spawn(async move {
            while let Ok((stream, _)) = tls.accept().await {
                let answering = there.lock().unwrap().clone();
                tokio::spawn(async move {
                    let (challenges, certificates) = answering?;
                    shake(stream, &challenges, certificates).await
                });
            }
        });
        Self { plain: addresses.0, tls: addresses.1, answering, tasks: [http, handshakes] }
    }

    /// From now on this gateway answers here.
    pub(crate) fn is_of(&self, gateway: &Gateway) {
        let both = (gateway.acme.challenges().clone(), gateway.certificates.clone());
        *self.answering.lock().unwrap() = Some(both);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn answer(mut stream: TcpStream, challenges: Arc<Challenges>) -> std::io::Result<()> {
    let mut head = vec![0; 4096];
    let mut length = 0;
    while !head[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[length..]).await? {
            0 => return Ok(()),
            read => length += read,
        }
    }
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match challenges.answer(path).await {
        Some(body) => (200, body),
        None => (404, String::new()),
    };
    let text =
        format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await
}

async fn shake(stream: TcpStream, challenges: &Challenges, certificates: Arc<Certificates>) -> Option<()> {
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await.ok()?;
    let hello = start.client_hello();
    let offered: Vec<_> = hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_no_client_auth();
    let config = if offered == [b"acme-tls/1".to_vec()] {
        let name = hello.server_name()?.to_owned();
        let known = certificates.challenges.lock().unwrap().get(&name).cloned();
        let key = match known {
            Some(key) => key,
            None => challenges.certificate(&name).await?,
        };
        let mut config = builder.with_cert_resolver(Arc::new(Always(key)));
        config.alpn_protocols = offered;
        config
    } else {
        builder.with_cert_resolver(certificates)
    };
    let mut stream = start.into_stream(Arc::new(config)).await.ok()?;
    let mut bytes = [0; 64];
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        stream.write_all(&bytes[..read]).await.ok()?;
    }
    Some(())
}

/// A gateway's part in orders.
pub(crate) struct Gateway {
    pub(crate) acme: Arc<Acme>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) clock: Clock,
    metrics: Metrics,
    task: Option<JoinHandle<()>>,
    _folder: Temporary,
}

impl Gateway {
    /// One that wants certificates for `names`. It does nothing yet.
    pub(crate) fn new(keys: &str, store: &str, names: &str, clock: Clock) -> Self {
        let folder = Temporary::new();
        let text = format!(
            "services: {{app: {{endpoints: ['http://127.0.0.1:9']}}}}\n\
             routes: [{{path: '/*', target_service: app}}]\n\
             listeners:\n- {{address: '127.0.0.1:0'}}\n- {{address: '127.0.0.2:0', tls: {{acme: [{names}]}}}}\n\
             store: {{{store}}}\nacme: {{{keys}}}\n"
        );
        let path = folder.path("tollgate.yaml");
        fs::write(&path, &text).unwrap();
        let loaded = files::load(Path::new(&path), Host::Native).unwrap();
        let report = loaded.report.render();
        let gateway = loaded.gateway.unwrap_or_else(|| panic!("{text}\n{report}"));
        let (settings, metrics) = (gateway.settings.acme.clone().unwrap(), Metrics::default());
        let certificates = Arc::<Certificates>::default();
        let acme = Acme::new(
            settings,
            &gateway.settings.store,
            clock.clone(),
            metrics.acme().clone(),
            certificates.clone(),
        );
        let pace = Pace { look: Duration::from_millis(500), soon: Duration::from_millis(100) };
        let acme = Arc::new(acme.unwrap().at_pace(pace));
        Self { acme, certificates, clock, metrics, task: None, _folder: folder }
    }

    /// Orders and renews from now on.
    pub(crate) fn run(&mut self) {
        let acme = self.acme.clone();
        self.task = Some(tokio::spawn(async move { acme.run().await }));
    }

    pub(crate) async fn has(&self, name: &str) -> CertificateDer<'static> {
        let what = format!("a certificate for {name}");
        until(&what, Duration::from_secs(60), || self.certificates.of(name).is_some()).await;
        self.certificates.of(name).unwrap()
    }

    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.render(&[]);
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
    }

    /// Orders of which a certificate came, and of which none did.
    pub(crate) fn orders(&self) -> (u64, u64) {
        let of = |result: &str| self.metric(&format!("tollgate_acme_orders_total{{result=\"{result}\"}}"));
        (of("issued"), of("failed"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// A connection as of a client that asks for `name`.
pub(crate) async fn connect(
    address: SocketAddr,
    name: ServerName<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Shakes hands as a client does that asks for `name`, and has one text come back. The certificate.
pub(crate) async fn visit(address: SocketAddr, name: &str) -> std::io::Result<CertificateDer<'static>> {
    let mut stream = connect(address, ServerName::try_from(name.to_owned()).unwrap()).await?;
    stream.write_all(b"hello").await?;
    stream.read_exact(&mut [0; 5]).await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned())
}

/// Whoever looks at certificates does so afterwards.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
