//! A case made concrete, once for all hosts: tokens signed, content generated, every field of a request there.
//! What is left open is where upstreams are, which each host says for itself.

use std::{collections::BTreeMap, fmt, net::IpAddr, path::Path, sync::Arc};

use bytes::Bytes;

use crate::{
    captured::Capture,
    case::{
        Step,
        certificate::Certificate,
        expect::Expect,
        read::Scene,
        request::{Bearer, Over, Request},
        script::Script,
        text::Content,
    },
    pattern, token,
};

/// What a host is to play.
#[derive(Debug)]
pub struct Play {
    /// What the clock shows at the beginning.
    pub start: u64,
    /// The upstreams at the beginning.
    pub upstreams: BTreeMap<String, Script>,
    /// What all others answer, if anything.
    pub others: Option<Script>,
    /// What happens.
    pub acts: Vec<Act>,
}

/// Something that happens.
#[derive(Debug)]
pub enum Act {
    /// So many milliseconds pass.
    Advance(u64),
    /// These upstreams answer otherwise from now on, which is this moment.
    Change(BTreeMap<String, Script>, u64),
    /// A request is made.
    Send(Sending),
}

/// A request that is made, and what must come of it.
#[derive(Debug, Clone)]
pub struct Sending {
    /// The request.
    pub sent: Arc<Sent>,
    /// What must come of it.
    pub expect: Option<Arc<Expect>>,
    /// What is taken out of the answer.
    pub capture: Arc<BTreeMap<String, Capture>>,
    /// Where it is.
    pub place: Place,
}

/// Where a request of a case is written, and which of its repetitions it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The line.
    pub line: u64,
    /// Counted among the case's steps.
    pub step: usize,
    /// Which time it is made, of how many.
    pub round: (usize, usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: step {}", self.file.display(), self.line, self.step)?;
        match self.round {
            (_, 1) => Ok(()),
            (round, of) => write!(f, ", {round} of {of}"),
        }
    }
}

/// A request as it goes over the wire.
#[derive(Debug)]
pub struct Sent {
    /// The method.
    pub method: String,
    /// The target.
    pub target: String,
    /// All fields, in their order.
    pub headers: Vec<(String, String)>,
    /// The content, in pieces.
    pub pieces: Vec<Bytes>,
    /// Where it comes from.
    pub peer: IpAddr,
    /// The certificate of the client's end of the connection.
    pub certificate: Option<Certificate>,
    /// The fields after the content, in their order.
    pub trailers: Vec<(String, String)>,
    /// Which HTTP it is made in, where the host has a wire.
    pub over: Over,
}

impl Sent {
    /// The value of a field's only line.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let (_, value) = lines.next()?;
        lines.next().is_none().then_some(value)
    }

    /// Whether the content goes in chunks (RFC 9112 §7.1).
    pub fn is_chunked(&self) -> bool {
        self.field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }
}

impl Play {
    /// Makes a case concrete.
    pub fn new(scene: &Scene) -> Result<Self, String> {
        let given = &scene.case.given;
        let start = given.time.unwrap_or_default().0;
        let mut now = start;
        let mut acts = Vec::new();
        let file: Arc<Path> = scene.file.as_path().into();
        for (index, step) in scene.case.steps.iter().enumerate() {
            let line = step.referenced.line();
            let place = |round| Place { file: file.clone(), line, step: index + 1, round };
            let at = |why: String| format!("{}:{line}:{}: {why}", file.display(), step.referenced.column());
            match &step.value {
                Step::Advance(milliseconds) => {
                    now += milliseconds;
                    acts.push(Act::Advance(*milliseconds));
                }
                Step::Change(scripts) => {
                    let known = |name: &String| given.upstreams.contains_key(name);
                    if let Some(name) = scripts.keys().find(|name| !known(name))
                        && given.default_upstream.is_none()
                    {
                        return Err(at(format!("the upstream `{name}` is not among those given")));
                    }
                    acts.push(Act::Change(scripts.clone(), now));
                }
                Step::Ask(ask) => {
                    let sent = Arc::new(sent(&ask.request, now).map_err(at)?);
                    let expect = ask.expect.clone().map(Arc::new);
                    let capture = Arc::new(ask.capture.clone());
                    for round in 1..=ask.repeat {
                        let place = place((round, ask.repeat));
                        let (sent, expect, capture) = (sent.clone(), expect.clone(), capture.clone());
                        acts.push(Act::Send(Sending { sent, expect, capture, place }));
                    }
                }
            }
        }
        let (upstreams, others) = (given.upstreams.clone(), given.default_upstream.clone());
        Ok(Self { start, upstreams, others, acts })
    }

    /// The requests, in their order.
    pub fn sendings(&self) -> impl Iterator<Item = &Sending> {
        self.acts.iter().filter_map(|act| match act {
            Act::Send(sending) => Some(sending),
            Act::Advance(_) | Act::Change(..) => None,
        })
    }
}

/// Stands in a target or a field for the token, which then goes there and not into `Authorization`.
const TOKEN: &str = "${TOKEN}";

fn sent(request: &Request, now: u64) -> Result<Sent, String> {
    let token = match &request.bearer {
        None => None,
        Some(Bearer::Raw(token)) => Some(token.clone()),
        Some(Bearer::Signed(signed)) => Some(token::token(signed, now)?),
    };
    let mut given = request.headers.0.clone();
    let mut target = request.path.clone();
    let elsewhere = target.contains(TOKEN) || given.iter().any(|(_, value)| value.contains(TOKEN));
    if let Some(token) = &token {
        target = target.replace(TOKEN, token);
        given.iter_mut().for_each(|(_, value)| *value = value.replace(TOKEN, token));
    }

    let has = |name: &str| given.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    let mut headers = Vec::new();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    if !has("host") {
        add("host", request.host.clone().unwrap_or_else(|| Request::DEFAULT_HOST.to_owned()));
    }
    if let Some(token) = token.filter(|_| !elsewhere) {
        add("authorization", format!("Bearer {token}"));
    }
    let pieces = request.content.as_ref().map(pieces);
    if let Some(Content::Json(_)) = &request.content
        && !has("content-type")
    {
        add("content-type", "application/json".to_owned());
    }
    if let Some(pieces) = &pieces
        && !has("content-length")
        && !has("transfer-encoding")
    {
        match &request.content {
            Some(Content::Pieces(_)) if request.over == Over::Http2 => {}
            Some(Content::Pieces(_)) => add("transfer-encoding", "chunked".to_owned()),
            _ => add("content-length", pieces.iter().map(Bytes::len).sum::<usize>().to_string()),
        }
    }
    headers.extend(given);
    let mut sent = Sent {
        method: request.method.clone(),
        target,
        headers,
        pieces: pieces.unwrap_or_default(),
        peer: request.peer,
        certificate: request.certificate.clone(),
        trailers: request.trailers.0.clone(),
        over: request.over,
    };
    if let Some(signing) = &request.signing {
        signing.sign(&mut sent, now)?;
    }
    Ok(sent)
}

/// Content as bytes: one piece where its length is told beforehand. No piece is empty, as on the wire.
pub fn pieces(content: &Content) -> Vec<Bytes> {
    let mut pieces = match content {
        Content::Text(text) => vec![Bytes::from(text.clone())],
        Content::Json(value) => vec![Bytes::from(value.to_string())],
        Content::Generated(size) => vec![pattern::content(*size)],
        Content::Pieces(pieces) => pieces.iter().cloned().map(Bytes::from).collect(),
    };
    pieces.retain(|piece| !piece.is_empty());
    pieces
}
