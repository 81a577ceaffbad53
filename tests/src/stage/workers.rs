//! The stage at the edge: the Worker in workerd, a process for each case, between the same client and the same
//! upstreams as the native stage. Only its clock is turned by hand, through a hook that no release bundle has.

pub mod process;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde_json::json;
use tokio::time::timeout;
use tollgate_core::{
    config::{self, Host},
    event::Rfc3339,
};

use self::process::Process;
use super::native::{PATIENCE, client, events::Events, settle, site::Sites};
use tollgate_rehearsal::{
    captured::Captured,
    case::{certificate::Certificate, read::Scene},
    observed::Raw,
    play::{Act, Play, Sent},
    setting::Filled,
    upstream::Upstreams,
};

/// Where `cargo xtask edge --test` puts the Worker with its test hooks.
const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../worker/build/test");
/// The runtime, as npm installs it.
const WORKERD: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../node_modules/@cloudflare/workerd-linux-64/bin/workerd");

/// Why cases can't be played here on this machine, if they can't.
pub fn unavailable() -> Option<String> {
    let missing = |path: &str, cure: &str| {
        (!Path::new(path).exists()).then(|| format!("{} is not there; {cure}", Path::new(path).display()))
    };
    missing(WORKERD, "`npm ci --ignore-scripts` installs it")
        .or_else(|| missing(&format!("{BUILD}/index.js"), "`cargo xtask edge --test` builds it"))
}

/// Starts a workerd that serves a configuration given as text.
pub async fn start(text: &str) -> Result<Process, String> {
    start_with(text, None, BTreeMap::new()).await
}

/// The same with another text, in the form of a bundle or not, that was published, and with variables.
pub async fn start_with(
    text: &str,
    published: Option<&str>,
    variables: BTreeMap<String, String>,
) -> Result<Process, String> {
    let bundle = bundle(text)?;
    let (build, workerd) = (Path::new(BUILD), Path::new(WORKERD));
    let started = Process::start(build, workerd, &bundle, published, variables);
    started.await.map_err(|error| format!("workerd: {error}"))
}

/// A configuration in the form in which it travels.
pub fn bundle(text: &str) -> Result<String, String> {
    let none = |_: &str| None;
    let (bundle, report) =
        config::bundle::bundle("test", text.to_owned(), &config::NoFiles, &none, Host::Workers);
    bundle.map(|bundle| bundle.to_json()).ok_or_else(|| report.render())
}

/// Ends a workerd without a warning, and starts it again on what it had written.
pub async fn crash(process: &mut Process) -> Result<(), String> {
    process.crash(Path::new(WORKERD)).await.map_err(|error| format!("workerd: {error}"))
}

/// Plays a case.
pub(super) async fn play(scene: &Scene, play: &Play) -> Result<Vec<Raw>, String> {
    if !scene.case.given.failing.is_empty() {
        return Err("nothing here can be made to fail; skip this host".to_owned());
    }
    if play.others.is_some() {
        return Err("only what is given has an address here; skip this host".to_owned());
    }
    let upstreams = Arc::new(Upstreams::new(&play.upstreams));
    let mut sites = Sites::open(upstreams.clone()).await.map_err(|error| format!("upstreams: {error}"))?;
    let mut captured = Captured::new(&sites.urls());
    upstreams.change(&captured.scripts(&play.upstreams, play.start)?);
    let filled = Filled::new(scene, &sites.urls());
    let (name, text) = filled.configuration(&tollgate::files::Disk)?;
    let variables = |name: &str| filled.variable(name);
    let (bundle, report) =
        config::bundle::bundle(&name, text, &tollgate::files::Disk, &variables, Host::Workers);
    let bundle = bundle.ok_or_else(|| format!("the configuration is not valid\n{}", report.render()))?;
    let process =
        Process::start(Path::new(BUILD), Path::new(WORKERD), &bundle.to_json(), None, filled.variables())
            .await
            .map_err(|error| format!("workerd: {error}"))?;

    let mut now = play.start;
    let mut observed = Vec::new();
    for act in &play.acts {
        match act {
            Act::Advance(milliseconds) => now += milliseconds,
            Act::Change(scripts, moment) => {
                upstreams.change(&captured.scripts(scripts, *moment)?);
                sites.follow().await.map_err(|error| format!("upstreams: {error}"))?;
            }
            Act::Send(sending) => {
                let sent = steered(&captured.sent(&sending.sent), now);
                let mut raw = timeout(PATIENCE, client::exchange(process.address(), &sent))
                    .await
                    .map_err(|_| format!("{}: no answer within {} s", sending.place, PATIENCE.as_secs()))?
                    .map_err(|error| format!("{}: {error}", sending.place))?;
                sites.name_in_trail(&mut raw);
                settle(&upstreams, sending).await;
                raw.seen = upstreams.take_seen();
                captured.take(sending, &mut raw)?;
                observed.push(raw);
            }
        }
    }
    Events::assign(&mut observed, process.stop().await);
    Ok(observed)
}

/// The request with what the platform in front would tell of its sender, and what time it is.
fn steered(sent: &Sent, now: u64) -> Sent {
    let mut headers = sent.headers.clone();
    headers.push(("cf-connecting-ip".to_owned(), sent.peer.to_string()));
    if let Some(certificate) = &sent.certificate {
        headers.push((process::PLATFORM.to_owned(), told(certificate)));
    }
    headers.push(("x-tollgate-test-now".to_owned(), now.to_string()));
    Sent {
        method: sent.method.clone(),
        target: sent.target.clone(),
        headers,
        pieces: sent.pieces.clone(),
        // workerd listens on one address; who is asking stands in the field.
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
        certificate: None,
        trailers: Vec::new(),
        over: Default::default(),
    }
}

/// What Cloudflare tells of a certificate, as it tells it.
fn told(certificate: &Certificate) -> String {
    json!({"tlsClientAuth": {
        "certPresented": "1",
        "certVerified": if certificate.verified { "SUCCESS" } else { "FAILED:self signed certificate" },
        "certRevoked": if certificate.revoked { "1" } else { "0" },
        "certSubjectDNRFC2253": certificate.subject,
        "certIssuerDNRFC2253": certificate.issuer,
        "certSerial": certificate.serial,
        "certFingerprintSHA256": certificate.fingerprint,
        "certNotBefore": printed(certificate.not_before.0),
        "certNotAfter": printed(certificate.not_after.0),
    }})
    .to_string()
}

/// `2030-01-02T03:04:05Z` as OpenSSL prints it: `Jan  2 03:04:05 2030 GMT`.
fn printed(at: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = Rfc3339(at).to_string();
    let (date, time) = text.split_once('T').unwrap_or_default();
    let mut date = date.split('-');
    let (year, month, day) = (date.next(), date.next(), date.next());
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<usize>().ok()).unwrap_or_default();
    let month = MONTHS.get(number(month).wrapping_sub(1)).copied().unwrap_or_default();
    format!("{month} {:2} {} {} GMT", number(day), time.get(..8).unwrap_or_default(), number(year))
}
