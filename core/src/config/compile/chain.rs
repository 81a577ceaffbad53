//! Which policies hold where: global, then the route's, then the overrides' from the least to the most
//! specific; a later one of the same name replaces the earlier one whole.

use std::{cell::RefCell, collections::HashSet, sync::Arc};

use super::{
    Bench,
    kinds::{Compiled, Kinds},
};
use crate::{
    config::{
        document::{Item, Whole},
        node::{Node, Span, Value},
        places::Places,
        policy::{Body, Compression, Kind, Policy},
        problem::Problem,
        services::Services,
    },
    pattern::Pattern,
    policy::{Absence, Applied, Authorizer, Origin, Plan, Scope, Stage, rbac::Judge},
};

/// The policies of one place: the top, a route, an override.
#[derive(Default)]
struct Level {
    policies: Vec<Link>,
    /// `enable_compression`: the policy that it stands for, or none where it is `false`.
    compression: Option<Option<Link>>,
}

/// One policy in a level.
struct Link {
    /// Empty where it can't be read.
    name: String,
    body: Linked,
    excluded: Vec<(Pattern, Span)>,
    span: Span,
    origin: Arc<Origin>,
}

/// What a policy does in its chain.
enum Linked {
    Policy(Stage, Compiled),
    /// The policy of that name is removed.
    Removal,
    /// It can't be read. The stage, where that is known: what it would have done is not missed.
    Unreadable(Option<Stage>),
}

/// All levels, ready to be put together.
pub(super) struct Chains<'w> {
    whole: &'w Whole<'w>,
    global: Level,
    routes: Vec<Level>,
    overrides: Vec<Level>,
    /// Removals and excluded paths that mean something in some chain.
    used: RefCell<HashSet<Span>>,
}

impl<'w> Chains<'w> {
    pub(super) fn compile(
        whole: &'w Whole<'w>,
        services: &mut Services,
        kinds: &mut Kinds,
        bench: &Bench<'_>,
    ) -> Self {
        let standard = kinds.standard_compression(&Compression::default());
        let mut level = |policies: &[Item<'_, Policy>], scope: (Scope, &str), wish: Option<(bool, Span)>| {
            let compression = wish.map(|(on, span)| {
                on.then(|| Link {
                    name: COMPRESSION.to_owned(),
                    body: Linked::Policy(Stage::Compression, standard.clone()),
                    excluded: Vec::new(),
                    span,
                    origin: Arc::new(Origin {
                        name: COMPRESSION.to_owned(),
                        r#type: "Compression",
                        description: None,
                        span,
                        scope: scope.0,
                        meaning: vec![("enable_compression".to_owned(), "true".to_owned())],
                        excluded: Vec::new(),
                        places: Places::implied(span),
                    }),
                })
            });
            Level { policies: links(policies, scope, services, kinds, bench), compression }
        };
        let global = level(&whole.policies, (Scope::Global, ""), None);
        let routes = whole
            .routes
            .iter()
            .map(|route| {
                let Item { value, node } = &route.item;
                let scope =
                    scope(&[&value.methods.join(","), &value.hosts.join(","), &value.path, &facets(value)]);
                let wish = value.enable_compression.map(|on| (on, node.span_of("enable_compression")));
                level(&route.policies, (Scope::Route, &scope), wish)
            })
            .collect();
        let overrides = whole
            .overrides
            .iter()
            .map(|on| {
                let Item { value, node } = &on.item;
                let scope = scope(&[&value.methods.join(","), "", &value.path, ""]);
                let wish = value.enable_compression.map(|on| (on, node.span_of("enable_compression")));
                level(&on.policies, (Scope::Override, &scope), wish)
            })
            .collect();
        Self { whole, global, routes, overrides, used: RefCell::default() }
    }

    /// All that holds for a route on the paths of `pattern`, with these overrides, the least specific first.
    pub(super) fn plan(
        &self,
        route: usize,
        pattern: &Pattern,
        overrides: &[usize],
        bench: &Bench<'_>,
    ) -> Plan {
        let levels = std::iter::once(&self.global)
            .chain(self.routes.get(route))
            .chain(overrides.iter().filter_map(|index| self.overrides.get(*index)));
        let mut chain: Vec<&Link> = Vec::new();
        let mut absent = Vec::new();
        for level in levels {
            for link in &level.policies {
                self.put(&mut chain, link, &mut absent, bench);
            }
            match &level.compression {
                // Switched on where it is not there already: a policy for it keeps its own settings.
                Some(Some(_)) if chain.iter().any(|link| link.stage() == Some(Stage::Compression)) => {}
                Some(Some(standard)) => chain.push(standard),
                Some(None) => {
                    for link in chain.extract_if(.., |link| link.stage() == Some(Stage::Compression)) {
                        absent.push(Absence::Disabled(link.origin.clone(), link.span));
                    }
                }
                None => {}
            }
        }
        self.check(&chain, route, bench);
        self.assemble(&chain, absent, pattern)
    }

    fn put<'l>(
        &self,
        chain: &mut Vec<&'l Link>,
        link: &'l Link,
        absent: &mut Vec<Absence>,
        bench: &Bench<'_>,
    ) {
        let earlier = chain.iter().position(|other| other.name == link.name && !link.name.is_empty());
        match (earlier, &link.body) {
            (Some(at), Linked::Removal) => {
                self.used.borrow_mut().insert(link.span);
                let removed = chain.remove(at);
                absent.push(Absence::Disabled(removed.origin.clone(), link.span));
            }
            (None, Linked::Removal) => {
                // What can't be read may have been the policy that is meant, or its name.
                if link.name.is_empty() || chain.iter().any(|other| other.name.is_empty()) {
                    self.used.borrow_mut().insert(link.span);
                }
            }
            (None, _) => chain.push(link),
            (Some(at), _) => {
                let Some(slot) = chain.get_mut(at) else { return };
                match (slot.stage(), link.stage()) {
                    (Some(replaced), Some(stage)) if replaced != stage => {
                        let message = format!(
                            "`{}` would replace a policy for {} by one for {}",
                            link.name,
                            replaced.name(),
                            stage.name()
                        );
                        let problem =
                            Problem::error(link.span, message).related(slot.span, "the policy that would go");
                        bench.note(problem.cure("give it another name"));
                    }
                    _ => {
                        absent.push(Absence::Replaced(slot.origin.clone(), link.span));
                        *slot = link;
                    }
                }
            }
        }
    }

    fn check(&self, chain: &[&Link], route: usize, bench: &Bench<'_>) {
        for stage in [Stage::Authentication, Stage::Caching, Stage::Compression] {
            let mut same = chain.iter().filter(|link| link.stage() == Some(stage));
            if let (Some(first), Some(second)) = (same.next(), same.next()) {
                let message = format!("`{}` and `{}` are both for {}", first.name, second.name, stage.name());
                let problem =
                    Problem::error(second.span, message).related(first.span, "the other one is here");
                bench.note(
                    problem.cure("give both the same `name`: the later one then replaces the earlier one"),
                );
            }
        }
        let authenticated = chain.iter().any(|link| match link.body {
            Linked::Policy(stage, _) | Linked::Unreadable(Some(stage)) => stage == Stage::Authentication,
            Linked::Unreadable(None) => true,
            Linked::Removal => false,
        });
        for link in chain {
            if let Linked::Policy(_, Compiled::Authorization(policy)) = &link.body
                && let Authorizer::Rbac(rbac) = &**policy
                && !authenticated
                && !rbac.can_allow_anonymous()
            {
                let path = self.whole.routes.get(route).map(|route| route.item.node.span_of("path"));
                let (without, cure) = match rbac.judge {
                    Judge::Engine(_) => (
                        "there is no user to ask about",
                        "add an authentication policy, or `include_anonymous: true` to ask about requests without a user",
                    ),
                    Judge::Roles(_) => ("nobody has a role", "add an authentication policy"),
                };
                let message = format!("`{}` has no authentication before it, so {without}", link.name);
                let mut problem = Problem::error(link.span, message);
                if let Some(path) = path {
                    problem = problem.related(path, "on this route");
                }
                bench.miss(problem.cure(cure));
            }
        }
    }

    /// The plan of a chain on the paths of a leaf.
    fn assemble(&self, chain: &[&Link], absent: Vec<Absence>, pattern: &Pattern) -> Plan {
        let mut plan = Plan::default();
        plan.provenance.absent = absent;
        for link in chain {
            let overlapping = || link.excluded.iter().filter(|(excluded, _)| excluded.overlaps(pattern));
            self.used.borrow_mut().extend(overlapping().map(|(_, span)| *span));
            // Known now for all paths of the leaf, or left to be asked for each of them.
            if let Some((_, at)) = overlapping().find(|(excluded, _)| excluded.covers(pattern)) {
                plan.provenance.absent.push(Absence::Excluded(link.origin.clone(), *at));
                continue;
            }
            let except: Vec<(Pattern, Span)> = overlapping().cloned().collect();
            let origin = link.origin.clone();
            let Linked::Policy(_, compiled) = &link.body else { continue };
            match compiled {
                Compiled::Authentication(policy) => {
                    plan.authentication = Some(Applied { policy: policy.clone(), origin, except });
                }
                Compiled::Limit(policy) => {
                    plan.limits.push(Applied { policy: policy.clone(), origin, except })
                }
                Compiled::Authorization(policy) => {
                    plan.authorization.push(Applied { policy: policy.clone(), origin, except })
                }
                Compiled::Ttl(policy) => {
                    plan.caching = Some(Applied { policy: policy.clone(), origin, except })
                }
                Compiled::Compression(policy) => {
                    plan.compression = Some(Applied { policy: policy.clone(), origin, except });
                }
            }
        }
        plan
    }

    /// Notes removals that remove nothing and excluded paths that exclude nothing, once all plans are made.
    /// `held` are the overrides that have been part of one.
    pub(super) fn check_use(&self, held: &[usize], bench: &Bench<'_>) {
        let used = self.used.borrow();
        let overrides = held.iter().filter_map(|index| self.overrides.get(*index));
        let levels = std::iter::once(&self.global).chain(&self.routes).chain(overrides);
        for link in levels.flat_map(|level| &level.policies) {
            if matches!(link.body, Linked::Removal) && !used.contains(&link.span) {
                let message = format!("there is no policy `{}` here that could be disabled", link.name);
                bench.miss(Problem::error(link.span, message));
            }
            let Linked::Policy(..) = link.body else { continue };
            for (pattern, span) in link.excluded.iter().filter(|(_, span)| !used.contains(span)) {
                let message =
                    format!("`{pattern}` excludes nothing: no request on such a path comes to this policy");
                bench.miss(Problem::note(*span, message));
            }
        }
    }
}

const COMPRESSION: &str = "compression";

impl Link {
    fn stage(&self) -> Option<Stage> {
        match self.body {
            Linked::Policy(stage, _) => Some(stage),
            Linked::Removal | Linked::Unreadable(_) => None,
        }
    }
}

fn links(
    policies: &[Item<'_, Policy>],
    (level, scope): (Scope, &str),
    services: &mut Services,
    kinds: &mut Kinds,
    bench: &Bench<'_>,
) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for Item { value, node } in policies {
        let name = &value.head.name;
        let span = node.span_of("name");
        if name.is_empty() {
            // Where more than the name can't be read, that has been said.
            if !matches!(value.body, Body::Unreadable(_)) {
                bench.note(Problem::error(span, "the `name` of a policy can't be empty"));
            }
        } else if let Some(first) = links.iter().find(|link| link.name == *name) {
            bench.note(
                Problem::error(span, format!("two policies here are named `{name}`"))
                    .related(first.span, "the first one is here")
                    .cure("the second would replace the first; give it another name"),
            );
            continue;
        }
        let excluded: Vec<(Pattern, Span)> = node
            .members("exclude_paths", &value.head.exclude_paths)
            .filter_map(|(text, node)| Some((bench.pattern(node, text)?, node.span)))
            .collect();
        let body = match &value.body {
            Body::Removal => Linked::Removal,
            Body::Unreadable(stage) => Linked::Unreadable(*stage),
            Body::Kind(kind) => {
                let id = if scope.is_empty() { name.clone() } else { format!("{name}@{scope}") };
                match kinds.compile(kind, name, &id, node, services, bench) {
                    Some(compiled) => Linked::Policy(Kind::stage(kind), compiled),
                    None => Linked::Unreadable(Some(Kind::stage(kind))),
                }
            }
        };
        let origin = Origin {
            name: name.clone(),
            r#type: match &value.body {
                Body::Kind(kind) => kind.name(),
                Body::Removal | Body::Unreadable(_) => "",
            },
            description: value.head.description.clone(),
            span,
            scope: level,
            meaning: meaning(node),
            excluded: excluded.clone(),
            places: Places::of(node),
        };
        links.push(Link { name: name.clone(), body, excluded, span, origin: origin.into() });
    }
    links
}

/// Everything that a policy says but for its name and what people wrote about it, in the order of the keys.
fn meaning(node: &Node) -> Vec<(String, String)> {
    let Value::Map(entries) = &node.value else { return Vec::new() };
    let said = entries.iter().filter(|(key, _)| !matches!(&*key.name, "name" | "description"));
    let mut said: Vec<_> = said.map(|(key, value)| (key.name.clone(), value.spelled())).collect();
    said.sort();
    said
}

/// What names the place of a policy, and stays the same when lines move.
fn scope(parts: &[&str]) -> String {
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

fn facets(route: &crate::config::document::Route) -> String {
    let listed = |map: &std::collections::BTreeMap<String, String>| {
        map.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    };
    scope(&[&listed(&route.headers), &listed(&route.query)])
}
