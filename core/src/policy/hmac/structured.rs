//! Structured fields (RFC 8941), as far as signatures need them: dictionaries of items and inner lists, read strictly
//! and written in the one canonical way.
//!
//! Stricter than the standard in one place: what stands twice under one name is an error, and not replaced by the
//! last, as whoever else reads the field may have taken the first. Everything is bounded.

use std::fmt;

use base64ct::{Base64, Encoding};
use http::{HeaderMap, HeaderName};

/// A longer field is not read.
const MAX_BYTES: usize = 8 * 1024;
/// Members of a dictionary.
const MAX_MEMBERS: usize = 16;
/// Members of an inner list.
const MAX_ITEMS: usize = 64;
/// Parameters of one member.
const MAX_PARAMETERS: usize = 16;

/// A bare item (RFC 8941 §3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bare {
    /// A whole number.
    Integer(i64),
    /// A decimal, in thousandths.
    Decimal(i64),
    /// A string.
    Text(String),
    /// A token.
    Token(String),
    /// A byte sequence.
    Bytes(Vec<u8>),
    /// A boolean.
    Flag(bool),
}

/// Parameters, in their order.
pub type Parameters = Vec<(String, Bare)>;

/// An item with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub value: Bare,
    /// What is said of it.
    pub parameters: Parameters,
}

/// An inner list (RFC 8941 §3.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InnerList {
    /// Its members.
    pub items: Vec<Item>,
    /// What is said of it.
    pub parameters: Parameters,
}

/// A member of a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// An item.
    Item(Item),
    /// An inner list.
    List(InnerList),
}

/// All lines of a field as one. `None` where there is none, it is no text, or it is too long.
pub fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut lines = headers.get_all(name).iter();
    let mut all = lines.next()?.to_str().ok()?.to_owned();
    for line in lines {
        all.push_str(", ");
        all.push_str(line.to_str().ok()?);
    }
    (all.len() <= MAX_BYTES).then_some(all)
}

/// Reads a dictionary (RFC 8941 §4.2.2). `None` for what is none.
pub fn dictionary(text: &str) -> Option<Vec<(String, Member)>> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let mut rest = Reader(text.trim_matches(' ').as_bytes());
    let mut members: Vec<(String, Member)> = Vec::new();
    while !rest.0.is_empty() {
        let name = rest.key()?;
        let member = match rest.eat(b'=') {
            true if rest.0.first() == Some(&b'(') => Member::List(rest.inner_list()?),
            true => Member::Item(rest.item()?),
            false => Member::Item(Item { value: Bare::Flag(true), parameters: rest.parameters()? }),
        };
        if members.len() == MAX_MEMBERS || members.iter().any(|(known, _)| *known == name) {
            return None;
        }
        members.push((name, member));
        rest.skip(b" \t");
        if rest.0.is_empty() {
            break;
        }
        if !rest.eat(b',') {
            return None;
        }
        rest.skip(b" \t");
        if rest.0.is_empty() {
            return None;
        }
    }
    Some(members)
}

/// Whether a text is a key of dictionaries.
pub fn is_key(text: &str) -> bool {
    let mut rest = Reader(text.as_bytes());
    rest.key().is_some() && rest.0.is_empty()
}

/// What is still to be read.
struct Reader<'t>(&'t [u8]);

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.next();
        }
        found
    }

    fn skip(&mut self, bytes: &[u8]) {
        while self.0.first().is_some_and(|byte| bytes.contains(byte)) {
            self.next();
        }
    }

    /// As many bytes as will do.
    fn take(&mut self, fits: impl Fn(u8) -> bool) -> String {
        let mut text = String::new();
        while let Some(&byte) = self.0.first()
            && fits(byte)
        {
            text.push(char::from(byte));
            self.next();
        }
        text
    }

    fn key(&mut self) -> Option<String> {
        let begins = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'*';
        self.0.first().filter(|byte| begins(byte))?;
        Some(self.take(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)))
    }

    fn inner_list(&mut self) -> Option<InnerList> {
        self.eat(b'(').then_some(())?;
        let mut items = Vec::new();
        loop {
            self.skip(b" ");
            if self.eat(b')') {
                return Some(InnerList { items, parameters: self.parameters()? });
            }
            if items.len() == MAX_ITEMS {
                return None;
            }
            items.push(self.item()?);
            if !matches!(self.0.first(), Some(b' ' | b')')) {
                return None;
            }
        }
    }

    fn item(&mut self) -> Option<Item> {
        Some(Item { value: self.bare()?, parameters: self.parameters()? })
    }

    fn parameters(&mut self) -> Option<Parameters> {
        let mut parameters = Parameters::new();
        while self.eat(b';') {
            self.skip(b" ");
            let name = self.key()?;
            let value = if self.eat(b'=') { self.bare()? } else { Bare::Flag(true) };
            if parameters.len() == MAX_PARAMETERS || parameters.iter().any(|(known, _)| *known == name) {
                return None;
            }
            parameters.push((name, value));
        }
        Some(parameters)
    }

    fn bare(&mut self) -> Option<Bare> {
        match self.0.first()? {
            b'"' => self.text(),
            b':' => self.bytes(),
            b'?' => self.flag(),
            b'-' | b'0'..=b'9' => self.number(),
            byte if byte.is_ascii_alphabetic() || *byte == b'*' => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
                Some(Bare::Token(self.take(fits)))
            }
            _ => None,
        }
    }

    fn text(&mut self) -> Option<Bare> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next()? {
                b'"' => return Some(Bare::Text(text)),
                b'\\' => text.push(self.next().filter(|byte| b"\"\\".contains(byte))?.into()),
                byte @ b' '..=b'~' => text.push(byte.into()),
                _ => return None,
            }
        }
    }

    fn bytes(&mut self) -> Option<Bare> {
        self.next();
        let text = self.take(|byte| byte != b':' && byte.is_ascii());
        self.eat(b':').then(|| Base64::decode_vec(&text).ok().map(Bare::Bytes))?
    }

    fn flag(&mut self) -> Option<Bare> {
        self.next();
        match self.next()? {
            b'0' => Some(Bare::Flag(false)),
            b'1' => Some(Bare::Flag(true)),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Bare> {
        let sign = if self.eat(b'-') { -1 } else { 1 };
        let whole = self.take(|byte| byte.is_ascii_digit());
        if !self.eat(b'.') {
            let fits = (1..=15).contains(&whole.len());
            return fits.then(|| whole.parse().ok().map(|number: i64| Bare::Integer(sign * number)))?;
        }
        let part = self.take(|byte| byte.is_ascii_digit());
        if !(1..=12).contains(&whole.len()) || !(1..=3).contains(&part.len()) {
            return None;
        }
        let thousandths: i64 = format!("{whole}{part:0<3}").parse().ok()?;
        Some(Bare::Decimal(sign * thousandths))
    }
}

/// The canonical form (RFC 8941 §4.1).
impl fmt::Display for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Decimal(thousandths) => {
                let sign = if *thousandths < 0 { "-" } else { "" };
                let (whole, part) = (thousandths.abs() / 1000, thousandths.abs() % 1000);
                let part = format!("{part:03}");
                let part = part.trim_end_matches('0');
                write!(f, "{sign}{whole}.{}", if part.is_empty() { "0" } else { part })
            }
            Self::Text(text) => {
                f.write_str("\"")?;
                for c in text.chars() {
                    match c {
                        '"' | '\\' => write!(f, "\\{c}")?,
                        _ => write!(f, "{c}")?,
                    }
                }
                f.write_str("\"")
            }
            Self::Token(text) => f.write_str(text),
            Self::Bytes(bytes) => write!(f, ":{}:", Base64::encode_string(bytes)),
            Self::Flag(flag) => write!(f, "?{}", u8::from(*flag)),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value)?;
        write_parameters(f, &self.parameters)
    }
}

impl fmt::Display for InnerList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (at, item) in self.items.iter().enumerate() {
            write!(f, "{}{item}", if at == 0 { "" } else { " " })?;
        }
        f.write_str(")")?;
        write_parameters(f, &self.parameters)
    }
}

fn write_parameters(f: &mut fmt::Formatter<'_>, parameters: &Parameters) -> fmt::Result {
    for (name, value) in parameters {
        match value {
            Bare::Flag(true) => write!(f, ";{name}")?,
            value => write!(f, ";{name}={value}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn written(text: &str) -> Option<String> {
        let each = |(name, member): &(String, Member)| match member {
            Member::Item(item) => format!("{name}={item}"),
            Member::List(list) => format!("{name}={list}"),
        };
        Some(dictionary(text)?.iter().map(each).collect::<Vec<_>>().join(", "))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_read_is_written_in_one_way() {
        for (text, wanted) in [
            ("", ""),
            ("  a=1  ", "a=1"),
            ("a=-007", "a=-7"),
            ("a=01.50", "a=1.5"),
            ("a=-0.0", "a=0.0"),
            ("a=2.000", "a=2.0"),
            ("a=( \"x\"   \"y\" );  b;c=?0", "a=(\"x\" \"y\");b;c=?0"),
            ("a=();b=\"\\\"\\\\\"", "a=();b=\"\\\"\\\\\""),
            ("a=:YQ==:\t,\t b=tok/en:x;q=*a", "a=:YQ==:, b=tok/en:x;q=*a"),
            ("a=1,b=2", "a=1, b=2"),
            ("*a-b.c_d=?1", "*a-b.c_d=?1"),
            ("sig=(\"@method\" \"x\";sf);created=1", "sig=(\"@method\" \"x\";sf);created=1"),
        ] {
            assert_eq!(written(text).as_deref(), Some(wanted), "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn nothing_else_is_read() {
        for text in [
            ",",
            "a=1,",
            "a=1,,b=2",
            "a=1 b=2",
            "A=1",
            "1a=1",
            "a=",
            "a=(",
            "a=(\"x\"",
            "a=(\"x\"\"y\")",
            "a=(\"x\"\t\"y\")",
            "a=\"x",
            "a=\"\\n\"",
            "a=\"\u{e9}\"",
            "a=\"\t\"",
            "a=:YQ==",
            "a=:YQ=:",
            "a=:Y Q==:",
            "a=:YR==:",
            "a=?2",
            "a=?",
            "a=-",
            "a=1.",
            "a=1.2345",
            "a=1234567890123.0",
            "a=1234567890123456",
            "a=1;",
            "a=1;A",
            "a=1;b=",
            "a=1;b;b",
            "a=1, a=2",
            "a=@1",
            "a=%\"x\"",
            "a=((\"x\"))",
            "a=1 ;b",
            "\ta=1",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn there_is_an_end_to_everything() {
        let many = |count: usize, each: &dyn Fn(usize) -> String, between: &str| {
            (0..count).map(each).collect::<Vec<_>>().join(between)
        };
        let members = |count| many(count, &|n| format!("a{n}=1"), ", ");
        let items = |count| format!("a=({})", many(count, &|_| "1".to_owned(), " "));
        let parameters = |count| format!("a=1{}", many(count, &|n| format!(";p{n}"), ""));
        assert!(
            dictionary(&members(MAX_MEMBERS)).is_some() && dictionary(&members(MAX_MEMBERS + 1)).is_none()
        );
        assert!(dictionary(&items(MAX_ITEMS)).is_some() && dictionary(&items(MAX_ITEMS + 1)).is_none());
        let most = parameters(MAX_PARAMETERS);
        assert!(dictionary(&most).is_some() && dictionary(&parameters(MAX_PARAMETERS + 1)).is_none());
        assert!(dictionary(&format!("a=\"{}\"", "x".repeat(MAX_BYTES))).is_none());
    }
}
