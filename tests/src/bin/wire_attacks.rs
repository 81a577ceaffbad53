//! Hostile clients, many at a time, against the gateway as a process of its own, and what well-behaved ones notice
//! meanwhile: a table, and an exit code of 1 when a bound is broken. What a single attack must come to is told by
//! `tests/behaviour/`.
//!
//! `wire_attacks TOLLGATE [ATTACK]`: the gateway's binary; only attacks whose name contains this. Linux, with `curl` and `openssl`; `ulimit -n 65536` before.

use std::{
    convert::Infallible,
    error::Error,
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tollgate_tests::wire::h2::{
    CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, PSEUDO, RESET, SETTINGS, block, frame,
};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

const HOSTILE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const GIB: u64 = 1 << 30;

/// So many bytes, as the service behind the gateway sends them.
struct Zeros(u64);

impl http_body::Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static PIECE: [u8; 64 << 10] = [0; 64 << 10];
        let length = self.0.min(PIECE.len() as u64);
        self.0 -= length;
        let piece = PIECE.get(..usize::try_from(length).unwrap_or(0)).filter(|piece| !piece.is_empty());
        std::task::Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from_static(piece)))))
    }
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let mut came = 0u64;
    while let Some(Ok(frame)) = request.body_mut().frame().await {
        came += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    let path = request.uri().path();
    let length = path.strip_prefix("/zeros/").and_then(|length| length.parse().ok()).unwrap_or(2);
    let mut response = Response::new(Zeros(length).boxed());
    response.headers_mut().insert("x-came", came.into());
    Ok(response)
}

/// The service as a process of its own, so that the hostile clients here don't keep it from answering. It ends with the
/// pipe from us.
async fn service_apart() -> Fallible<(Child, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--service")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let out = child.stdout.take().ok_or("the service says nothing")?;
    let address = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).map(|_| line)
    });
    let address = address.await??.trim().parse()?;
    Ok((child, address))
}

async fn service() -> Fallible<SocketAddr> {
    // As many may wait as come at once: what is measured is the gateway and not this.
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener: TcpListener = socket.listen(4096)?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    Ok(address)
}

/// The gateway, ended with this.
struct Gateway {
    child: Child,
    plain: SocketAddr,
    tls: SocketAddr,
}

impl Gateway {
    async fn start(binary: &str, service: SocketAddr, limits: &str) -> Fallible<Self> {
        let folder = std::env::temp_dir().join(format!("tollgate-attacks-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-keyout", "k.pem", "-out", "c.pem", "-subj", "/CN=localhost"])
            .current_dir(&folder)
            .stderr(Stdio::null())
            .status()?;
        if !made.success() {
            return Err("openssl makes no certificate".into());
        }
        let (plain, tls) = (free()?, free()?);
        let text = format!(
            "listeners:\n  - {{address: '{plain}'}}\n  - {{address: '{tls}', tls: {{cert_file: c.pem, key_file: k.pem}}}}\n\
             limits: {{{limits}}}\nservices: {{app: {{endpoints: ['http://{service}']}}}}\n\
             routes: [{{path: '/*', target_service: app}}]\ntelemetry: {{access_log: null}}\n"
        );
        fs::write(folder.join("tollgate.yaml"), text)?;
        let child = Command::new(binary)
            .args(["run", "--threads", "2", "-c", "tollgate.yaml"])
            .current_dir(&folder)
            .stderr(Stdio::null())
            .spawn()?;
        let gateway = Self { child, plain, tls };
        for _ in 0..200 {
            if TcpStream::connect(plain).await.is_ok() {
                return Ok(gateway);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err("the gateway does not listen".into())
    }

    /// MiB that are resident now, and at most so far.
    fn resident(&self) -> Fallible<(u64, u64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? >> 10)
        };
        Ok((of("VmRSS:").unwrap_or(0), of("VmHWM:").unwrap_or(0)))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> Fallible<SocketAddr> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

async fn connect(from: Ipv4Addr, to: SocketAddr, receive: Option<u32>) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    if let Some(size) = receive {
        socket.set_recv_buffer_size(size)?;
    }
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

/// What a well-behaved client notices in a while: requests, failures, and latencies in microseconds (half, 99 of 100).
async fn well_behaved(to: SocketAddr, length: Duration) -> (usize, usize, u128, u128) {
    let start = Instant::now();
    let (end, mut took, mut failed) = (start + length, Vec::new(), 0);
    while Instant::now() < end {
        let began = Instant::now();
        let one = async {
            let mut stream = connect(GOOD, to, None).await?;
            stream.write_all(b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            match answer.starts_with(b"HTTP/1.1 200 ") {
                true => Ok(()),
                false => Err(std::io::Error::other(String::from_utf8_lossy(&answer).into_owned())),
            }
        };
        let done = timeout(Duration::from_secs(5), one).await;
        match done.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
            Ok(()) => took.push(began.elapsed().as_micros()),
            Err(error) => {
                failed += 1;
                eprintln!(
                    "after {:.1} s, having waited {} ms: {error}",
                    start.elapsed().as_secs_f64(),
                    began.elapsed().as_millis()
                );
            }
        }
        sleep(Duration::from_millis(2)).await;
    }
    took.sort_unstable();
    let at =
        |percent: usize| took.get((took.len() * percent / 100).min(took.len().saturating_sub(1))).copied();
    (took.len(), failed, at(50).unwrap_or(0), at(99).unwrap_or(0))
}

/// What one hostile client does until it is told to stop. Whether its connection was ended by the gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attack {
    DripHead,
    ReadSlowly,
    SendSlowly,
    SayNothing,
    Reset,
    Ping,
    Continue,
    TakeNothing,
}

async fn attack(kind: Attack, to: SocketAddr, stop: Arc<AtomicBool>, ended: Arc<AtomicUsize>) {
    let again = matches!(kind, Attack::Reset | Attack::Ping | Attack::Continue | Attack::TakeNothing);
    while !stop.load(Ordering::Relaxed) {
        let _ = once(kind, to, &stop).await;
        if !stop.load(Ordering::Relaxed) {
            ended.fetch_add(1, Ordering::Relaxed);
        }
        if !again {
            return;
        }
    }
}

async fn once(kind: Attack, to: SocketAddr, stop: &AtomicBool) -> std::io::Result<()> {
    let mut stream = connect(HOSTILE, to, (kind == Attack::ReadSlowly).then_some(4096)).await?;
    let begin: &[u8] = match kind {
        Attack::DripHead => b"GET / HTTP/1.1\r\nhost: x\r\n",
        Attack::ReadSlowly => b"GET /zeros/10000000 HTTP/1.1\r\nhost: x\r\n\r\n",
        Attack::SendSlowly => b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n",
        Attack::SayNothing => b"",
        _ => PREFACE,
    };
    stream.write_all(begin).await?;
    let head = block(&PSEUDO);
    if begin == PREFACE {
        // For `TakeNothing`: no stream may be sent a byte.
        let settings: &[u8] = if kind == Attack::TakeNothing { &[0, 4, 0, 0, 0, 0] } else { &[] };
        stream.write_all(&frame(SETTINGS, 0, 0, settings)).await?;
        if kind == Attack::Continue {
            stream.write_all(&frame(HEADERS, END_STREAM, 1, &head)).await?;
        }
    }
    let mut number = 1;
    let mut scrap = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        match kind {
            Attack::DripHead => stream.write_all(b"x: y\r\n").await?,
            Attack::SendSlowly => stream.write_all(b"x").await?,
            Attack::ReadSlowly => {
                if stream.read(&mut scrap[..1]).await? == 0 {
                    return Ok(());
                }
            }
            Attack::SayNothing => {
                let _ = timeout(Duration::from_secs(1), stream.read(&mut scrap)).await;
            }
            Attack::Reset => {
                let mut both = frame(HEADERS, END_STREAM | END_HEADERS, number, &head);
                both.extend(frame(RESET, 0, number, &[0, 0, 0, 8]));
                stream.write_all(&both).await?;
            }
            Attack::Ping => stream.write_all(&frame(PING, 0, 0, &[0; 8])).await?,
            Attack::Continue => stream.write_all(&frame(CONTINUATION, 0, 1, &block(&[("x", "y")]))).await?,
            Attack::TakeNothing => {
                if number < 256 {
                    stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, number, &head)).await?;
                }
            }
        }
        number += 2;
        match kind {
            Attack::Reset | Attack::Ping | Attack::Continue => {
                // What comes back is not to be in the way.
                while let Ok(1..) = stream.try_read(&mut scrap) {}
            }
            Attack::TakeNothing if number < 256 => {}
            _ => sleep(Duration::from_secs(1)).await,
        }
    }
    Ok(())
}

/// Whether all is well, and what the names of attacks have to contain.
struct Table(bool, String);

impl Table {
    fn line(
        &mut self,
        name: &str,
        clients: usize,
        ended: usize,
        good: (usize, usize, u128, u128),
        mib: (u64, u64),
        most: u64,
    ) {
        let (requests, failed, half, nearly_all) = good;
        let fine = failed == 0 && mib.1 <= most;
        self.0 &= fine;
        println!(
            "{name:<34} {clients:>6} {ended:>7} {requests:>7} {failed:>6} {half:>7} {nearly_all:>8} {:>5} {:>5} {}",
            mib.0,
            mib.1,
            if fine { "" } else { "BROKEN" }
        );
    }
}

async fn play(
    table: &mut Table,
    gateway: &Gateway,
    name: &str,
    clients: &[(Attack, usize)],
    length: Duration,
    most: u64,
    all_end: bool,
) -> Fallible<()> {
    if !name.contains(&table.1) {
        return Ok(());
    }
    let (stop, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (mut tasks, mut count) = (JoinSet::new(), 0);
    for &(kind, many) in clients {
        for number in 0..many {
            tasks.spawn(attack(kind, gateway.plain, stop.clone(), ended.clone()));
            count += 1;
            if number % 200 == 0 {
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
    let good = well_behaved(gateway.plain, length).await;
    let mib = gateway.resident()?;
    let ended_by_gateway = ended.load(Ordering::Relaxed);
    stop.store(true, Ordering::Relaxed);
    tasks.shutdown().await;
    table.line(name, count, ended_by_gateway, good, mib, most);
    if all_end && ended_by_gateway < count {
        println!("{:<34} BROKEN: not all of them were cut off", "");
        table.0 = false;
    }
    Ok(())
}

/// 1 GiB down or up over HTTP/2 and TLS, by curl. Seconds.
async fn bulk(gateway: &Gateway, up: bool) -> Fallible<f64> {
    let mut command = tokio::process::Command::new("curl");
    command.args([
        "-sk",
        "--http2",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{http_version} %{size_download} %{size_upload}",
    ]);
    let url = format!("https://localhost:{}", gateway.tls.port());
    command.args(["--resolve", &format!("localhost:{}:127.0.0.1", gateway.tls.port())]);
    let file = std::env::temp_dir().join(format!("tollgate-attacks-{}/gib", std::process::id()));
    if up {
        // Sparse: it takes no room.
        fs::File::create(&file)?.set_len(GIB)?;
        command.arg("-T").arg(&file).arg(format!("{url}/x"));
    } else {
        command.arg(format!("{url}/zeros/{GIB}"));
    }
    let began = Instant::now();
    let output = command.output().await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wanted = if up { format!("200 2 2 {GIB}") } else { format!("200 2 {GIB} 0") };
    if said != wanted {
        return Err(format!("curl says {said:?} and not {wanted:?}").into());
    }
    Ok(began.elapsed().as_secs_f64())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Fallible<ExitCode> {
    if std::env::args().nth(1).as_deref() == Some("--service") {
        println!("{}", service().await?);
        let end = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        end.await??;
        return Ok(ExitCode::SUCCESS);
    }
    let binary = fs::canonicalize(std::env::args().nth(1).ok_or("which binary?")?)?;
    let binary = binary.to_str().ok_or("its path is no text")?;
    let only = std::env::args().nth(2).unwrap_or_default();
    let (_service, service) = service_apart().await?;
    let mut table = Table(true, only);
    let second = Duration::from_secs(1);

    let gateway = Gateway::start(binary, service, "max_connections: 20000").await?;
    for up in [false, true].into_iter().filter(|_| table.1.is_empty()) {
        let seconds = bulk(&gateway, up).await?;
        let (now, most) = gateway.resident()?;
        let way = if up { "up" } else { "down" };
        println!("1 GiB {way} over HTTP/2 and TLS: {seconds:.1} s, {now} MiB resident, {most} at most");
        table.0 &= most <= 64;
    }
    println!(
        "\n{:<34} {:>6} {:>7} {:>7} {:>6} {:>7} {:>8} {:>5} {:>5}",
        "attack", "many", "ended", "good", "failed", "p50 µs", "p99 µs", "MiB", "most"
    );
    play(&mut table, &gateway, "nobody", &[], 5 * second, 64, false).await?;
    use Attack::*;
    play(&mut table, &gateway, "slowloris (heads in drops)", &[(DripHead, 5_000)], 14 * second, 320, true)
        .await?;
    play(&mut table, &gateway, "half-open (not a byte)", &[(SayNothing, 2_000)], 13 * second, 320, false)
        .await?;
    play(&mut table, &gateway, "slow senders", &[(SendSlowly, 2_000)], 30 * second, 320, true).await?;
    play(&mut table, &gateway, "slow readers", &[(ReadSlowly, 2_000)], 30 * second, 896, false).await?;
    let h2 = [(Reset, 8), (Ping, 8), (Continue, 8), (TakeNothing, 8)];
    play(&mut table, &gateway, "HTTP/2: resets, pings, heads, windows", &h2, 10 * second, 896, true).await?;
    drop(gateway);

    let limits = "max_connections: 1000, max_connections_per_address: 200";
    let gateway = Gateway::start(binary, service, limits).await?;
    play(
        &mut table,
        &gateway,
        "flood from one address (200 may be)",
        &[(SayNothing, 5_000)],
        5 * second,
        128,
        false,
    )
    .await?;
    drop(gateway);
    println!("{}", if table.0 { "all within bounds" } else { "a bound is BROKEN" });
    Ok(if table.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
