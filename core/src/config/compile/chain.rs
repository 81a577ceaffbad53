//! Which policies hold where: global, then the route's, then the overrides' from the least to the most
//! specific; a later one of the same name replaces the earlier one whole.

use std::{cell::RefCell, collections::HashSet};

use super::{Bench, kinds::Kinds};
use crate::{
    config::{
        document::{Item, Whole},
        node::Span,
        policy::{Compression, Kind, Policy},
        problem::Problem,
        services::Services,
    },
    pattern::Pattern,
    policy::{Applied, Plan, Stage},
};

/// The policies of one place: the top, a route, an override.
#[derive(Default)]
struct Level {
    policies: Vec<Link>,
    /// `enable_compression`, and where it stands.
    compression: Option<(bool, Span)>,
}

/// One policy in a level.
struct Link {
    name: String,
    /// None where the policy of that name is removed.
    kind: Option<(Stage, super::kinds::Compiled)>,
    excluded: Vec<Pattern>,
    span: Span,
}

/// All levels, ready to be put together.
pub(super) struct Chains<'w> {
    whole: &'w Whole<'w>,
    global: Level,
    routes: Vec<Level>,
    overrides: Vec<Level>,
    standard: super::kinds::Compiled,
    /// A mistake in a chain shows on every leaf; it is reported once.
    reported: RefCell<HashSet<(Span2, String)>>,
}

type Span2 = (usize, u32, u32);

impl<'w> Chains<'w> {
    pub(super) fn compile(
        whole: &'w Whole<'w>,
        services: &mut Services,
        kinds: &mut Kinds,
        bench: &Bench<'_>,
    ) -> Self {
        let mut level = |policies: &[Item<'_, Policy>], scope: &str, compression: Option<(bool, Span)>| {
            Level { policies: links(policies, scope, services, kinds, bench), compression }
        };
        let global = level(&whole.policies, "", None);
        let routes = whole
            .routes
            .iter()
            .map(|route| {
                let Item { value, node } = &route.item;
                let scope =
                    scope(&[&value.methods.join(","), &value.hosts.join(","), &value.path, &facets(value)]);
                let wish = value.enable_compression.map(|on| (on, node.span_of("enable_compression")));
                level(&route.policies, &scope, wish)
            })
            .collect();
        let overrides = whole
            .overrides
            .iter()
            .map(|on| {
                let Item { value, node } = &on.item;
                let scope = scope(&[&value.methods.join(","), "", &value.path, ""]);
                let wish = value.enable_compression.map(|on| (on, node.span_of("enable_compression")));
                level(&on.policies, &scope, wish)
            })
            .collect();
        let standard = kinds.standard_compression(&Compression::default());
        Self { whole, global, routes, overrides, standard, reported: RefCell::default() }
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
        let standard;
        let mut chain: Vec<&Link> = Vec::new();
        let mut compressed = None;
        for level in levels {
            for link in &level.policies {
                self.put(&mut chain, link, bench);
            }
            match level.compression {
                Some((true, span)) => compressed = Some(span),
                Some((false, _)) => {
                    compressed = None;
                    chain.retain(|link| link.name != COMPRESSION);
                }
                None => {}
            }
        }
        // Switched on where it is not there already: a policy of that name keeps its own settings.
        if let Some(span) = compressed
            && chain.iter().all(|link| link.name != COMPRESSION)
        {
            let kind = Some((Stage::Compression, self.standard.clone()));
            standard = Link { name: COMPRESSION.to_owned(), kind, excluded: Vec::new(), span };
            chain.push(&standard);
        }
        self.check(&chain, route, bench);
        assemble(&chain, pattern)
    }

    fn put<'l>(&self, chain: &mut Vec<&'l Link>, link: &'l Link, bench: &Bench<'_>) {
        let earlier = chain.iter().position(|other| other.name == link.name);
        match (earlier, &link.kind) {
            (Some(at), None) => drop(chain.remove(at)),
            (None, None) => self.report(
                Problem::error(
                    link.span,
                    format!("there is no policy `{}` here that could be disabled", link.name),
                ),
                bench,
            ),
            (None, Some(_)) => chain.push(link),
            (Some(at), Some((stage, _))) => {
                let Some(slot) = chain.get_mut(at) else { return };
                let replaced = slot.kind.as_ref().map(|(stage, _)| *stage);
                if replaced.is_some_and(|replaced| replaced != *stage) {
                    let message = format!(
                        "`{}` would replace a policy for {} by one for {}",
                        link.name,
                        replaced.map_or("", Stage::name),
                        stage.name()
                    );
                    let problem =
                        Problem::error(link.span, message).related(slot.span, "the policy that would go");
                    self.report(problem.cure("give it another name"), bench);
                } else {
                    *slot = link;
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
                self.report(
                    problem.cure("give both the same `name`: the later one then replaces the earlier one"),
                    bench,
                );
            }
        }
        let authenticated = chain.iter().any(|link| link.stage() == Some(Stage::Authentication));
        for link in chain {
            if let Some((_, super::kinds::Compiled::Rbac(rbac))) = &link.kind
                && !authenticated
                && !rbac.include_anonymous
            {
                let path = self.whole.routes.get(route).map(|route| route.item.node.span_of("path"));
                let message = format!(
                    "`{}` has no authentication before it, so there is no user to ask about",
                    link.name
                );
                let mut problem = Problem::error(link.span, message);
                if let Some(path) = path {
                    problem = problem.related(path, "on this route");
                }
                let cure = "add an authentication policy, or `include_anonymous: true` to ask about requests without a user";
                self.report(problem.cure(cure), bench);
            }
        }
    }

    fn report(&self, problem: Problem, bench: &Bench<'_>) {
        let Span { file, line, column, .. } = problem.span;
        if self.reported.borrow_mut().insert(((file, line, column), problem.message.clone())) {
            bench.note(problem);
        }
    }
}

const COMPRESSION: &str = "compression";

impl Link {
    fn stage(&self) -> Option<Stage> {
        self.kind.as_ref().map(|(stage, _)| *stage)
    }
}

fn links(
    policies: &[Item<'_, Policy>],
    scope: &str,
    services: &mut Services,
    kinds: &mut Kinds,
    bench: &Bench<'_>,
) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for Item { value, node } in policies {
        let name = &value.head.name;
        let span = node.span_of("name");
        if let Some(first) = links.iter().find(|link| link.name == *name) {
            bench.note(
                Problem::error(span, format!("two policies here are named `{name}`"))
                    .related(first.span, "the first one is here")
                    .cure("the second would replace the first; give it another name"),
            );
            continue;
        }
        let nodes = node.get("exclude_paths").map_or(&[][..], |list| list.items());
        let excluded = value
            .head
            .exclude_paths
            .iter()
            .zip(nodes)
            .filter_map(|(text, node)| bench.pattern(node, text))
            .collect();
        if value.head.disabled {
            links.push(Link { name: name.clone(), kind: None, excluded: Vec::new(), span });
        } else if let Some(kind) = &value.kind {
            let id = if scope.is_empty() { name.clone() } else { format!("{name}@{scope}") };
            if let Some(compiled) = kinds.compile(kind, name, &id, node, services, bench) {
                links.push(Link {
                    name: name.clone(),
                    kind: Some((Kind::stage(kind), compiled)),
                    excluded,
                    span,
                });
            }
        }
    }
    links
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

/// The plan of a chain on the paths of a leaf.
fn assemble(chain: &[&Link], pattern: &Pattern) -> Plan {
    use super::kinds::Compiled;
    let mut plan = Plan::default();
    for link in chain {
        // Known now for all paths of the leaf, or left to be asked for each of them.
        if link.excluded.iter().any(|excluded| excluded.covers(pattern)) {
            continue;
        }
        let except: Vec<Pattern> =
            link.excluded.iter().filter(|excluded| excluded.overlaps(pattern)).cloned().collect();
        match &link.kind {
            Some((_, Compiled::JwtValidation(policy))) => {
                plan.authentication = Some(Applied { policy: policy.clone(), except });
            }
            Some((_, Compiled::FixedWindow(policy))) => {
                plan.limits.push(Applied { policy: policy.clone(), except })
            }
            Some((_, Compiled::Rbac(policy))) => {
                plan.authorization.push(Applied { policy: policy.clone(), except })
            }
            Some((_, Compiled::Ttl(policy))) => {
                plan.caching = Some(Applied { policy: policy.clone(), except })
            }
            Some((_, Compiled::Compression(policy))) => {
                plan.compression = Some(Applied { policy: policy.clone(), except });
            }
            None => {}
        }
    }
    plan
}
