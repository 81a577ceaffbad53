//! What the tests here put around limits: servers of Redis, gateways as they ship, an upstream, and clients that do
//! not tire.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Whether there is a `redis-server`. Where nothing may be skipped, there has to be.
pub(crate) fn is_missing() -> bool {
    let found = Command::new("redis-server").arg("--version").output();
    if found.is_ok_and(|found| found.status.success()) {
        return false;
    }
    let why = "skipped: `redis-server` is not on the PATH; `cargo xtask test` says how to get it";
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("{why}");
    true
}

/// Waits until something holds.
pub(crate) fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < within, "this does not happen within {within:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

/// A port that nobody listens on for now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A server of Redis, without a disk. It ends with the test.
pub(crate) struct Redis {
    child: Child,
    pub(crate) port: u16,
    options: Vec<String>,
    folder: PathBuf,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("tollgate-redis-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let child = spawn(port, &folder, &options);
        let redis = Self { child, port, options, folder };
        redis.wait();
        redis
    }

    fn wait(&self) {
        until("redis answers", Duration::from_secs(10), || {
            self.try_ask("PING").is_some_and(|answer| !answer.starts_with("-LOADING"))
        });
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The first line of the answer, or of a text that is the answer.
    pub(crate) fn ask(&self, command: &str) -> String {
        self.try_ask(command).unwrap()
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "{command}\r\n").ok()?;
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next()?.ok()?;
        if first.starts_with('$') { lines.next()?.ok() } else { Some(first) }
    }

    /// How many connections there are, besides the one that asks.
    pub(crate) fn connections(&self) -> usize {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        write!(stream, "INFO clients\r\n").unwrap();
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let clients = lines.find_map(|line| line.strip_prefix("connected_clients:")?.parse::<usize>().ok());
        clients.unwrap() - 1
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, on the same port and with nothing in it. When it answered for the first time.
    pub(crate) fn restart(&mut self) -> Instant {
        self.child = spawn(self.port, &self.folder, &self.options);
        self.wait();
        Instant::now()
    }

    /// From now on it does nothing, and its connections stay.
    pub(crate) fn hang(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

fn spawn(port: u16, folder: &PathBuf, options: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(options)
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// An upstream that says yes to everything, as fast as it can.
pub(crate) fn upstream() -> SocketAddr {
    let upstream = Upstream::start();
    upstream.answer(u64::MAX);
    upstream.address
}

/// An upstream that says yes to everything, when it may.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicU64>,
    /// So many answers it may still give.
    answers: Arc<AtomicU64>,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, answers) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (counted, allowed) = (asked.clone(), answers.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counted, allowed) = (counted.clone(), allowed.clone());
                thread::spawn(move || answer(stream, &counted, &allowed));
            }
        });
        Self { address, asked, answers }
    }

    /// How many requests have come.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// From now on it answers so many requests, of those that wait and of those that come.
    pub(crate) fn answer(&self, many: u64) {
        self.answers.store(many, Ordering::SeqCst);
    }
}

fn answer(mut stream: TcpStream, asked: &AtomicU64, answers: &AtomicU64) {
    let _ = stream.set_nodelay(true);
    let mut text = Vec::new();
    let mut buffer = [0; 16 << 10];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        text.extend_from_slice(&buffer[..read]);
        let heads = text.windows(4).filter(|four| four == b"\r\n\r\n").count();
        if let Some(last) = text.windows(4).rposition(|four| four == b"\r\n\r\n") {
            text.drain(..last + 4);
        }
        for _ in 0..heads {
            asked.fetch_add(1, Ordering::SeqCst);
            let may = |left: u64| left.checked_sub(1);
            while answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, may).is_err() {
                thread::sleep(Duration::from_millis(2));
            }
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    }
}

/// A gateway as it ships, with one limit on everything.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// What it has said on standard error.
    said: Arc<Mutex<String>>,
    folder: PathBuf,
}

impl Gateway {
    /// `limit` are the keys of the limit, `store` those of the store.
    pub(crate) fn start(limit: &str, store: &str, upstream: SocketAddr) -> Self {
        Self::with(&[], limit, store, upstream)
    }

    /// With variables of the environment.
    pub(crate) fn with(environment: &[(&str, &str)], limit: &str, store: &str, upstream: SocketAddr) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tollgate-limits-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "services: {{app: {{endpoints: ['http://{upstream}']}}}}\n\
             routes: [{{path: '/*', target_service: app}}]\n\
             policies: [{{name: limit, per: route, {limit}}}]\n\
             store: {{{store}}}\n\
             admin: {{address: '127.0.0.1:0'}}\n\
             telemetry: {{prometheus: true}}\n"
        );
        let path = folder.join("tollgate.yaml");
        fs::write(&path, &text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["run", "--listen", "127.0.0.1:0", "--config"])
            .arg(&path)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (heard, stderr) = (said.clone(), BufReader::new(child.stderr.take().unwrap()));
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                heard.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        let find = |mark: &str| -> Option<SocketAddr> {
            let said = said.lock().unwrap();
            said.split_once(mark)?.1.lines().next()?.parse().ok()
        };
        until("the gateway listens", Duration::from_secs(10), || {
            assert!(child.try_wait().unwrap().is_none(), "{}", said.lock().unwrap());
            find("listening on http://").is_some()
        });
        let address = find("listening on http://").unwrap();
        let admin = find("administration on http://").unwrap();
        Self { child, address, admin, said, folder }
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// What it has said, once this is among it or nobody can still expect it: what is said is read a moment later.
    pub(crate) fn said_with(&self, wanted: &str) -> String {
        let begun = std::time::Instant::now();
        loop {
            let said = self.said();
            if said.contains(wanted) || begun.elapsed() > Duration::from_secs(5) {
                return said;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What its metrics say of a name.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        metric(&self.metrics(), name)
    }

    pub(crate) fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// One request on a connection of its own: the status, and how long it took.
    pub(crate) fn get(&self) -> (u16, Duration) {
        Client::connect(self.address).get()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What a page of metrics says of a name.
pub(crate) fn metric(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("{name} is not in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// A client with one connection.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(BufReader::new(stream))
    }

    /// One request: the status, and how long it took.
    pub(crate) fn get(&mut self) -> (u16, Duration) {
        let begun = Instant::now();
        self.0.get_mut().write_all(b"GET /x HTTP/1.1\r\nhost: gateway.test\r\n\r\n").unwrap();
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the gateway closed the connection");
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(rest) = line.strip_prefix("content-length: ") {
                length = rest.parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        self.0.read_exact(&mut vec![0; length]).unwrap();
        (status, begun.elapsed())
    }
}

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) at: Instant,
    pub(crate) status: u16,
    pub(crate) took: Duration,
}

/// Clients that ask one request after another, until they are told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<Vec<Answered>>>,
}

impl Load {
    /// So many clients on each gateway, each with `pause` between its requests.
    pub(crate) fn on(gateways: &[&Gateway], clients: usize, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = gateways.iter().flat_map(|gateway| (0..clients).map(|_| gateway.address));
        let clients = clients.map(|address| {
            let stop = stop.clone();
            thread::spawn(move || {
                let (mut client, mut all) = (Client::connect(address), Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let (status, took) = client.get();
                    all.push(Answered { at: Instant::now(), status, took });
                    if !pause.is_zero() {
                        thread::sleep(pause);
                    }
                }
                all
            })
        });
        Self { clients: clients.collect(), stop }
    }

    /// All that was answered, in the order in which it was.
    pub(crate) fn end(self) -> Vec<Answered> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all: Vec<_> = self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        all.sort_by_key(|answered| answered.at);
        all
    }
}
