//! `BasicAuth` compiled: hashes read, identities made beforehand.

use std::collections::HashMap;

use http::HeaderName;
use serde_json::{Map, Value};

use super::{super::Bench, api_key, forward::METADATA};
use crate::{
    config::{Host, node::Node, policy as written, problem::Problem},
    identity::Identity,
    password::PasswordHash,
    policy::basic_auth::{BasicAuth, User},
};

pub(super) fn basic_auth(
    keys: &written::BasicAuth,
    node: &Node,
    identity_headers: &mut Vec<HeaderName>,
    bench: &Bench<'_>,
) -> Option<BasicAuth> {
    if bench.host == Host::Workers {
        let message = "`BasicAuth` is not for Workers: one check of a password takes more computing than a request has there";
        let problem = Problem::error(node.span_of("type"), message);
        bench.note(problem.cure("use `ApiKey` or `JWT_Validation`, or the native host"));
        return None;
    }
    bench.not_empty(node, "users");
    bench.not_blank(node, &["realm"]);
    let realm = realm(&keys.realm, node, bench);
    let forward = METADATA.compile(&keys.forward_metadata, node, identity_headers, bench);
    let mut users = HashMap::new();
    let mut whole = true;
    for (user, place) in node.members("users", &keys.users) {
        let is_name = is_name(&user.name, place, bench);
        let hash = PasswordHash::parse(&user.hash).map_err(|bad| {
            // Not quoted: it may be the password itself.
            let problem = Problem::error(place.span_of("hash"), bad.to_string());
            bench.note(problem.cure("`tollgate key password` reads a password and prints its hash"));
        });
        let expires_at = api_key::end(user.expires.as_deref(), place, bench);
        let metadata: Map<String, Value> =
            user.metadata.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let identity = Identity::of_key(&user.name, &user.roles, metadata, &forward);
        let (true, Ok(hash), Some(expires_at), Some(identity)) = (is_name, hash, expires_at, identity) else {
            whole = false;
            continue;
        };
        let user = (user.name.clone(), User { hash, identity: identity.into(), expires_at });
        if users.insert(user.0, user.1).is_some() {
            let problem = Problem::error(place.span_of("name"), "this user stands here twice");
            bench.note(problem.cure("a user has one password: leave one of the two out"));
        }
    }
    if !whole {
        return None;
    }
    BasicAuth::new(realm?, users)
}

/// What no client could send is nobody's name (RFC 7617 §2).
fn is_name(name: &str, place: &Node, bench: &Bench<'_>) -> bool {
    let why = match name {
        "" => "a user without a `name` would be nobody",
        _ if name.contains(':') => "this `name` holds a colon, where names end for clients",
        _ if name.chars().any(char::is_control) => "this `name` holds a control character",
        _ => return true,
    };
    bench.note(Problem::error(place.span_of("name"), why));
    false
}

/// As it stands between quotes (RFC 9110 §5.6.4).
fn realm(text: &str, node: &Node, bench: &Bench<'_>) -> Option<String> {
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        let message = "this `realm` can't stand in a header";
        let problem = Problem::error(node.span_of("realm"), message);
        bench.note(problem.cure("write it in letters, digits and signs of ASCII"));
        return None;
    }
    Some(text.chars().flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c])).collect())
}
