//! Hostile bytes on raw sockets, in one piece, byte by byte, and after a good request on the same connection: each is
//! refused, or reaches the service as the one request that it is.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tollgate::{host::Settings, server::Running};
use tollgate_core::config::{self, Host, NoFiles};
use tollgate_tests::{
    stage::native::start,
    wire::{
        cases::{self, Case, Wish},
        client::{Answers, play},
        recorder::{Recorded, Recorder},
    },
};

const QUIET: Duration = Duration::from_secs(5);
const FIRST: &[u8] = b"GET /first HTTP/1.1\r\nHost: gateway.test\r\n\r\n";

/// In what pieces the bytes are sent.
#[derive(Debug, Clone, Copy)]
enum How {
    Whole,
    Bytes,
    Pieces,
    AfterAGoodOne,
}

fn gateway(recorder: &Recorder) -> Running {
    let address = recorder.address();
    let text = format!(
        "services: {{app: {{endpoints: ['http://{address}']}}}}\nroutes: [{{path: '/*', target_service: app}}]"
    );
    let loaded = config::load("test", text, &NoFiles, &|_: &str| None, Host::Native);
    let gateway = loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()));
    start(gateway, Settings::default()).unwrap().0
}

/// What is wrong with what came of a case.
fn judge(case: &Case, how: How, answers: &Answers, mut seen: Vec<Recorded>) -> Result<(), String> {
    let mut statuses = &answers.statuses[..];
    if matches!(how, How::AfterAGoodOne) {
        let (first, rest) = statuses.split_first().ok_or("the good one has no answer")?;
        if *first != 200 || seen.first().is_none_or(|first| first.target() != "/first") {
            return Err("the good one did not arrive".to_owned());
        }
        seen.remove(0);
        statuses = rest;
    }
    if let Some(hidden) = seen.iter().find(|request| request.target().contains("hidden")) {
        return Err(format!("what was hidden reached the service: {}", hidden.line));
    }
    if let Some(odd) = seen.iter().find_map(Recorded::odd) {
        return Err(format!("the service saw {odd}"));
    }
    if !answers.closed {
        return Err("the connection does not end".to_owned());
    }
    let after = |seen: &mut Vec<Recorded>| {
        answers.went_on && seen.pop().is_some_and(|request| request.target() == "/after")
    };
    match case.wish {
        Wish::Refused(status) => {
            if statuses != [status] || answers.went_on || !seen.is_empty() {
                return Err(format!("{statuses:?}, went on: {}, seen: {seen:?}", answers.went_on));
            }
            if !answers.content.starts_with("{\"detail\":")
                || !answers.content.contains("urn:tollgate:problem:request.")
            {
                return Err(format!("no problem is told: {}", answers.content));
            }
        }
        Wish::Answered(status) => {
            if statuses != [status, 200] || !after(&mut seen) || !seen.is_empty() {
                return Err(format!("{statuses:?}, seen: {seen:?}"));
            }
        }
        Wish::Broken => {
            if statuses.iter().any(|status| *status != 400)
                || answers.went_on
                || seen.iter().any(|request| request.content.is_some())
            {
                return Err(format!("{statuses:?}, went on: {}, seen: {seen:?}", answers.went_on));
            }
        }
        Wish::Forwarded(method, target, content) => {
            let is_old = case.name.contains("http_1_0");
            let wanted: &[u16] = if is_old { &[200] } else { &[200, 200] };
            if statuses != wanted || (!is_old && !after(&mut seen)) {
                return Err(format!("{statuses:?}, seen: {seen:?}"));
            }
            let [request] = &seen[..] else { return Err(format!("seen: {seen:?}")) };
            if request.line != format!("{method} {target} HTTP/1.1")
                || request.content.as_deref() != Some(content.as_bytes())
                || request.values("x-forwarded-host").iter().any(|host| !host.starts_with("gateway.test"))
                || ["upgrade", "x-secret", "x-checksum", "keep-alive", "proxy-connection"]
                    .iter()
                    .any(|name| !request.values(name).is_empty())
            {
                return Err(format!("seen: {request:?}"));
            }
        }
    }
    Ok(())
}

async fn every_case(how: How) {
    let mut failures = Vec::new();
    let cases = Arc::new(cases::all());
    assert!(cases.len() >= 120, "{}", cases.len());
    let mut at_work = JoinSet::new();
    const AT_ONCE: usize = 8;
    for part in 0..AT_ONCE {
        let cases = cases.clone();
        at_work.spawn(async move {
            let mut failures = Vec::new();
            let mut recorders = Vec::new();
            for case in cases.iter().skip(part).step_by(AT_ONCE) {
                // Of its own: what breaks off may reach the service after the client has its answer.
                let recorder = Recorder::open().await.unwrap();
                let gateway = gateway(&recorder);
                let pieces: Vec<&[u8]> = match how {
                    How::Whole => vec![&case.bytes],
                    // What is large would take too long.
                    How::Bytes => case.bytes.chunks(1 + case.bytes.len() / 4096).collect(),
                    How::Pieces => case.bytes.chunks(17 + case.bytes.len() / 512).collect(),
                    How::AfterAGoodOne => vec![FIRST, &case.bytes],
                };
                let joined = pieces.concat();
                let pieces = if matches!(how, How::AfterAGoodOne) { vec![&joined[..]] } else { pieces };
                let enough = if matches!(how, How::AfterAGoodOne) { 2 } else { 1 };
                let answers = play(gateway.addresses()[0], &pieces, enough, QUIET).await.unwrap();
                if let Err(why) = judge(case, how, &answers, recorder.take()) {
                    failures.push(format!("{}: {why}", case.name));
                }
                drop(gateway);
                recorders.push((case, recorder));
            }
            for (case, recorder) in recorders {
                let late = recorder.take();
                if late.iter().any(|request| request.target().contains("hidden") || request.content.is_some())
                {
                    failures.push(format!("{}: the service saw, late: {late:?}", case.name));
                }
            }
            failures
        });
    }
    while let Some(found) = at_work.join_next().await {
        failures.extend(found.unwrap());
    }
    assert!(failures.is_empty(), "{how:?}\n{}", failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_bytes_are_refused_or_one_request() {
    every_case(How::Whole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_bytes_that_come_one_by_one_are_refused_or_one_request() {
    every_case(How::Bytes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_bytes_in_pieces_are_refused_or_one_request() {
    every_case(How::Pieces).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_bytes_after_a_good_request_are_refused_or_one_request() {
    every_case(How::AfterAGoodOne).await;
}
