//! A workerd of its own for one case: its configuration written, the process started, what it prints collected.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

/// How long the runtime may take to begin, and to say the last.
const PATIENCE: Duration = Duration::from_secs(20);
/// The version of the platform's behaviour, as in `wrangler.toml`.
const COMPATIBILITY: &str = "2026-10-01";
/// The field in which what the platform knows of a request comes, which is `request.cf` to the Worker.
pub const PLATFORM: &str = "x-tollgate-test-platform";
/// Stands in for the back end of the Cache API.
const CACHE: &str = include_str!("../../../workerd/cache.mjs");
/// Stands in for the back end of KV.
const KV: &str = include_str!("../../../workerd/kv.mjs");

/// A running workerd. It ends when this is dropped.
pub struct Process {
    child: Child,
    /// What it printed that is JSON. It is read all the time: who is not read from stops to answer.
    lines: UnboundedReceiver<Value>,
    address: SocketAddr,
    folder: Folder,
}

impl Process {
    /// Starts the Worker in `build` with this configuration and these variables.
    pub async fn start(
        build: &Path,
        workerd: &Path,
        bundle: &str,
        published: Option<&str>,
        variables: BTreeMap<String, String>,
    ) -> io::Result<Self> {
        let folder = Folder::new()?;
        for file in ["index.js", "index_bg.wasm"] {
            link(&build.join(file), &folder.0.join(file))?;
        }
        fs::write(folder.0.join("configuration.txt"), bundle)?;
        fs::write(folder.0.join("cache.mjs"), CACHE)?;
        fs::write(folder.0.join("kv.mjs"), KV)?;
        fs::write(folder.0.join("published.txt"), published.unwrap_or_default())?;
        fs::write(folder.0.join("workerd.capnp"), configuration(&variables, published.is_some()))?;
        fs::create_dir(folder.0.join("objects"))?;
        let (child, lines, address) = spawn(workerd, &folder).await?;
        Ok(Self { child, lines, address, folder })
    }

    /// Ends it without a warning, and starts it again on what it had written.
    pub async fn crash(&mut self, workerd: &Path) -> io::Result<()> {
        self.child.kill().await?;
        (self.child, self.lines, self.address) = spawn(workerd, &self.folder).await?;
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The processor time that the process has used, in ticks of a hundredth of a second.
    pub fn ticks(&self) -> io::Result<u64> {
        let id = self.child.id().ok_or_else(|| io::Error::other("it has ended"))?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        // After the name, which may hold blanks: the state is the third field, the times are the 14th and 15th.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).into_iter().flatten();
        Ok(fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
    }

    /// The resident memory of the process, in bytes.
    pub fn resident(&self) -> io::Result<u64> {
        let id = self.child.id().ok_or_else(|| io::Error::other("it has ended"))?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kibibytes.map(|number| number * 1024).ok_or_else(|| io::Error::other("no VmRSS"))
    }

    /// Ends it; the lines it printed that are JSON.
    pub async fn stop(mut self) -> Vec<Value> {
        // What was logged is written before the answer's last byte is read, or soon after.
        let mut found = Vec::new();
        let quiet = Duration::from_millis(50);
        while let Ok(Some(said)) = timeout(quiet, self.lines.recv()).await {
            found.push(said);
        }
        let _ = self.child.kill().await;
        drop(self.folder);
        found
    }
}

/// Starts the runtime on a folder; it has begun when this returns.
async fn spawn(workerd: &Path, folder: &Folder) -> io::Result<(Child, UnboundedReceiver<Value>, SocketAddr)> {
    let mut child = Command::new(workerd)
        .arg("serve")
        .arg(folder.0.join("workerd.capnp"))
        .args(["--socket-addr=http=127.0.0.1:0", "--control-fd=1"])
        .arg(format!("--directory-path=objects={}", folder.0.join("objects").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it warns of is for people who debug it by hand; what matters shows in answers.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let (sender, mut lines) = unbounded_channel::<Value>();
    tokio::spawn(async move {
        let mut printed = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = printed.next_line().await {
            if let Ok(said) = serde_json::from_str::<Value>(&line)
                && sender.send(said).is_err()
            {
                break;
            }
        }
    });
    let listening = async {
        while let Some(said) = lines.recv().await {
            if said["event"] == "listen" {
                return said["port"].as_u64();
            }
        }
        None
    };
    let port = timeout(PATIENCE, listening).await?.and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or_else(|| io::Error::other("it ended before it listened"))?;
    Ok((child, lines, ([127, 0, 0, 1], port).into()))
}

/// The same file under another name, or a copy where that can't be.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}

fn configuration(variables: &BTreeMap<String, String>, published: bool) -> String {
    let mut bindings = String::new();
    if published {
        bindings.push_str("    (name = \"CONFIGURATION\", kvNamespace = \"kv\"),\n");
    }
    for (name, value) in variables {
        let _ = writeln!(bindings, "    (name = {name:?}, text = {}),", quoted(value));
    }
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .edge),
    (name = "net", network = (allow = ["private", "public", "local"])),
    (name = "cache", worker = .cache),
    (name = "kv", worker = .kv),
    (name = "objects", disk = (path = "objects", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (cfBlobHeader = "{PLATFORM}"), service = "main")],
);
const edge :Workerd.Worker = (
  modules = [
    (name = "index.js", esModule = embed "index.js"),
    (name = "index_bg.wasm", wasm = embed "index_bg.wasm"),
    (name = "configuration.txt", text = embed "configuration.txt"),
  ],
  compatibilityDate = "{COMPATIBILITY}",
  compatibilityFlags = ["enable_request_signal"],
  bindings = [
    (name = "COUNTER", durableObjectNamespace = "Counter"),
{bindings}  ],
  durableObjectNamespaces = [(className = "Counter", uniqueKey = "counter", enableSql = true)],
  durableObjectStorage = (localDisk = "objects"),
  globalOutbound = "net",
  cacheApiOutbound = "cache",
);
const kv :Workerd.Worker = (
  modules = [(name = "kv.mjs", esModule = embed "kv.mjs"), (name = "published.txt", text = embed "published.txt")],
  compatibilityDate = "{COMPATIBILITY}",
);
const cache :Workerd.Worker = (
  modules = [(name = "cache.mjs", esModule = embed "cache.mjs")],
  compatibilityDate = "{COMPATIBILITY}",
);
"#
    )
}

/// A text of Cap'n Proto's schema language.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A folder that goes away again.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tollgate-workerd-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
