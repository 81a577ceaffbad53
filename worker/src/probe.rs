//! A meter that a request of the tests' asks for, with `x-tollgate-test-meter: reads` or `: ends`. What it has noticed
//! is found in counters: `probe lease` has a lease while the body lasts, `probe seen` counts the bytes that were shown,
//! `probe whole`, `probe broken` and `probe left` how bodies have ended.

use http::{HeaderMap, Response};
use tollgate_core::{
    counter::{Draw, Outcome, Rule, Settlement, Window},
    host::{Host, Timestamp},
    meter::End,
};

use crate::{
    body::EdgeBody,
    host::EdgeHost,
    metered::{Metered, Watch},
};

/// A lease; short, so that renewing it is seen.
const LEASE_MS: u64 = 1_500;
const LIMIT: u64 = 1_000_000;

/// Takes the wish off a request: whether the meter shall read.
pub(crate) fn asked_for(headers: &mut HeaderMap) -> Option<bool> {
    headers.remove("x-tollgate-test-meter").map(|wish| wish == "reads")
}

/// Has the answer's body watched.
pub(crate) async fn watch(
    probe: Option<bool>,
    host: &EdgeHost,
    response: Response<EdgeBody>,
) -> Response<EdgeBody> {
    let Some(reads) = probe else { return response };
    let lease = (host.random() >> 80) as u64;
    let rule = Rule::Concurrency { limit: LIMIT, lease_ms: LEASE_MS, lease };
    let lease = Draw { key: "probe lease".to_owned(), rule, cost: 1 };
    let at = host.now();
    if host.draw(std::slice::from_ref(&lease)).await.is_err() {
        return response;
    }
    let probe = Probe { reads, seen: 0, lease, at };
    response.map(|body| body.metered(Metered::new(host.clone(), probe)))
}

struct Probe {
    reads: bool,
    seen: u64,
    lease: Draw,
    at: Timestamp,
}

impl Probe {
    fn settlement(&self, outcome: Outcome) -> Settlement {
        Settlement { draw: self.lease.clone(), at: self.at, outcome, is_local: false }
    }

    fn counted(&self, key: &str, used: u64) -> Settlement {
        let rule = Rule::FixedWindow { limit: LIMIT, window: Window::Month };
        let draw = Draw { key: key.to_owned(), rule, cost: 0 };
        Settlement { draw, at: self.at, outcome: Outcome::Used(used), is_local: false }
    }
}

impl Watch for Probe {
    fn reads(&self) -> bool {
        self.reads
    }

    fn see(&mut self, piece: &[u8]) {
        self.seen += piece.len() as u64;
    }

    fn renews_every_ms(&self) -> Option<u64> {
        Some(LEASE_MS / 3)
    }

    fn renewals(&self) -> Vec<Settlement> {
        vec![self.settlement(Outcome::Held)]
    }

    fn end(self: Box<Self>, end: End) -> Vec<Settlement> {
        let how = match end {
            End::Whole => "probe whole",
            End::Broken => "probe broken",
            End::Left => "probe left",
        };
        let over = self.settlement(Outcome::Used(1));
        vec![over, self.counted("probe seen", self.seen), self.counted(how, 1)]
    }
}
