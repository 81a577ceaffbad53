//! One difference in meaning, and where on both sides it is written.

use crate::config::node::Span;

/// Whether protection got weaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It got weaker.
    Loosened,
    /// It got stronger.
    Tightened,
    /// Neither.
    Changed,
}

impl Kind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Loosened, Self::Tightened, Self::Changed];

    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loosened => "loosened",
            Self::Tightened => "tightened",
            Self::Changed => "changed",
        }
    }

    /// The same seen from the other side.
    pub(crate) const fn reversed(self) -> Self {
        match self {
            Self::Loosened => Self::Tightened,
            Self::Tightened => Self::Loosened,
            Self::Changed => Self::Changed,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum What {
    PolicyRemoved,
    PolicyAdded,
    PolicyReplaced,
    PolicyChanged,
    PathExcluded,
    PathIncluded,
    RouteRemoved,
    RouteAdded,
    RouteMoved,
    RouteChanged,
    ServiceChanged,
    GatewayChanged,
}

impl What {
    /// As programs know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PolicyRemoved => "policy_removed",
            Self::PolicyAdded => "policy_added",
            Self::PolicyReplaced => "policy_replaced",
            Self::PolicyChanged => "policy_changed",
            Self::PathExcluded => "path_excluded",
            Self::PathIncluded => "path_included",
            Self::RouteRemoved => "route_removed",
            Self::RouteAdded => "route_added",
            Self::RouteMoved => "route_moved",
            Self::RouteChanged => "route_changed",
            Self::ServiceChanged => "service_changed",
            Self::GatewayChanged => "gateway_changed",
        }
    }
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    /// Whether protection got weaker.
    pub kind: Kind,
    /// What happened.
    pub what: What,
    /// The routes that are concerned; none where no route is.
    pub on: Vec<On>,
    /// The policy that is concerned.
    pub policy: Option<String>,
    /// The service that is concerned.
    pub service: Option<String>,
    /// The key whose value is another.
    pub key: Option<String>,
    /// What was.
    pub old: Option<String>,
    /// What is.
    pub new: Option<String>,
    /// Where that was written, in the files of the old configuration.
    pub old_at: Span,
    /// Where that is written, in the files of the new configuration.
    pub new_at: Span,
}

/// Where a difference shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct On {
    /// The path of the route, as written: the new one where both have one.
    pub route: String,
    /// The paths, where they are not all of the route's.
    pub path: Option<String>,
    /// The methods, where they are not all.
    pub methods: Vec<String>,
}

impl On {
    /// All of a route.
    pub(crate) fn route(route: &str) -> Self {
        Self { route: route.to_owned(), path: None, methods: Vec::new() }
    }
}

impl Change {
    pub(crate) fn new(kind: Kind, what: What, old_at: Span, new_at: Span) -> Self {
        Self {
            kind,
            what,
            on: Vec::new(),
            policy: None,
            service: None,
            key: None,
            old: None,
            new: None,
            old_at,
            new_at,
        }
    }

    pub(crate) fn on(self, on: On) -> Self {
        Self { on: vec![on], ..self }
    }

    pub(crate) fn policy(self, name: &str) -> Self {
        Self { policy: Some(name.to_owned()), ..self }
    }

    pub(crate) fn service(self, name: &str) -> Self {
        Self { service: Some(name.to_owned()), ..self }
    }

    pub(crate) fn key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    pub(crate) fn values(self, old: Option<String>, new: Option<String>) -> Self {
        Self { old, new, ..self }
    }
}
