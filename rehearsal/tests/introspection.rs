//! An issuer that is asked about tokens, as explanations suppose it.

use bytes::Bytes;
use http::Request;
use serde_json::{Map, Value, json};
use tollgate_core::{
    config::{self, Host, NoFiles},
    gateway::Gateway,
    host::Peer,
};
use tollgate_rehearsal::supposed::{Answer, Bearer, Explained, Issuer, Supposed, World};

fn gateway() -> Gateway {
    let text = "routes: [{path: /a, target_service: s}]\nservices: {s: {endpoints: ['http://s']}}\npolicies:\n\
        - {name: auth, type: OAuthIntrospection, introspection_endpoint: 'http://issuer/ask', client_id: c, \
           client_secret: hunter2, issuer: 'https://i', audience: api, scopes: [read, write], required_claims: {tier: [gold]}}\n";
    let loaded = config::load("t.yaml", text.to_owned(), &NoFiles, &|_: &str| None, Host::Native);
    loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()))
}

fn explained(world: &World<'_>, token: Option<&str>) -> Explained {
    let mut request = Request::get("/a").header("host", "h");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let request = request.body(Bytes::new()).unwrap();
    runtime.block_on(world.explain(&Peer::new([127, 0, 0, 1].into(), false), request)).unwrap()
}

fn supposed(bearer: Bearer, issuer: Issuer) -> Supposed {
    Supposed {
        now: 1_893_456_000_000,
        bearer,
        issuer,
        answer: Some(Answer::default()),
        ..Supposed::default()
    }
}

fn alice(claims: Value) -> Bearer {
    let claims: Map<String, Value> = claims.as_object().unwrap().clone();
    Bearer::User { subject: "alice".to_owned(), claims }
}

#[test]
fn a_user_holds_a_token_that_the_issuer_admits() {
    let gateway = gateway();
    let world = World::new(&gateway, supposed(alice(json!({"exp": "+60s"})), Issuer::Admits));
    let explained = explained(&world, None);
    assert_eq!(explained.head.status, 200, "{explained:#?}");
    let [holds, says, ..] = explained.suppositions.as_slice() else { panic!("{explained:#?}") };
    assert_eq!(holds, "`alice` holds a token that only its issuer can read");
    assert!(says.starts_with("`issuer` says of the token {") && says.contains("1893456060"), "{says}");
    assert!(!format!("{explained:?}").contains("hunter2"));
}

#[test]
fn what_a_user_lacks_is_refused() {
    let gateway = gateway();
    for (claims, status) in [
        (json!({"scope": "read"}), 403),
        (json!({"scope": null}), 403),
        (json!({"aud": "other"}), 401),
        (json!({"exp": "-90s"}), 401),
        (json!({"tier": null}), 401),
    ] {
        let world = World::new(&gateway, supposed(alice(claims.clone()), Issuer::Admits));
        assert_eq!(explained(&world, None).head.status, status, "{claims}");
    }
}

#[test]
fn of_any_other_token_the_issuer_says_what_is_supposed() {
    for (issuer, status, said) in [
        (Issuer::Admits, 200, "`issuer` says of the token"),
        (Issuer::Refuses, 401, "`issuer` says that the token is not active"),
        (Issuer::Fails, 503, "`issuer`, which is asked about tokens, is down"),
    ] {
        // What was remembered of it would be true in another world.
        let gateway = gateway();
        let world = World::new(&gateway, supposed(Bearer::AsSent, issuer));
        let explained = explained(&world, Some("opaque"));
        assert_eq!(explained.head.status, status);
        assert!(explained.suppositions[0].starts_with(said), "{:?}", explained.suppositions);
    }
    let gateway = gateway();
    let world = World::new(&gateway, supposed(Bearer::AsSent, Issuer::Admits));
    assert_eq!(explained(&world, None).head.status, 401);
}
