//! `Mtls` over real handshakes, with real certificates: what `tests/cases/mtls.yaml` claims of hosts that are told of
//! certificates is so where they are presented. And what is answered over TLS and without it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SerialNumber,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tollgate-mtls-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn named(attributes: &[(DnType, &str)]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (name, value) in attributes {
        params.distinguished_name.push(name.clone(), *value);
    }
    params
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = named(&[(DnType::OrganizationName, "Example"), (DnType::CommonName, name)]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn client(&self, name: &str) -> Held {
        let mut params = named(&[(DnType::OrganizationName, "Example"), (DnType::CommonName, name)]);
        params.serial_number = Some(SerialNumber::from(10));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Held { der: certificate.der().clone(), key: key.serialize_der() }
    }
}

/// A certificate and its key, as a client holds them.
struct Held {
    der: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Held {
    fn fingerprint(&self) -> String {
        digest(&SHA256, &self.der).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The gateway, stopped however the test ends.
struct Gateway {
    child: Child,
    /// In the order of the configuration.
    ports: Vec<u16>,
    trust: String,
}

impl Gateway {
    /// One whose certificate is for `gateway.test`.
    fn start(folder: &Folder, configuration: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        folder.write("own.pem", &own.pem());
        folder.write("own.key", &key.serialize_pem());
        folder.write("tollgate.yaml", configuration);
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["run", "--threads", "1"])
            .current_dir(&folder.0)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let wanted = configuration.matches("address:").count();
        let (mut ports, mut said) = (Vec::new(), Vec::new());
        while ports.len() < wanted {
            let Some(Ok(line)) = lines.next() else { panic!("{}", said.join("\n")) };
            if line.contains("listening on") {
                ports.push(line.rsplit(':').next().unwrap().trim().parse().unwrap());
            }
            said.push(line);
        }
        // It is not to wait for somebody to read.
        thread::spawn(move || lines.for_each(drop));
        Self { child, ports, trust: own.pem() }
    }

    /// The answer to a request over TLS; an error where there is no connection.
    fn ask(&self, held: Option<&Held>, head: &str) -> Result<String, String> {
        let mut roots = RootCertStore::empty();
        let trust = rustls::pki_types::pem::PemObject::from_pem_slice(self.trust.as_bytes()).unwrap();
        let trust: CertificateDer<'_> = trust;
        roots.add(trust).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match held {
            None => builder.with_no_client_auth(),
            Some(held) => {
                let key = PrivateKeyDer::try_from(held.key.clone()).unwrap();
                builder.with_client_auth_cert(vec![held.der.clone()], key).unwrap()
            }
        };
        let name = ServerName::try_from("gateway.test").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(("127.0.0.1", self.ports[0])).unwrap();
        talk(StreamOwned::new(connection, socket), head)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn talk(mut stream: impl Read + Write, head: &str) -> Result<String, String> {
    let request = format!("{head}\r\nHost: gateway.test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => Err(error.to_string()),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

/// A service that answers what it was sent.
fn echo() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                loop {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if reader.read_line(&mut head).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let head = head.to_ascii_lowercase();
                    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
                }
            });
        }
    });
    port
}

fn configuration(mode: &str, fingerprint: &str) -> String {
    format!(
        "listeners:
  - address: 127.0.0.1:0
    tls:
      cert_file: own.pem
      key_file: own.key
      client_auth: {{mode: {mode}, ca_file: [services.pem, agents.pem]}}
services: {{app: {{endpoints: ['http://127.0.0.1:{}']}}}}
routes: [{{path: '/*', target_service: app}}]
telemetry: {{access_log: null}}
policies:
  - name: authentication
    type: Mtls
    exclude_paths: ['/open/*']
    forward_metadata: {{certificate_serial: X-Serial}}
    certificates:
      - {{fingerprint: 'sha256:{fingerprint}', identity: pinned, roles: [editor]}}
      - {{subject: 'CN=billing,O=Example', issuer: 'CN=Services CA,O=Example', identity: billing}}
    issuers:
      - {{issuer: 'CN=Agents CA,O=Example', roles: [agent]}}
",
        echo()
    )
}

#[test]
fn a_certificate_that_is_presented_says_who_asks() {
    let folder = Folder::new("optional");
    let (services, agents) = (Authority::new("Services CA"), Authority::new("Agents CA"));
    folder.write("services.pem", &services.pem);
    folder.write("agents.pem", &agents.pem);
    let pinned = services.client("whoever");
    let gateway = Gateway::start(&folder, &configuration("Optional", &pinned.fingerprint()));

    for (held, wanted) in [
        (&pinned, &["x-user-id: pinned\r\n", "x-user-roles: editor\r\n"][..]),
        (&services.client("billing"), &["x-user-id: billing\r\n"]),
        (
            &agents.client("agent 7"),
            &["x-user-id: agent%207\r\n", "x-user-roles: agent\r\n", "x-serial: 0a\r\n"],
        ),
    ] {
        let answer = gateway.ask(Some(held), "GET /a HTTP/1.1").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(wanted.iter().all(|field| answer.contains(field)), "{wanted:?}\n{answer}");
        assert!(answer.contains("x-forwarded-proto: https\r\n"), "{answer}");
    }
    // The same name by another issuer is another's, and by one that is only there for others nobody's.
    let answer = gateway.ask(Some(&agents.client("billing")), "GET /a HTTP/1.1").unwrap();
    assert!(answer.contains("x-user-roles: agent\r\n"), "{answer}");
    let nobody = gateway.ask(Some(&services.client("nobody")), "GET /a HTTP/1.1").unwrap();
    assert!(nobody.starts_with("HTTP/1.1 401") && nobody.contains("mtls.invalid"), "{nobody}");
    // None, and fields that claim one.
    let none = gateway.ask(None, "GET /a HTTP/1.1\r\nClient-Cert: :MTEx:").unwrap();
    assert!(none.starts_with("HTTP/1.1 401") && none.contains("mtls.missing"), "{none}");
    assert!(none.contains("www-authenticate: ClientCertificate realm=\"gateway.test\""), "{none}");
    assert!(gateway.ask(None, "GET /open/a HTTP/1.1").unwrap().starts_with("HTTP/1.1 200"));
    // One that nobody vouches for who is believed.
    let foreign = Authority::new("Services CA").client("billing");
    assert!(gateway.ask(Some(&foreign), "GET /a HTTP/1.1").is_err());
}

#[test]
fn where_certificates_are_required_nobody_gets_further_than_the_handshake_without_one() {
    let folder = Folder::new("required");
    let (services, agents) = (Authority::new("Services CA"), Authority::new("Agents CA"));
    folder.write("services.pem", &services.pem);
    folder.write("agents.pem", &agents.pem);
    let held = services.client("billing");
    let gateway = Gateway::start(&folder, &configuration("Required", &held.fingerprint()));
    assert!(gateway.ask(Some(&held), "GET /a HTTP/1.1").unwrap().starts_with("HTTP/1.1 200"));
    assert!(gateway.ask(None, "GET /open/a HTTP/1.1").is_err());
}

#[test]
fn without_tls_a_client_is_sent_to_it_and_with_it_told_to_keep_to_it() {
    let folder = Folder::new("https");
    let configuration = format!(
        "https: {{redirect: true, hsts: {{}}}}
listeners:
  - {{address: '127.0.0.1:0', tls: {{cert_file: own.pem, key_file: own.key}}}}
  - {{address: '127.0.0.1:0'}}
services: {{app: {{endpoints: ['http://127.0.0.1:{}']}}}}
routes: [{{path: '/*', target_service: app}}]
telemetry: {{access_log: null}}
",
        echo()
    );
    let gateway = Gateway::start(&folder, &configuration);
    let answer = gateway.ask(None, "GET /a HTTP/1.1").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age=31536000\r\n"), "{answer}");
    let plain = TcpStream::connect(("127.0.0.1", gateway.ports[1])).unwrap();
    let answer = talk(plain, "GET /a?b HTTP/1.1\r\nX-Forwarded-Proto: https").unwrap();
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    assert!(answer.contains("location: https://gateway.test/a?b\r\n"), "{answer}");
    assert!(!answer.contains("strict-transport-security"), "{answer}");
}
