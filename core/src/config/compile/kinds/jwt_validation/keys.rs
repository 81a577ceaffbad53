//! The keys of an issuer: where they come from, and which algorithms they may serve.
//!
//! Mistakes are told here; keys that are fetched are known later, in [`crate::keys`].

use std::sync::Arc;

use super::{Bench, Kinds, issuers::Written};
use crate::{
    config::{
        Host,
        node::{Node, Span},
        problem::{Problem, nearest},
        services::Services,
    },
    discovery::{self, Discovery},
    keys::{KeyRing, KeySet, Source},
    remote::Remote,
    verify::{Algorithm, Secret, SecretKey, longest_served},
};

/// How long an issuer may take to answer with its keys.
const KEYS_TIMEOUT_MS: u64 = 5_000;

impl Kinds {
    pub(super) fn ring(
        &mut self,
        written: &Written<'_>,
        algorithms: Option<&[Algorithm]>,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Arc<KeyRing>> {
        let node = written.node;
        let given: Vec<&str> =
            ["jwks_uri", "jwks", "secret"].into_iter().filter(|name| node.get(name).is_some()).collect();
        if let [first, second, ..] = given.as_slice() {
            let message = format!("`{second}` and `{first}` exclude each other");
            bench.note(Problem::error(node.span_of(second), message));
            return None;
        }
        match (written.jwks_uri, written.jwks, written.secret) {
            (Some(uri), ..) => self.elsewhere(uri, written, algorithms, services, bench),
            (None, Some(text), _) => self.fixed(text, algorithms, node.span_of("jwks"), bench),
            (None, None, Some(secret)) => self.shared(secret, algorithms, node.span_of("secret"), bench),
            // One that can't be read has been complained of.
            (None, None, None) if !given.is_empty() => None,
            (None, None, None) => self.discovered(written, services, bench),
        }
    }

    /// Keys at an address, or in a file of their own.
    fn elsewhere(
        &mut self,
        uri: &str,
        written: &Written<'_>,
        algorithms: Option<&[Algorithm]>,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Arc<KeyRing>> {
        let node = written.node;
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
        match services.remote(uri, span, KEYS_TIMEOUT_MS) {
            Ok(remote) => Some(self.fetched(uri, written, || Source::At(remote))),
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

    /// Keys of which the issuer itself says where they are.
    fn discovered(
        &mut self,
        written: &Written<'_>,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Arc<KeyRing>> {
        let node = written.node;
        let Some(issuer) = written.name.filter(|name| !name.is_empty()) else {
            let problem = Problem::error(node.span, "where the issuer's keys are is not said");
            let cure = "add `issuer: https://…`, which is asked for them, or \
                        `jwks_uri: https://…/.well-known/jwks.json`";
            bench.note(problem.cure(cure));
            return None;
        };
        let span = node.span_of("issuer");
        let address = discovery::address(issuer);
        let remote = if issuer.contains(['?', '#']) {
            Err("only a path may follow the host")
        } else {
            services.remote(&address, span, KEYS_TIMEOUT_MS)
        };
        match remote {
            Ok(remote) => {
                let directory = services.directory(span);
                let source =
                    |remote: Remote| Source::Discovered(Discovery::new(issuer.to_owned(), remote, directory));
                Some(self.fetched(&address, written, || source(remote)))
            }
            Err(why) => {
                let shown = node.get("issuer").unwrap_or(node).shown();
                let message = format!("`{shown}` can't be asked where its keys are: {why}");
                let cure = "say so with `jwks_uri: https://…/.well-known/jwks.json`";
                bench.note(Problem::error(span, message).cure(cure));
                None
            }
        }
    }

    /// One ring an address, however many policies use it: but not for those that differ in how old keys may get.
    fn fetched(
        &mut self,
        address: &str,
        written: &Written<'_>,
        source: impl FnOnce() -> Source,
    ) -> Arc<KeyRing> {
        let key = format!("{address} {}", written.max_stale_seconds);
        let max_stale_ms = written.max_stale_seconds.saturating_mul(1000);
        let fresh = || Arc::new(KeyRing::fetched(source(), max_stale_ms));
        self.rings.entry(key).or_insert_with(fresh).clone()
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
        if bench.host == Host::Workers && set.has_an_unusual_exponent() {
            let message = "a key of this set has an RSA exponent that Workers can't use";
            let cure = "have the issuer make a key with 65537, which is the usual one; 3, 17 and 37 work too";
            bench.note(Problem::error(span, message).cure(cure));
            return None;
        }
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
    written: &[String],
    secret: Option<&Secret>,
    node: &Node,
    bench: &Bench<'_>,
) -> Option<Vec<Algorithm>> {
    bench.not_empty(node, "algorithms");
    let symmetric = secret.is_some();
    if written.is_empty() {
        let Some(secret) = secret else { return Some(Algorithm::ASYMMETRIC.to_vec()) };
        let key = SecretKey::new(None, None, secret.clone());
        let serves = |algorithm: &Algorithm| key.as_ref().is_some_and(|key| key.serves(*algorithm));
        return Some(Algorithm::SYMMETRIC.into_iter().filter(serves).collect());
    }
    let mut algorithms = Vec::new();
    for (name, node) in node.members("algorithms", written) {
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
    (algorithms.len() == written.len()).then_some(algorithms)
}
