//! The stage without sockets: core alone, with a host that keeps everything in memory and never waits.

pub mod body;
pub(crate) mod host;
pub mod world;

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header, response};
use tollgate_core::{body::Body, config::Files, gateway::Gateway, host::Peer, pipeline};

use self::{body::FakeBody, host::FakeHost};
use crate::{
    captured::Captured,
    case::read::Scene,
    observed::Raw,
    play::{Act, Place, Play, Sent},
    setting::{authority, gateway},
    upstream::Upstreams,
};

/// Plays a case; what came of each of its requests.
pub async fn play(scene: &Scene, play: &Play, files: &(dyn Files + Sync)) -> Result<Vec<Raw>, String> {
    let gateway = gateway(scene, &urls(play), files, scene.case.target())?;
    play_on(&gateway, scene, play).await
}

/// Where the upstreams of a case are on this stage.
pub fn urls(play: &Play) -> BTreeMap<String, String> {
    play.upstreams.keys().map(|name| (name.clone(), format!("http://{}", authority(name)))).collect()
}

/// Plays a case on a gateway that has served nobody yet.
pub async fn play_on(gateway: &Gateway, scene: &Scene, play: &Play) -> Result<Vec<Raw>, String> {
    let mut captured = Captured::new(&urls(play));
    let upstreams = Upstreams::new(&captured.scripts(&play.upstreams, play.start)?);
    let upstreams = upstreams.with_others(play.others.as_ref());
    let host = FakeHost::new(play.start, upstreams, &scene.case.given.failing);
    let mut observed = Vec::new();
    for act in &play.acts {
        match act {
            Act::Advance(milliseconds) => host.advance(*milliseconds),
            Act::Change(scripts, now) => host.world.change(&captured.scripts(scripts, *now)?),
            Act::Send(sending) => {
                let sent = captured.sent(&sending.sent);
                let mut raw = send(gateway, &host, &sent, &sending.place).await?;
                captured.take(sending, &mut raw)?;
                observed.push(raw);
            }
        }
    }
    Ok(observed)
}

async fn send(
    gateway: &Gateway,
    host: &FakeHost<Upstreams>,
    sent: &Sent,
    place: &Place,
) -> Result<Raw, String> {
    let request = request(sent).map_err(|why| format!("{place}: core can't be asked this: {why}"))?;
    let response = pipeline::handle(gateway, host, &Peer::new(sent.peer, false), request).await;
    let (mut head, body) = response.into_parts();
    frame(&mut head, &sent.method, body.length());
    let trailers = lines(&body.trailers());
    let (body, broken) = if sent.method == "HEAD" { Default::default() } else { body.collect() };
    host.run_jobs().await;
    let (event, trail) = host.take_event().unzip();
    Ok(Raw {
        status: head.status.as_u16(),
        headers: lines(&head.headers),
        body,
        broken,
        trailers,
        seen: host.world.take_seen(),
        event,
        trail: trail.flatten(),
        unknown: host.world.take_unknown(),
        captured: Vec::new(),
    })
}

/// A request as a server would hand it to core.
pub(crate) fn request(sent: &Sent) -> Result<Request<FakeBody>, http::Error> {
    let length = sent.field("content-length").and_then(|text| text.parse().ok());
    let length = if sent.is_chunked() { None } else { length.or(Some(0)) };
    let mut trailers = HeaderMap::new();
    for (name, value) in &sent.trailers {
        trailers.append(HeaderName::try_from(name)?, HeaderValue::from_bytes(value.as_bytes())?);
    }
    let mut request = Request::new(FakeBody::new(sent.pieces.clone(), length).followed_by(trailers));
    *request.method_mut() = Method::from_bytes(sent.method.as_bytes())?;
    *request.uri_mut() = Uri::try_from(&sent.target)?;
    *request.version_mut() = Version::HTTP_11;
    for (name, value) in &sent.headers {
        request.headers_mut().append(HeaderName::try_from(name)?, HeaderValue::from_bytes(value.as_bytes())?);
    }
    if let Some(certificate) = &sent.certificate {
        Arc::new(certificate.facts()).attach(request.extensions_mut());
    }
    Ok(request)
}

/// Tells the length of content where it is known, as servers do.
fn frame(head: &mut response::Parts, method: &str, length: Option<u64>) {
    let bare =
        method == "HEAD" || head.status.is_informational() || matches!(head.status.as_u16(), 204 | 304);
    if let Some(length) = length.filter(|_| !bare) {
        head.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
    }
}

fn lines(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
