//! A record as the request that it was: fields that its route asks for, and a token where there was one.

use std::collections::HashMap;

use http::Method;
use serde_json::{Map, Value};
use tollgate_core::{
    gateway::Gateway,
    policy::{
        Authentication,
        jwt_validation::{Carried, JwtValidation},
        oauth_introspection::OAuthIntrospection,
    },
    route::Route,
    verify::Algorithm,
};

use super::{opaque, record::Record, world::token};
use crate::{fake::request, play::Sent};

/// Tokens are made for the minute, so that one user's are few.
const MINUTE_MS: u64 = 60_000;

/// Makes requests of records.
#[derive(Debug)]
pub(super) struct Client<'g> {
    gateways: [&'g Gateway; 2],
    /// The old routes, by path and service as logs have them.
    routes: HashMap<(&'g str, &'g str), Vec<&'g Route>>,
}

impl<'g> Client<'g> {
    pub(super) fn new(old: &'g Gateway, new: &'g Gateway) -> Self {
        let mut routes: HashMap<_, Vec<&Route>> = HashMap::new();
        for route in old.router().routes() {
            routes.entry((route.pattern.as_str(), &*route.service.name)).or_default().push(route);
        }
        Self { gateways: [old, new], routes }
    }

    /// None where no request can be made of it.
    pub(super) fn request(&self, record: &Record) -> Option<Sent> {
        let mut sent = Sent {
            method: record.method.clone(),
            target: record.path.clone(),
            headers: vec![("host".to_owned(), record.host.clone())],
            pieces: Vec::new(),
            peer: record.client,
            certificate: None,
            trailers: Vec::new(),
            over: Default::default(),
        };
        if let Some(route) = self.route(record) {
            let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            sent.headers.extend(route.sample_headers().map(own));
            let query = route.sample_query();
            if !query.is_empty() {
                add_query(&mut sent, &query);
            }
        }
        let [before, after] = self.authentications(record, &sent)?;
        let [old, new] = [before, after].map(|side| side.and_then(Authentication::by_token));
        let issuers = [before, after].map(|side| side.and_then(Authentication::by_introspection));
        // A client sends its token where it has always sent it, and of the kind that it has always been.
        let carried: Vec<Carried> = match (old, issuers) {
            (None, [Some(issuer), new]) => {
                opaque::tokens(record, issuer, new).iter().map(|token| issuer.carry(token)).collect()
            }
            (_, [_, asked]) => match (old.or(new), asked) {
                (Some(policy), asked) => {
                    let tokens = tokens(record, old, new, asked);
                    tokens.iter().map(|token| policy.carry(token)).collect()
                }
                (None, Some(issuer)) => {
                    opaque::tokens(record, issuer, None).iter().map(|token| issuer.carry(token)).collect()
                }
                (None, None) => Vec::new(),
            },
        };
        for carried in carried {
            match carried {
                Carried::Header(name, value) => sent.headers.push((name.to_string(), value)),
                // A token that can be none has a tab in it, which can't stand in a query.
                Carried::Query(pair) => add_query(&mut sent, &pair.replace('\t', "%09")),
            }
        }
        sent.headers.extend(self.session(record, &sent).map(|cookies| ("cookie".to_owned(), cookies)));
        Some(sent)
    }

    /// The session of whoever it was, where one is looked for: sealed by either side, as their secrets may differ.
    fn session(&self, record: &Record, sent: &Sent) -> Option<String> {
        let user = record.user.as_deref()?;
        let policies =
            self.authentications(record, sent)?.map(|one| one.and_then(Authentication::by_session));
        let mut claims = Map::new();
        // What the old one asks for is known to be there.
        for policy in policies.iter().rev().flatten() {
            claims.extend(policy.sample_claims(user));
        }
        let sealed = policies.iter().flatten().filter_map(|policy| {
            let own = policy.sample_claims(user);
            let mut claims = claims.clone();
            claims.extend(
                ["iss", "aud"]
                    .into_iter()
                    .filter_map(|name| own.get_key_value(name))
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
            // Nobody sees it, so it need not be one that nobody can guess.
            policy.sample_session(claims, record.at, &[0; 32])
        });
        let sealed: Vec<String> = sealed.collect();
        (!sealed.is_empty()).then(|| sealed.join("; "))
    }

    /// The route that served it, as far as the log tells.
    fn route(&self, record: &Record) -> Option<&'g Route> {
        let key = (record.route.as_deref()?, record.service.as_deref()?);
        let routes = self.routes.get(&key)?;
        let method = Method::from_bytes(record.method.as_bytes()).ok()?;
        routes.iter().find(|route| route.serves(&method)).or(routes.first()).copied()
    }

    /// How it is found out who makes the request, on both sides.
    fn authentications(&self, record: &Record, sent: &Sent) -> Option<[Option<&'g Authentication>; 2]> {
        let (head, _) = request(sent).ok()?.into_parts();
        Some(self.gateways.map(|gateway| {
            let found = gateway.router().find(&record.host, &record.path, &head).ok()?;
            Some(&*found.plan.authentication.as_ref()?.policy)
        }))
    }
}

/// What goes where a token is looked for: nothing, one, or two where that was the fault.
fn tokens(
    record: &Record,
    old: Option<&JwtValidation>,
    new: Option<&JwtValidation>,
    asked: Option<&OAuthIntrospection>,
) -> Vec<String> {
    let fault = record.refusal.as_deref().and_then(|reason| reason.strip_prefix("jwt_validation."));
    let unknown;
    let subject = match (&record.user, fault) {
        (Some(user), _) => user,
        (None, None | Some("missing_token")) => return Vec::new(),
        // One for each client, so that they are not counted together.
        (None, Some(_)) => {
            unknown = format!("unknown user of {}", record.client);
            &unknown
        }
    };
    // What the old one asks for is known to be there.
    let mut claims = asked.map(|policy| policy.sample_claims(subject)).unwrap_or_default();
    claims.extend(new.map(|policy| policy.sample_claims(subject)).unwrap_or_default());
    claims.extend(old.map(|policy| policy.sample_claims(subject)).unwrap_or_default());
    let minute = record.at / MINUTE_MS * MINUTE_MS / 1000;
    claims.insert("iat".to_owned(), minute.into());
    claims.insert("exp".to_owned(), (minute + 3_600).into());
    let algorithm = algorithm(old, new);
    let mut header = Map::new();
    if let Some(typ) = old.or(new).and_then(JwtValidation::sample_typ) {
        header.insert("typ".to_owned(), typ.into());
    }
    let mut good = true;
    match fault {
        Some("malformed") => return vec!["malformed".to_owned()],
        Some("algorithm") => drop(header.insert("alg".to_owned(), "none".into())),
        Some("critical") => drop(header.insert("crit".to_owned(), vec!["unknown"].into())),
        Some("unknown_key") => drop(header.insert("kid".to_owned(), "unknown".into())),
        Some("signature") => good = false,
        Some("expired") => drop(claims.insert("exp".to_owned(), 1.into())),
        Some("not_yet_valid") => drop(claims.insert("nbf".to_owned(), (minute + 10 * 86_400).into())),
        Some("issuer") => drop(claims.insert("iss".to_owned(), "https://another.invalid".into())),
        Some("audience") => drop(claims.insert("aud".to_owned(), "another".into())),
        Some("typ") => drop(header.insert("typ".to_owned(), "another".into())),
        Some("too_old") => drop(claims.insert("iat".to_owned(), 1.into())),
        Some("scope") => drop(claims.remove("scope")),
        Some("claims") => lack(&mut claims, old),
        _ => {}
    }
    let token = token(algorithm, header, claims, good);
    if fault == Some("ambiguous_token") { vec![token.clone(), token] } else { vec![token] }
}

/// Which of the required claims was missing is not known: as many are as there are.
fn lack(claims: &mut Map<String, Value>, old: Option<&JwtValidation>) {
    let required: Vec<&str> = old.iter().flat_map(|policy| policy.required_claims()).collect();
    let besides: Vec<&&str> =
        required.iter().filter(|name| !matches!(**name, "sub" | "iss" | "aud")).collect();
    for name in &besides {
        claims.remove(**name);
    }
    if besides.is_empty() {
        claims.remove("sub");
    }
}

/// One that both allow, or else one that the old one does.
fn algorithm(old: Option<&JwtValidation>, new: Option<&JwtValidation>) -> Algorithm {
    let before = old.map_or(&Algorithm::ASYMMETRIC[..], JwtValidation::algorithms);
    let after = new.map_or(&Algorithm::ASYMMETRIC[..], JwtValidation::algorithms);
    let both = before.iter().find(|algorithm| after.contains(algorithm));
    both.or(before.first()).copied().unwrap_or(Algorithm::EdDSA)
}

fn add_query(sent: &mut Sent, pair: &str) {
    sent.target.push(if sent.target.contains('?') { '&' } else { '?' });
    sent.target.push_str(pair);
}
