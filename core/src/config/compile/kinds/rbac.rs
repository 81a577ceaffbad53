//! `RBAC` compiled: who is asked, roles or an engine, and what only one of them understands.

use super::{Kinds, engine, roles};
use crate::{
    config::{compile::Bench, node::Node, policy::Rbac as Written, problem::Problem, services::Services},
    policy::rbac::{Judge, Rbac},
};

impl Kinds {
    pub(super) fn rbac(
        &mut self,
        keys: &Written,
        node: &Node,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Rbac> {
        let judge = judge(keys, node, services, bench)?;
        // Who may say something to services is the engine alone, so clients are not to.
        if let Judge::Engine(engine) = &judge {
            self.identity_headers.extend(engine.headers.iter().flatten().cloned());
        }
        Some(Rbac { judge, include_anonymous: keys.include_anonymous, shadow: keys.shadow })
    }
}

fn judge(keys: &Written, node: &Node, services: &mut Services, bench: &Bench<'_>) -> Option<Judge> {
    match (node.entry("roles"), node.entry("policy_engine_endpoint")) {
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
        (Some((_, node_of_roles)), None) => {
            for (key, _) in engine::KEYS.iter().filter_map(|key| node.entry(key)) {
                let message = format!("`{}` is about a policy engine, and here `roles` decide", key.name);
                bench.note(Problem::error(key.span, message).cure("leave the key out"));
            }
            roles::roles(keys.roles.as_ref()?, node_of_roles, bench).map(Judge::Roles)
        }
        (None, Some((_, endpoint))) => {
            let address = keys.policy_engine_endpoint.as_deref()?;
            let engine = engine::engine(address, endpoint, keys, node, services, bench);
            engine.map(|engine| Judge::Engine(engine.into()))
        }
    }
}
