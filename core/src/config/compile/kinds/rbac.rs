//! `RBAC` compiled: who is asked, roles or an engine, and what only one of them understands.

use crate::{
    config::{
        compile::Bench,
        node::Node,
        policy::{OnError, Rbac as Written},
        problem::Problem,
        services::Services,
    },
    policy::rbac::{
        Judge, Rbac,
        engine::{Engine, REMEMBERED},
    },
    recent::Recent,
};

/// Keys that say how an engine is asked.
const OF_ENGINES: [&str; 3] = ["timeout_ms", "cache_seconds", "on_error"];

pub(super) fn rbac(keys: &Written, node: &Node, services: &mut Services, bench: &Bench<'_>) -> Option<Rbac> {
    let judge = match (node.entry("roles"), node.entry("policy_engine_endpoint")) {
        (Some((roles, _)), Some((endpoint, _))) => {
            let message = "`roles` and `policy_engine_endpoint` exclude each other";
            bench.note(
                Problem::error(endpoint.span, message)
                    .related(roles.span, "the other one is here")
                    .cure("make them two policies: both must allow"),
            );
            None
        }
        (None, None) => {
            let problem = Problem::error(node.span, "who may is not said");
            let cure =
                "add `roles: {reader: [\"GET /*\"]}`, or `policy_engine_endpoint: http://…` to ask an engine";
            bench.note(problem.cure(cure));
            None
        }
        (Some((_, roles)), None) => {
            for (key, _) in OF_ENGINES.iter().filter_map(|key| node.entry(key)) {
                let message = format!("`{}` is about a policy engine, and here `roles` decide", key.name);
                bench.note(Problem::error(key.span, message).cure("leave the key out"));
            }
            super::roles::roles(keys.roles.as_ref()?, roles, bench).map(Judge::Roles)
        }
        (None, Some((_, endpoint))) => {
            let address = keys.policy_engine_endpoint.as_deref()?;
            engine(address, endpoint, keys, node, services, bench).map(|engine| Judge::Engine(engine.into()))
        }
    };
    Some(Rbac { judge: judge?, include_anonymous: keys.include_anonymous, shadow: keys.shadow })
}

fn engine(
    address: &str,
    endpoint: &Node,
    keys: &Written,
    node: &Node,
    services: &mut Services,
    bench: &Bench<'_>,
) -> Option<Engine> {
    if keys.timeout_ms == 0 {
        bench.note(Problem::error(node.span_of("timeout_ms"), "`timeout_ms` must be at least 1"));
    }
    let remote = services.remote(address, endpoint.span, keys.timeout_ms).map_err(|why| {
        let message = format!("`{}` is no address of a policy engine: {why}", endpoint.shown());
        let problem = Problem::error(endpoint.span, message);
        bench.note(problem.cure("write `http://host/path` or `https://host/path`"));
    });
    Some(Engine {
        remote: remote.ok()?,
        cache_ms: keys.cache_seconds.saturating_mul(1000),
        fails_open: keys.on_error == OnError::Allow,
        decided: Recent::new(REMEMBERED),
    })
}
