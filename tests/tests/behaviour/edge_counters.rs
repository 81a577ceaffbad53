//! Counters at the edge: Durable Objects, in workerd, held against core's arithmetic and against many clients at once.

use std::{mem::take, net::Ipv4Addr, sync::Arc, time::Duration};

use bytes::Bytes;
use socket2::SockRef;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tollgate_core::{
    counter::{Draw, MAX, Outcome, Quota, Rule, Settlement, State, Window, numbers::Asked},
    host::Timestamp,
};
use tollgate_rehearsal::play::Sent;
use tollgate_tests::stage::{
    native::client,
    workers::{self, process::Process},
};

use crate::{
    around::{answering, request},
    edge::worker,
};

/// What `worker/js/counter.mjs` answers to a question.
type Answered = [f64; 6];

/// What a hook of the test build says (`worker/js/hooks.mjs`).
async fn hook(worker: &Process, line: &str, body: Vec<u8>) -> Bytes {
    let (method, what) = line.split_once(' ').unwrap();
    let mut headers = vec![("host".to_owned(), "gateway.test".to_owned())];
    headers.push(("content-length".to_owned(), body.len().to_string()));
    let sent = Sent {
        method: method.to_owned(),
        target: format!("/x-tollgate-test/{}", what.replace(' ', "%20")),
        headers,
        pieces: vec![body.into()],
        peer: Ipv4Addr::LOCALHOST.into(),
        certificate: None,
        trailers: Vec::new(),
        over: Default::default(),
    };
    let answered = timeout(Duration::from_secs(60), client::exchange(worker.address(), &sent)).await;
    let answer = answered.unwrap().unwrap();
    assert_eq!(answer.status, 200, "{line}: {:?}", answer.body);
    answer.body
}

/// Asks a counter, all in one call (`all`) or one call after another (`ask`).
async fn asked(worker: &Process, how: &str, counter: &str, asked: &[Asked]) -> Vec<Answered> {
    let body = asked.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    let answer = hook(worker, &format!("POST {how}?counter={counter}"), body).await;
    assert_eq!(answer.len(), asked.len() * size_of::<Answered>(), "{answer:?}");
    let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().unwrap());
    let answers = answer.chunks(size_of::<Answered>());
    answers.map(|answer| std::array::from_fn(|at| number(&answer[at * 8..at * 8 + 8]))).collect()
}

/// What is left in a counter.
async fn remaining(worker: &Process, counter: &str, rule: Rule) -> u64 {
    let now = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let draw = Draw { key: String::new(), rule, cost: 0 };
    let nothing = Settlement { draw, at: now, outcome: Outcome::Used(0), is_local: false };
    Quota::from_numbers(&asked(worker, "ask", counter, &[nothing.numbers(now)]).await[0]).unwrap().remaining
}

/// The same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn one_of<T: Copy>(&mut self, what: &[T]) -> T {
        what[usize::try_from(self.roll(what.len() as u64)).unwrap()]
    }

    fn rule(&mut self, kind: u64) -> Rule {
        let limit = self.one_of(&[0, 1, 2, 3, 5, 10, 40, 1_000, MAX]);
        let window_ms = self.one_of(&[1, 7, 1_000, 10_000, 60_000, 3_600_000, 86_400_000]);
        match kind {
            0 if self.roll(5) == 0 => Rule::FixedWindow { limit, window: Window::Month },
            0 => Rule::FixedWindow { limit, window: Window::Length(window_ms) },
            1 => Rule::SlidingWindow { limit, window_ms },
            2 => Rule::TokenBucket {
                rate: 1 + self.roll(20),
                window_ms,
                burst: limit.min(MAX / 2 / window_ms),
            },
            _ => Rule::Concurrency { limit, lease_ms: window_ms, lease: self.roll(MAX) },
        }
    }

    /// Where the clock of whoever asks next stands: mostly later, also late, and now and then set back.
    fn next(&mut self, now: Timestamp) -> Timestamp {
        let step = self.one_of(&[0, 1, 90, 1_000, 7_000, 30_000, 3_600_000]);
        match self.roll(10) {
            0 => now - self.roll(10_001),
            1 if self.roll(4) == 0 => now - 10_001 - self.roll(90_000_000),
            _ => now + self.roll(step + 1),
        }
    }
}

/// One counter, in core; what it was asked, and what it has said.
#[derive(Default)]
struct Model {
    state: State,
    asked: Vec<Asked>,
    expected: Vec<Answered>,
}

/// A counter's life: what it is held to, the clock, and what may still be settled.
struct Trace {
    rule: Rule,
    now: Timestamp,
    taken: Vec<(Draw, Timestamp)>,
    /// Whether what is known after the last step is known for a while.
    lasts: bool,
}

impl Trace {
    fn new(dice: &mut Dice, kind: u64) -> Self {
        let now = 1_800_000_000_000 + dice.roll(200_000_000_000);
        Self { rule: dice.rule(kind), now, taken: Vec::new(), lasts: false }
    }

    fn steps(&mut self, dice: &mut Dice, model: &mut Model) {
        for _ in 0..2 + dice.roll(9) {
            self.now = dice.next(self.now);
            if let Rule::Concurrency { lease, .. } = &mut self.rule {
                *lease = dice.roll(MAX);
            }
            let settled = if dice.roll(4) == 0 { self.taken.pop() } else { None };
            let has_changed = match settled {
                Some((draw, at)) => self.settle(dice, model, draw, at),
                None => self.draw(dice, model),
            };
            self.lasts = has_changed && model.state.ends_at(&self.rule) > self.now + 20_000;
        }
    }

    fn draw(&mut self, dice: &mut Dice, model: &mut Model) -> bool {
        let cost = dice.one_of(&[0, 1, 1, 1, 2, 3, 50, MAX]);
        let draw = Draw { key: String::new(), rule: self.rule, cost };
        let quota = model.state.draw(&self.rule, cost, self.now);
        model.note(draw.numbers(self.now), quota, &self.rule);
        if quota.admitted {
            self.taken.push((draw, quota.at));
        }
        quota.admitted
    }

    fn settle(&mut self, dice: &mut Dice, model: &mut Model, draw: Draw, at: Timestamp) -> bool {
        let outcome = match dice.roll(4) {
            0 => Outcome::Held,
            1 => Outcome::Used((draw.cost + dice.roll(5)).min(MAX)),
            2 => Outcome::Used(dice.roll(draw.cost + 1)),
            _ => Outcome::Used(0),
        };
        let settlement = Settlement { draw: draw.clone(), at, outcome, is_local: false };
        model.state.settle(&draw.rule, draw.cost, at, outcome, self.now);
        let (remaining, reset_ms) = model.state.look(&draw.rule, self.now);
        let quota = Quota { admitted: true, remaining, reset_ms, retry_ms: 0, at: self.now };
        model.note(settlement.numbers(self.now), quota, &draw.rule);
        if outcome == Outcome::Held {
            self.taken.push((draw, at));
        }
        true
    }
}

impl Model {
    fn note(&mut self, asked: Asked, quota: Quota, rule: &Rule) {
        let Quota { admitted, remaining, reset_ms, retry_ms, at } = quota;
        let ends_at = self.state.ends_at(rule);
        self.asked.push(asked);
        self.expected
            .push([u64::from(admitted), remaining, reset_ms, retry_ms, at, ends_at].map(|n| n as f64));
    }

    /// Asks the object what has not been asked yet: what it says has to be what was said here.
    async fn compare(&mut self, worker: &Process, how: &str, counter: &str) -> usize {
        let (questions, expected) = (take(&mut self.asked), take(&mut self.expected));
        let answers = asked(worker, how, counter, &questions).await;
        for ((question, expected), answer) in questions.iter().zip(&expected).zip(&answers) {
            assert_eq!(answer, expected, "{counter}: {question:?}");
        }
        answers.len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_object_and_core_count_the_same() {
    const TRACES: u64 = 100_000;
    const A_CALL: u64 = 2_000;
    let Some(worker) = worker(answering().await, "").await else { return };
    let mut dice = Dice(0x5eed_2545_f491_4f6c);
    let (begun, mut questions, mut lost) = (Instant::now(), 0, 0);
    for call in 0..TRACES / A_CALL {
        // A few calls to an object, so that some find it as an earlier one has left it.
        let counter = format!("traces {}", call / 5);
        let mut model = Model::default();
        let mut trace = Trace::new(&mut dice, call);
        for number in 0..A_CALL {
            // Of another kind than the one before, the counter begins anew.
            trace = Trace::new(&mut dice, (call + number) % 4);
            trace.steps(&mut dice, &mut model);
            if number == 40 {
                // Some by calls of their own, as requests ask.
                questions += model.compare(&worker, "ask", &counter).await;
            }
        }
        questions += model.compare(&worker, "all", &counter).await;
        if trace.lasts && lost < 8 {
            lost += 1;
            // Longer than it takes to write; then all that the object has is what was written.
            sleep(Duration::from_millis(1_200)).await;
            hook(&worker, &format!("POST abort?counter={counter}"), Vec::new()).await;
            trace.steps(&mut dice, &mut model);
            questions += model.compare(&worker, "all", &counter).await;
        }
    }
    eprintln!("{TRACES} traces, {questions} questions, {lost} lost memories, in {:?}", begun.elapsed());
    assert_eq!(lost, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_is_forgotten_and_what_goes_on_is_not() {
    let Some(worker) = worker(answering().await, "").await else { return };
    let draw = |lease_ms, lease| {
        let rule = Rule::Concurrency { limit: 100, lease_ms, lease };
        Draw { key: String::new(), rule, cost: 1 }.numbers(1_900_000_000_000)
    };
    let kept = async |counter: &str| {
        let kept = hook(&worker, &format!("GET kept?counter={counter}"), Vec::new()).await;
        String::from_utf8_lossy(&kept).parse::<u64>().unwrap()
    };
    // Not even written.
    asked(&worker, "all", "short", &[draw(900, 1)]).await;
    // Written at once, being so much; the others when their second is over.
    asked(&worker, "all", "long", &(0..40).map(|lease| draw(60_000, lease)).collect::<Vec<_>>()).await;
    asked(&worker, "all", "middle", &[draw(3_000, 1)]).await;
    assert_eq!((kept("short").await, kept("long").await, kept("middle").await), (0, 1, 0));
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!((kept("short").await, kept("long").await, kept("middle").await), (0, 1, 1));
    let gone = async {
        while kept("middle").await > 0 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    // Ten seconds after it is over, for those whose clocks are late.
    assert!(timeout(Duration::from_secs(20), gone).await.is_ok(), "what is over is forgotten");
    assert_eq!(kept("long").await, 1);
}

/// What `worker/js/counter.mjs` promises: what matters for long is written before a 32nd of the limit is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_forgets_less_than_a_32nd_of_the_limit() {
    const SHARE: usize = 32;
    for limit in [20, 100, 200] {
        let policy =
            format!("policies: [{{name: x, type: FixedWindow, rate: {limit}, per: ip, window: 1d}}]");
        let Some(mut worker) = worker(answering().await, &policy).await else { return };
        let sent = request("GET /app/x", &["cf-connecting-ip: 192.0.2.1"], "");
        let mut admitted = 0;
        for round in 0..limit + limit / SHARE + 1 {
            // After an odd number, so that something is left to be forgotten.
            if round == limit * 8 / 10 + 1 {
                workers::crash(&mut worker).await.unwrap();
            }
            let answer = client::exchange(worker.address(), &sent).await.unwrap();
            admitted += usize::from(answer.status == 200);
        }
        eprintln!("of {limit}, a crash forgot {}", admitted - limit);
        assert!((limit..limit + limit.div_ceil(SHARE)).contains(&admitted), "{admitted} of {limit}");
    }
}

/// Fifty clients at once, so many requests each; how many were answered with 200 and with 429.
async fn crowd(worker: &Process, requests: usize) -> (usize, usize) {
    let address = worker.address();
    let sent = request("GET /app/x", &["cf-connecting-ip: 192.0.2.1"], "");
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        let sent: Arc<Sent> = sent.clone();
        clients.spawn(async move {
            let mut statuses = Vec::new();
            for _ in 0..requests {
                statuses.push(client::exchange(address, &sent).await.unwrap().status);
            }
            statuses
        });
    }
    let statuses = timeout(Duration::from_secs(60), clients.join_all()).await.unwrap().concat();
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(200) + count(429), statuses.len(), "{statuses:?}");
    (count(200), count(429))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exact_limit_is_exact_whoever_draws_at_once() {
    let policy = "policies: [{name: limit, type: FixedWindow, rate: 100, per: ip, window: 1d}]";
    let Some(worker) = worker(answering().await, policy).await else { return };
    let counts = crowd(&worker, 4).await;
    eprintln!("50 clients × 4 on 100: {} admitted, {} refused", counts.0, counts.1);
    assert_eq!(counts, (100, 100));
}

/// So many more than the limit may be admitted where slices are drawn in advance, and none of the limit is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leased_limit_is_overshot_by_no_more_than_is_said_whoever_draws_at_once() {
    const LIMIT: usize = 100;
    for (kind, window) in [("FixedWindow", "1d"), ("SlidingWindow", "1h")] {
        for overshoot in [1, 16, 64] {
            let policy = format!(
                "policies: [{{name: limit, type: {kind}, rate: {LIMIT}, per: ip, window: {window}, accuracy: leased, \
                 max_overshoot: {overshoot}}}]"
            );
            let Some(worker) = worker(answering().await, &policy).await else { return };
            let begun = Instant::now();
            let (admitted, refused) = crowd(&worker, 4).await;
            eprintln!(
                "50 clients × 4 on a {kind} of {LIMIT} + {overshoot}: {admitted} admitted, {refused} refused, in {:?}",
                begun.elapsed()
            );
            assert!((LIMIT..=LIMIT + overshoot).contains(&admitted), "{admitted}");
        }
    }
}

/// Of several limits none admits more than it may, and what one gave that another refused is there again: those who came
/// at once may have stood in each other's way, but whoever comes later gets all that is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_limits_are_exact_and_nothing_is_lost_between_them() {
    let policies = "policies:\n\
        - {name: small, type: FixedWindow, rate: 60, per: ip, window: 1d, exclude_paths: [/app/open]}\n\
        - {name: large, type: FixedWindow, rate: 100, per: ip, window: 1d}\n\
        - {name: hourly, type: FixedWindow, rate: 90, per: service, window: 30d, exclude_paths: [/app/open]}";
    let Some(worker) = worker(answering().await, policies).await else { return };
    let (mut admitted, refused) = crowd(&worker, 4).await;
    let at_once = admitted;
    assert!(admitted <= 60, "{admitted}");
    let from = "cf-connecting-ip: 192.0.2.1";
    for _ in 0..60 - at_once + 5 {
        // What an isolate remembers of refusals is of single limits only, so these all ask.
        let answer = client::exchange(worker.address(), &request("GET /app/x", &[from], "")).await.unwrap();
        admitted += usize::from(answer.status == 200);
    }
    assert_eq!(admitted, 60);
    let mut left = 0;
    for _ in 0..50 {
        let sent = request("GET /app/open", &[from], "");
        left += usize::from(client::exchange(worker.address(), &sent).await.unwrap().status == 200);
    }
    eprintln!(
        "50 clients × 4 on 60, 100 and 90: {at_once} admitted at once, {refused} refused; {admitted} in the end, and {left} of 100 left"
    );
    assert_eq!(left, 40);
}

/// What one limit gave that another refused is handed back, whether or not the client waits to hear of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_takes_nothing_with_it() {
    let policies = "policies:\n\
        - {name: small, type: FixedWindow, rate: 3, per: ip, window: 1d, exclude_paths: [/app/open]}\n\
        - {name: large, type: FixedWindow, rate: 1000, per: ip, window: 1d}";
    let Some(worker) = worker(answering().await, policies).await else { return };
    let status = async |path: &str| {
        let sent = request(&format!("GET {path}"), &["cf-connecting-ip: 192.0.2.1"], "");
        let answer = client::exchange(worker.address(), &sent).await.unwrap();
        let left =
            answer.headers.iter().find(|(name, _)| name == "ratelimit").map(|(_, value)| value.clone());
        (answer.status, left.unwrap_or_default())
    };
    for expected in [200, 200, 200, 429] {
        assert_eq!(status("/app/x").await.0, expected);
    }
    hook(&worker, "POST slow?counter=300", Vec::new()).await;
    for _ in 0..20 {
        let mut client = TcpStream::connect(worker.address()).await.unwrap();
        let head = "GET /app/x HTTP/1.1\r\nhost: gateway.test\r\ncf-connecting-ip: 192.0.2.1\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        // Both have counted by now, and neither has answered.
        sleep(Duration::from_millis(100)).await;
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
    }
    hook(&worker, "POST slow?counter=0", Vec::new()).await;
    sleep(Duration::from_millis(700)).await;
    let (answered, left) = status("/app/open").await;
    assert_eq!(answered, 200);
    assert!(left.contains("r=996;"), "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_that_does_not_answer_in_time_is_a_store_that_fails() {
    let policies = "policies:\n\
        - {name: x, type: FixedWindow, rate: 9, per: ip, window: 1d, on_error: allow, exclude_paths: [/app/closed]}\n\
        - {name: y, type: FixedWindow, rate: 9, per: ip, window: 1d, exclude_paths: [/app/open]}";
    let Some(worker) = worker(answering().await, policies).await else { return };
    hook(&worker, "POST slow?counter=3500", Vec::new()).await;
    let begun = Instant::now();
    let status = async |path: &str| {
        let sent = request(&format!("GET {path}"), &["cf-connecting-ip: 192.0.2.1"], "");
        client::exchange(worker.address(), &sent).await.unwrap().status
    };
    let (open, closed) = tokio::join!(status("/app/open"), status("/app/closed"));
    assert_eq!((open, closed), (200, 503));
    assert!(begun.elapsed() < Duration::from_millis(3_400), "{:?}", begun.elapsed());
}

/// Whoever comes first after an instance was lost makes a new one, which must serve what was served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_that_revives_the_instance_leaves_it_serving() {
    let Some(worker) = worker(answering().await, "").await else { return };
    let status = async |fields: &[&str]| {
        client::exchange(worker.address(), &request("GET /app/x", fields, "")).await.unwrap().status
    };
    assert_eq!(status(&[]).await, 200);
    assert_eq!(status(&["x-tollgate-test-panic: 1"]).await, 500);
    let rule = Rule::FixedWindow { limit: 7, window: Window::Month };
    assert_eq!(remaining(&worker, "first", rule).await, 7);
    assert_eq!(status(&[]).await, 200);
}
