//! The suite of cases, which is data; and that it would notice.

use std::path::Path;

use tollgate_rehearsal::case::read;
use tollgate_tests::{
    stage::Stage,
    suite::{Outcome, Program, play, run},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_holds_on_every_host_in_this_process() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let outcome = run(&folder, &Program::default()).await.unwrap();
    assert!(outcome.is_good(), "{}", outcome.render());
}

async fn played(expect: &str) -> Outcome {
    let text = format!(
        "given: {{upstreams: {{app: {{body: hello}}}}}}\n\
         config: {{services: {{app: {{endpoints: ['${{UPSTREAM_APP}}']}}}}, routes: [{{path: /x, target_service: app}}]}}\n\
         cases: [{{name: it, steps: [{{request: GET /x, expect: {expect}}}]}}]\n"
    );
    let scenes = read::file(Path::new("made-up.yaml"), &text).unwrap();
    play(scenes, &Stage::IN_PROCESS).await.unwrap()
}

#[tokio::test]
async fn what_does_not_hold_is_noticed_on_every_host() {
    assert!(played("200").await.is_good());
    for wrong in [
        "201",
        "{status: 200, body: hullo}",
        "{status: 200, body: {contains: ex}}",
        "{status: 200, body: {lacks: ell}}",
        "{status: 200, body: {json: {}}}",
        "{status: 200, body: {size: 5}}",
        "{status: 200, broken: true}",
        "{status: 200, refusal: request.no_route}",
        "{status: 200, headers: {via: {absent: true}}}",
        "{status: 200, headers: {x-more: {present: true}}}",
        "{status: 200, headers: {content-length: '6'}}",
        "{status: 200, headers: {via: {matches: '*gatetoll'}}}",
        "{status: 200, upstream: none}",
        "{status: 200, upstream: {app: 2}}",
        "{status: 200, upstream: {app: [{path: /y}]}}",
        "{status: 200, upstream: {app: [{headers: {via: {absent: true}}}]}}",
        "{status: 200, event: {route: /y}}",
        "{status: 200, body: {matches: 'h*lo!'}}",
        "{status: 200, counters: {limit: 1}}",
    ] {
        let outcome = played(wrong).await;
        assert_eq!(outcome.failures(), 2, "{wrong}\n{}", outcome.render());
        assert_eq!(outcome.differences(), 0, "{wrong}\n{}", outcome.render());
    }
}

#[tokio::test]
async fn a_step_that_the_decision_did_not_take_is_noticed_where_decisions_are_told() {
    assert!(played("{status: 200, trail: [{room: route, verdict: pass}, {room: answer}]}").await.is_good());
    for wrong in ["{room: route, verdict: refuse}", "{contains: nothing}", "{room: answer}, {room: route}"] {
        let outcome = played(&format!("{{status: 200, trail: [{wrong}]}}")).await;
        assert_eq!((outcome.failures(), outcome.differences()), (1, 0), "{wrong}\n{}", outcome.render());
    }
}
