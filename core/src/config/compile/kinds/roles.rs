//! `roles` of an `RBAC` policy compiled: permissions read, and found out whose permissions each role has.

use std::collections::BTreeMap;

use crate::{
    config::{
        compile::{Bench, route::method},
        node::{Node, Value},
        policy::Role as Written,
        problem::{Problem, nearest},
    },
    policy::rbac::roles::{Permission, Role, Roles},
    route::Methods,
};

/// Compiles what stands at `roles`.
pub(super) fn roles(written: &BTreeMap<String, Written>, node: &Node, bench: &Bench<'_>) -> Option<Roles> {
    if written.is_empty() && matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
        let problem = Problem::error(node.span, "`roles` is empty, so nobody may anything");
        bench.note(problem.cure("name a role: `roles: {reader: [\"GET /*\"]}`"));
    }
    let tree = Tree { written, node };
    // All of them are looked at, so that every mistake is told.
    let compiled: Vec<_> = written
        .iter()
        .map(|(name, role)| {
            let (allows, reach) = (tree.allows(name, role, bench), tree.reach(name, role, bench));
            Some((Role { name: name.clone(), allows: allows? }, reach?))
        })
        .collect();
    compiled.into_iter().collect::<Option<_>>().map(Roles::new)
}

/// The roles as written, and where.
struct Tree<'w> {
    written: &'w BTreeMap<String, Written>,
    node: &'w Node,
}

impl Tree<'_> {
    fn role(&self, name: &str) -> &Node {
        self.node.get(name).unwrap_or(self.node)
    }

    /// The role's own permissions.
    fn allows(&self, name: &str, role: &Written, bench: &Bench<'_>) -> Option<Vec<Permission>> {
        let node = self.role(name);
        for list in [Some(node), node.get("allow"), node.get("inherits")].into_iter().flatten() {
            if matches!(&list.value, Value::List(items) if items.is_empty()) {
                let problem = Problem::error(list.span, "this list is empty");
                bench.note(problem.cure("name what the role may, such as `GET /*`, or leave the role out"));
            }
        }
        if matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
            let problem = Problem::error(node.span, format!("the role `{name}` may nothing"));
            bench.note(problem.cure("write `allow`, `inherits` or both, or leave the role out"));
        }
        let nodes = match role {
            Written::Allow(_) => node.items(),
            Written::Long(_) => node.get("allow").map(Node::items).unwrap_or_default(),
        };
        let each = role.allow().iter().enumerate();
        let read: Vec<Option<Permission>> =
            each.map(|(at, text)| permission(nodes.get(at).unwrap_or(node), text, bench)).collect();
        read.into_iter().collect()
    }

    /// The index of the role itself and of all whose permissions it has, each once.
    fn reach(&self, name: &str, role: &Written, bench: &Bench<'_>) -> Option<Vec<usize>> {
        let node = self.role(name);
        let mut good = true;
        for (parent, at) in node.members("inherits", role.inherits()) {
            if self.node.get(parent).is_none() {
                bench.note(unknown(at, parent, self.written.keys()));
                good = false;
            } else if let Some(way) = self.way(parent, name) {
                // A cycle is one mistake, told at the first of its roles.
                if way.iter().all(|role| *role >= name) {
                    bench.note(cycle(at, name, &way));
                }
                good = false;
            }
        }
        let mut reached = vec![name];
        let mut next = 0;
        while let Some(role) = reached.get(next).and_then(|name| self.written.get(*name)) {
            for parent in role.inherits() {
                if !reached.contains(&parent.as_str()) {
                    reached.push(parent);
                }
            }
            next += 1;
        }
        let index = |name: &&str| self.written.keys().position(|other| other == name);
        good.then(|| reached.iter().filter_map(index).collect())
    }

    /// The roles by way of which `from` inherits `to`, both included. None if it does not.
    fn way<'t>(&'t self, from: &'t str, to: &str) -> Option<Vec<&'t str>> {
        let mut ways = vec![vec![from]];
        let mut seen = vec![from];
        while let Some(way) = ways.pop() {
            let last = *way.last()?;
            if last == to {
                return Some(way);
            }
            for parent in self.written.get(last).map(Written::inherits).unwrap_or_default() {
                if !seen.contains(&parent.as_str()) {
                    seen.push(parent);
                    ways.push(way.iter().copied().chain([parent.as_str()]).collect());
                }
            }
        }
        None
    }
}

fn unknown<'k>(node: &Node, name: &str, known: impl Iterator<Item = &'k String> + Clone) -> Problem {
    let problem = Problem::error(node.span, format!("there is no role `{}` to inherit", node.shown()));
    match nearest(name, known.clone().map(String::as_str)) {
        Some(near) if !node.is_filled() => problem.cure(format!("did you mean `{near}`?")),
        _ => problem
            .cure(format!("known roles are: {}", known.map(String::as_str).collect::<Vec<_>>().join(", "))),
    }
}

fn cycle(node: &Node, name: &str, way: &[&str]) -> Problem {
    let message = match way {
        [_] => format!("the role `{name}` inherits itself"),
        _ => {
            let way: Vec<String> = way.iter().map(|role| format!("`{role}`")).collect();
            format!("the role `{name}` inherits itself: from {}", way.join(", which inherits "))
        }
    };
    Problem::error(node.span, message).cure("let one of them list its permissions instead")
}

/// One permission: `METHOD /path`.
fn permission(node: &Node, text: &str, bench: &Bench<'_>) -> Option<Permission> {
    let wrong = |what: &str, cure: &str| {
        bench.note(Problem::error(node.span, format!("`{}` {what}", node.shown())).cure(cure));
    };
    let Some((methods, path)) = text.trim().split_once(char::is_whitespace) else {
        match text.trim().starts_with('/') {
            true => wrong("names no method", "write `GET /path`, or `* /path` for any method"),
            false => wrong(
                "names no path",
                "write `GET /path`; with a comma, and within brackets, in quotes: `[\"GET,POST /path\"]`",
            ),
        }
        return None;
    };
    let methods = match methods {
        "*" => Some(None),
        _ => {
            let mut read = Vec::new();
            for text in methods.split(',') {
                if text == "*" {
                    wrong("names any method and others besides", "write `*` alone, or leave it out");
                    return None;
                }
                read.push(method(node, text, bench)?);
            }
            Some(Some(Methods::new(read)))
        }
    };
    let pattern = bench.pattern(node, path.trim());
    Some(Permission { methods: methods?, pattern: pattern?, shown: node.shown().to_owned(), at: node.span })
}
