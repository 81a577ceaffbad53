//! What requests a route is for, in a form in which the order of the file is gone.

use http::Method;

use super::setting::{Setting, Value};
use crate::{
    pattern::{Pattern, Segment},
    route::{Fields, HostPattern, Methods, Route, Wanted},
};

/// The matchers of a route besides its path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Matchers {
    hosts: Vec<String>,
    methods: Option<Vec<String>>,
    headers: Vec<String>,
    query: Vec<String>,
}

impl Matchers {
    pub(super) fn of(route: &Route) -> Self {
        let sorted = |mut texts: Vec<String>| {
            texts.sort();
            texts.dedup();
            texts
        };
        Self {
            hosts: sorted(route.hosts.iter().map(host).collect()),
            methods: route.methods.as_ref().map(|methods| sorted(names(methods))),
            headers: sorted(fields(&route.headers)),
            query: sorted(fields(&route.query)),
        }
    }

    pub(super) fn settings(&self) -> [Setting; 4] {
        let methods = self.methods.as_ref().map_or(Value::from("all"), Value::set);
        let hosts = match self.hosts.as_slice() {
            [] => Value::from("all"),
            hosts => Value::set(hosts),
        };
        [
            Setting::neutral("hosts", hosts),
            Setting::neutral("methods", methods),
            Setting::neutral("headers", Value::set(&self.headers)),
            Setting::neutral("query", Value::set(&self.query)),
        ]
    }
}

/// The path without the names of its parameters: they decide nothing.
pub(super) fn shape(pattern: &Pattern) -> String {
    let mut text = String::new();
    for segment in pattern.segments() {
        text.push('/');
        match segment {
            Segment::Literal(literal) => text.push_str(literal),
            Segment::Parameter(_) => text.push_str("{}"),
        }
    }
    if pattern.is_open() || text.is_empty() {
        text.push('/');
    }
    if pattern.is_open() {
        text.push('*');
    }
    text
}

pub(super) fn names(methods: &Methods) -> Vec<String> {
    let mut list: Vec<Method> = Vec::new();
    methods.list_into(&mut list);
    list.iter().map(Method::to_string).collect()
}

fn host(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Below(suffix) => format!("*{suffix}"),
        HostPattern::Any => "*".to_owned(),
    }
}

fn fields(fields: &Fields) -> Vec<String> {
    let one = |(name, wanted): &(String, Wanted)| match wanted {
        Wanted::Present => format!("{name}: *"),
        Wanted::Exactly(value) => format!("{name}: {value}"),
    };
    fields.0.iter().map(one).collect()
}
