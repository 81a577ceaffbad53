//! The parts of a request that a signature can cover, and the text that is signed (RFC 9421 §2). Whether a signature
//! is good is not told here.
//!
//! What is not understood is refused: to guess at it would be to sign something else.

use std::{borrow::Cow, fmt::Write};

use http::{HeaderName, HeaderValue, header, request};

use super::structured::{Bare, InnerList, Item};
use crate::{route::parameters, transform::hop_by_hop};

/// A part of a request without parameters: what a configuration may demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Component {
    Method,
    TargetUri,
    Authority,
    Scheme,
    Path,
    Query,
    Field(HeaderName),
}

/// The request as its signer saw it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'m> {
    pub(crate) head: &'m request::Parts,
    /// The `Host` field as it came, or the authority that stood in its place.
    pub(crate) host: &'m HeaderValue,
    /// Whether the client speaks TLS.
    pub(crate) encrypted: bool,
    /// Whether a body follows.
    pub(crate) has_body: bool,
}

impl Component {
    /// Reads a name. `None` for what is not known, such as `@query-param`, which means nothing without a parameter.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "@method" => Self::Method,
            "@target-uri" => Self::TargetUri,
            "@authority" => Self::Authority,
            "@scheme" => Self::Scheme,
            "@path" => Self::Path,
            "@query" => Self::Query,
            // §2.1: identifiers are in lower case, so that each field has one.
            field if field.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'@') => return None,
            field => Self::Field(HeaderName::from_bytes(field.as_bytes()).ok()?),
        })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Method => "@method",
            Self::TargetUri => "@target-uri",
            Self::Authority => "@authority",
            Self::Scheme => "@scheme",
            Self::Path => "@path",
            Self::Query => "@query",
            Self::Field(name) => name.as_str(),
        }
    }

    /// Whether a signature over these covers it.
    pub(crate) fn is_covered(&self, covered: &InnerList) -> bool {
        let has =
            |name: &str| covered.items.iter().any(|item| is_named(item, name) && item.parameters.is_empty());
        let within_target = matches!(self, Self::Authority | Self::Scheme | Self::Path | Self::Query);
        has(self.name()) || within_target && has("@target-uri")
    }

    /// Its value (§2.1, §2.2). `None` where the request has none, or one that can't be signed.
    fn value<'m>(&self, message: &Message<'m>) -> Option<Cow<'m, str>> {
        let uri = &message.head.uri;
        Some(match self {
            Self::Method => message.head.method.as_str().into(),
            Self::TargetUri => {
                let mut target = format!("{}://{}{}", message.scheme(), message.authority()?, message.path());
                if let Some(query) = uri.query() {
                    target.push('?');
                    target.push_str(query);
                }
                target.into()
            }
            Self::Authority => message.authority()?.into(),
            Self::Scheme => message.scheme().into(),
            Self::Path => message.path().into(),
            // A query that is not there looks like an empty one (§2.2.7).
            Self::Query => format!("?{}", uri.query().unwrap_or_default()).into(),
            // Such a field ends here, so the service would have a request that nobody signed.
            Self::Field(name) if hop_by_hop::is_listed(&message.head.headers, name) => return None,
            // A target with an authority counts more than the field, which then says nothing.
            Self::Field(name)
                if *name == header::HOST && message.head.headers.get(name) != Some(message.host) =>
            {
                return None;
            }
            Self::Field(name) => {
                let mut lines = message.head.headers.get_all(name).iter();
                let first = lines.next()?.to_str().ok()?.trim();
                let mut all = Cow::Borrowed(first);
                for line in lines {
                    let text = line.to_str().ok()?.trim();
                    let all = all.to_mut();
                    all.push_str(", ");
                    all.push_str(text);
                }
                all
            }
        })
    }
}

impl<'m> Message<'m> {
    fn scheme(&self) -> &'static str {
        if self.encrypted { "https" } else { "http" }
    }

    /// In lower case, without the scheme's own port (RFC 9110 §4.2.3).
    fn authority(&self) -> Option<String> {
        let host = self.host.to_str().ok()?.to_ascii_lowercase();
        let port = if self.encrypted { ":443" } else { ":80" };
        Some(host.strip_suffix(port).map_or_else(|| host.clone(), str::to_owned))
    }

    fn path(&self) -> &'m str {
        match self.head.uri.path() {
            "" => "/",
            path => path,
        }
    }

    /// The value of the only parameter of this name (§2.2.8).
    fn query_parameter(&self, name: &str) -> Option<String> {
        let query = self.head.uri.query()?;
        let mut named = parameters(query).filter(|(key, _)| encoded(key) == name);
        let (Some((key, value)), None) = (named.next(), named.next()) else { return None };
        // What is no UTF-8 was replaced when it was read: other bytes would look the same.
        let is_whole = |text: &str| !text.contains(char::REPLACEMENT_CHARACTER);
        (is_whole(&key) && is_whole(&value)).then(|| encoded(&value))
    }

    fn value(&self, item: &Item) -> Option<Cow<'m, str>> {
        let Bare::Text(name) = &item.value else { return None };
        match (name.as_str(), item.parameters.as_slice()) {
            ("@query-param", [(key, Bare::Text(name))]) if key == "name" => {
                self.query_parameter(name).map(Cow::Owned)
            }
            (name, []) => Component::parse(name)?.value(self),
            // `sf`, `key`, `bs`, `tr`, `req` and whatever comes later.
            _ => None,
        }
    }

    /// What is signed (§2.5). `None` where some component is not understood, or not in the request just once.
    pub(crate) fn base(&self, covered: &InnerList) -> Option<String> {
        let mut base = String::with_capacity(512);
        for item in &covered.items {
            let value = self.value(item)?;
            // INVARIANT: no header and no target holds a line break, so no value can pretend to be two components.
            let _ = writeln!(base, "{item}: {value}");
        }
        let _ = write!(base, "\"@signature-params\": {covered}");
        Some(base)
    }
}

fn is_named(item: &Item, name: &str) -> bool {
    matches!(&item.value, Bare::Text(text) if text == name)
}

/// Whether each component is a text and stands there once (§2).
pub(crate) fn is_a_set(covered: &InnerList) -> bool {
    let mut seen: Vec<String> = Vec::with_capacity(covered.items.len());
    covered.items.iter().all(|item| {
        // Parameters in another order make no other component.
        let mut item = item.clone();
        item.parameters.sort_by(|(one, _), (other, _)| one.cmp(other));
        let name = item.to_string();
        let is_new = matches!(item.value, Bare::Text(_)) && !seen.contains(&name);
        seen.push(name);
        is_new
    })
}

/// As forms are encoded, but for spaces.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http::Request;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::{
        super::structured::{Member, dictionary},
        *,
    };

    fn covered(text: &str) -> InnerList {
        match dictionary(&format!("s={text}")).unwrap().remove(0).1 {
            Member::List(list) => list,
            Member::Item(_) => panic!("no list"),
        }
    }

    fn value(target: &str, host: &str, encrypted: bool, component: &str) -> Option<String> {
        let head = Request::get(target)
            .header("x-lines", " one ")
            .header("x-lines", "two")
            .header("x-empty", "")
            .header("x-odd", "\u{e9}")
            .body(())
            .unwrap()
            .into_parts()
            .0;
        let host = HeaderValue::from_str(host).unwrap();
        let message = Message { head: &head, host: &host, encrypted, has_body: false };
        let list = covered(&format!("({component})"));
        let base = message.base(&list)?;
        let (line, _) = base.split_once("\n\"@signature-params\"").unwrap();
        Some(line.strip_prefix(&format!("{component}: ")).unwrap().to_owned())
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_component_has_the_value_that_the_standard_says() {
        // RFC 9421 §2.1 and §2.2.
        for (target, host, encrypted, component, wanted) in [
            ("/path?param=value", "www.example.com", true, "\"@method\"", "GET"),
            ("/path?p=v", "www.example.com", true, "\"@target-uri\"", "https://www.example.com/path?p=v"),
            ("/", "WWW.example.com:443", true, "\"@authority\"", "www.example.com"),
            ("/", "www.example.com:443", false, "\"@authority\"", "www.example.com:443"),
            ("/", "www.example.com:80", false, "\"@authority\"", "www.example.com"),
            ("/", "www.example.com:8080", false, "\"@authority\"", "www.example.com:8080"),
            ("/", "a", false, "\"@scheme\"", "http"),
            ("/path?param=value", "a", true, "\"@path\"", "/path"),
            ("/a%2fb/../c", "a", true, "\"@path\"", "/a%2fb/../c"),
            (
                "/path?param=value&foo=bar&baz=bat%2Dman",
                "a",
                true,
                "\"@query\"",
                "?param=value&foo=bar&baz=bat%2Dman",
            ),
            ("/path", "a", true, "\"@query\"", "?"),
            ("/path?", "a", true, "\"@query\"", "?"),
            ("/p?param=value&qux=", "a", true, "\"@query-param\";name=\"qux\"", ""),
            (
                "/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace",
                "a",
                true,
                "\"@query-param\";name=\"var\"",
                "this%20is%20a%20big%0Amultiline%20value",
            ),
            (
                "/p?bar=with+plus+whitespace",
                "a",
                true,
                "\"@query-param\";name=\"bar\"",
                "with%20plus%20whitespace",
            ),
            (
                "/p?fa%C3%A7ade%22%3A%20=something",
                "a",
                true,
                "\"@query-param\";name=\"fa%C3%A7ade%22%3A%20\"",
                "something",
            ),
            ("/", "a", true, "\"x-lines\"", "one, two"),
            ("/", "a", true, "\"x-empty\"", ""),
        ] {
            let found = value(target, host, encrypted, component);
            assert_eq!(found.as_deref(), Some(wanted), "{component} of {target}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_not_understood_is_not_signed() {
        for component in [
            "\"@status\"",
            "\"@request-target\"",
            "\"@signature-params\"",
            "\"@unknown\"",
            "\"X-Lines\"",
            "\"x lines\"",
            "\"x-lines\";sf",
            "\"x-lines\";bs",
            "\"x-lines\";key=\"a\"",
            "\"x-lines\";tr",
            "\"x-lines\";req",
            "\"@method\";req",
            "\"@query-param\"",
            "\"@query-param\";name=a",
            "\"@query-param\";name=\"b\"",
            "\"@query-param\";name=\"a\"",
            "\"@query-param\";name=\"c\"",
            "\"@query-param\";name=\"x\";req",
            "\"x-absent\"",
            "\"x-odd\"",
            "x-lines",
            "1",
        ] {
            assert_eq!(value("/?a=1&a=2&c=%FF&x=1", "a", false, component), None, "{component}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_field_that_says_nothing_or_ends_here_is_not_signed() {
        let base = |fields: &[(&str, &str)], host: &'static str, component: &str| {
            let request =
                fields.iter().fold(Request::get("/"), |request, (name, text)| request.header(*name, *text));
            let head = request.body(()).unwrap().into_parts().0;
            let host = HeaderValue::from_static(host);
            let message = Message { head: &head, host: &host, encrypted: false, has_body: false };
            message.base(&covered(&format!("(\"{component}\")"))).is_some()
        };
        assert!(base(&[("host", "a")], "a", "host"));
        assert!(!base(&[("host", "a")], "b", "host"));
        let limited = [("x-limit", "5"), ("connection", "close"), ("connection", "a, X-Limit")];
        assert!(base(&limited[..2], "a", "x-limit"));
        assert!(!base(&limited, "a", "x-limit"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_component_stands_there_twice() {
        assert!(is_a_set(&covered("(\"a\" \"b\" \"@query-param\";name=\"a\" \"@query-param\";name=\"b\")")));
        assert!(!is_a_set(&covered("(\"a\" \"b\" \"a\")")));
        assert!(!is_a_set(&covered("(\"a\";x;y \"a\";y;x)")));
        assert!(!is_a_set(&covered("(a)")));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_target_covers_its_parts() {
        let target = covered("(\"@target-uri\")");
        for part in ["@authority", "@scheme", "@path", "@query", "@target-uri"] {
            assert!(Component::parse(part).unwrap().is_covered(&target), "{part}");
        }
        assert!(!Component::Method.is_covered(&target));
        assert!(!Component::Path.is_covered(&covered("(\"@path\";req)")));
        assert!(
            !Component::TargetUri.is_covered(&covered("(\"@path\" \"@query\" \"@authority\" \"@scheme\")"))
        );
    }
}
