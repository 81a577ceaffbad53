//! Replays: the requests of an access log made once more of two gateways, each in its own world in memory at the
//! time of the log, to see which would end otherwise.
//!
//! The rooms: [`record`] (a line of the log), `client` (a record as a request, with its token, or an
//! `opaque` one), `world` (what stands around the
//! gateways), [`outcome`] (how a request ended), [`tally`] (what all of them come to), `text` (for people and
//! programs). Nothing is asked that a record does not hold; what is assumed in its place, [`ASSUMED`] says.

mod client;
mod opaque;
pub mod outcome;
pub mod record;
pub mod tally;
mod text;
mod world;

use std::{
    io::{self, BufRead},
    net::IpAddr,
};

use tollgate_core::{gateway::Gateway, host::Peer, pipeline};

use self::{
    client::Client,
    outcome::Outcome,
    record::{Line, Lines, Record, Unusable},
    tally::Tally,
    world::Surroundings,
};
use crate::{
    fake::{host::FakeHost, request, world::Engine},
    play::Sent,
};

/// What is assumed where a record does not say.
pub const ASSUMED: [&str; 7] = [
    "services answer 200; keys of issuers, what they say of tokens, and counters can be had; counters and caches begin \
     empty",
    "a request with a user carries a token that the old policy admits, and the new one as far as that can be had \
     together: issuer, audience and required claims are there",
    "a request without a user carries no token, or where it was refused for its token, one with that fault",
    "a policy engine says what it said: no to what was refused with rbac.denied, nothing to rbac.unavailable, yes \
     to all else",
    "headers and query parameters are those that the recorded route asks for, and no others",
    "bodies are empty; the peer is the recorded client",
    "limits that count by a header or a claim count all users together where the claim is not required",
];

/// Makes the requests of a log again. What can't be made again is counted, with the reason.
pub async fn replay(old: &Gateway, new: &Gateway, log: impl BufRead) -> io::Result<Tally> {
    let keys = world::keys();
    old.assume_keys(&keys);
    new.assume_keys(&keys);
    let client = Client::new(old, new);
    let hosts = [old, new].map(|_| FakeHost::new(0, Surroundings::default(), &[]));
    let mut tally = Tally::default();
    for line in Lines::new(log) {
        let (number, line) = line?;
        let record = match line {
            Line::Record(record) => record,
            Line::Lost(lost) => {
                tally.lost += lost;
                continue;
            }
            Line::Unusable(why) => {
                tally.pass_over(number, why);
                continue;
            }
        };
        match outcomes([old, new], &hosts, &client, &record).await {
            Some([before, after]) => tally.add(number, &record, before, after),
            None => tally.pass_over(number, Unusable::Unspeakable),
        }
    }
    Ok(tally)
}

/// None where the record can't be made a request.
async fn outcomes(
    gateways: [&Gateway; 2],
    hosts: &[FakeHost<Surroundings>; 2],
    client: &Client<'_>,
    record: &Record,
) -> Option<[Outcome; 2]> {
    let sent = client.request(record)?;
    let [old, new] = hosts;
    let [before, after] = gateways;
    Some([outcome(before, old, record, &sent).await?, outcome(after, new, record, &sent).await?])
}

async fn outcome(
    gateway: &Gateway,
    host: &FakeHost<Surroundings>,
    record: &Record,
    sent: &Sent,
) -> Option<Outcome> {
    host.set_clock(record.at);
    host.world.set_engine(match record.refusal.as_deref() {
        Some("rbac.denied") => Engine::Denies,
        Some("rbac.unavailable") => Engine::Fails,
        _ => Engine::Allows,
    });
    let peer: IpAddr = record.client;
    pipeline::handle(gateway, host, &Peer::new(peer, false), request(sent).ok()?).await;
    host.run_jobs().await;
    host.take_event().map(|(noted, _)| Outcome::of(&noted))
}
