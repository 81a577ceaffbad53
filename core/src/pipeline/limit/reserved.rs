//! What a request holds of its limits: leases, and costs that are not known yet. It is given back or settled however the
//! request ends.

use std::{convert::Infallible, future::poll_fn, pin::Pin, task::Poll};

use http::{Response, header};

use super::asking::Asked;
use crate::{
    counter::Draw,
    facts::Facts,
    host::Host,
    job,
    meter::{Held, Meter, renewals, renews_every_ms},
};

/// Leases that are about to be drawn. Whoever gives up meanwhile, a client that leaves or a store that does not answer in
/// time, does not know whether they were: they are handed back, which is nothing where they were not, for they have
/// names. Of what has none nobody knows whether it was drawn, so it stays taken until its time has passed.
pub(super) fn leases(asked: &[Asked<'_>], draws: &[Draw]) -> Vec<Held> {
    let asks = |one: &Asked<'_>| one.quota.is_none() && one.limit.holds_leases();
    let leases = asked.iter().zip(draws).filter(|(one, _)| asks(one));
    leases
        .map(|(one, draw)| Held {
            draw: draw.clone(),
            at: 0,
            is_local: one.is_local,
            settle: None,
            input_tokens: None,
        })
        .collect()
}

/// What is to be settled later on.
pub(super) fn held(asked: &[Asked<'_>], draws: &[Draw], facts: &Facts<'_>) -> Vec<Held> {
    let mut held = Vec::new();
    for (Asked { limit, wish, quota, is_local, .. }, draw) in asked.iter().zip(draws) {
        let Some(quota) = quota.filter(|quota| quota.admitted) else { continue };
        let is_local = *is_local;
        let settle = limit.cost.settle.clone();
        if settle.is_some() || limit.holds_leases() {
            let input_tokens = if settle.is_some() { input_tokens(facts) } else { None };
            // What came from a slice was drawn from the shared counter before.
            let rule = match wish.amount.leasing {
                Some(leasing) if !is_local => leasing.shared(),
                _ => draw.rule,
            };
            let draw = Draw { rule, ..draw.clone() };
            held.push(Held { draw, at: quota.at, is_local, settle, input_tokens });
        }
    }
    held
}

/// As many as the request's bytes may be, where their number is told: four bytes a token, as a rule.
fn input_tokens(facts: &Facts<'_>) -> Option<u64> {
    if !facts.has_body {
        return Some(0);
    }
    let length = facts.head.headers.get(header::CONTENT_LENGTH)?;
    Some(length.to_str().ok()?.parse::<u64>().ok()?.div_ceil(4))
}

/// What is held for a request. Dropped, it is given back: whatever became of the request, it needs it no longer.
pub(in crate::pipeline) struct Reserved<'h, H: Host> {
    host: &'h H,
    held: Vec<Held>,
    /// The service has been asked, and has not answered.
    is_sent: bool,
}

impl<'h, H: Host> Reserved<'h, H> {
    pub(super) const fn new(host: &'h H, held: Vec<Held>) -> Self {
        Self { host, held, is_sent: false }
    }

    /// This is held from now on, and nothing else.
    pub(super) fn hold(&mut self, held: Vec<Held>) {
        self.held = held;
    }

    /// Whether what the answer says of its cost has to be read from its body.
    pub(in crate::pipeline) fn reads_usage(&self) -> bool {
        self.held.iter().any(Held::reads_usage)
    }

    /// The service is asked: what is held is held for as long as that takes. Leases are renewed meanwhile, for a service
    /// may take longer than they last.
    pub(in crate::pipeline) async fn during<T>(
        &mut self,
        mut asking: Pin<&mut impl Future<Output = T>>,
    ) -> T {
        self.is_sent = true;
        // Boxed: seldom there, and every request would carry room for it.
        let mut renewing = renews_every_ms(&self.held).map(|every| Box::pin(self.renew(every)));
        poll_fn(|context| {
            let answered = asking.as_mut().poll(context);
            if let (Poll::Pending, Some(renewing)) = (&answered, &mut renewing)
                && let Poll::Ready(never) = renewing.as_mut().poll(context)
            {
                match never {}
            }
            answered
        })
        .await
    }

    async fn renew(&self, every: u64) -> Infallible {
        loop {
            self.host.sleep(every).await;
            job::settle(self.host, renewals(&self.held));
        }
    }

    /// The service has failed, and that costs nothing.
    pub(in crate::pipeline) fn fail(&mut self) {
        self.is_sent = false;
    }

    /// The service has answered: what is held is held until the answer has passed.
    pub(in crate::pipeline) fn meter(mut self, response: Response<H::Body>) -> Response<H::Body> {
        metered(self.host, std::mem::take(&mut self.held), response)
    }

    /// An answer that was stored takes its time too, but has cost the service nothing.
    pub(in crate::pipeline) fn reuse(mut self, response: Response<H::Body>) -> Response<H::Body> {
        let (leases, costs) = self.held.drain(..).partition(|held| held.settle.is_none());
        self.held = costs;
        metered(self.host, leases, response)
    }
}

fn metered<H: Host>(host: &H, held: Vec<Held>, response: Response<H::Body>) -> Response<H::Body> {
    if held.is_empty() {
        return response;
    }
    let (head, body) = response.into_parts();
    let meter = Meter::new(held, &head);
    Response::from_parts(head, host.metered(meter, body))
}

impl<H: Host> Drop for Reserved<'_, H> {
    fn drop(&mut self) {
        // The client has left while the service was at work.
        let is_cancelled = self.is_sent;
        let settled = self.held.drain(..).map(|held| {
            let keeps = is_cancelled && held.settle.as_ref().is_some_and(|settle| settle.keeps_cancelled);
            let used = if keeps { held.draw.cost } else { 0 };
            held.settled(used)
        });
        job::settle(self.host, settled.collect());
    }
}
