//! What an answer comes to, by its claims and by the clock.

use http::StatusCode;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::{
    config::node::Span,
    upstream::{Patience, Service},
};

const NOW: Timestamp = 1_900_000_000_000;

fn policy() -> OAuthIntrospection {
    let service = Service::new("issuer".into(), Vec::new(), Patience::default(), Span::default());
    OAuthIntrospection {
        remote: Remote {
            service: service.into(),
            target: "/introspect".into(),
            patience: Patience::default(),
        },
        client: Client::basic("gateway", "hunter2"),
        source: TokenSource::Bearer,
        issuer: Some("https://issuer".into()),
        asked: "issuer/introspect".into(),
        audience: vec!["api".into(), "web".into()],
        scopes: vec!["read".into(), "write".into()],
        wanted: "read write".into(),
        required: vec![Required { claim: "tenant".into(), values: vec!["acme".into()] }],
        leeway_ms: 60_000,
        forward: Vec::new(),
        role_claim: "role".into(),
        memory: Memory::new(60_000, 10_000, 0),
        flights: Flights::new(1_000),
    }
}

/// What comes of an answer that is good but for `change`.
fn judge(change: Value) -> Result<Judged, String> {
    let mut claims = Value::Object(policy().sample_claims("a"));
    claims["active"] = true.into();
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let answer = Answer::read(StatusCode::OK, claims.to_string().as_bytes())?;
    policy().judge(answer, NOW)
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_are_judged() {
    let now = NOW / 1000;
    for (change, wanted) in [
        (json!({}), None),
        (json!({"active": false}), Some(TokenFault::Inactive)),
        (json!({"exp": now - 59}), None),
        (json!({"exp": now - 60}), Some(TokenFault::Expired)),
        (json!({"exp": 0}), Some(TokenFault::Expired)),
        (json!({"nbf": now + 60}), None),
        (json!({"nbf": now + 61}), Some(TokenFault::NotYetValid)),
        (json!({"iss": "https://issuer/"}), Some(TokenFault::Issuer)),
        (json!({"iss": null}), Some(TokenFault::Issuer)),
        (json!({"aud": "web"}), None),
        (json!({"aud": ["x", "api"]}), None),
        (json!({"aud": []}), Some(TokenFault::Audience)),
        (json!({"aud": null}), Some(TokenFault::Audience)),
        (json!({"tenant": "other"}), Some(TokenFault::Claims)),
        (json!({"tenant": null}), Some(TokenFault::Claims)),
        (json!({"scope": "write read more"}), None),
        (json!({"scope": ["write", "read"]}), None),
        (json!({"scope": "read"}), Some(TokenFault::Scope)),
        (json!({"scope": "read writer"}), Some(TokenFault::Scope)),
        (json!({"scope": "read,write"}), Some(TokenFault::Scope)),
        (json!({"scope": null}), Some(TokenFault::Scope)),
    ] {
        assert_eq!(judge(change.clone()).unwrap().err(), wanted, "{change}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_whose_times_are_none_is_none() {
    for change in [json!({"exp": "soon"}), json!({"exp": -1}), json!({"nbf": {}}), json!({"active": "true"})]
    {
        assert!(judge(change.clone()).is_err(), "{change}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn sample_claims_are_admitted() {
    let holder = judge(json!({})).unwrap().unwrap();
    assert_eq!((&*holder.identity.subject, holder.ends_at), ("a", Timestamp::MAX));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stand_in_is_nobodys_subject() {
    let who = |change: Value| judge(change).unwrap().ok().map(|holder| holder.identity);
    let user = who(json!({"username": "x", "client_id": "x"})).unwrap();
    assert_eq!(user.subject, "a");
    let named = who(json!({"sub": null, "username": "a", "client_id": "a"})).unwrap();
    assert_eq!(named.subject, "username:a");
    let client = who(json!({"sub": null, "client_id": "a"})).unwrap();
    assert_eq!(client.subject, "client:a");
    let posing = who(json!({"sub": "client:a"})).unwrap();
    let keys = [&user.key, &named.key, &client.key, &posing.key];
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "{keys:?}");
    }
    // Who is named, but as nobody, is not somebody else either.
    for nobody in [json!({"sub": ""}), json!({"sub": 7, "username": "x"}), json!({"sub": null})] {
        assert_eq!(judge(nobody.clone()).unwrap().err(), Some(TokenFault::Claims), "{nobody}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn without_an_issuer_subjects_are_the_endpoints() {
    let policy = OAuthIntrospection { issuer: None, ..policy() };
    let key = |iss: Value| {
        let mut claims = policy.sample_claims("a");
        claims.insert("iss".to_owned(), iss);
        policy.judge(Answer::Active(claims), NOW).unwrap().unwrap().identity.key.clone()
    };
    assert_eq!(key(json!(null)), "user:issuer/introspect|a");
    assert_eq!(key(json!("https://x")), "user:https://x|a");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_question_is_a_form_and_shows_who_asks() {
    let (fields, content) = policy().question("a+b&c=d");
    assert_eq!(content, "token=a%2Bb%26c%3Dd&token_type_hint=access_token");
    assert_eq!(fields["content-type"], "application/x-www-form-urlencoded");
    assert!(fields["authorization"].is_sensitive());
}

#[wasm_bindgen_test(unsupported = test)]
fn what_can_be_no_token_is_not_asked_about() {
    assert!(OAuthIntrospection::name(&"a".repeat(8_192)).is_ok());
    for token in [&*"a".repeat(8_193), "a\n", "\u{e9}", "a\0"] {
        assert_eq!(OAuthIntrospection::name(token), Err(TokenFault::Malformed));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_policy_never_shows_its_secret() {
    let shown = format!("{:?}", policy());
    assert!(!shown.contains("hunter2") && !shown.contains("Basic "), "{shown}");
}
