//! How a request ended, as far as the gateway has to answer for it.

use std::fmt;

use crate::observed::Noted;

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome {
    /// The path of the route, as written.
    pub route: Option<String>,
    /// Its service.
    pub service: Option<String>,
    /// Status and reason, where the gateway refused.
    pub refusal: Option<(String, String)>,
}

impl Outcome {
    /// What was recorded of it.
    pub(super) fn of(noted: &Noted) -> Self {
        let text = |name: &str| noted.get(name).cloned();
        Self {
            route: text("route"),
            service: text("service"),
            refusal: text("refusal").map(|reason| (text("status").unwrap_or_default(), reason)),
        }
    }

    /// Whether the gateway has decided alike. The names of a route's parameters decide nothing.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let shape = |outcome: &Self| outcome.route.as_deref().map(nameless);
        shape(self) == shape(other) && (&self.service, &self.refusal) == (&other.service, &other.refusal)
    }
}

fn nameless(route: &str) -> String {
    let segment = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
    route.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// Without the route, which is told beside it.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.refusal, &self.service) {
            (Some((status, reason)), _) => write!(f, "{status} {reason}"),
            (None, Some(service)) => write!(f, "passed to {service}"),
            (None, None) => f.write_str("answered"),
        }
    }
}
