//! What a TLS handshake costs: processor time a connection with one request, of this gateway and of nginx, with the same
//! certificate (ECDSA P-256) over TLS 1.3, a full handshake each time and then resumed ones. Figures, not a test.
//!
//! `tls_handshakes TOLLGATE [MANY]`: the gateway's binary, best a release build; nginx and openssl have to be there.

use std::{
    error::Error,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    client::Resumption,
    crypto::aws_lc_rs::{default_provider, kx_group::X25519},
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::TLS13,
};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Connections before it is measured.
const WARM_UP: u32 = 200;

/// A process that is ended however this ends.
struct Served {
    child: Child,
    port: u16,
}

impl Drop for Served {
    fn drop(&mut self) {
        // nginx ends its worker when it is asked to, and not when it is killed.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Served {
    fn start(command: &mut Command, port: u16) -> Fallible<Self> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let served = Self { child, port };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > Duration::from_secs(10) {
                return Err(format!("nobody listens on {port}").into());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(served)
    }

    /// Processor time of the process and of those that it started, in microseconds.
    fn time(&self) -> Fallible<f64> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let all = std::iter::once(id.to_string()).chain(children.split_whitespace().map(str::to_owned));
        let mut ticks = 0.0;
        for id in all {
            let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
            let rest = stat.rsplit_once(") ").ok_or("no process")?.1;
            let of =
                |at: usize| rest.split(' ').nth(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
            ticks += of(11) + of(12);
        }
        // A tick is a hundredth of a second on Linux.
        Ok(ticks * 10_000.0)
    }
}

fn free_port() -> Fallible<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn client(pem: &[u8], resumes: bool) -> Fallible<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem)?)?;
    let mut provider = default_provider();
    provider.kx_groups = vec![X25519];
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = if resumes { Resumption::in_memory_sessions(64) } else { Resumption::disabled() };
    Ok(Arc::new(config))
}

/// A connection with one request. Whether its session was resumed.
fn connect(config: &Arc<ClientConfig>, port: u16) -> Fallible<bool> {
    let connection = ClientConnection::new(config.clone(), ServerName::try_from("gateway.test")?)?;
    let socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    let mut stream = StreamOwned::new(connection, socket);
    stream.write_all(b"GET /nothing HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // Some end without saying so.
    let _ = stream.read_to_end(&mut answer);
    if !answer.starts_with(b"HTTP/1.1 404") {
        return Err(format!("unexpected: {}", String::from_utf8_lossy(&answer)).into());
    }
    Ok(stream.conn.handshake_kind() == Some(HandshakeKind::Resumed))
}

fn measure(served: &Served, config: &Arc<ClientConfig>, many: u32, resumes: bool) -> Fallible<f64> {
    for _ in 0..WARM_UP {
        connect(config, served.port)?;
    }
    let before = served.time()?;
    for _ in 0..many {
        if connect(config, served.port)? != resumes {
            return Err("sessions are not resumed as they should be".into());
        }
    }
    Ok((served.time()? - before) / f64::from(many))
}

fn files(folder: &Path, ports: (u16, u16)) -> Fallible<()> {
    let (own, nginx) = ports;
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
        ])
        .args(["-subj", "/CN=gateway.test", "-addext", "subjectAltName=DNS:gateway.test"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "own.key", "-out", "own.pem"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status()?;
    if !made.success() {
        return Err("openssl makes no certificate".into());
    }
    fs::write(
        folder.join("tollgate.yaml"),
        format!(
            "listeners: [{{address: '127.0.0.1:{own}', tls: {{cert_file: own.pem, key_file: own.key}}}}]\n\
             services: {{app: {{endpoints: ['http://127.0.0.1:9']}}}}\n\
             routes: [{{path: /app, target_service: app}}]\n\
             telemetry: {{access_log: null}}\n"
        ),
    )?;
    let at = folder.display();
    fs::write(
        folder.join("nginx.conf"),
        format!(
            "daemon off; worker_processes 1; pid {at}/nginx.pid; error_log /dev/null;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; client_body_temp_path {at}; proxy_temp_path {at}; fastcgi_temp_path {at};\n\
             uwsgi_temp_path {at}; scgi_temp_path {at};\n\
             server {{ listen 127.0.0.1:{nginx} ssl; server_name gateway.test; ssl_protocols TLSv1.3;\n\
             ssl_certificate own.pem; ssl_certificate_key own.key; ssl_session_tickets on;\n\
             location / {{ return 404; }} }} }}\n"
        ),
    )?;
    Ok(())
}

fn main() -> Fallible<()> {
    let mut arguments = std::env::args().skip(1);
    let tollgate = fs::canonicalize(arguments.next().ok_or("usage: tls_handshakes TOLLGATE [MANY]")?)?;
    let many: u32 = arguments.next().map_or(Ok(5_000), |many| many.parse())?;
    let folder = std::env::temp_dir().join(format!("tollgate-handshakes-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let figures = compare(&folder, &tollgate, many);
    let _ = fs::remove_dir_all(&folder);
    figures
}

fn compare(folder: &Path, tollgate: &Path, many: u32) -> Fallible<()> {
    let ports = (free_port()?, free_port()?);
    files(folder, ports)?;
    let run = ["run", "--threads", "1"];
    let own = Served::start(Command::new(tollgate).args(run).current_dir(folder), ports.0)?;
    let conf = folder.join("nginx.conf");
    let nginx = Served::start(Command::new("nginx").arg("-c").arg(&conf).arg("-p").arg(folder), ports.1)?;
    let pem = fs::read(folder.join("own.pem"))?;
    println!(
        "processor time a connection with one request, {many} connections each, TLS 1.3, ECDSA P-256, X25519"
    );
    for resumes in [false, true] {
        // In turns, so that what else the machine does meets both.
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            here.push(measure(&own, &client(&pem, resumes)?, many, resumes)?);
            there.push(measure(&nginx, &client(&pem, resumes)?, many, resumes)?);
        }
        let least = |all: &[f64]| all.iter().copied().fold(f64::MAX, f64::min);
        let (here, there) = (least(&here), least(&there));
        let kind = if resumes { "resumed" } else { "full" };
        println!("{kind:8} tollgate {here:6.0} µs   nginx {there:6.0} µs   ratio {:.2}", here / there);
    }
    Ok(())
}
