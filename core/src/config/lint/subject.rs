//! What rules look at: the document as it was written, the gateway as it was compiled, and each route's plans.

use std::{borrow::Cow, collections::HashMap};

use http::Method;

use crate::{
    config::{
        Host,
        document::{Item, Override, Route, Routed, Whole},
        node::{Node, Span},
        policy::{Body, Kind, Policy},
    },
    discovery,
    gateway::Gateway,
    pattern::Pattern,
    policy::{Absence, Plan, Stage},
    route::{self, Holding},
};

/// The methods of ordinary requests. A route for all methods is for more, but nobody means those.
const ORDINARY: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// The configuration that is looked at.
pub(super) struct Subject<'s> {
    pub(super) whole: &'s Whole<'s>,
    pub(super) gateway: &'s Gateway,
    /// The host it is meant for.
    pub(super) host: Host,
    /// For each route, what some request may get.
    holdings: Vec<Vec<Holding<'s>>>,
    /// For each policy, by the place of its name, what some request may get under it.
    under: HashMap<Span, Vec<Holding<'s>>>,
    /// When each policy is asked, by the same place.
    stages: HashMap<Span, Stage>,
}

/// A policy where it is written; removals are none.
#[derive(Clone, Copy)]
pub(super) struct Written<'s> {
    pub(super) node: &'s Node,
    pub(super) kind: &'s Kind,
    pub(super) excluded: &'s [String],
    pub(super) level: Level<'s>,
}

/// What a policy stands in.
#[derive(Clone, Copy)]
pub(super) enum Level<'s> {
    Global,
    Route(&'s Routed<'s, Route>),
    Override(&'s Routed<'s, Override>),
}

/// Somebody whom a policy asks.
pub(super) struct Asked<'s> {
    pub(super) url: Cow<'s, str>,
    /// Where that is written.
    pub(super) node: &'s Node,
    /// What the answers are.
    pub(super) what: &'static str,
}

impl<'s> Written<'s> {
    /// All whom it asks.
    pub(super) fn asks(&self) -> Vec<Asked<'s>> {
        match self.kind {
            Kind::JwtValidation(keys) => {
                let one = keys_at(
                    keys.jwks_uri.as_deref(),
                    keys.jwks.is_none() && keys.secret.is_none(),
                    keys.issuer.as_deref(),
                    self.node,
                );
                let listed = self.node.members("issuers", &keys.issuers).filter_map(|(issuer, node)| {
                    let elsewhere = issuer.jwks.is_none() && issuer.secret.is_none();
                    keys_at(issuer.jwks_uri.as_deref(), elsewhere, Some(&issuer.issuer), node)
                });
                one.into_iter().chain(listed).collect()
            }
            Kind::OAuthIntrospection(keys) => {
                let node = self.node.get("introspection_endpoint");
                let asked = node.map(|node| Asked {
                    url: keys.introspection_endpoint.as_str().into(),
                    node,
                    what: "tokens, and the answers that decide whom to believe,",
                });
                asked.into_iter().collect()
            }
            Kind::OidcLogin(keys) => {
                let signed = keys_at(keys.jwks_uri.as_deref(), true, Some(&keys.issuer), self.node);
                let exchanged = keys.token_endpoint.as_deref().zip(self.node.get("token_endpoint"));
                let what = "the answers that say who has logged in";
                let exchanged = exchanged.map(|(url, node)| Asked { url: url.into(), node, what });
                signed.into_iter().chain(exchanged).collect()
            }
            Kind::Rbac(keys) => {
                let written =
                    keys.policy_engine_endpoint.as_deref().zip(self.node.get("policy_engine_endpoint"));
                let asked = written.map(|(url, node)| Asked {
                    url: url.into(),
                    node,
                    what: "the answers that decide who may",
                });
                asked.into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The keys of one issuer: where they are said to be, or else at the issuer's.
fn keys_at<'s>(
    uri: Option<&'s str>,
    elsewhere: bool,
    issuer: Option<&'s str>,
    node: &'s Node,
) -> Option<Asked<'s>> {
    let (url, key) = match (uri, issuer) {
        (Some(uri), _) => (uri.into(), "jwks_uri"),
        (None, Some(issuer)) if elsewhere => (discovery::address(issuer).into(), "issuer"),
        _ => return None,
    };
    Some(Asked { url, node: node.get(key)?, what: "the keys that decide whom to believe" })
}

impl Written<'_> {
    /// Where its name stands: that is its origin.
    pub(super) fn at(&self) -> Span {
        self.node.span_of("name")
    }

    /// Its name, as messages may show it.
    pub(super) fn name(&self) -> &str {
        self.node.get("name").unwrap_or(self.node).shown()
    }
}

/// A policy, and after it its ways, where it has such.
pub(super) fn with_ways(policy: &Node) -> impl Iterator<Item = &Node> {
    let ways = policy.get("policies").map_or(&[][..], Node::items);
    std::iter::once(policy).chain(ways)
}

impl<'s> Subject<'s> {
    pub(super) fn new(whole: &'s Whole<'s>, gateway: &'s Gateway, host: Host) -> Self {
        let mut holdings = vec![Vec::new(); gateway.router().routes().len()];
        for holding in gateway.router().plans() {
            if let Some(own) = holdings.get_mut(holding.index)
                && methods(holding.route).iter().any(|method| holding.serves(method))
            {
                own.push(holding);
            }
        }
        let mut under: HashMap<Span, Vec<Holding<'s>>> = HashMap::new();
        for holding in holdings.iter().flatten() {
            for (_, origin) in holding.plan.origins() {
                under.entry(origin.span).or_default().push(*holding);
            }
        }
        let mut subject = Self { whole, gateway, host, holdings, under, stages: HashMap::new() };
        subject.stages = subject.policies().map(|policy| (policy.at(), policy.kind.stage())).collect();
        subject
    }

    /// The routes as written, each with what some request may get on it.
    pub(super) fn routes(&self) -> impl Iterator<Item = (&'s Routed<'s, Route>, &[Holding<'s>])> {
        self.whole.routes.iter().zip(self.holdings.iter().map(Vec::as_slice))
    }

    /// The same, each with its route.
    pub(super) fn holdings(&self) -> impl Iterator<Item = (&'s Routed<'s, Route>, &Holding<'s>)> {
        self.routes().flat_map(|(written, holdings)| holdings.iter().map(move |holding| (written, holding)))
    }

    /// Everything that some request may get and that holds a policy written at `at`.
    pub(super) fn under(&self, at: Span) -> impl Iterator<Item = &Holding<'s>> {
        self.under.get(&at).into_iter().flatten()
    }

    /// All policies, where they are written.
    pub(super) fn policies(&self) -> impl Iterator<Item = Written<'s>> {
        let whole = self.whole;
        let at_top = written(&whole.policies, Level::Global);
        let in_routes = whole.routes.iter().flat_map(|route| written(&route.policies, Level::Route(route)));
        let in_overrides = whole.overrides.iter().flat_map(|on| written(&on.policies, Level::Override(on)));
        at_top.chain(in_routes).chain(in_overrides)
    }

    /// Where the configuration itself says that a policy of this stage does not hold there: it is excluded or
    /// disabled.
    pub(super) fn waivers(&self, plan: &'s Plan, stage: Stage) -> impl Iterator<Item = Span> {
        plan.provenance.absent.iter().filter_map(move |absence| match absence {
            Absence::Excluded(origin, at) | Absence::Disabled(origin, at) => {
                (self.stages.get(&origin.span) == Some(&stage)).then_some(*at)
            }
            Absence::Replaced(..) => None,
        })
    }

    /// The patterns for which a policy of that level is meant.
    pub(super) fn domain(&self, level: Level<'_>) -> Vec<Pattern> {
        let path = match level {
            Level::Global => {
                return self.gateway.router().routes().iter().map(|route| route.pattern.clone()).collect();
            }
            Level::Route(route) => &route.item.value.path,
            Level::Override(on) => &on.item.value.path,
        };
        Pattern::parse(path).into_iter().collect()
    }
}

fn written<'s>(
    policies: &'s [Item<'s, Policy>],
    level: Level<'s>,
) -> impl Iterator<Item = Written<'s>> + use<'s> {
    policies.iter().filter_map(move |Item { value, node }| match &value.body {
        Body::Kind(kind) => Some(Written { node, kind, excluded: &value.head.exclude_paths, level }),
        Body::Removal | Body::Unreadable(_) => None,
    })
}

/// The methods that a route is for.
pub(super) fn methods(route: &route::Route) -> &[Method] {
    route.methods().unwrap_or(&ORDINARY)
}

/// Where the path of a route is written.
pub(super) fn path(route: &Routed<'_, Route>) -> Span {
    route.item.node.span_of("path")
}
