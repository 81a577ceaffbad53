//! Roles and what they may, as the configuration says. Nothing is asked and nothing remembered: one look at the
//! user's roles decides.

use std::collections::HashMap;

use http::Method;

use crate::{
    config::node::Span,
    facts::Facts,
    pattern::Pattern,
    route::Methods,
    trail::{Said, Verdict},
};

/// All roles of a policy.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    /// Name → the role and all that it inherits, as indices; itself first.
    named: HashMap<String, Vec<usize>>,
    roles: Vec<Role>,
}

/// One role, by what it may of its own.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) allows: Vec<Permission>,
}

/// Some methods on some paths.
#[derive(Debug)]
pub(crate) struct Permission {
    /// None: any method.
    pub(crate) methods: Option<Methods>,
    pub(crate) pattern: Pattern,
    /// As written, for explanations.
    pub(crate) shown: String,
    /// Where it is written.
    pub(crate) at: Span,
}

/// What lets a user do something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant<'r> {
    /// The role that the user has.
    held: &'r str,
    /// The role whose permission it is: the same, or one that it inherits.
    of: &'r str,
    permission: &'r Permission,
}

impl Roles {
    /// Roles with, for each, the indices of all whose permissions it has.
    pub(crate) fn new(roles: Vec<(Role, Vec<usize>)>) -> Self {
        let named = roles.iter().map(|(role, reach)| (role.name.clone(), reach.clone())).collect();
        Self { named, roles: roles.into_iter().map(|(role, _)| role).collect() }
    }

    /// Every role with each permission that it has, its own and inherited ones, as written.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named.iter().flat_map(|(name, reach)| {
            let of = reach.iter().filter_map(|index| self.roles.get(*index));
            of.flat_map(|role| &role.allows).map(move |permission| (name.as_str(), permission.shown.as_str()))
        })
    }

    /// The first permission, in the order of the user's roles, by which the request may be made.
    pub(crate) fn grant(&self, facts: &Facts<'_>) -> Option<Grant<'_>> {
        let held = facts.identity.map(|identity| identity.roles.as_slice()).unwrap_or_default();
        held.iter().find_map(|role| self.grant_by(role, &facts.head.method, facts.path))
    }

    fn grant_by(&self, role: &str, method: &Method, path: &str) -> Option<Grant<'_>> {
        let (held, reach) = self.named.get_key_value(role)?;
        reach.iter().filter_map(|index| self.roles.get(*index)).find_map(|role| {
            let permission = role.allows.iter().find(|permission| permission.covers(method, path))?;
            Some(Grant { held, of: &role.name, permission })
        })
    }
}

impl Permission {
    fn covers(&self, method: &Method, path: &str) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contain(method)) && self.pattern.matches(path)
    }
}

impl Grant<'_> {
    /// Where the permission is written.
    pub(crate) fn at(&self) -> Span {
        self.permission.at
    }

    /// What explanations say of it.
    pub(crate) fn said(&self) -> Said {
        let Self { held, of, permission: Permission { shown, .. } } = self;
        let text = match held == of {
            true => format!("the role `{held}` may `{shown}`"),
            false => format!("the role `{held}` may `{shown}`, as it inherits `{of}`"),
        };
        Said::new(Verdict::Pass, text).fact("role", *held).fact("permission", shown.as_str())
    }
}

/// What explanations say where nothing grants a request.
pub(crate) fn nothing(facts: &Facts<'_>) -> Said {
    let roles = facts.identity.map(|identity| identity.roles.as_slice()).unwrap_or_default();
    let (method, path) = (&facts.head.method, facts.path);
    let text = match roles {
        [] => "there is no role, and without one nothing is allowed".to_owned(),
        _ => format!("no role of the user's may `{method} {path}`"),
    };
    Said::new(Verdict::Refuse, text).fact("roles", roles.to_vec())
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn permission(methods: &[Method], pattern: &str) -> Permission {
        Permission {
            methods: (!methods.is_empty()).then(|| Methods::new(methods.to_vec())),
            pattern: Pattern::parse(pattern).unwrap(),
            shown: pattern.to_owned(),
            at: Span::default(),
        }
    }

    fn role(name: &str, allows: Vec<Permission>) -> Role {
        Role { name: name.to_owned(), allows }
    }

    fn roles() -> Roles {
        Roles::new(vec![
            (role("reader", vec![permission(&[Method::GET], "/reports/*")]), vec![0]),
            (role("writer", vec![permission(&[Method::PUT, Method::POST], "/reports/{id}")]), vec![1, 0]),
            (role("admin", vec![permission(&[], "/*")]), vec![2]),
        ])
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_role_may_what_is_listed_and_nothing_else() {
        let roles = roles();
        for (role, method, path, wanted) in [
            ("reader", Method::GET, "/reports", true),
            ("reader", Method::HEAD, "/reports/7", true),
            ("reader", Method::PUT, "/reports/7", false),
            ("reader", Method::GET, "/reporters", false),
            ("writer", Method::PUT, "/reports/7", true),
            ("writer", Method::PUT, "/reports/7/x", false),
            ("writer", Method::GET, "/reports/7/x", true),
            ("admin", Method::DELETE, "/anything", true),
            ("Admin", Method::GET, "/reports", false),
            ("", Method::GET, "/reports", false),
        ] {
            assert_eq!(roles.grant_by(role, &method, path).is_some(), wanted, "{role} {method} {path}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn it_is_told_whose_permission_it_was() {
        let roles = roles();
        let said = roles.grant_by("writer", &Method::GET, "/reports/7").unwrap().said();
        assert_eq!(said.text, "the role `writer` may `/reports/*`, as it inherits `reader`");
    }
}
