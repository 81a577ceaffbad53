//! What looks at an answer's body while it passes, and says in the end what is to be settled with the limits: leases
//! that were held as long, and costs that only the answer tells. It keeps nothing back and holds no body.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, response};

use crate::{
    counter::{Draw, Outcome, Rule, Settlement},
    host::{Host, Timestamp},
    job,
    policy::limit::cost::Settle,
    usage::{Usage, UsageReader},
};

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All of it has passed.
    Whole,
    /// Its sender stopped, or it did not keep to what it had said.
    Broken,
    /// Nobody wants the rest: the client has left.
    Left,
}

/// Watches one body.
#[derive(Debug)]
pub struct Meter {
    held: Vec<Held>,
    /// Where a body has to be looked at, and is one that can be read.
    reader: Option<UsageReader>,
    status: StatusCode,
    /// Those of the answer, where a limit asks for them.
    headers: HeaderMap,
}

/// What was drawn, and is not yet settled.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) draw: Draw,
    pub(crate) at: Timestamp,
    /// Drawn from this instance's own counters.
    pub(crate) is_local: bool,
    /// None for leases.
    pub(crate) settle: Option<Arc<Settle>>,
    /// How many tokens the request may have had: a quarter of its bytes. `None` where it has not told how many they are.
    pub(crate) input_tokens: Option<u64>,
}

impl Held {
    /// What settles it, when so much was used.
    pub(crate) fn settled(self, used: u64) -> Settlement {
        let Self { draw, at, is_local, .. } = self;
        Settlement { draw, at, outcome: Outcome::Used(used), is_local }
    }

    pub(crate) fn reads_usage(&self) -> bool {
        self.settle.as_ref().is_some_and(|settle| settle.reads_usage())
    }
}

impl Meter {
    /// Watches the answer that begins so.
    pub(crate) fn new(held: Vec<Held>, head: &response::Parts) -> Self {
        let reads = held.iter().any(Held::reads_usage);
        let asks = held.iter().filter_map(|held| held.settle.as_ref()).any(|settle| settle.reads_headers());
        Self {
            reader: if reads { UsageReader::for_answer(head) } else { None },
            status: head.status,
            headers: if asks { head.headers.clone() } else { HeaderMap::new() },
            held,
        }
    }

    /// Whether it wants to see the bytes; otherwise it only wants to know when they end, and how.
    pub fn reads(&self) -> bool {
        self.reader.is_some()
    }

    /// Takes notice of a piece.
    pub fn see(&mut self, piece: &[u8]) {
        if let Some(reader) = &mut self.reader {
            reader.see(piece);
        }
    }

    /// How often leases have to be renewed while the body lasts, in milliseconds. `None` when there are none.
    pub fn renews_every_ms(&self) -> Option<u64> {
        renews_every_ms(&self.held)
    }

    /// What renews the leases.
    pub fn renewals(&self) -> Vec<Settlement> {
        renewals(&self.held)
    }

    /// The body has ended: what is to be settled is deferred.
    pub fn end<H: Host>(self, host: &H, end: End) {
        job::settle(host, self.settlements(end));
    }

    fn settlements(self, end: End) -> Vec<Settlement> {
        let Self { held, reader, status, headers } = self;
        held.into_iter()
            .map(|held| {
                let used = match &held.settle {
                    None => 0,
                    Some(settle) => {
                        let failed = status.is_client_error() || status.is_server_error();
                        let input_tokens = held.input_tokens;
                        let found =
                            reader.as_ref().and_then(|reader| used(reader, end, failed, input_tokens));
                        let used =
                            settle.used(status, &headers, found.map(|found| found.usage), held.draw.cost);
                        match found.is_some_and(|found| found.is_least) {
                            true => used.max(held.draw.cost),
                            false => used,
                        }
                    }
                };
                held.settled(used)
            })
            .collect()
    }
}

/// How often leases have to be renewed while they are held, in milliseconds. `None` when there are none.
pub(crate) fn renews_every_ms(held: &[Held]) -> Option<u64> {
    let leases = held.iter().filter_map(|held| match held.draw.rule {
        Rule::Concurrency { lease_ms, .. } => Some(lease_ms),
        _ => None,
    });
    // Twice it may fail.
    leases.min().map(|lease_ms| (lease_ms / 3).max(1))
}

/// What renews them.
pub(crate) fn renewals(held: &[Held]) -> Vec<Settlement> {
    let leases = held.iter().filter(|held| matches!(held.draw.rule, Rule::Concurrency { .. }));
    let renewal = |held: &Held| Settlement {
        draw: held.draw.clone(),
        at: held.at,
        outcome: Outcome::Held,
        is_local: held.is_local,
    };
    leases.map(renewal).collect()
}

/// What was used, as far as that can be known. Of a stream that was cut off, or has told nothing, it is estimated by
/// what has passed. Of a document that was cut off that is the least: all of it had been made before it was sent. So it is
/// where a request has not told how long it is, or leaving early would make long questions cheap.
fn used(reader: &UsageReader, end: End, failed: bool, input_tokens: Option<u64>) -> Option<Found> {
    let generated = reader.generated();
    let sure = |usage| Some(Found { usage, is_least: false });
    match reader.told() {
        Some(told) if end == End::Whole || reader.is_complete() => sure(told),
        Some(told) if reader.is_stream() => {
            let output_tokens = told.output_tokens.max(generated);
            let total_tokens = told.total_tokens.max(told.input_tokens.saturating_add(output_tokens));
            sure(Usage { output_tokens, total_tokens, ..told })
        }
        Some(told) => sure(told),
        // What failed has made nothing.
        None if failed => None,
        None if end != End::Whole || (reader.is_stream() && generated > 0) => {
            let input = input_tokens.unwrap_or_default();
            let usage = Usage {
                input_tokens: input,
                output_tokens: generated,
                total_tokens: input.saturating_add(generated),
                cached_tokens: 0,
            };
            Some(Found { usage, is_least: input_tokens.is_none() || !reader.is_stream() })
        }
        None => None,
    }
}

/// What an answer has used.
#[derive(Debug, Clone, Copy)]
struct Found {
    usage: Usage,
    /// That is the least of it: what was reserved may be nearer.
    is_least: bool,
}

#[cfg(test)]
mod tests {
    use http::Response;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::{counter::Window, policy::limit::cost::By};

    fn meter(r#type: &str, by: By) -> Meter {
        let rule = Rule::FixedWindow { limit: 1_000, window: Window::Month };
        let settle = Settle { by, keeps_cancelled: false };
        let held = Held {
            draw: Draw { key: "k".to_owned(), rule, cost: 500 },
            at: 7,
            is_local: false,
            settle: Some(settle.into()),
            input_tokens: Some(12),
        };
        let head = Response::builder().header("content-type", r#type).header("x-used", "77").body(());
        Meter::new(vec![held], &head.unwrap().into_parts().0)
    }

    fn outcome(mut meter: Meter, body: &str, end: End) -> Outcome {
        body.as_bytes().chunks(3).for_each(|piece| meter.see(piece));
        meter.settlements(end).pop().unwrap().outcome
    }

    const STREAM: &str = "text/event-stream";
    const DELTA: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"four\"}}]}\n\n";
    const USAGE: &str = "data: {\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":9,\"total_tokens\":39}}\n\ndata: [DONE]\n\n";

    #[wasm_bindgen_test(unsupported = test)]
    fn a_stream_is_settled_by_what_it_tells() {
        let body = format!("{DELTA}{DELTA}{USAGE}");
        for end in [End::Whole, End::Left, End::Broken] {
            assert_eq!(outcome(meter(STREAM, By::Usage), &body, end), Outcome::Used(39));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_stream_that_is_cut_off_is_settled_by_what_has_passed() {
        let body = DELTA.repeat(5);
        assert_eq!(outcome(meter(STREAM, By::Usage), &body, End::Left), Outcome::Used(12 + 5));
        assert_eq!(outcome(meter(STREAM, By::Usage), "", End::Left), Outcome::Used(12));
        // One that ends well and tells nothing, too.
        assert_eq!(outcome(meter(STREAM, By::Usage), &body, End::Whole), Outcome::Used(17));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn of_a_document_that_was_cut_off_all_that_was_reserved_stays_taken() {
        let json = "application/json";
        assert_eq!(outcome(meter(json, By::Usage), "{\"choices\": [", End::Left), Outcome::Used(500));
        let whole = "{\"usage\": {\"input_tokens\": 3, \"output_tokens\": 4}}";
        assert_eq!(outcome(meter(json, By::Usage), whole, End::Whole), Outcome::Used(7));
        assert_eq!(outcome(meter("text/html", By::Usage), "<p>", End::Whole), Outcome::Used(500));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn whoever_leaves_before_the_usage_is_told_pays_for_what_came_before_it() {
        let text = "x".repeat(4_000);
        let cut = format!("{{\"choices\": [{{\"message\": {{\"content\": \"{text}\"}}}}], \"usa");
        assert_eq!(outcome(meter("application/json", By::Usage), &cut, End::Left), Outcome::Used(12 + 1_000));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_question_of_untold_length_is_no_cheaper_than_was_thought() {
        let untold = || {
            let mut meter = meter(STREAM, By::Usage);
            meter.held[0].input_tokens = None;
            meter
        };
        assert_eq!(outcome(untold(), DELTA, End::Left), Outcome::Used(500));
        assert_eq!(outcome(untold(), &DELTA.repeat(600), End::Left), Outcome::Used(600));
        assert_eq!(outcome(untold(), &format!("{DELTA}{USAGE}"), End::Left), Outcome::Used(39));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_failure_that_tells_nothing_costs_nothing_however_it_ends() {
        for r#type in [STREAM, "application/json"] {
            for end in [End::Whole, End::Left, End::Broken] {
                let mut meter = meter(r#type, By::Usage);
                meter.status = StatusCode::TOO_MANY_REQUESTS;
                assert_eq!(outcome(meter, "data: {\"error\"", end), Outcome::Used(0));
            }
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_header_tells_without_the_body() {
        let by = || By::Header(http::HeaderName::from_static("x-used"));
        assert!(!meter(STREAM, by()).reads());
        assert_eq!(outcome(meter(STREAM, by()), DELTA, End::Left), Outcome::Used(77));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn leases_are_renewed_while_the_body_lasts() {
        let mut meter = meter(STREAM, By::Usage);
        assert_eq!((meter.renews_every_ms(), meter.renewals().len()), (None, 0));
        let rule = Rule::Concurrency { limit: 1, lease_ms: 60_000, lease: 9 };
        let draw = Draw { key: "c".to_owned(), rule, cost: 1 };
        meter.held.push(Held { draw, at: 7, is_local: true, settle: None, input_tokens: None });
        assert_eq!(meter.renews_every_ms(), Some(20_000));
        let [renewal] = &meter.renewals()[..] else { panic!("one lease") };
        assert_eq!((renewal.outcome, renewal.is_local), (Outcome::Held, true));
        assert_eq!(outcome(meter, "", End::Whole), Outcome::Used(0));
    }
}
