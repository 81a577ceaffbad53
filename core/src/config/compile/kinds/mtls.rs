//! `Mtls` compiled: names and fingerprints read, identities made beforehand.

use std::collections::{BTreeMap, HashMap};

use http::HeaderName;
use serde_json::{Map, Value};

use super::{super::Bench, api_key, forward::METADATA};
use crate::{
    certificate::ClientCertificate,
    config::{Host, node::Node, policy as written, problem::Problem},
    identity::Identity,
    policy::mtls::{IdentityFrom, Issuer, Known, Mtls, Named, name::DistinguishedName},
};

/// Which certificates an entry is about.
enum Of {
    Fingerprint([u8; 32]),
    Subject(DistinguishedName, Option<DistinguishedName>),
}

pub(super) fn mtls(
    keys: &written::Mtls,
    node: &Node,
    identity_headers: &mut Vec<HeaderName>,
    bench: &Bench<'_>,
) -> Option<Mtls> {
    // Who can't be asked for a certificate would be refused, always.
    if bench.host == Host::Native && !bench.client_auth {
        let message = "`Mtls` judges client certificates, and no listener asks for any";
        let problem = Problem::error(node.span_of("type"), message);
        bench.miss(problem.cure(
            "add `client_auth: {ca_file: …}` to the `tls` of a listener, with the authorities that vouch for clients",
        ));
        return None;
    }
    bench.not_empty(node, "certificates");
    bench.not_empty(node, "issuers");
    if node.get("certificates").is_none() && node.get("issuers").is_none() {
        let problem = Problem::error(node.span_of("type"), "this `Mtls` admits nobody");
        let cure =
            "name `certificates: [{subject: \"CN=…\", identity: …}]`, or `issuers: [{issuer: \"CN=…\"}]`";
        bench.note(problem.cure(cure));
    }
    let forward = METADATA.compile(&keys.forward_metadata, node, identity_headers, bench);
    // All of them are looked at, so that every mistake is told.
    let (listed, issuers) = (certificates(keys, node, &forward, bench), issuers(keys, node, bench));
    let (by_fingerprint, named) = listed?;
    Some(Mtls::new(by_fingerprint, named, issuers?, forward))
}

type Listed = (HashMap<[u8; 32], Known>, Vec<Named>);

fn certificates(
    keys: &written::Mtls,
    node: &Node,
    forward: &[(String, HeaderName)],
    bench: &Bench<'_>,
) -> Option<Listed> {
    let (mut by_fingerprint, mut all) = (HashMap::new(), Vec::<Named>::new());
    let mut whole = true;
    for (entry, place) in node.members("certificates", &keys.certificates) {
        let of = of(entry, place, bench);
        let expires_at = api_key::end(entry.expires.as_deref(), place, bench);
        let identity = Identity::of_key(&entry.identity, &entry.roles, metadata(&entry.metadata), forward);
        if identity.is_none() {
            let message = "a certificate without an `identity` would be nobody's";
            bench.note(Problem::error(place.span_of("identity"), message));
        }
        let (Some(of), Some(expires_at), Some(identity)) = (of, expires_at, identity) else {
            whole = false;
            continue;
        };
        let known = Known { identity: identity.into(), expires_at, by_issuer: false };
        let (key, is_twice) = match of {
            Of::Fingerprint(fingerprint) => {
                ("fingerprint", by_fingerprint.insert(fingerprint, known).is_some())
            }
            Of::Subject(subject, issuer) => {
                let is_twice = all.iter().any(|other| other.subject == subject && other.issuer == issuer);
                // Those of a certain issuer come first.
                let at = if issuer.is_some() { 0 } else { all.len() };
                all.insert(at, Named { subject, issuer, known });
                ("subject", is_twice)
            }
        };
        if is_twice {
            let problem = Problem::error(place.span_of(key), format!("this `{key}` stands here twice"));
            bench.note(problem.cure("a certificate has one identity: leave one of the two out"));
        }
    }
    whole.then_some((by_fingerprint, all))
}

fn of(entry: &written::Certificate, place: &Node, bench: &Bench<'_>) -> Option<Of> {
    match (&entry.fingerprint, &entry.subject) {
        (None, None) => {
            let problem = Problem::error(place.span, "this says of no certificate that it is somebody's");
            bench.note(problem.cure("add the certificate's `fingerprint`, or its `subject`"));
            None
        }
        (Some(_), Some(_)) => {
            let message = "a certificate is known by its `fingerprint` or by its `subject`, not by both";
            let problem = Problem::error(place.span_of("subject"), message);
            bench.note(problem.cure("leave one of the two out: a fingerprint is of one certificate only"));
            None
        }
        (Some(text), None) => {
            if entry.issuer.is_some() {
                let message =
                    "an `issuer` says nothing more of a certificate that is known by its fingerprint";
                bench.note(Problem::error(place.span_of("issuer"), message).cure("leave it out"));
            }
            fingerprint(text, place, bench).map(Of::Fingerprint)
        }
        (None, Some(subject)) => {
            let subject = name("subject", subject, place, bench);
            let issuer = match &entry.issuer {
                Some(issuer) => Some(name("issuer", issuer, place, bench)?),
                None => None,
            };
            Some(Of::Subject(subject?, issuer))
        }
    }
}

fn fingerprint(text: &str, place: &Node, bench: &Bench<'_>) -> Option<[u8; 32]> {
    let read = text.strip_prefix("sha256:").and_then(ClientCertificate::read_fingerprint);
    if read.is_none() {
        let node = place.get("fingerprint").unwrap_or(place);
        let problem = Problem::error(node.span, format!("`{}` is no fingerprint", node.shown()));
        let cure = "write `sha256:` and what `openssl x509 -noout -fingerprint -sha256` prints after `=`";
        bench.note(problem.cure(cure));
    }
    read
}

/// The distinguished name under a key.
fn name(key: &str, text: &str, place: &Node, bench: &Bench<'_>) -> Option<DistinguishedName> {
    let node = place.get(key).unwrap_or(place);
    let why = match DistinguishedName::parse(text) {
        Ok(name) if !name.is_empty() => return Some(name),
        Ok(_) => "it is empty".to_owned(),
        Err(fault) => fault.to_string(),
    };
    let problem = Problem::error(node.span, format!("`{}` is no distinguished name: {why}", node.shown()));
    let cure = "write it as `openssl x509 -noout -subject -issuer -nameopt RFC2253` prints it: `CN=a,O=b`";
    bench.note(problem.cure(cure));
    None
}

fn issuers(keys: &written::Mtls, node: &Node, bench: &Bench<'_>) -> Option<Vec<Issuer>> {
    let mut issuers = Vec::<Issuer>::new();
    let mut whole = true;
    for (entry, place) in node.members("issuers", &keys.issuers) {
        let Some(name) = name("issuer", &entry.issuer, place, bench) else {
            whole = false;
            continue;
        };
        if issuers.iter().any(|other| other.name == name) {
            let problem = Problem::error(place.span_of("issuer"), "this `issuer` stands here twice");
            bench.note(problem.cure("leave one of the two out"));
        }
        issuers.push(Issuer {
            name,
            identity_from: match entry.identity_from {
                written::IdentityFrom::CommonName => IdentityFrom::CommonName,
                written::IdentityFrom::Subject => IdentityFrom::Subject,
                written::IdentityFrom::Fingerprint => IdentityFrom::Fingerprint,
            },
            roles: entry.roles.clone(),
            metadata: metadata(&entry.metadata),
        });
    }
    whole.then_some(issuers)
}

fn metadata(written: &BTreeMap<String, String>) -> Map<String, Value> {
    written.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
}
