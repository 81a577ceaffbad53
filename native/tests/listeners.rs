//! Listeners of all kinds, by the built binary and over real sockets: who is served where, whose connections are, and
//! where bytes go.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::aws_lc_rs};

const PATIENCE: Duration = Duration::from_secs(10);

/// A folder for one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tollgate-listeners-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The gateway as a process.
struct Gateway {
    child: Child,
    /// Where it listens, as it says.
    places: Vec<String>,
    folder: Folder,
}

impl Gateway {
    fn start(listeners: usize, text: &str) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_tollgate")), Folder::new(), listeners, text)
    }

    fn start_by(mut command: Command, folder: Folder, listeners: usize, text: &str) -> Self {
        let path = folder.path("tollgate.yaml");
        fs::write(&path, format!("{text}\ntelemetry: {{access_log: null}}\n")).unwrap();
        command.args(["run", "--threads", "2", "-c", &path]).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut places = Vec::new();
        while places.len() < listeners {
            let line = lines.next().expect("the gateway ended").unwrap();
            if let Some((_, place)) = line.split_once("listening on ") {
                places.push(place.to_owned());
            } else {
                eprintln!("{line}");
            }
        }
        thread::spawn(move || lines.for_each(drop));
        Self { child, places, folder }
    }

    fn address(&self, number: usize) -> SocketAddr {
        self.places[number].split_once("://").unwrap().1.parse().unwrap()
    }

    fn connect(&self, number: usize) -> TcpStream {
        let stream = TcpStream::connect(self.address(number)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn stop(mut self) -> Folder {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.folder, Folder::new())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A service that answers requests with what it was sent, and its address.
fn echo_of_requests() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                while let Some(head) = head(&mut stream) {
                    let length = head.len();
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{head}");
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// A service of bytes: tells what each connection begins with, and says `name` back.
fn service_of_bytes(name: &'static str) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut begun = vec![0; 4096];
            let length = stream.read(&mut begun).unwrap_or(0);
            begun.truncate(length);
            let _ = sender.send(begun);
            let _ = stream.write_all(name.as_bytes());
        }
    });
    (address, receiver)
}

fn ask(stream: &mut (impl Read + Write), host: &str) -> String {
    write!(stream, "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap_or_default();
    answer
}

fn to_app(address: SocketAddr) -> String {
    format!(
        "services: {{app: {{endpoints: ['http://{address}']}}}}\nroutes: [{{path: '/*', target_service: app}}]\n"
    )
}

/// A certificate for `name` in files of that folder, and what trusts it.
fn certificate(folder: &Folder, name: &str) -> Arc<ClientConfig> {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    fs::write(folder.path("c.pem"), made.cert.pem()).unwrap();
    fs::write(folder.path("k.pem"), made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

fn encrypted(
    config: Arc<ClientConfig>,
    name: &str,
    stream: TcpStream,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = name.to_owned().try_into().unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)
}

#[test]
fn a_socket_in_the_file_system_is_served_and_gone_at_the_end() {
    let folder = Folder::new();
    let path = folder.path("gateway.sock");
    let text = format!("listeners: [{{address: 'unix:{path}'}}]\n{}", to_app(echo_of_requests()));
    let gateway = Gateway::start_by(Command::new(env!("CARGO_BIN_EXE_tollgate")), folder, 1, &text);
    let mut stream = UnixStream::connect(&path).unwrap();
    let answer = ask(&mut stream, "x");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("x-forwarded-for: 127.0.0.1"), "{answer}");
    let _folder = gateway.stop();
    assert!(!fs::exists(&path).unwrap());
}

#[test]
fn a_socket_that_systemd_hands_over_is_served_by_its_name() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // What `systemd` does: sockets from number 3 on, and variables that tell of them.
    let script =
        "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_FDNAMES=web LISTEN_PID=$$; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_tollgate")]).stdin(std::os::fd::OwnedFd::from(socket));
    let text = format!("listeners: [{{address: 'systemd:web'}}]\n{}", to_app(echo_of_requests()));
    let gateway = Gateway::start_by(command, Folder::new(), 1, &text);
    assert!(gateway.places[0].contains("`web` of systemd"), "{:?}", gateway.places);
    for _ in 0..8 {
        let mut stream = TcpStream::connect(address).unwrap();
        assert!(ask(&mut stream, "x").starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn a_listener_serves_its_hosts_alone() {
    let text = format!(
        "listeners:\n  - {{address: '127.0.0.1:0', hosts: [a.example.com, '*.b.example.com']}}\n  - {{address: '127.0.0.1:0'}}\n{}",
        to_app(echo_of_requests())
    );
    let gateway = Gateway::start(2, &text);
    for (listener, host, status) in [
        (0, "a.example.com", 200),
        (0, "A.example.com:8080", 200),
        (0, "x.b.example.com", 200),
        (0, "b.example.com", 421),
        (0, "c.example.com", 421),
        (1, "c.example.com", 200),
    ] {
        let answer = ask(&mut gateway.connect(listener), host);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
    }
}

#[test]
fn a_proxy_tells_whose_a_connection_is() {
    let text = format!(
        "listeners:\n  - {{address: '127.0.0.1:0', proxy_protocol: {{from: ['127.0.0.0/8']}}}}\n  - {{address: '127.0.0.1:0', proxy_protocol: {{from: ['10.0.0.0/8']}}}}\n{}",
        to_app(echo_of_requests())
    );
    let gateway = Gateway::start(2, &text);
    let announced = |listener: usize, header: &[u8]| {
        let mut stream = gateway.connect(listener);
        stream.write_all(header).unwrap();
        ask(&mut stream, "x")
    };
    const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
    let v2 = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(),
        &[192, 0, 2, 8, 198, 51, 100, 1, 0x12, 0x34, 1, 187],
    ]
    .concat();
    assert!(announced(0, V1).contains("x-forwarded-for: 192.0.2.7\r\n"));
    assert!(announced(0, &v2).contains("x-forwarded-for: 192.0.2.8\r\n"));
    // The proxy itself asks whether anybody is there.
    let local = [b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0".as_slice()].concat();
    assert!(announced(0, &local).contains("x-forwarded-for: 127.0.0.1\r\n"));
    // Without a header, with a bad one, and from where no proxy is: not a word.
    assert_eq!(announced(0, b""), "");
    assert_eq!(announced(0, b"PROXY TCP4 nobody nowhere 1 2\r\n"), "");
    let mut stream = gateway.connect(1);
    let _ = stream.write_all(V1);
    assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
}

#[test]
fn bytes_go_where_the_name_in_tls_says() {
    let (one, seen_by_one) = service_of_bytes("one");
    let (other, seen_by_other) = service_of_bytes("other");
    let text = format!(
        "listeners:\n  - address: '127.0.0.1:0'\n    tcp: {{server_names: {{'*.example.com': one, db.example.org: other}}, send_proxy_protocol: V2}}\n  - address: '127.0.0.1:0'\n    tcp: {{target_service: other, send_proxy_protocol: V1}}\nservices:\n  one: {{endpoints: ['tcp://{one}']}}\n  other: {{endpoints: ['tcp://{other}']}}\n  app: {{endpoints: ['http://127.0.0.1:9']}}\nroutes: [{{path: '/*', target_service: app}}]\n"
    );
    let gateway = Gateway::start(2, &text);
    let config = certificate(&Folder::new(), "unused");
    let greet = |name: &str| {
        let mut client = ClientConnection::new(config.clone(), name.to_owned().try_into().unwrap()).unwrap();
        let mut greeting = Vec::new();
        client.write_tls(&mut greeting).unwrap();
        let mut stream = gateway.connect(0);
        // In pieces, as networks deliver it.
        for piece in greeting.chunks(50) {
            stream.write_all(piece).unwrap();
            stream.flush().unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_default();
        (greeting, answer)
    };
    let (greeting, answer) = greet("A.example.com");
    assert_eq!(answer, "one");
    let begun = seen_by_one.recv_timeout(PATIENCE).unwrap();
    assert!(begun.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21\x11"), "{begun:?}");
    assert!(greeting.starts_with(&begun[28..]) || begun.len() == 28, "TLS passes as it is");
    assert_eq!(greet("db.example.org").1, "other");
    seen_by_other.recv_timeout(PATIENCE).unwrap();
    // Nobody is meant.
    assert_eq!(greet("db.example.net").1, "");
    let mut plain = gateway.connect(0);
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(plain.read(&mut [0; 16]).unwrap_or(0), 0);

    let mut stream = gateway.connect(1);
    let own = stream.local_addr().unwrap();
    stream.write_all(b"any bytes at all").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "other");
    let begun = String::from_utf8(seen_by_other.recv_timeout(PATIENCE).unwrap()).unwrap();
    assert!(begun.starts_with(&format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} ", own.port())), "{begun}");
}

#[test]
fn tls_can_end_here_before_bytes_go_on() {
    let (service, seen) = service_of_bytes("service");
    let folder = Folder::new();
    let trust = certificate(&folder, "db.example.com");
    let text = format!(
        "listeners:\n  - address: '127.0.0.1:0'\n    tls: {{cert_file: c.pem, key_file: k.pem}}\n    tcp: {{target_service: db}}\nservices:\n  db: {{endpoints: ['tcp://{service}']}}\n  app: {{endpoints: ['http://127.0.0.1:9']}}\nroutes: [{{path: '/*', target_service: app}}]\n"
    );
    let gateway = Gateway::start_by(Command::new(env!("CARGO_BIN_EXE_tollgate")), folder, 1, &text);
    let mut stream = encrypted(trust, "db.example.com", gateway.connect(0));
    stream.write_all(b"in the clear").unwrap();
    stream.flush().unwrap();
    assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), b"in the clear");
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"service");
}

#[test]
fn what_comes_before_requests_comes_in_time_or_not_at_all() {
    let folder = Folder::new();
    let trust = certificate(&folder, "own.test");
    let text = format!(
        "listeners:\n  - {{address: '127.0.0.1:0', tls: {{cert_file: c.pem, key_file: k.pem}}}}\n  - {{address: '127.0.0.1:0', proxy_protocol: {{from: ['127.0.0.0/8']}}}}\nlimits: {{handshake_timeout_ms: 300}}\n{}",
        to_app(echo_of_requests())
    );
    let gateway = Gateway::start_by(Command::new(env!("CARGO_BIN_EXE_tollgate")), folder, 2, &text);
    let mut greeting = Vec::new();
    let mut client = ClientConnection::new(trust, "own.test".to_owned().try_into().unwrap()).unwrap();
    client.write_tls(&mut greeting).unwrap();
    // Nothing; the beginning of a record; a whole greeting and nothing after it; the beginning of a header.
    for (listener, sent) in [(0, &b""[..]), (0, b"\x16\x03"), (0, &greeting), (1, b"PROXY TCP4 ")] {
        let mut stream = gateway.connect(listener);
        stream.write_all(sent).unwrap();
        let mut rest = Vec::new();
        // What ends otherwise than by the gateway takes as long as is waited for at all, and is an error.
        stream.read_to_end(&mut rest).unwrap();
    }
}

#[test]
fn an_address_has_as_many_connections_as_it_may() {
    let text = format!(
        "listeners: [{{address: '127.0.0.1:0'}}]\nlimits: {{max_connections_per_address: 2}}\n{}",
        to_app(echo_of_requests())
    );
    let gateway = Gateway::start(1, &text);
    let alive = |stream: &mut TcpStream| {
        let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        asked.is_ok() && head(stream).is_some_and(|head| head.starts_with("HTTP/1.1 200 "))
    };
    let (mut first, mut second) = (gateway.connect(0), gateway.connect(0));
    assert!(alive(&mut first) && alive(&mut second));
    assert!(!alive(&mut gateway.connect(0)), "one too many");
    drop(first);
    let again = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(20));
        alive(&mut gateway.connect(0))
    });
    assert!(again, "room for another");
}

#[test]
fn too_much_to_do_is_said_at_once() {
    // It takes requests and does not answer them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "listeners: [{{address: '127.0.0.1:0'}}]\nlimits: {{overload: {{max_requests: 1}}}}\n{}",
        to_app(silent.local_addr().unwrap())
    );
    let gateway = Gateway::start(1, &text);
    let mut first = gateway.connect(0);
    first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let (mut asked, _) = silent.accept().unwrap();
    head(&mut asked).unwrap();
    let answer = ask(&mut gateway.connect(0), "x");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("request.overloaded"), "{answer}");
    assert!(answer.contains("retry-after: 1"), "{answer}");
    asked.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    assert!(head(&mut first).unwrap().starts_with("HTTP/1.1 204 "));
}
