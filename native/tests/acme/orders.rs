//! One gateway and its authority: orders, renewals, and what happens when there is none.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tollgate::clock::Clock;

use super::around::{Authority, Front, Gateway, Temporary, is_missing, now, until, visit};

const DAY: u64 = 86_400;
const SOON: Duration = Duration::from_secs(60);

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn found(folder: &Temporary, end: &str) -> Option<PathBuf> {
    files(&folder.0).into_iter().find(|path| path.to_str().unwrap().ends_with(end))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_01_brings_a_certificate_that_outlives_process_and_authority() {
    if is_missing() {
        return;
    }
    let (front, kept) = (Front::start().await, Temporary::new());
    let mut authority = Authority::start(&front, 90 * DAY).await;
    let keys = format!("{}, folder: {}", authority.keys("Http01"), kept.path("acme"));
    let mut gateway = Gateway::new(&keys, "type: Memory", "one.test, two.test", Clock::System);
    front.is_of(&gateway);
    assert!(visit(front.tls, "one.test").await.is_err(), "there is no certificate yet");
    gateway.run();
    let (one, two) = (gateway.has("one.test").await, gateway.has("two.test").await);
    assert_ne!(one, two);
    assert_eq!(visit(front.tls, "one.test").await.unwrap(), one);
    assert!(visit(front.tls, "else.test").await.is_err());
    assert_eq!(gateway.orders(), (2, 0));
    let until = gateway.metric("tollgate_acme_certificate_expires_timestamp_seconds{name=\"one.test\"}");
    assert!(until.abs_diff(now() / 1_000 + 90 * DAY) < 600, "{until}");
    assert!(
        found(&kept, "challenges").is_none()
            && !files(&kept.0).iter().any(|path| path.to_str().unwrap().contains("http-"))
    );

    // What is kept serves on, whoever is there.
    drop(gateway);
    authority.stop();
    let again = Gateway::new(&keys, "type: Memory", "one.test, two.test", Clock::System);
    again.acme.load().await;
    front.is_of(&again);
    assert_eq!(visit(front.tls, "one.test").await.unwrap(), one);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_alpn_01_brings_a_certificate_to_an_account_that_is_bound_elsewhere() {
    if is_missing() {
        return;
    }
    let (front, kept) = (Front::start().await, Temporary::new());
    let authority = Authority::with(&front, 90 * DAY, true).await;
    let keys = format!(
        "{}, folder: {}, external_account: {{key_id: kid-1, hmac_key: \
         zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W}}",
        authority.keys("TlsAlpn01"),
        kept.path("acme")
    );
    let mut gateway = Gateway::new(&keys, "type: Memory", "one.test", Clock::System);
    front.is_of(&gateway);
    gateway.run();
    let one = gateway.has("one.test").await;
    assert_eq!(visit(front.tls, "one.test").await.unwrap(), one);
    assert_eq!(gateway.orders(), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_again_and_again_and_no_handshake_fails() {
    if is_missing() {
        return;
    }
    let (front, kept) = (Front::start().await, Temporary::new());
    let authority = Authority::start(&front, 12).await;
    let keys = format!("{}, folder: {}", authority.keys("TlsAlpn01"), kept.path("acme"));
    let mut gateway = Gateway::new(&keys, "type: Memory", "one.test", Clock::System);
    front.is_of(&gateway);
    gateway.run();
    gateway.has("one.test").await;
    let (done, failed, stop) =
        (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (address, done, failed, stop) = (front.tls, done.clone(), failed.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let count = if visit(address, "one.test").await.is_ok() { &done } else { &failed };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    until("three renewals", SOON, || gateway.orders().0 >= 4).await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let (done, failed) = (done.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    eprintln!("{done} handshakes over three renewals, {failed} of which failed");
    assert!(done > 100 && failed == 0, "{done} handshakes, {failed} of which failed");
    assert_eq!(gateway.orders().1, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_comes_late_is_not_too_late() {
    if is_missing() {
        return;
    }
    let (front, kept) = (Front::start().await, Temporary::new());
    let mut authority = Authority::prepared(&front, 90 * DAY, false);
    let keys = format!("{}, folder: {}", authority.keys("Http01"), kept.path("acme"));
    let mut gateway = Gateway::new(&keys, "type: Memory", "one.test", Clock::manual(now()));
    front.is_of(&gateway);
    gateway.run();
    let put_off = || found(&kept, "attempts.json").and_then(|path| fs::read_to_string(path).ok());
    until("the attempt is put off", SOON, || put_off().is_some()).await;
    let attempts: serde_json::Value = serde_json::from_str(&put_off().unwrap()).unwrap();
    let pause = attempts["not_before"].as_u64().unwrap() - gateway.clock.now();
    assert!((10_000..=12_500).contains(&pause) && attempts["failures"] == 1, "{attempts}");
    authority.run().await;
    gateway.clock.set(gateway.clock.now() + 13_000);
    gateway.acme.wake();
    gateway.has("one.test").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_authority_finds_wrong_is_told_and_it_is_not_asked_again_at_once() {
    if is_missing() {
        return;
    }
    // Nobody answers at the front.
    let (front, kept) = (Front::start().await, Temporary::new());
    let authority = Authority::start(&front, 90 * DAY).await;
    let keys = format!("{}, folder: {}", authority.keys("Http01"), kept.path("acme"));
    let clock = Clock::manual(now());
    let mut gateway = Gateway::new(&keys, "type: Memory", "one.test", clock.clone());
    gateway.run();
    let put_off = || found(&kept, "attempts/one.test.json").and_then(|path| fs::read_to_string(path).ok());
    until("the attempt is put off", SOON, || put_off().is_some()).await;
    let attempts: serde_json::Value = serde_json::from_str(&put_off().unwrap()).unwrap();
    let pause = attempts["not_before"].as_u64().unwrap() - clock.now();
    assert!((120_000..=150_000).contains(&pause), "{attempts}");
    let why = attempts["why"].as_str().unwrap();
    assert!(why.contains("urn:ietf:params:acme:error:"), "{why}");
    assert_eq!(gateway.orders(), (0, 1));

    // Another process does not ask either.
    drop(gateway);
    let mut again = Gateway::new(&keys, "type: Memory", "one.test", clock);
    front.is_of(&again);
    again.run();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(again.orders(), (0, 0));
    again.clock.set(again.clock.now() + 150_000);
    again.acme.wake();
    again.has("one.test").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_the_authority_has_lost_is_made_anew() {
    if is_missing() {
        return;
    }
    let (front, kept) = (Front::start().await, Temporary::new());
    let mut authority = Authority::start(&front, 90 * DAY).await;
    let keys = format!("{}, folder: {}", authority.keys("Http01"), kept.path("acme"));
    let mut gateway = Gateway::new(&keys, "type: Memory", "one.test", Clock::System);
    front.is_of(&gateway);
    gateway.run();
    gateway.has("one.test").await;
    drop(gateway);
    // It forgets everything when it ends.
    authority.run().await;
    let mut more = Gateway::new(&keys, "type: Memory", "one.test, two.test", Clock::System);
    front.is_of(&more);
    more.run();
    more.has("two.test").await;
    assert_eq!(more.orders(), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_and_of_no_use_is_ordered_anew() {
    if is_missing() {
        return;
    }
    let (front, kept) = (Front::start().await, Temporary::new());
    let authority = Authority::start(&front, 90 * DAY).await;
    let keys = format!("{}, folder: {}", authority.keys("Http01"), kept.path("acme"));
    let mut gateway = Gateway::new(&keys, "type: Memory", "one.test", Clock::System);
    front.is_of(&gateway);
    gateway.run();
    let former = gateway.has("one.test").await;
    until("it is kept", SOON, || found(&kept, "attempts/one.test.json").is_some()).await;
    drop(gateway);
    fs::write(found(&kept, "one.test.pem").unwrap(), "nonsense").unwrap();
    fs::write(found(&kept, "account.json").unwrap(), "nonsense").unwrap();
    fs::write(found(&kept, "attempts/one.test.json").unwrap(), "nonsense").unwrap();
    let mut again = Gateway::new(&keys, "type: Memory", "one.test", Clock::System);
    front.is_of(&again);
    again.run();
    assert_ne!(again.has("one.test").await, former);
}

/// A directory that knows of renewal windows (RFC 9773), in front of an authority that does not.
async fn directory(authority: u16) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::<AtomicU64>::default();
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 8192];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let body = if head.starts_with("GET /renewal/") {
                    count.fetch_add(1, Ordering::Relaxed);
                    // It is over: now, please.
                    r#"{"suggestedWindow": {"start": "2020-01-02T04:00:00Z", "end": "2020-01-03T04:00:00Z"}}"#
                        .to_owned()
                } else {
                    let at = |path: &str| format!("https://127.0.0.1:{authority}/{path}");
                    serde_json::json!({
                        "newNonce": at("nonce-plz"),
                        "newAccount": at("sign-me-up"),
                        "newOrder": at("order-plz"),
                        "revokeCert": at("revoke-cert"),
                        "keyChange": at("rollover-account-key"),
                        "renewalInfo": format!("http://127.0.0.1:{port}/renewal"),
                    })
                    .to_string()
                };
                let text = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nretry-after: 21600\r\nconnection: close\r\n\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(text.as_bytes()).await;
            });
        }
    });
    (port, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authoritys_window_decides_and_what_has_just_come_is_left_alone_for_a_day() {
    if is_missing() {
        return;
    }
    let (front, kept) = (Front::start().await, Temporary::new());
    let authority = Authority::start(&front, 90 * DAY).await;
    let (port, asked) = directory(authority.port).await;
    let keys = authority.keys("Http01").replace(
        &format!("https://127.0.0.1:{}/dir", authority.port),
        &format!("http://127.0.0.1:{port}/dir"),
    );
    let keys = format!("{keys}, folder: {}", kept.path("acme"));
    let mut gateway = Gateway::new(&keys, "type: Memory", "one.test", Clock::manual(now()));
    front.is_of(&gateway);
    gateway.run();
    let former = gateway.has("one.test").await;
    until("it is asked for its window", SOON, || asked.load(Ordering::Relaxed) == 1).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((gateway.orders(), asked.load(Ordering::Relaxed)), ((1, 0), 1));
    gateway.clock.set(gateway.clock.now() + 25 * 3_600_000);
    gateway.acme.wake();
    until("it is renewed", SOON, || gateway.certificates.of("one.test") != Some(former.clone())).await;
    assert_eq!(gateway.orders(), (2, 0));
}
