//! The keys of `JWT_Validation`: where they come from, and which algorithms they may serve.
//!
//! Mistakes are told here; keys that are fetched are known later, in [`crate::keys`].

use std::sync::Arc;

use super::{Bench, Kinds};
use crate::{
    config::{
        node::{Node, Span},
        policy as written,
        problem::{Problem, nearest},
        services::Services,
    },
    keys::{KeyRing, KeySet},
    verify::{Algorithm, Secret, SecretKey, longest_served},
};

/// How long an issuer may take to answer with its keys.
const KEYS_TIMEOUT_MS: u64 = 5_000;

impl Kinds {
    pub(super) fn ring(
        &mut self,
        keys: &written::JwtValidation,
        algorithms: Option<&[Algorithm]>,
        node: &Node,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Arc<KeyRing>> {
        let given: Vec<&str> =
            ["jwks_uri", "jwks", "secret"].into_iter().filter(|name| node.get(name).is_some()).collect();
        if let [first, second, ..] = given.as_slice() {
            let message = format!("`{second}` and `{first}` exclude each other");
            bench.note(Problem::error(node.span_of(second), message));
            return None;
        }
        match (&keys.jwks_uri, &keys.jwks, &keys.secret) {
            (Some(uri), ..) => self.elsewhere(uri, algorithms, node, services, bench),
            (None, Some(text), _) => self.fixed(text, algorithms, node.span_of("jwks"), bench),
            (None, None, Some(secret)) => self.shared(secret, algorithms, node.span_of("secret"), bench),
            (None, None, None) => {
                let problem = Problem::error(node.span, "where the issuer's keys are is not said");
                bench.note(problem.cure("add `jwks_uri: https://…/.well-known/jwks.json`"));
                None
            }
        }
    }

    /// Keys at an address, or in a file of their own.
    fn elsewhere(
        &mut self,
        uri: &str,
        algorithms: Option<&[Algorithm]>,
        node: &Node,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Arc<KeyRing>> {
        let span = node.span_of("jwks_uri");
        if let Some(path) = uri.strip_prefix("file:") {
            let path = bench.beside(span, path.strip_prefix("//").unwrap_or(path));
            return match bench.files.read(&path) {
                Ok(text) => self.fixed(&text, algorithms, span, bench),
                Err(error) => {
                    bench.note(Problem::error(span, format!("this file can't be read: {error}")));
                    None
                }
            };
        }
        if let Some(ring) = self.rings.get(uri) {
            return Some(ring.clone());
        }
        match services.remote(uri, span, KEYS_TIMEOUT_MS) {
            Ok(remote) => {
                let ring = Arc::new(KeyRing::remote(remote));
                self.rings.insert(uri.to_owned(), ring.clone());
                Some(ring)
            }
            Err(why) => {
                let shown = node.get("jwks_uri").unwrap_or(node).shown();
                bench.note(
                    Problem::error(span, format!("`{shown}` is no address of keys: {why}"))
                        .cure("write `https://host/path`, `http://host/path` or `file:name`"),
                );
                None
            }
        }
    }

    /// Keys that stand in the configuration or in a file beside it.
    fn fixed(
        &mut self,
        text: &str,
        algorithms: Option<&[Algorithm]>,
        span: Span,
        bench: &Bench<'_>,
    ) -> Option<Arc<KeyRing>> {
        let set = match KeySet::parse(text.as_bytes()) {
            Ok(set) => set,
            Err(why) => {
                bench.note(Problem::error(span, format!("this is no JSON Web Key Set: {why}")));
                return None;
            }
        };
        // What is wrong with the algorithms is said where they stand.
        if algorithms.is_some_and(|algorithms| set.serves(algorithms)) {
            return Some(self.keep(set));
        }
        if algorithms.is_some() {
            let problem = Problem::error(span, "the key set holds no key that can be used");
            bench.note(if set.serves(&Algorithm::SYMMETRIC) {
                problem
                    .cure("its keys are secrets, which serve where they are asked for: `algorithms: [HS256]`")
            } else if !set.is_empty() {
                problem.cure("its keys serve other algorithms than those that are allowed")
            } else {
                problem
            });
        }
        None
    }

    /// A secret that is shared with the issuer.
    fn shared(
        &mut self,
        secret: &Secret,
        algorithms: Option<&[Algorithm]>,
        span: Span,
        bench: &Bench<'_>,
    ) -> Option<Arc<KeyRing>> {
        let problem = if secret.is_blank() {
            Problem::error(span, "`secret` is empty").cure("give it a value, or leave the key out")
        } else if secret.is_public() {
            Problem::error(span, "this `secret` is a public key: whoever knows it could sign")
                .cure("write the key as a JSON Web Key Set into `jwks`")
        } else {
            let key = SecretKey::new(None, None, secret.clone());
            let serves = |algorithm| key.as_ref().is_some_and(|key| key.serves(algorithm));
            if let Some(key) = &key
                && algorithms?.iter().all(|&algorithm| serves(algorithm))
            {
                return Some(self.keep(KeySet::of_secret(key.clone())));
            }
            let least = longest_served(algorithms.unwrap_or_default());
            let message =
                format!("this `secret` is too short: it could be guessed, so {least} bytes are the least");
            Problem::error(span, message).cure(format!(
                "use what `openssl rand -hex {}` prints, and let the issuer sign with it",
                least
            ))
        };
        bench.note(problem);
        None
    }

    fn keep(&mut self, set: KeySet) -> Arc<KeyRing> {
        let ring = Arc::new(KeyRing::fixed(set));
        self.fixed.push(ring.clone());
        ring
    }
}

/// What is allowed: what is written, or all that goes by the kind of key that is there.
pub(super) fn algorithms(
    keys: &written::JwtValidation,
    node: &Node,
    bench: &Bench<'_>,
) -> Option<Vec<Algorithm>> {
    bench.not_empty(node, "algorithms");
    let symmetric = keys.secret.is_some();
    if keys.algorithms.is_empty() {
        let Some(secret) = &keys.secret else { return Some(Algorithm::ASYMMETRIC.to_vec()) };
        let key = SecretKey::new(None, None, secret.clone());
        let serves = |algorithm: &Algorithm| key.as_ref().is_some_and(|key| key.serves(*algorithm));
        return Some(Algorithm::SYMMETRIC.into_iter().filter(serves).collect());
    }
    let mut algorithms = Vec::new();
    for (name, node) in node.members("algorithms", &keys.algorithms) {
        let refuse = |cure: String| {
            let message = format!("the algorithm `{}` can't be allowed", node.shown());
            bench.note(Problem::error(node.span, message).cure(cure));
        };
        match Algorithm::named(name) {
            Some(algorithm) if symmetric && !algorithm.is_symmetric() => {
                refuse(
                    "a `secret` serves HS256, HS384 and HS512; others need `jwks_uri` or `jwks`".to_owned(),
                );
            }
            Some(algorithm) => algorithms.push(algorithm),
            None => refuse(match nearest(name, Algorithm::all().map(Algorithm::name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    let known: Vec<&str> = Algorithm::all().map(Algorithm::name).collect();
                    format!("known are: {}", known.join(", "))
                }
            }),
        }
    }
    (algorithms.len() == keys.algorithms.len()).then_some(algorithms)
}
