//! What `tollgate explain` says, against what the gateway then really does: the same steps at the same lines, the
//! same answer, the same request to the service.

use std::path::Path;

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::{Map, Value};
use tollgate::files::Disk;
use tollgate_core::{config::Host, host::Peer, trail::Trail};
use tollgate_rehearsal::{
    case::{
        Step,
        read::{self, Scene},
        request::Bearer as Written,
    },
    observed::Observed,
    play::{Act, Play, Sending},
    setting,
    supposed::{self, Answer, Bearer, Explained, Supposed, World},
};
use tollgate_tests::stage::Stage;

/// Who may, as the case says of its policy engine.
const ALLOWED: [&str; 2] = ["researcher", "admin"];

fn scenes() -> Vec<Scene> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/explain.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let scenes = read::file(&path, &text).unwrap();
    scenes.into_iter().filter(|scene| !scene.case.name.starts_with("without")).collect()
}

/// What is supposed of each request: the claims of its case, and what its policy engine says of them.
fn supposed(claims: Option<&Map<String, Value>>, now: u64) -> Supposed {
    let bearer = match claims {
        Some(claims) => {
            Bearer::User { subject: claims["sub"].as_str().unwrap().to_owned(), claims: without_role(claims) }
        }
        None => Bearer::AsSent,
    };
    let role = claims.and_then(|claims| claims.get("role")).and_then(Value::as_str);
    let engine = match role {
        Some(role) if !ALLOWED.contains(&role) => supposed::Engine::Denies,
        _ => supposed::Engine::Allows,
    };
    let json = ("content-type".parse().unwrap(), "application/json".parse().unwrap());
    let answer = Answer { status: StatusCode::OK, headers: vec![json], body: Bytes::from(vec![b'x'; 2000]) };
    Supposed { now, bearer, engine, answer: Some(answer), ..Supposed::default() }
}

/// A role that the case leaves out is left out, and not supposed.
fn without_role(claims: &Map<String, Value>) -> Map<String, Value> {
    let mut claims = claims.clone();
    claims.entry("role").or_insert(Value::Null);
    claims
}

async fn explain_all(scene: &Scene, play: &Play) -> (Vec<Explained>, Vec<String>) {
    let urls =
        play.upstreams.keys().map(|name| (name.clone(), format!("http://{}", setting::authority(name))));
    let gateway = setting::gateway(scene, &urls.collect(), &Disk, Host::Native).unwrap();
    let files = gateway.files().to_vec();
    let mut asks = scene
        .case
        .steps
        .iter()
        .filter_map(|step| match &step.value {
            Step::Ask(ask) => Some(std::iter::repeat_n(ask, ask.repeat)),
            _ => None,
        })
        .flatten();
    let mut world = World::new(&gateway, supposed(None, play.start));
    let mut explained = Vec::new();
    for act in &play.acts {
        match act {
            Act::Advance(milliseconds) => world.advance(*milliseconds),
            Act::Change(..) => {}
            Act::Send(Sending { sent, .. }) => {
                let claims = match &asks.next().unwrap().request.bearer {
                    Some(Written::Signed(signed)) => Some(signed.claims.clone()),
                    _ => None,
                };
                world.suppose(supposed(claims.as_ref(), play.start));
                let mut request = Request::builder().method(sent.method.as_str()).uri(&sent.target);
                for (name, value) in &sent.headers {
                    request = request.header(name, value);
                }
                let request = request.body(Bytes::new()).unwrap();
                explained.push(world.explain(&Peer::new(sent.peer, false), request).await.unwrap());
            }
        }
    }
    (explained, files)
}

/// `room [name] file:line verdict` of each step, as the answer's fields have it.
fn steps(trail: &Trail, files: &[String]) -> Vec<String> {
    let step = |step: &tollgate_core::trail::Step| {
        let name = step.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let place = format!("{}:{}", files[step.at.file], step.at.line);
        format!("{}{name} {place} {}", step.room, step.verdict.name())
    };
    trail.steps.iter().map(step).collect()
}

fn fact<'t>(trail: &'t Trail, room: &str, name: &str) -> Option<&'t Value> {
    trail.steps.iter().filter(|step| step.room == room).find_map(|step| step.facts.get(name))
}

fn check(explained: &Explained, files: &[String], real: &Observed, place: &str) {
    let status = explained.head.status.as_u16();
    assert_eq!(status, real.status, "{place}");
    let trail = &explained.trail;
    let told: Vec<&str> =
        real.headers["x-tollgate-trail"].iter().map(|line| line.split(": ").next().unwrap()).collect();
    // The real issuer and engine were asked; what they said is what was supposed.
    assert_eq!(steps(trail, files), told, "{place}");
    for step in &trail.steps {
        assert!(step.at.line > 0 && files[step.at.file].ends_with("tollgate.yaml"), "{place}: {step:?}");
    }
    let header = |name: &str| real.headers.get(name).map(|lines| lines.join(", "));
    let own = |name: &str| explained.head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    for name in ["ratelimit", "ratelimit-policy", "retry-after", "cache-status", "content-encoding", "allow"]
    {
        assert_eq!(own(name), header(name), "{place}: {name}");
    }
    let refusal = real.event.as_ref().and_then(|event| event.get("refusal")).map(String::as_str);
    assert_eq!(fact(trail, "answer", "refusal").and_then(Value::as_str), refusal, "{place}");
    // What the service was sent is what was told.
    let services = ["research", "code", "orchestrator", "auth", "image"];
    let mut seen = services.iter().filter_map(|name| real.upstream.get(*name)).flatten();
    let sent = trail.steps.iter().find(|step| step.facts.contains_key("headers"));
    match (sent, seen.next()) {
        (Some(step), Some(seen)) => {
            let path = seen.path.split('?').next().unwrap();
            assert!(step.text.starts_with(&format!("{} http://", seen.method)), "{place}: {}", step.text);
            assert!(step.text.contains(&format!(".test{path}")), "{place}: {} {path}", step.text);
            let mut told: Vec<&str> = step.facts["headers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| pair[0].as_str().unwrap())
                .filter(|name| *name != "content-length")
                .collect();
            told.sort_unstable();
            let real: Vec<&str> =
                seen.headers.keys().map(String::as_str).filter(|name| *name != "content-length").collect();
            assert_eq!(told, real, "{place}");
        }
        (None, None) => {}
        (told, real) => panic!("{place}: told {told:?}, asked {real:?}"),
    }
    assert!(seen.next().is_none(), "{place}");
}

async fn hold_against(stage: Stage) {
    let mut requests = 0;
    for scene in scenes() {
        let play = Play::new(&scene).unwrap();
        let (explained, files) = explain_all(&scene, &play).await;
        let raw = stage.play(&scene, &play).await.unwrap();
        for ((sending, raw), explained) in play.sendings().zip(raw).zip(&explained) {
            let real = Observed::new(&sending.sent, raw);
            check(explained, &files, &real, &sending.place.to_string());
            requests += 1;
        }
    }
    assert!(requests >= 20, "{requests}");
}

#[tokio::test]
async fn what_is_explained_is_what_the_native_host_does() {
    hold_against(Stage::Native).await;
}

#[tokio::test]
async fn what_is_explained_is_what_the_worker_does() {
    for stage in Stage::available(vec![Stage::Workers]).unwrap() {
        hold_against(stage).await;
    }
}
