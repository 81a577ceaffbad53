//! Matchers on the host: exact names, wildcards for all names below one, and everything.

use std::{borrow::Cow, collections::HashMap};

/// A host in a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum HostPattern {
    /// Just this name.
    Exact(String),
    /// All names that end so; begins with a dot.
    Below(String),
    /// All names.
    Any,
}

impl HostPattern {
    /// `None` for what is no host: names and addresses only, no port.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let name = text.to_ascii_lowercase();
        // The look-up knows hosts in their one spelling only.
        let wellformed = |name: &str| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b))
                && normalised(name).as_deref() == Some(name)
        };
        match name.strip_prefix("*.") {
            Some(below) => (wellformed(below) && !below.starts_with(['.', '[']))
                .then(|| Self::Below(format!(".{below}"))),
            None => wellformed(&name).then_some(Self::Exact(name)),
        }
    }
}

/// What belongs to which host.
#[derive(Debug)]
pub(crate) struct Hosts<T> {
    exact: HashMap<String, T>,
    /// Longest first.
    below: Vec<(String, T)>,
    any: Option<T>,
}

impl<T> Hosts<T> {
    pub(crate) fn new(groups: Vec<(HostPattern, T)>) -> Self {
        let mut hosts = Self { exact: HashMap::new(), below: Vec::new(), any: None };
        for (host, group) in groups {
            match host {
                HostPattern::Exact(name) => drop(hosts.exact.insert(name, group)),
                HostPattern::Below(suffix) => hosts.below.push((suffix, group)),
                HostPattern::Any => hosts.any = Some(group),
            }
        }
        hosts.below.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        hosts
    }

    /// All groups there are.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.exact.values().chain(self.below.iter().map(|(_, group)| group)).chain(&self.any)
    }

    /// All groups for `host`, the most specific first.
    pub(crate) fn matching<'h>(&'h self, host: &str) -> impl Iterator<Item = &'h T> {
        let exact = if self.exact.is_empty() { None } else { self.exact.get(host) };
        let below =
            self.below.iter().filter(move |(suffix, _)| host.len() > suffix.len() && host.ends_with(suffix));
        exact.into_iter().chain(below.map(|(_, group)| group)).chain(&self.any)
    }
}

/// The host that a `Host` header or an authority names: lower-case, without port and final dot.
/// `None` for what names no host.
pub(crate) fn normalised(authority: &str) -> Option<Cow<'_, str>> {
    let (host, port) = match authority.rfind(']') {
        Some(end) if authority.starts_with('[') => {
            (authority.get(..=end)?, authority.get(end + 1..).unwrap_or_default())
        }
        Some(_) => return None,
        None => match authority.split_once(':') {
            Some((host, _)) => (host, authority.get(host.len()..)?),
            None => (authority, ""),
        },
    };
    let port_fine = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()));
    let host = host.strip_suffix('.').unwrap_or(host);
    // The characters of `reg-name` and of IP literals (RFC 3986 §3.2.2).
    let fine = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            )
            || matches!(byte, b',' | b';' | b'=' | b'%' | b'[' | b']' | b':')
    };
    if !port_fine || host.is_empty() || !host.bytes().all(fine) {
        return None;
    }
    Some(if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    })
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_most_specific_host_comes_first() {
        let hosts = Hosts::new(
            ["*.example.com", "*.api.example.com", "x.api.example.com"]
                .into_iter()
                .map(|text| (HostPattern::parse(text).unwrap(), text))
                .chain([(HostPattern::Any, "any")])
                .collect(),
        );
        let found: Vec<_> = hosts.matching("x.api.example.com").copied().collect();
        assert_eq!(found, ["x.api.example.com", "*.api.example.com", "*.example.com", "any"]);
        assert_eq!(hosts.matching("example.com").copied().collect::<Vec<_>>(), ["any"]);
        assert_eq!(hosts.matching("badexample.com").copied().collect::<Vec<_>>(), ["any"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_no_request_can_name_is_no_host() {
        for fine in ["api.example.com", "API.example.com", "127.0.0.1", "[::1]", "localhost", "*.example.com"]
        {
            assert!(HostPattern::parse(fine).is_some(), "{fine}");
        }
        for wrong in
            ["api.example.com:8080", "api.example.com.", "::1", "*", "*.", "*example.com", "a.*", "*..b", ""]
        {
            assert_eq!(HostPattern::parse(wrong), None, "{wrong}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn hosts_have_one_spelling() {
        for (authority, wanted) in [
            ("API.example.com:8080", Some("api.example.com")),
            ("api.example.com.", Some("api.example.com")),
            ("[::1]:80", Some("[::1]")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("", None),
            (":80", None),
            ("a:b", None),
            ("a:80:90", None),
            ("a/b", None),
            ("a@b", None),
            ("a b", None),
        ] {
            assert_eq!(normalised(authority).as_deref(), wanted, "{authority}");
        }
    }
}
