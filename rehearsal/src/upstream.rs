//! The upstreams of a case: which answer a request gets, and a record of what was asked. How questions and
//! answers travel is each host's.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tollgate_core::body::Coding;

use crate::{
    case::{
        expect::{Asked, UpstreamWish},
        request::Over,
        script::{Answer, Echo, Encoding, Fault, Kind, Script, When},
        text::Content,
    },
    coding, keys, opaque,
    play::pieces,
};

/// A request as an upstream saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The target: path and query.
    pub path: String,
    /// The fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Bytes,
    /// The content, in the pieces in which it came.
    pub pieces: Vec<Bytes>,
    /// The fields after the content, names in lower case.
    pub trailers: Vec<(String, String)>,
    /// Which HTTP it came in, where there is a wire.
    pub over: Option<Over>,
}

/// What an upstream does about a request.
#[derive(Debug)]
pub enum Reply {
    /// Answers.
    Answer(Message),
    /// Resets the connection.
    Reset,
    /// Never answers.
    Stall,
    /// Writes something else than HTTP.
    Garbage,
}

/// An answer.
#[derive(Debug)]
pub struct Message {
    /// The status.
    pub status: u16,
    /// The fields, `content-length` among them where the length is told.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub pieces: Vec<Bytes>,
    /// How long the content is said to be.
    pub length: Option<u64>,
    /// The fields after the content.
    pub trailers: Vec<(String, String)>,
    /// Whether the connection ends after the pieces, which then are not all.
    pub breaks_off: bool,
}

/// All upstreams of a case.
#[derive(Debug, Default)]
pub struct Upstreams {
    running: Mutex<BTreeMap<String, Running>>,
    /// What others answer.
    others: Option<Script>,
    seen: Mutex<Vec<(String, Seen)>>,
    /// Services that were asked though nothing is given for them.
    unknown: Mutex<Vec<String>>,
    asked: Notify,
}

#[derive(Debug)]
struct Running {
    script: Script,
    /// How often each `when` has been satisfied.
    used: Vec<(When, usize)>,
}

impl Upstreams {
    /// Upstreams that answer by these scripts.
    pub fn new(scripts: &BTreeMap<String, Script>) -> Self {
        let upstreams = Self::default();
        upstreams.change(scripts);
        upstreams
    }

    /// The same, and what all others answer.
    #[must_use]
    pub fn with_others(self, others: Option<&Script>) -> Self {
        Self { others: others.cloned(), ..self }
    }

    /// The name under which something is given for a service at an address: the address' own, which only
    /// `${UPSTREAM_NAME}` brings there, or else the service's. None where nothing is given.
    pub fn given_for(&self, address: Option<&str>, service: &str) -> Option<String> {
        let mut running = lock(&self.running);
        if let Some(name) = address.into_iter().chain([service]).find(|name| running.contains_key(*name)) {
            return Some(name.to_owned());
        }
        let script = self.others.clone()?;
        running.insert(service.to_owned(), Running { script, used: Vec::new() });
        Some(service.to_owned())
    }

    /// Notes that a service was asked for which nothing is given.
    pub fn note_unknown(&self, service: &str) {
        lock(&self.unknown).push(service.to_owned());
    }

    /// The services that were asked though nothing is given for them, each once.
    pub fn take_unknown(&self) -> Vec<String> {
        let mut names = std::mem::take(&mut *lock(&self.unknown));
        names.sort();
        names.dedup();
        names
    }

    /// Puts scripts in the place of those that were there.
    pub fn change(&self, scripts: &BTreeMap<String, Script>) {
        let mut running = lock(&self.running);
        for (name, script) in scripts {
            running.insert(name.clone(), Running { script: script.clone(), used: Vec::new() });
        }
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        lock(&self.running).keys().cloned().collect()
    }

    /// Whether there is nobody to connect to.
    pub fn refuses(&self, name: &str) -> bool {
        lock(&self.running).get(name).is_none_or(|running| running.script.refuses())
    }

    /// Notes a request and says what is done about it.
    pub fn ask(&self, name: &str, seen: Seen) -> Reply {
        let answer = lock(&self.running).get_mut(name).and_then(|running| running.next(&seen));
        let reply = match &answer {
            Some(answer) => reply(answer, &seen),
            None => Reply::Answer(Message {
                status: 501,
                headers: vec![("content-length".to_owned(), "0".to_owned())],
                pieces: Vec::new(),
                length: Some(0),
                trailers: Vec::new(),
                breaks_off: false,
            }),
        };
        lock(&self.seen).push((name.to_owned(), seen));
        self.asked.notify_waiters();
        reply
    }

    /// What was asked since this was called last.
    pub fn take_seen(&self) -> Vec<(String, Seen)> {
        std::mem::take(&mut lock(&self.seen))
    }

    /// Waits until as much was asked as is wished for. Some questions are asked in the background, where no
    /// answer to a client tells that they have been.
    pub async fn satisfied(&self, wish: &UpstreamWish) {
        let UpstreamWish::Asked(wishes) = wish else { return };
        loop {
            let asked = self.asked.notified();
            let missing = {
                let seen = lock(&self.seen);
                wishes.iter().any(|(name, wish)| {
                    let wanted = match wish {
                        Asked::Times(times) => *times,
                        Asked::Requests(requests) => requests.len(),
                    };
                    seen.iter().filter(|(own, _)| own == name).count() < wanted
                })
            };
            if !missing {
                return;
            }
            asked.await;
        }
    }
}

impl Running {
    fn next(&mut self, seen: &Seen) -> Option<Answer> {
        let path = seen.path.split('?').next().unwrap_or_default();
        let holds = |when: &When| {
            when.method.as_deref().is_none_or(|method| method == seen.method)
                && when.path.as_deref().is_none_or(|wanted| wanted == path)
        };
        let when = self.script.0.iter().map(|answer| &answer.when).find(|when| holds(when))?;
        let turns: Vec<&Answer> = self.script.0.iter().filter(|answer| answer.when == *when).collect();
        let used = match self.used.iter_mut().find(|(own, _)| own == when) {
            Some((_, used)) => used,
            None => {
                self.used.push((when.clone(), 0));
                &mut self.used.last_mut()?.1
            }
        };
        let answer = turns.get(*used).or_else(|| turns.last()).copied().cloned();
        *used += 1;
        answer
    }
}

fn reply(answer: &Answer, seen: &Seen) -> Reply {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut json = |value: Value| {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        (vec![Bytes::from(value.to_string())], true)
    };
    let (mut content, told) = match &answer.kind {
        Kind::Fault(Fault::Reset | Fault::Refuse) => return Reply::Reset,
        Kind::Fault(Fault::Stall) => return Reply::Stall,
        Kind::Fault(Fault::Garbage) => return Reply::Garbage,
        Kind::Fault(Fault::CloseMidBody) => (vec![Bytes::from_static(b"the beginning")], true),
        // Signed before it is anybody's answer.
        Kind::Fixed(None) | Kind::IdToken(_) => (Vec::new(), true),
        Kind::Fixed(Some(Content::Json(value))) => json(value.clone()),
        Kind::Fixed(Some(content)) => (pieces(content), !matches!(content, Content::Pieces(_))),
        Kind::Echo(Echo::Request) => json(shown(seen)),
        // Of nothing every server tells the length.
        Kind::Echo(Echo::Body) => (seen.pieces.clone(), seen.pieces.is_empty()),
        Kind::KeySet(keys) => json(keys::set(keys)),
        Kind::Introspection(tokens) => {
            let token = opaque::asked_about(&seen.body).unwrap_or_default();
            match tokens.get(&token) {
                Some(claims) => json(Value::Object(opaque::active(claims.clone()))),
                None => json(json!({"active": false})),
            }
        }
        Kind::Decision(opa) => {
            let question: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
            let roles = question["input"]["roles"].as_array().cloned().unwrap_or_default();
            let allow = roles.iter().any(|role| opa.allow_roles.iter().any(|own| role == own));
            json(json!({"result": {"allow": allow, "headers": opa.headers}}))
        }
    };
    if answer.headers.0.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.clear();
    }
    if let Some(encoding) = answer.encode {
        let coding = match encoding {
            Encoding::Gzip => Coding::Gzip,
            Encoding::Br => Coding::Brotli,
            Encoding::Zstd => Coding::Zstd,
        };
        headers.push(("content-encoding".to_owned(), coding.token().to_owned()));
        content = vec![coding::encode(coding, &content.concat()).unwrap_or_default()];
    }
    let breaks_off = matches!(answer.kind, Kind::Fault(Fault::CloseMidBody));
    let whole: usize = content.iter().map(Bytes::len).sum();
    // What is followed by fields goes in chunks (RFC 9112 §7.1.2).
    let told = told && answer.trailers.0.is_empty();
    let mut length = told.then_some(whole as u64 + if breaks_off { 100 } else { 0 });
    // Neither of these has content (RFC 9110 §6.4.1), and none may tell a length.
    let bare = matches!(answer.status, 204 | 304);
    if let Some(length) = length.filter(|_| !bare) {
        headers.push(("content-length".to_owned(), length.to_string()));
    }
    if bare || seen.method == "HEAD" {
        content.clear();
        length = Some(0);
    }
    headers.extend(answer.headers.0.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
    let lower = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
    let trailers = if bare || seen.method == "HEAD" {
        Vec::new()
    } else {
        answer.trailers.0.iter().map(lower).collect()
    };
    Reply::Answer(Message { status: answer.status, headers, pieces: content, length, trailers, breaks_off })
}

/// A request as JSON. A field on several lines is a list.
fn shown(seen: &Seen) -> Value {
    let mut headers = serde_json::Map::new();
    // Whether a message without content says so is the sender's choice (RFC 9110 §8.6).
    let told = |(name, value): &&(String, String)| name != "content-length" || value != "0";
    for (name, value) in seen.headers.iter().filter(told) {
        match headers.get_mut(name) {
            None => drop(headers.insert(name.clone(), value.as_str().into())),
            Some(Value::Array(lines)) => lines.push(value.as_str().into()),
            Some(first) => *first = json!([first.clone(), value]),
        }
    }
    json!({
        "method": seen.method,
        "path": seen.path,
        "headers": headers,
        "body": String::from_utf8_lossy(&seen.body),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstreams(script: &str) -> Upstreams {
        let script: Script = serde_saphyr::from_str(script).unwrap();
        Upstreams::new(&BTreeMap::from([("a".to_owned(), script)]))
    }

    fn status(upstreams: &Upstreams, method: &str, path: &str) -> u16 {
        let seen = Seen {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            pieces: Vec::new(),
            trailers: Vec::new(),
            over: None,
        };
        match upstreams.ask("a", seen) {
            Reply::Answer(message) => message.status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_are_used_in_turn_and_the_last_repeats() {
        let upstreams = upstreams("[{status: 201}, {status: 202}]");
        let statuses: Vec<_> = (0..3).map(|_| status(&upstreams, "GET", "/")).collect();
        assert_eq!(statuses, [201, 202, 202]);
    }

    #[test]
    fn turns_are_taken_among_answers_with_the_same_condition() {
        let upstreams = upstreams("[{status: 201}, {when: {path: /x}, status: 301}, {status: 202}]");
        assert_eq!(status(&upstreams, "GET", "/x"), 201);
        let upstreams =
            super::tests::upstreams("[{when: {path: /x}, status: 301}, {status: 201}, {status: 202}]");
        let statuses: Vec<_> = ["/", "/x?q", "/x", "/"].map(|path| status(&upstreams, "GET", path)).into();
        assert_eq!(statuses, [201, 301, 301, 202]);
    }

    #[test]
    fn what_is_not_scripted_is_not_answered_well() {
        assert_eq!(status(&upstreams("{when: {method: PUT}}"), "GET", "/"), 501);
    }
}
