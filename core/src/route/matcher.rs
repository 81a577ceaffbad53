//! Matchers on method, headers and query, and how specific they are.

use std::borrow::Cow;

use http::{HeaderMap, Method};

/// The methods a route serves. `GET` includes `HEAD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Methods(Vec<Method>);

impl Methods {
    pub(crate) fn new(mut methods: Vec<Method>) -> Self {
        if methods.contains(&Method::GET) && !methods.contains(&Method::HEAD) {
            methods.push(Method::HEAD);
        }
        Self(methods)
    }

    pub(crate) fn contain(&self, method: &Method) -> bool {
        self.0.contains(method)
    }

    pub(crate) fn overlap(&self, other: &Self) -> bool {
        self.0.iter().any(|method| other.contain(method))
    }

    pub(crate) fn as_slice(&self) -> &[Method] {
        &self.0
    }

    pub(crate) fn list_into(&self, list: &mut Vec<Method>) {
        for method in &self.0 {
            if !list.contains(method) {
                list.push(method.clone());
            }
        }
    }
}

/// What a field must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Anything.
    Present,
    /// Just this.
    Exactly(String),
}

impl Wanted {
    pub(crate) fn new(text: &str) -> Self {
        if text == "*" { Self::Present } else { Self::Exactly(text.to_owned()) }
    }

    fn admits(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exactly(wanted) => wanted.as_bytes() == value,
        }
    }
}

/// Fields that must hold values: header fields or query parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(pub(crate) Vec<(String, Wanted)>);

impl Fields {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Each with a value that will do.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, wanted)| match wanted {
            Wanted::Present => (name.as_str(), "any-other"),
            Wanted::Exactly(value) => (name.as_str(), value.as_str()),
        })
    }

    /// Whether no request can satisfy both: one field is wanted with two values.
    pub(crate) fn exclude(&self, other: &Self) -> bool {
        self.0.iter().any(|(name, wanted)| {
            other.0.iter().any(|(others, value)| {
                name == others
                    && matches!((wanted, value), (Wanted::Exactly(a), Wanted::Exactly(b)) if a != b)
            })
        })
    }

    /// Whether every request that satisfies `other` satisfies these fields too.
    pub(crate) fn follow_from(&self, other: &Self) -> bool {
        self.0.iter().all(|(name, wanted)| {
            let mut others = other.0.iter().filter(|(others, _)| others == name);
            others.any(|(_, value)| *wanted == Wanted::Present || value == wanted)
        })
    }

    /// Whether the field may have one value only.
    pub(crate) fn fix(&self, name: &str) -> bool {
        self.0.iter().any(|(own, wanted)| own == name && matches!(wanted, Wanted::Exactly(_)))
    }

    pub(crate) fn hold_in_headers(&self, headers: &HeaderMap) -> bool {
        self.0.iter().all(|(name, wanted)| {
            // A field sent twice is ambiguous, so it satisfies no exact wish.
            let mut values = headers.get_all(name.as_str()).iter();
            match (values.next(), values.next()) {
                (Some(value), None) => wanted.admits(value.as_bytes()),
                (Some(_), Some(_)) => *wanted == Wanted::Present,
                (None, _) => false,
            }
        })
    }

    pub(crate) fn hold_in_query(&self, query: Option<&str>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let query = query.unwrap_or_default();
        self.0.iter().all(|(name, wanted)| {
            let mut values = parameters(query).filter(|(key, _)| key == name);
            match (values.next(), values.next()) {
                (Some((_, value)), None) => wanted.admits(value.as_bytes()),
                (Some(_), Some(_)) => *wanted == Wanted::Present,
                (None, _) => false,
            }
        })
    }
}

/// The parameters of a query, decoded (`application/x-www-form-urlencoded`).
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

/// The other way round.
pub(super) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    Some(value) => {
                        out.push(value);
                        rest = after.get(2..).unwrap_or_default();
                    }
                    None => out.push(b'%'),
                }
            }
            _ => out.push(byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(name, wanted)| ((*name).to_owned(), Wanted::new(wanted))).collect())
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_query_is_decoded_before_it_is_compared() {
        assert!(fields(&[("a b", "c&d")]).hold_in_query(Some("x=1&a+b=c%26d")));
        assert!(fields(&[("a", "*")]).hold_in_query(Some("a")));
        assert!(!fields(&[("a", "1")]).hold_in_query(Some("a=1&a=2")));
        assert!(!fields(&[("a", "1")]).hold_in_query(None));
        assert!(fields(&[("a", "%zz")]).hold_in_query(Some("a=%zz")));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_header_sent_twice_satisfies_no_exact_wish() {
        let mut headers = HeaderMap::new();
        headers.append("x-version", "1".parse().unwrap());
        assert!(fields(&[("x-version", "1")]).hold_in_headers(&headers));
        headers.append("x-version", "2".parse().unwrap());
        assert!(!fields(&[("x-version", "1")]).hold_in_headers(&headers));
        assert!(fields(&[("x-version", "*")]).hold_in_headers(&headers));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn two_values_of_one_field_exclude_each_other() {
        assert!(fields(&[("v", "1")]).exclude(&fields(&[("v", "2")])));
        assert!(!fields(&[("v", "1")]).exclude(&fields(&[("v", "*")])));
        assert!(!fields(&[("v", "1")]).exclude(&fields(&[("w", "2")])));
    }
}
