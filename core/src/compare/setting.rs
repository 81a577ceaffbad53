//! What something is set to, and which way is the weaker one. Knows no policy: each says its own settings.

use std::{collections::BTreeSet, fmt};

use sha2::{Digest, Sha256};

use super::Kind;
use crate::host::Timestamp;

/// A value under a key, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) leaning: Leaning,
}

/// A value that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Not there, and no default stands in its place.
    Nothing,
    Flag(bool),
    Count(u64),
    /// Milliseconds.
    Time(Timestamp),
    Text(String),
    /// Of these the order says nothing.
    Set(BTreeSet<String>),
    /// Of these it does.
    List(Vec<String>),
    /// One of a few words that have an order.
    Rank(u8, &'static str),
    /// What nobody is to see.
    Veiled(Veiled),
}

/// A secret as its digest: it can be compared and not be read.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Veiled([u8; 32]);

impl Veiled {
    pub(crate) fn new(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

/// Not even the digest: short secrets could be guessed by it.
impl fmt::Debug for Veiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

/// Which way protection gets weaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaning {
    /// Neither.
    Neutral,
    /// More is allowed when there is more of it: a limit, a trusted network, a permission.
    MoreIsLooser,
    /// The more, the weaker; and this holds where nothing is said.
    MoreIsLooserThan(u64),
    /// More is allowed when there is less of it: a demand, a protection.
    LessIsLooser,
    /// A bound, of which 0 is none.
    Ceiling,
    /// What is admitted. An empty set admits everything, and nothing does not even ask.
    Choices,
    /// Each member splits what is counted together; other members are neither weaker nor stronger.
    Splitting,
}

impl Setting {
    pub(crate) fn new(key: impl Into<String>, value: impl Into<Value>, leaning: Leaning) -> Self {
        Self { key: key.into(), value: value.into(), leaning }
    }

    /// The same as part of something that has several.
    pub(crate) fn within(mut self, owner: &str) -> Self {
        self.key = format!("{owner}.{}", self.key);
        self
    }

    pub(crate) fn neutral(key: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(key, value, Leaning::Neutral)
    }
}

impl Value {
    pub(crate) fn set<T: ToString>(members: impl IntoIterator<Item = T>) -> Self {
        Self::Set(members.into_iter().map(|member| member.to_string()).collect())
    }

    pub(crate) fn list<T: ToString>(members: impl IntoIterator<Item = T>) -> Self {
        Self::List(members.into_iter().map(|member| member.to_string()).collect())
    }

    /// As people write it; none where there is nothing.
    pub(crate) fn shown(&self) -> Option<String> {
        (*self != Self::Nothing).then(|| self.to_string())
    }

    fn amount(&self) -> Option<u64> {
        match self {
            Self::Flag(flag) => Some((*flag).into()),
            Self::Count(amount) | Self::Time(amount) => Some(*amount),
            Self::Rank(rank, _) => Some((*rank).into()),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Value {
    fn from(amount: u64) -> Self {
        Self::Count(amount)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |members: &mut dyn Iterator<Item = &String>| {
            members.map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Count(amount) => write!(f, "{amount}"),
            Self::Time(milliseconds) => {
                // A minute is written as 60s more often than not.
                let units = [(86_400_000, "d"), (3_600_000, "h"), (120_000, "m"), (1_000, "s")];
                let found = units.into_iter().find(|(least, _)| {
                    let unit = if *least == 120_000 { 60_000 } else { *least };
                    milliseconds >= least && milliseconds.is_multiple_of(unit)
                });
                match found {
                    Some((120_000, name)) => write!(f, "{}{name}", milliseconds / 60_000),
                    Some((unit, name)) => write!(f, "{}{name}", milliseconds / unit),
                    None => write!(f, "{milliseconds}ms"),
                }
            }
            Self::Text(text) => f.write_str(text),
            Self::Set(members) => write!(f, "[{}]", listed(&mut members.iter())),
            Self::List(members) => write!(f, "[{}]", listed(&mut members.iter())),
            Self::Rank(_, word) => f.write_str(word),
            Self::Veiled(_) => f.write_str("a secret"),
        }
    }
}

impl Leaning {
    /// What a change from one value to another, different one is.
    pub(crate) fn judge(self, old: &Value, new: &Value) -> Kind {
        match self {
            Self::Neutral => Kind::Changed,
            Self::MoreIsLooser => more(old, new),
            Self::MoreIsLooserThan(unsaid) => {
                let amount = |value: &Value| value.amount().unwrap_or(unsaid);
                by_order(amount(old), amount(new))
            }
            Self::LessIsLooser => more(new, old),
            Self::Ceiling => {
                let bound = |value: &Value| value.amount().filter(|bound| *bound > 0).unwrap_or(u64::MAX);
                by_order(bound(old), bound(new))
            }
            Self::Choices => match (admitted(old), admitted(new)) {
                (0, 0) => more(old, new),
                (old, new) => by_order(old, new),
            },
            Self::Splitting => match (old, new) {
                (Value::Set(old), Value::Set(new)) if new.is_superset(old) => Kind::Loosened,
                (Value::Set(old), Value::Set(new)) if new.is_subset(old) => Kind::Tightened,
                _ => Kind::Changed,
            },
        }
    }
}

/// How much is admitted without looking.
fn admitted(value: &Value) -> u8 {
    match value {
        Value::Nothing => 2,
        Value::Set(members) if members.is_empty() => 1,
        _ => 0,
    }
}

fn by_order<T: Ord>(old: T, new: T) -> Kind {
    match new.cmp(&old) {
        std::cmp::Ordering::Greater => Kind::Loosened,
        std::cmp::Ordering::Less => Kind::Tightened,
        std::cmp::Ordering::Equal => Kind::Changed,
    }
}

/// A set that has lost some members and got others is weaker by the others.
fn more(old: &Value, new: &Value) -> Kind {
    match (old, new) {
        (Value::Nothing, _) => Kind::Loosened,
        (_, Value::Nothing) => Kind::Tightened,
        (Value::Set(old), Value::Set(new)) => {
            if new.is_subset(old) {
                Kind::Tightened
            } else {
                Kind::Loosened
            }
        }
        _ => match (old.amount(), new.amount()) {
            (Some(old), Some(new)) => by_order(old, new),
            _ => Kind::Changed,
        },
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn what_gets_weaker_is_told_by_the_leaning() {
        use Kind::{Changed, Loosened, Tightened};
        use Leaning::{Ceiling, Choices, LessIsLooser, MoreIsLooser, Neutral, Splitting};
        let count = Value::Count;
        let set = |members: &[&str]| Value::set(members);
        let text = |text: &str| Value::from(text);
        for (leaning, old, new, wanted) in [
            (MoreIsLooser, count(100), count(1000), Loosened),
            (MoreIsLooser, count(100), count(10), Tightened),
            (LessIsLooser, Value::Time(60_000), Value::Time(1_000), Loosened),
            (LessIsLooser, Value::Flag(true), Value::Flag(false), Loosened),
            (LessIsLooser, text("https://a"), Value::Nothing, Loosened),
            (LessIsLooser, text("https://a"), text("https://b"), Changed),
            (LessIsLooser, set(&["sub", "role"]), set(&["sub", "tenant"]), Loosened),
            (Ceiling, count(1_000), count(0), Loosened),
            (Ceiling, count(0), count(1_000), Tightened),
            (Choices, set(&["a"]), set(&[]), Loosened),
            (Choices, set(&[]), Value::Nothing, Loosened),
            (Choices, Value::Nothing, set(&["a"]), Tightened),
            (Choices, set(&["a"]), set(&["a", "b"]), Loosened),
            (Choices, set(&["a", "b"]), set(&["b"]), Tightened),
            (Splitting, set(&["user"]), set(&["ip"]), Changed),
            (Splitting, set(&["user"]), set(&["user", "ip"]), Loosened),
            (Neutral, count(1), count(2), Changed),
        ] {
            assert_eq!(leaning.judge(&old, &new), wanted, "{leaning:?} {old} {new}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn lengths_of_time_are_shown_as_they_are_written() {
        let shown = [1, 1_000, 60_000, 300_000, 3_600_000, 86_400_000, 61_000, 1_500].map(Value::Time);
        let shown = shown.map(|time| time.to_string());
        assert_eq!(shown, ["1ms", "1s", "60s", "5m", "1h", "1d", "61s", "1500ms"]);
    }
}
