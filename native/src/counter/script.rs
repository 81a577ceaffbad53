//! What the script in Redis is told and what it answers, and the names of keys there.

use std::{fmt::Write, sync::LazyLock};

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value, aio::ConnectionLike};
use tollgate_core::{
    counter::{
        Draw, Quota, Rule,
        numbers::{self, Asked},
    },
    host::Timestamp,
};

/// Core's arithmetic in the language of Redis. `native/tests/redis.rs` holds the two against one another.
const SCRIPT: &str = include_str!("script.lua");

/// By what Redis knows a script that it was sent before.
static NAME: LazyLock<String> =
    LazyLock::new(|| hex(digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, SCRIPT.as_bytes()).as_ref()));

/// Longer names of counters are told by their digests: whoever is counted may choose a part of them.
const MAX_NAME: usize = 96;

/// Where in a question the moment stands.
const NOW: usize = 3;

/// Numbers of an answer, for each key.
const ANSWERED: usize = 5;

/// Names of keys.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The key of a counter. A kind of rule has keys of its own, as not all keep the same type of value. What stands in
    /// braces decides where in a cluster a key lives.
    pub(super) fn of(&self, draw: &Draw) -> String {
        let kind = match draw.rule {
            Rule::FixedWindow { .. } => 'f',
            Rule::SlidingWindow { .. } => 's',
            Rule::TokenBucket { .. } => 't',
            Rule::Concurrency { .. } => 'c',
        };
        let (prefix, name) = (&self.prefix, &draw.key);
        match name.len() <= MAX_NAME {
            true => format!("{prefix}:{kind}:{{{name}}}"),
            // No name can be mistaken for a digest: there the brace follows the colon.
            false => {
                format!("{prefix}:{kind}:#{{{}}}", hex(digest::digest(&SHA256, name.as_bytes()).as_ref()))
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// By whose clock is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Now {
    /// The store's, which is the same for all who ask.
    #[default]
    Store,
    /// It is this, whatever the store's clock says.
    Given(Timestamp),
}

/// What is asked: of each key ten numbers.
#[derive(Debug, Default)]
pub(super) struct Asks {
    keys: Vec<String>,
    numbers: Vec<Asked>,
    now: Now,
}

impl Asks {
    pub(super) fn at(now: Now) -> Self {
        Self { now, ..Self::default() }
    }

    /// What questions say of the moment; nothing that counts where the store knows it.
    pub(super) const fn now(&self) -> Timestamp {
        match self.now {
            Now::Given(now) => now,
            Now::Store => 0,
        }
    }

    pub(super) fn push(&mut self, key: String, numbers: Asked) {
        self.keys.push(key);
        self.numbers.push(numbers);
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The questions by their keys: those of one key belong together.
    pub(super) fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (at, key) in self.keys.iter().enumerate() {
            let same = |group: &&mut Vec<usize>| {
                group.first().and_then(|first| self.keys.get(*first)).is_some_and(|first| first == key)
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.push(at),
                None => groups.push(vec![at]),
            }
        }
        groups
    }

    /// The same keys, asked to take back what was drawn ([`tollgate_core::counter::Settlement::undo`]).
    pub(super) fn undone(&self, quotas: &[Option<Quota>]) -> Self {
        // What was not drawn is not asked to.
        let at = |quota: &Option<Quota>| quota.map_or(0, |quota| quota.at);
        let numbers = self.numbers.iter().zip(quotas).map(|(drawn, quota)| numbers::undone(drawn, at(quota)));
        let numbers = numbers.collect();
        Self { keys: self.keys.clone(), numbers, now: self.now }
    }

    fn command(&self, name: &str, script: &str, group: Option<&[usize]>) -> Cmd {
        let mut command = Cmd::new();
        command.arg(name).arg(script);
        match group {
            None => {
                command.arg(self.keys.len()).arg(&self.keys);
                self.numbers.iter().for_each(|asked| self.tell(&mut command, asked));
            }
            Some(group) => {
                command.arg(group.len());
                for key in group.iter().filter_map(|at| self.keys.get(*at)) {
                    command.arg(key);
                }
                for asked in group.iter().filter_map(|at| self.numbers.get(*at)) {
                    self.tell(&mut command, asked);
                }
            }
        }
        command
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they were whole before")]
    fn tell(&self, command: &mut Cmd, asked: &Asked) {
        for (place, number) in asked.iter().enumerate() {
            match self.now {
                // What is no number is for the script to find out.
                Now::Store if place == NOW => command.arg(""),
                _ => command.arg(*number as u64),
            };
        }
    }
}

/// Asks all, or those of one group. A server that does not know the script is sent it.
pub(super) async fn run(
    wire: &mut impl ConnectionLike,
    asks: &Asks,
    group: Option<&[usize]>,
) -> Result<Value, RedisError> {
    match ask(wire, &asks.command("EVALSHA", &NAME, group)).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            ask(wire, &asks.command("EVAL", SCRIPT, group)).await
        }
        other => other,
    }
}

async fn ask(wire: &mut impl ConnectionLike, command: &Cmd) -> Result<Value, RedisError> {
    // An answer that says no is a value until somebody looks.
    wire.req_packed_command(command).await.and_then(Value::extract_error)
}

/// One quota a question, in the same order.
pub(super) fn quotas(value: &Value, many: usize) -> Result<Vec<Quota>, RedisError> {
    let strange = || RedisError::from((ErrorKind::UnexpectedReturnType, "not the script's answer"));
    let Value::Array(values) = value else { return Err(strange()) };
    let number = |value: &Value| match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    let quota = |answer: &[Value]| {
        let [admitted, remaining, reset_ms, retry_ms, at] = answer else { return None };
        Some(Quota {
            admitted: number(admitted)? != 0,
            remaining: number(remaining)?,
            reset_ms: number(reset_ms)?,
            retry_ms: number(retry_ms)?,
            at: number(at)?,
        })
    };
    let quotas: Vec<Quota> = values.chunks(ANSWERED).map(quota).collect::<Option<_>>().ok_or_else(strange)?;
    if quotas.len() == many { Ok(quotas) } else { Err(strange()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> String {
        let rule = Rule::SlidingWindow { limit: 1, window_ms: 1 };
        Keys::new("p").of(&Draw { key: name.to_owned(), rule, cost: 1 })
    }

    #[test]
    fn a_key_is_no_longer_than_a_digest() {
        assert_eq!(key("ip 127.0.0.1"), "p:s:{ip 127.0.0.1}");
        let long = key(&"x".repeat(100_000));
        assert_eq!(long.len(), "p:s:#{}".len() + 64);
        assert_ne!(long, key(&"x".repeat(100_001)));
    }

    #[test]
    fn no_name_can_be_mistaken_for_a_digest() {
        let long = key(&"x".repeat(1_000));
        assert_ne!(key(long.trim_start_matches("p:s:")), long);
    }

    #[test]
    fn questions_of_one_key_belong_together() {
        let mut asks = Asks::default();
        for key in ["a", "b", "a", "c"] {
            asks.push(key.to_owned(), [0.0; 10]);
        }
        assert_eq!(asks.groups(), [vec![0, 2], vec![1], vec![3]]);
    }
}
