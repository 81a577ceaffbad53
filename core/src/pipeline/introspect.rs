//! A token to an identity, by asking its issuer: what is remembered is used, requests with the same token ask once,
//! and only this file waits. What is asked and what an answer comes to is the policy's.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use http::Method;

use super::identify::Found;
use crate::{
    facts::Facts,
    host::Host,
    policy::oauth_introspection::{
        MAX_ANSWER_BYTES, OAuthIntrospection,
        answer::Answer,
        flights::{Look, Outcome, Seat},
        memory::Known,
    },
    refusal::Refusal,
    remote::Question,
    trail::{How, Learnt, Proof},
};

/// How often a request looks whether another's question has been answered.
const WAIT_MS: u64 = 10;

/// Who holds the token of a request. `learnt` is how that is known, also of a token that is refused.
pub(super) async fn identify<H: Host>(
    host: &H,
    policy: &OAuthIntrospection,
    facts: &Facts<'_>,
    learnt: &mut Option<Learnt>,
    detail: &mut Option<String>,
) -> Found {
    let token = policy.token(facts.head)?.ok_or(Refusal::MissingAccessToken)?;
    let name = OAuthIntrospection::name(&token).map_err(|fault| policy.refusal(fault))?;
    let (judged, how, until) = match policy.memory.recall(&name, facts.now) {
        Known::Fresh(judged, until) => (judged, How::Remembered, until),
        Known::Stale(holder, until) => {
            *detail = Some("the introspection endpoint gave no answer a moment ago".to_owned());
            (Ok(holder), How::Stale, until)
        }
        // Boxed: it is rare and large, and every request would carry room for it.
        known => match (Box::pin(learn(host, policy, name, &token)).await, known) {
            (Ok(learnt), _) => learnt,
            (Err(reason), known) => {
                *detail = Some(reason);
                let now = host.now();
                match known {
                    Known::Old(holder, until) if now < until => {
                        policy.memory.put_off(name, now);
                        (Ok(holder), How::Stale, until)
                    }
                    // Not the client's fault, so not 401: it would throw away a good token.
                    _ => return Err(Refusal::IntrospectionUnavailable),
                }
            }
        },
    };
    let known = Learnt { how, until };
    *learnt = Some(known);
    match judged {
        Ok(holder) => Ok((holder.identity, Proof::Issuer(known))),
        Err(fault) => Err(policy.refusal(fault)),
    }
}

/// Asks, or waits for what comes of another request's asking.
async fn learn<H: Host>(
    host: &H,
    policy: &OAuthIntrospection,
    name: [u8; 32],
    token: &str,
) -> Result<Told, String> {
    let patience = policy.flights.patience_ms();
    let mut waited = 0;
    while policy.memory.shares() && waited < patience {
        match policy.flights.board(name, host.now()) {
            Seat::Pilot(pilot) => {
                // Another's question may have been answered since this request looked.
                let known = policy.memory.recall(&name, host.now());
                let (outcome, how) = match known {
                    Known::Fresh(judged, until) => (Ok((judged, until)), How::Remembered),
                    _ => (ask(host, policy, name, token).await, How::Asked),
                };
                pilot.land(&outcome);
                return told(outcome, how);
            }
            Seat::Passenger(passenger) => loop {
                match passenger.look() {
                    Look::Landed(outcome) => return told(outcome, How::Shared),
                    Look::Awaited if waited < patience => {
                        host.sleep(WAIT_MS).await;
                        waited += WAIT_MS;
                    }
                    Look::Awaited | Look::Abandoned => break,
                }
            },
        }
    }
    told(ask(host, policy, name, token).await, How::Asked)
}

type Told = (crate::policy::oauth_introspection::Judged, How, u64);

fn told(outcome: Outcome, how: How) -> Result<Told, String> {
    outcome.map(|(judged, until)| (judged, how, until))
}

async fn ask<H: Host>(host: &H, policy: &OAuthIntrospection, name: [u8; 32], token: &str) -> Outcome {
    let (fields, content) = policy.question(token);
    let about = Question::Introspection;
    let asking = policy.remote.ask_with(host, about, Method::POST, fields, Some(content), MAX_ANSWER_BYTES);
    // All of the answer is waited for, and hosts watch over its head alone.
    let patience = policy.remote.patience.head_ms;
    let answer = first(asking, host.sleep(patience)).await;
    let answer =
        answer.ok_or_else(|| format!("the introspection endpoint takes longer than {patience} ms"))?;
    let answer = answer.map_err(|error| error.to_string())?;
    let answer = Answer::read(answer.status(), answer.body())?;
    let now = host.now();
    let judged = policy.judge(answer, now)?;
    let until = policy.memory.remember(name, &judged, now);
    Ok((judged, until))
}

/// What comes of `work`, unless `end` comes before.
async fn first<T>(work: impl Future<Output = T>, end: impl Future<Output = ()>) -> Option<T> {
    let (mut work, mut end) = (pin!(work), pin!(end));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => end.as_mut().poll(context).map(|()| None),
    })
    .await
}
