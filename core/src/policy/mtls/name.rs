//! Distinguished names in their text form (RFC 4514), read strictly. Whether two are the same is asked of what was
//! read and never of the text; what an attribute means is not known here.

use std::fmt::{self, Write};

use thiserror::Error;

/// A longer text is no name.
const MAX_BYTES: usize = 4096;
/// More attributes are no name.
const MAX_ATTRIBUTES: usize = 64;
/// What has to be escaped wherever it stands (RFC 4514 §2.4).
const SPECIAL: &[char] = &['"', '+', ',', ';', '<', '>', '\\'];

/// A name: sets of attributes in the order of the text, which is the most specific one first.
///
/// Equal are names with the same attributes in the same order. The names of attributes are compared without regard to
/// case, their values as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistinguishedName(Vec<Vec<Attribute>>);

/// An attribute: its name in upper case, or numbers with dots, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attribute {
    name: String,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    /// As it is encoded in certificates, after `#`.
    Encoded(Vec<u8>),
}

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameFault {
    /// More bytes or attributes than a name has.
    #[error("it is too long")]
    TooLong,
    /// Where a name such as `CN` should stand is none.
    #[error("an attribute does not begin with a name, such as `CN`")]
    Attribute,
    /// A name without a value.
    #[error("an attribute's name is not followed by `=`")]
    Equals,
    /// One of the characters that have a meaning.
    #[error("one of `\"` `<` `>` `;` or a NUL stands in a value without being escaped")]
    Special,
    /// A space at an end of a value.
    #[error("a value begins or ends with a space that is not escaped")]
    Space,
    /// A backslash before nothing that it could escape.
    #[error("after `\\` comes neither a character that is escaped nor two hexadecimal digits")]
    Escape,
    /// Bytes that are no text.
    #[error("a value is no UTF-8")]
    Text,
    /// `#` before something else than bytes.
    #[error("after `#` come no pairs of hexadecimal digits")]
    Encoded,
    /// The same attribute twice in one set.
    #[error("an attribute stands twice in a set that is joined by `+`")]
    Twice,
}

impl DistinguishedName {
    /// Reads a text. An empty one is the empty name.
    pub fn parse(text: &str) -> Result<Self, NameFault> {
        if text.len() > MAX_BYTES {
            return Err(NameFault::TooLong);
        }
        let mut sets = Vec::new();
        if text.is_empty() {
            return Ok(Self(sets));
        }
        let (mut rest, mut set, mut count) = (text, Vec::new(), 0);
        loop {
            count += 1;
            if count > MAX_ATTRIBUTES {
                return Err(NameFault::TooLong);
            }
            let (attribute, after) = attribute(rest)?;
            add(attribute, &mut set)?;
            let mut after = after.chars();
            let separator = after.next();
            if separator != Some('+') {
                sets.push(std::mem::take(&mut set));
            }
            if separator.is_none() {
                return Ok(Self(sets));
            }
            rest = after.as_str();
        }
    }

    /// Whether it names nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The common name, where there is one only.
    pub fn common_name(&self) -> Option<&str> {
        let mut found = self.0.iter().flatten().filter(|attribute| attribute.name == "CN");
        match (found.next(), found.next()) {
            (Some(Attribute { value: Value::Text(text), .. }), None) => Some(text),
            _ => None,
        }
    }
}

/// Of a set the order says nothing, so it is put in one.
fn add(attribute: Attribute, set: &mut Vec<Attribute>) -> Result<(), NameFault> {
    let at = set.iter().position(|other| attribute.name <= other.name).unwrap_or(set.len());
    if set.get(at).is_some_and(|other| other.name == attribute.name) {
        return Err(NameFault::Twice);
    }
    set.insert(at, attribute);
    Ok(())
}

/// An attribute, and what comes after it: nothing, or a separator first.
fn attribute(text: &str) -> Result<(Attribute, &str), NameFault> {
    let end =
        text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).ok_or(NameFault::Attribute)?;
    if !is_name(name) {
        return Err(NameFault::Attribute);
    }
    let rest = rest.strip_prefix('=').ok_or(NameFault::Equals)?;
    let (value, rest) = match rest.strip_prefix('#') {
        Some(digits) => encoded(digits)?,
        None => value(rest)?,
    };
    Ok((Attribute { name: name.to_ascii_uppercase(), value }, rest))
}

/// A word, or numbers with dots between them (RFC 4512 §1.4).
fn is_name(text: &str) -> bool {
    let is_number = |part: &str| {
        part == "0"
            || !part.is_empty() && !part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    match text.bytes().next() {
        Some(first) if first.is_ascii_alphabetic() => !text.contains('.'),
        Some(_) => text.contains('.') && text.split('.').all(is_number),
        None => false,
    }
}

fn encoded(text: &str) -> Result<(Value, &str), NameFault> {
    let end = text.find([',', '+']).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).ok_or(NameFault::Encoded)?;
    let (pairs, odd) = digits.as_bytes().as_chunks::<2>();
    if pairs.is_empty() || !odd.is_empty() {
        return Err(NameFault::Encoded);
    }
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| byte(*high, *low)).collect();
    Ok((Value::Encoded(bytes.ok_or(NameFault::Encoded)?), rest))
}

fn value(text: &str) -> Result<(Value, &str), NameFault> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4]);
    let mut chars = text.chars();
    // Whether the last character is a space that nobody escaped.
    let mut bare_space = false;
    let rest = loop {
        let before = chars.as_str();
        let Some(c) = chars.next() else { break before };
        match c {
            ',' | '+' => break before,
            '\\' => {
                bytes.push(escaped(&mut chars)?);
                bare_space = false;
                continue;
            }
            '\0' | '"' | ';' | '<' | '>' => return Err(NameFault::Special),
            ' ' if bytes.is_empty() => return Err(NameFault::Space),
            _ => {}
        }
        bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        bare_space = c == ' ';
    };
    if bare_space {
        return Err(NameFault::Space);
    }
    let text = String::from_utf8(bytes).map_err(|_| NameFault::Text)?;
    Ok((Value::Text(text), rest))
}

/// What stands after a backslash: a character of ASCII, or a byte as two digits.
fn escaped(chars: &mut std::str::Chars<'_>) -> Result<u8, NameFault> {
    let first = chars.next().ok_or(NameFault::Escape)?;
    if SPECIAL.contains(&first) || matches!(first, ' ' | '#' | '=') {
        return u8::try_from(first).map_err(|_| NameFault::Escape);
    }
    let second = chars.next().ok_or(NameFault::Escape)?;
    let ascii = |c: char| u8::try_from(c).map_err(|_| NameFault::Escape);
    byte(ascii(first)?, ascii(second)?).ok_or(NameFault::Escape)
}

fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// In the one spelling that all spellings of the name have in common.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, set) in self.0.iter().enumerate() {
            for (within, attribute) in set.iter().enumerate() {
                match (at, within) {
                    (0, 0) => {}
                    (_, 0) => f.write_char(',')?,
                    _ => f.write_char('+')?,
                }
                write!(f, "{}={}", attribute.name, attribute.value)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Text(text) => text,
            Self::Encoded(bytes) => {
                f.write_char('#')?;
                return bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"));
            }
        };
        let last = text.chars().count().saturating_sub(1);
        for (at, c) in text.chars().enumerate() {
            match c {
                // What is seen nowhere and could break a line.
                _ if c.is_ascii_control() => write!(f, "\\{:02x}", u32::from(c))?,
                ' ' if at == 0 || at == last => f.write_str("\\ ")?,
                '#' if at == 0 => f.write_str("\\#")?,
                _ if SPECIAL.contains(&c) => write!(f, "\\{c}")?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn read(text: &str) -> DistinguishedName {
        DistinguishedName::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_examples_of_the_standard_are_read() {
        // RFC 4514 §4.
        for text in [
            "UID=jsmith,DC=example,DC=net",
            "OU=Sales+CN=J.  Smith,DC=example,DC=net",
            "CN=James \\\"Jim\\\" Smith\\, III,DC=example,DC=net",
            "CN=Before\\0dAfter,DC=example,DC=net",
            "1.3.6.1.4.1.1466.0=#04024869",
            "CN=Lu\\C4\\8Di\\C4\\87",
        ] {
            let name = read(text);
            assert_eq!(read(&name.to_string()), name, "{text}");
        }
        assert_eq!(read("CN=Lu\\C4\\8Di\\C4\\87").common_name(), Some("Lučić"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn spellings_of_a_name_are_one_name() {
        for (one, other) in [
            ("cn=a,o=b", "CN=a,O=b"),
            ("CN=a\\2Cb", "CN=a\\,b"),
            ("CN=a\\20", "CN=a\\ "),
            ("CN=\\41", "CN=A"),
            ("OU=x+CN=y", "CN=y+OU=x"),
            ("1.2.3=#0aFF", "1.2.3=#0Aff"),
            ("CN=a=b", "CN=a\\=b"),
            ("CN=é", "CN=\\c3\\A9"),
        ] {
            assert_eq!(read(one), read(other), "{one} {other}");
            assert_eq!(read(one).to_string(), read(other).to_string());
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn names_that_differ_in_order_value_or_division_are_others() {
        for (one, other) in [
            ("CN=a,O=b", "O=b,CN=a"),
            ("CN=a", "CN=A"),
            ("CN=a", "CN=a,O=b"),
            ("CN=a,O=b", "CN=a+O=b"),
            ("CN=a,O=b", "CN=a\\,O=b"),
            ("CN=#0a", "CN=\\#0a"),
            ("CN=a", "CN=a\\00"),
            ("CN=", "O="),
        ] {
            assert_ne!(read(one), read(other), "{one} {other}");
            assert_ne!(read(one).to_string(), read(other).to_string());
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_not_written_as_the_standard_says_is_no_name() {
        for (text, wanted) in [
            (" CN=a", NameFault::Attribute),
            ("CN=a, O=b", NameFault::Attribute),
            ("CN=a,", NameFault::Attribute),
            ("CN=a+", NameFault::Attribute),
            (",CN=a", NameFault::Attribute),
            ("=a", NameFault::Attribute),
            ("1=a", NameFault::Attribute),
            ("1.02=a", NameFault::Attribute),
            ("C.N=a", NameFault::Attribute),
            ("CN", NameFault::Equals),
            ("CN =a", NameFault::Equals),
            ("/C=a", NameFault::Attribute),
            ("CN= a", NameFault::Space),
            ("CN=a ,O=b", NameFault::Space),
            ("CN=\"a\"", NameFault::Special),
            ("CN=a;O=b", NameFault::Special),
            ("CN=a\0", NameFault::Special),
            ("CN=a\\", NameFault::Escape),
            ("CN=a\\4", NameFault::Escape),
            ("CN=a\\é0", NameFault::Escape),
            ("CN=a\\C4", NameFault::Text),
            ("CN=#", NameFault::Encoded),
            ("CN=#0", NameFault::Encoded),
            ("CN=#0g", NameFault::Encoded),
            ("CN=#00 ,O=b", NameFault::Encoded),
            ("CN=a+cn=b", NameFault::Twice),
        ] {
            assert_eq!(DistinguishedName::parse(text), Err(wanted), "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_name_has_bounds() {
        let fits = vec!["A=b"; MAX_ATTRIBUTES].join(",");
        assert!(DistinguishedName::parse(&fits).is_ok());
        for long in [format!("{fits},A=b"), format!("CN={}", "a".repeat(MAX_BYTES))] {
            assert_eq!(DistinguishedName::parse(&long), Err(NameFault::TooLong));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn of_several_common_names_none_is_the_one() {
        assert_eq!(read("CN=a,O=b").common_name(), Some("a"));
        assert_eq!(read("O=b,CN=a").common_name(), Some("a"));
        for text in ["", "O=b", "CN=a,CN=b", "CN=#0c0161"] {
            assert_eq!(read(text).common_name(), None, "{text}");
        }
    }
}
