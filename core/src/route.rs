//! Which route serves a request, and under which policies: one look-up, computed when the configuration
//! is loaded.
//!
//! Host first (exact, then the longest wildcard, then any), then path from left to right (literal before
//! parameter before `*`), then method, headers, query. A route whose matchers fail makes way for the next
//! most specific one. The file's order never matters.

mod build;
mod host;
mod matcher;
mod paths;
mod walk;

use std::sync::Arc;

use http::{Method, request};

pub(crate) use self::build::{Ambiguity, OverrideOn, build};
pub(crate) use self::host::{HostPattern, Hosts, normalised as normalised_host};
pub(crate) use self::matcher::{Fields, Methods, Wanted, parameters};
pub use self::paths::Condition;
pub use self::walk::Holding;
use crate::{
    config::{node::Span, places::Places},
    pattern::Pattern,
    policy::Plan,
    transform::rewrite::Target,
    upstream::Service,
};

/// Where requests go that match.
#[derive(Debug)]
pub struct Route {
    /// Names the route in logs: the pattern as written.
    pub pattern: Pattern,
    /// For people.
    pub description: Option<String>,
    /// The service that answers.
    pub service: Arc<Service>,
    pub(crate) hosts: Vec<HostPattern>,
    pub(crate) methods: Option<Methods>,
    pub(crate) headers: Fields,
    pub(crate) query: Fields,
    pub(crate) target: Target,
    pub(crate) preserve_host: bool,
    pub(crate) hide_credentials: bool,
    pub(crate) keeps_encoded_slash: bool,
    /// Where the route is written.
    pub span: Span,
    /// Where its keys are.
    pub(crate) places: Places,
}

impl Route {
    /// Whether it serves the method.
    pub fn serves(&self, method: &Method) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contain(method))
    }

    /// Header fields that it asks for, with a value that will do.
    pub fn sample_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.samples()
    }

    /// Query parameters that it asks for, with a value that will do, as a query (`a=1&b=2`). Empty where it asks
    /// for none.
    pub fn sample_query(&self) -> String {
        let pair =
            |(name, value): (&str, &str)| format!("{}={}", matcher::encoded(name), matcher::encoded(value));
        self.query.samples().map(pair).collect::<Vec<_>>().join("&")
    }
}

impl Route {
    /// The methods served; none where all are.
    pub fn methods(&self) -> Option<&[Method]> {
        self.methods.as_ref().map(Methods::as_slice)
    }

    /// Whether requests for `host`, lower-case and without port, may come here.
    pub fn is_for_host(&self, host: &str) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(host))
    }

    /// Whether the route matches one value of that header only.
    pub fn fixes_header(&self, name: &str) -> bool {
        self.headers.fix(name)
    }
}

/// All routes and the policies that hold for each, ready to be looked up.
#[derive(Debug)]
pub struct Router {
    routes: Vec<Route>,
    hosts: host::Hosts<paths::Paths>,
}

/// A route that serves a request.
#[derive(Debug, Clone, Copy)]
pub struct Found<'g> {
    /// The route.
    pub route: &'g Route,
    /// The policies that hold, overrides applied.
    pub plan: &'g Arc<Plan>,
}

/// Why a route that was considered is not the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// Its path is another.
    Path,
    /// A header is missing or has another value.
    Headers,
    /// A query parameter is missing or has another value.
    Query,
    /// It serves other methods.
    Method,
}

/// No route serves the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Miss {
    /// Methods which routes on this path do serve; none when there is no such path.
    pub allow: Vec<Method>,
}

impl Router {
    /// The most specific route for a request to `path`, normalised, on `host`, lower-case and without port.
    pub fn find(&self, host: &str, path: &str, request: &request::Parts) -> Result<Found<'_>, Miss> {
        self.find_telling(host, path, request, |_, _| {})
    }

    /// The same, and tells of each route that was considered before why it is not the one.
    pub(crate) fn find_telling<'g>(
        &'g self,
        host: &str,
        path: &str,
        request: &request::Parts,
        mut passed_by: impl FnMut(&'g Route, Mismatch),
    ) -> Result<Found<'g>, Miss> {
        let mut miss = Miss::default();
        for paths in self.hosts.matching(host) {
            let Some(leaf) = paths.leaf(path) else { continue };
            for candidate in &leaf.candidates {
                let Some(route) = self.routes.get(candidate.route) else { continue };
                if candidate.check_path && !route.pattern.matches(path) {
                    passed_by(route, Mismatch::Path);
                    continue;
                }
                if !route.headers.hold_in_headers(&request.headers) {
                    passed_by(route, Mismatch::Headers);
                    continue;
                }
                if !route.query.hold_in_query(request.uri.query()) {
                    passed_by(route, Mismatch::Query);
                    continue;
                }
                if let Some(methods) = &route.methods
                    && !methods.contain(&request.method)
                {
                    methods.list_into(&mut miss.allow);
                    passed_by(route, Mismatch::Method);
                    continue;
                }
                if let Some(plan) = candidate.plans.choose(path, &request.method) {
                    return Ok(Found { route, plan });
                }
            }
        }
        Err(miss)
    }

    /// All routes, in the order of the file.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
}
