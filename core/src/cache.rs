//! Stored responses: how they are named and how long they live. Where they are kept is the host's.
//!
//! A response made for somebody can't get a name under which others find it, unless that was declared:
//! [`CacheKey`] is built from an [`Owner`], and [`Owner::Anyone`] needs a [`Declared`].

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header, request};
use sha2::{Digest, Sha256};

use crate::{host::Timestamp, identity::Identity};

/// The name of a stored response.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheKey(String);

impl CacheKey {
    /// The name for what `owner` gets from `host` and `target` under the policy `scope`.
    pub fn new(scope: &str, owner: &Owner<'_>, host: &str, target: &str) -> Self {
        // Every part is delimited by a byte that none of them can hold.
        let mut key = String::with_capacity(scope.len() + host.len() + target.len() + 48);
        let _ = match owner {
            Owner::Anyone(_) => write!(key, "{scope}\n*\n{host}\n{target}"),
            Owner::User(identity) => write!(key, "{scope}\n{}\n{host}\n{target}", identity.key),
            Owner::Credentials(digest) => write!(key, "{scope}\ncredentials:{digest}\n{host}\n{target}"),
        };
        Self(key)
    }

    /// The same name, told apart by the request's values of `fields` (all field lines, RFC 9111 §4.1).
    pub fn varied(&self, fields: &[HeaderName], request: &HeaderMap) -> Self {
        let mut key = self.0.clone();
        for field in fields {
            let _ = write!(key, "\n{field}:");
            for value in request.get_all(field) {
                // The digest keeps keys short and free of delimiters.
                let _ = write!(key, "{:x},", Sha256::digest(value.as_bytes()));
            }
        }
        Self(key)
    }

    /// The name as text, for hosts whose stores are keyed by text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who may be given a stored response.
#[derive(Debug, Clone)]
pub enum Owner<'a> {
    /// Everybody.
    Anyone(Declared),
    /// One authenticated user.
    User(&'a Identity),
    /// Whoever sends the same `Authorization` and `Cookie`: credentials that only the upstream understands.
    Credentials(String),
}

impl<'a> Owner<'a> {
    /// Whom the answer to this request belongs to, as long as nothing declares it to be for all.
    pub fn of(identity: Option<&'a Identity>, request: &request::Parts) -> Self {
        if let Some(identity) = identity {
            return Self::User(identity);
        }
        let mut digest = Sha256::new();
        let mut any = false;
        for name in [header::AUTHORIZATION, header::COOKIE] {
            for value in request.headers.get_all(&name) {
                any = true;
                digest.update(value.as_bytes());
                digest.update(b"\n");
            }
        }
        if any {
            Self::Credentials(format!("{:x}", digest.finalize()))
        } else {
            Self::Anyone(Declared::Anonymous)
        }
    }
}

/// The reason why an answer may be given to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// The request carried no credentials.
    Anonymous,
    /// The policy says `shared: true`.
    ByPolicy,
    /// The response says `public` or `s-maxage` (RFC 9111 §3.5).
    ByResponse,
}

/// How long a stored response lives, and what it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifetime {
    /// When it was stored.
    pub stored_at: Timestamp,
    /// From when on it is stale.
    pub expires_at: Timestamp,
    /// The request fields it depends on. Not empty in a signpost only: an entry without content that
    /// says by which fields the real entries are told apart.
    pub vary: Vec<HeaderName>,
}

/// A response as it comes out of a store.
#[derive(Debug)]
pub struct Stored<B> {
    /// Head and body as they were when stored.
    pub response: Response<B>,
    /// How long it lives.
    pub lifetime: Lifetime,
}

/// Whether a request may be answered from a store at all.
pub fn is_cacheable(request: &request::Parts) -> bool {
    matches!(request.method, Method::GET | Method::HEAD)
        && !request.headers.contains_key(header::RANGE)
        && !request.headers.contains_key(header::UPGRADE)
}

/// The `Cache-Control` directives (RFC 9111 §5.2) that matter to a store which fixes lifetimes itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directives {
    /// `no-store`
    pub no_store: bool,
    /// `private`
    pub private: bool,
    /// `public`
    pub public: bool,
    /// `s-maxage`
    pub s_maxage: bool,
    /// `no-transform`
    pub no_transform: bool,
    /// `max-age`, in seconds
    pub max_age: Option<u64>,
}

impl Directives {
    /// Reads all field lines; names are case-insensitive, quoted values may hold commas.
    pub fn read<'v>(lines: impl IntoIterator<Item = &'v HeaderValue>) -> Self {
        let mut found = Self::default();
        for line in lines {
            let mut quoted = false;
            for directive in line.as_bytes().split(move |&byte| {
                quoted ^= byte == b'"';
                byte == b',' && !quoted
            }) {
                found.note(directive.trim_ascii());
            }
        }
        found
    }

    fn note(&mut self, directive: &[u8]) {
        let mut parts = directive.splitn(2, |&byte| byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let value = parts.next().map(|value| value.trim_ascii().trim_quotes());
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        if is("no-store") {
            self.no_store = true;
        } else if is("private") {
            self.private = true;
        } else if is("public") {
            self.public = true;
        } else if is("s-maxage") {
            self.s_maxage = true;
        } else if is("no-transform") {
            self.no_transform = true;
        } else if is("max-age") {
            self.max_age = value.and_then(|v| std::str::from_utf8(v).ok()).and_then(|v| v.parse().ok());
        }
    }
}

trait TrimQuotes {
    fn trim_quotes(&self) -> &[u8];
}

impl TrimQuotes for [u8] {
    fn trim_quotes(&self) -> &[u8] {
        self.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn read(lines: &[&'static str]) -> Directives {
        let values: Vec<_> = lines.iter().map(|line| HeaderValue::from_static(line)).collect();
        Directives::read(&values)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn directives_are_read_whatever_their_case_and_line() {
        let found = read(&["Max-Age=\"60\", No-Store", "PRIVATE"]);
        assert!(found.no_store && found.private && !found.public);
        assert_eq!(found.max_age, Some(60));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_comma_in_quotes_does_not_split() {
        let found = read(&["private=\"set-cookie, no-store\""]);
        assert!(found.private && !found.no_store);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_huge_max_age_is_no_number() {
        assert_eq!(read(&["max-age=18446744073709551616"]).max_age, None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn credentials_unknown_to_the_gateway_still_own_their_answers() {
        let with =
            |value: &'static str| Request::get("/").header("cookie", value).body(()).unwrap().into_parts().0;
        let key = |parts: &request::Parts| CacheKey::new("c", &Owner::of(None, parts), "h", "/");
        assert_ne!(key(&with("a=1")), key(&with("a=2")));
        let nobody = Request::get("/").body(()).unwrap().into_parts().0;
        assert_ne!(key(&with("a=1")), key(&nobody));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_field_line_of_vary_tells_entries_apart() {
        let base = CacheKey::new("c", &Owner::Anyone(Declared::Anonymous), "h", "/");
        let fields = [HeaderName::from_static("x-tenant")];
        let one = Request::get("/").header("x-tenant", "a").body(()).unwrap().into_parts().0;
        let two = Request::get("/")
            .header("x-tenant", "a")
            .header("x-tenant", "b")
            .body(())
            .unwrap()
            .into_parts()
            .0;
        assert_ne!(base.varied(&fields, &one.headers), base.varied(&fields, &two.headers));
    }
}
