//! `JWT_Validation`: who makes a request, by a JSON Web Token (RFC 7519, RFC 8725).
//!
//! Parsing and judging are here, synchronous; finding the key and checking the signature is asked for by the
//! pipeline in between. What a token says about where keys are (`jwk`, `jku`, `x5u`) is never looked at.

mod sample;

use std::{borrow::Cow, sync::Arc};

use base64ct::{Base64UrlUnpadded, Encoding};
use http::{HeaderName, HeaderValue, header, request};
use jwt_compact::UntrustedToken;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use self::sample::Carried;
use crate::{
    host::Timestamp,
    identity::Identity,
    keys::{KeyRing, KeySet},
    recent::Recent,
    refusal::Refusal,
    route::parameters,
    verify::Algorithm,
};

/// A longer token is not looked at.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Verified tokens remembered at most.
pub(crate) const REMEMBERED: usize = 16_384;

/// Proves identities by tokens.
#[derive(Debug)]
pub struct JwtValidation {
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) required: Vec<Required>,
    pub(crate) leeway_ms: u64,
    pub(crate) source: TokenSource,
    pub(crate) forward: Vec<(String, HeaderName)>,
    pub(crate) role_claim: String,
    pub(crate) verified: Recent<[u8; 32], Verified>,
}

/// A claim that must be there, and the values it may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Required {
    pub(crate) claim: String,
    /// Any when empty.
    pub(crate) values: Vec<String>,
}

/// Where the token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenSource {
    /// `Authorization: Bearer` (RFC 6750 §2.1)
    Bearer,
    Header(HeaderName),
    Cookie(String),
    Query(String),
}

impl TokenSource {
    /// The field that holds the credential, among others maybe. For a query parameter none does; `Authorization`
    /// stands for it then.
    pub(crate) fn field(&self) -> &HeaderName {
        match self {
            Self::Bearer | Self::Query(_) => &header::AUTHORIZATION,
            Self::Header(name) => name,
            Self::Cookie(_) => &header::COOKIE,
        }
    }
}

/// A token whose signature was good.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    identity: Arc<Identity>,
    expires_at: Timestamp,
    /// The set that held its key: when that is replaced, the token is verified anew.
    keys: Arc<KeySet>,
}

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// Too long, or not three parts of base64url and JSON.
    Malformed,
    /// An algorithm that is not allowed here.
    Algorithm,
    /// A `crit` header: it demands something that is not understood (RFC 7515 §4.1.11).
    Critical,
    /// No key of the issuer goes by that name.
    UnknownKey,
    /// The signature is not the issuer's.
    Signature,
    /// `exp` has passed.
    Expired,
    /// `nbf` or `iat` is still to come.
    NotYetValid,
    /// Another issuer.
    Issuer,
    /// Meant for somebody else.
    Audience,
    /// A required claim is missing or has another value.
    Claims,
}

impl TokenFault {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "jwt_validation.malformed",
            Self::Algorithm => "jwt_validation.algorithm",
            Self::Critical => "jwt_validation.critical",
            Self::UnknownKey => "jwt_validation.unknown_key",
            Self::Signature => "jwt_validation.signature",
            Self::Expired => "jwt_validation.expired",
            Self::NotYetValid => "jwt_validation.not_yet_valid",
            Self::Issuer => "jwt_validation.issuer",
            Self::Audience => "jwt_validation.audience",
            Self::Claims => "jwt_validation.claims",
        }
    }

    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::Malformed => "The token is malformed.",
            Self::Algorithm => "The token's algorithm is not accepted.",
            Self::Critical => "The token demands an unknown extension.",
            Self::UnknownKey | Self::Signature => "The token's signature can't be verified.",
            Self::Expired => "The token has expired.",
            Self::NotYetValid => "The token is not valid yet.",
            Self::Issuer => "The token comes from an unexpected issuer.",
            Self::Audience => "The token is meant for another audience.",
            Self::Claims => "The token lacks a required claim.",
        }
    }
}

/// A parsed token about which nothing is known yet.
#[derive(Debug)]
pub(crate) struct Unverified<'t> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    /// What was signed.
    pub(crate) message: &'t [u8],
    pub(crate) signature: Vec<u8>,
    payload: &'t str,
}

/// The parts of a token's header that jwt-compact leaves to us.
#[derive(Debug, Clone, Deserialize)]
struct Extension {
    #[serde(default)]
    crit: Option<Value>,
}

impl JwtValidation {
    /// The token of a request, if there is one.
    pub(crate) fn token<'r>(&self, request: &'r request::Parts) -> Result<Option<Cow<'r, str>>, Refusal> {
        self.source.token(request)
    }
}

impl TokenSource {
    /// The token of a request, if there is one. Two in one place are refused: who knows which one the
    /// service would believe.
    pub(crate) fn token<'r>(&self, request: &'r request::Parts) -> Result<Option<Cow<'r, str>>, Refusal> {
        match self {
            Self::Bearer => {
                let Some(value) = single(request, &header::AUTHORIZATION)? else { return Ok(None) };
                Ok(bearer(value).map(Cow::Borrowed))
            }
            Self::Header(name) => {
                let Some(value) = single(request, name)? else { return Ok(None) };
                Ok(bearer(value).or_else(|| value.to_str().ok()).map(Cow::Borrowed))
            }
            Self::Cookie(name) => {
                let cookies = request.headers.get_all(header::COOKIE);
                let pairs =
                    cookies.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
                let named =
                    pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(key, _)| key == name);
                only(named.map(|(_, value)| Cow::Borrowed(value.trim_matches('"'))))
            }
            Self::Query(name) => {
                let query = request.uri.query().unwrap_or_default();
                only(parameters(query).filter(|(key, _)| key == name).map(|(_, value)| value))
            }
        }
    }
}

impl JwtValidation {
    /// The identity of a token that was verified a moment ago with keys that are still current.
    pub(crate) fn recall(
        &self,
        digest: &[u8; 32],
        keys: &Arc<KeySet>,
        now: Timestamp,
    ) -> Option<Arc<Identity>> {
        let verified = self.verified.get(digest)?;
        (now < verified.expires_at && Arc::ptr_eq(&verified.keys, keys)).then_some(verified.identity)
    }

    /// Takes a token apart. Its claims are not looked at before its signature is good.
    pub(crate) fn parse<'t>(&self, token: &'t str) -> Result<Unverified<'t>, TokenFault> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenFault::Malformed);
        }
        let parsed = UntrustedToken::<Extension>::try_from(token).map_err(|_| TokenFault::Malformed)?;
        if parsed.header().other_fields.crit.is_some() {
            return Err(TokenFault::Critical);
        }
        let algorithm = match parsed.algorithm() {
            "Ed25519" => Some(Algorithm::EdDSA),
            name => Algorithm::named(name),
        };
        let algorithm =
            algorithm.filter(|named| self.algorithms.contains(named)).ok_or(TokenFault::Algorithm)?;
        let (message, _) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (_, payload) = message.split_once('.').ok_or(TokenFault::Malformed)?;
        Ok(Unverified {
            algorithm,
            kid: parsed.header().key_id.clone(),
            message: message.as_bytes(),
            signature: parsed.signature_bytes().to_vec(),
            payload,
        })
    }

    /// Judges the claims of a token whose signature is good, and remembers who it was.
    pub(crate) fn admit(
        &self,
        token: &Unverified<'_>,
        digest: [u8; 32],
        keys: Arc<KeySet>,
        now: Timestamp,
    ) -> Result<Arc<Identity>, TokenFault> {
        let claims = Base64UrlUnpadded::decode_vec(token.payload).map_err(|_| TokenFault::Malformed)?;
        let claims: Map<String, Value> =
            serde_json::from_slice(&claims).map_err(|_| TokenFault::Malformed)?;
        let expires_at = self.judge(&claims, now)?;
        let identity =
            Identity::from_claims(claims, &self.role_claim, &self.forward).ok_or(TokenFault::Claims)?;
        let identity = Arc::new(identity);
        self.verified.insert(digest, Verified { identity: identity.clone(), expires_at, keys });
        Ok(identity)
    }

    /// All checks on claims; the moment from which on the token counts no more.
    fn judge(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, TokenFault> {
        // RFC 7519 §2: a NumericDate may be a fraction; whole milliseconds are enough, and can't overflow.
        let time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(seconds) if (0.0..=1e11).contains(&seconds) => Ok(Some((seconds * 1000.0) as u64)),
                _ => Err(TokenFault::Malformed),
            },
        };
        let expires_at = time("exp")?.map_or(Timestamp::MAX, |at| at.saturating_add(self.leeway_ms));
        if now >= expires_at {
            return Err(TokenFault::Expired);
        }
        let latest_start = now.saturating_add(self.leeway_ms);
        if time("nbf")?.is_some_and(|at| at > latest_start)
            || time("iat")?.is_some_and(|at| at > latest_start)
        {
            return Err(TokenFault::NotYetValid);
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if self.issuer.as_deref().is_some_and(|issuer| text("iss") != Some(issuer)) {
            return Err(TokenFault::Issuer);
        }
        if !self.audience.is_empty() {
            let meant = |wanted: &String| match claims.get("aud") {
                Some(Value::String(one)) => one == wanted,
                Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(wanted)),
                _ => false,
            };
            if !self.audience.iter().any(meant) {
                return Err(TokenFault::Audience);
            }
        }
        if self.required.iter().all(|required| required.holds(claims)) {
            Ok(expires_at)
        } else {
            Err(TokenFault::Claims)
        }
    }
}

impl Required {
    pub(crate) fn holds(&self, claims: &Map<String, Value>) -> bool {
        let admitted = |value: &Value| match value {
            Value::String(text) => self.values.contains(text),
            other => self.values.contains(&other.to_string()),
        };
        match claims.get(&self.claim) {
            // An empty claim proves as little as a missing one.
            None | Some(Value::Null) => false,
            Some(Value::String(text)) if text.is_empty() => false,
            Some(_) if self.values.is_empty() => true,
            Some(Value::Array(many)) => many.iter().any(admitted),
            Some(value) => admitted(value),
        }
    }
}

/// The name under which a token is remembered: not the token itself, which is a secret.
pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn single<'r>(request: &'r request::Parts, name: &HeaderName) -> Result<Option<&'r HeaderValue>, Refusal> {
    let mut values = request.headers.get_all(name).iter();
    let first = values.next();
    // A platform may have joined two lines into one (RFC 9110 §5.3); no token holds a comma.
    let joined = first.is_some_and(|value| value.as_bytes().contains(&b','));
    if joined || values.next().is_some() { Err(Refusal::AmbiguousToken) } else { Ok(first) }
}

fn only<'r>(mut found: impl Iterator<Item = Cow<'r, str>>) -> Result<Option<Cow<'r, str>>, Refusal> {
    let first = found.next();
    let joined = first.as_ref().is_some_and(|token| token.contains(','));
    if joined || found.next().is_some() {
        return Err(Refusal::AmbiguousToken);
    }
    Ok(first.filter(|token| !token.is_empty()))
}

/// The token of `Bearer` credentials; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const NOW: Timestamp = 1_700_000_000_000;

    fn policy() -> JwtValidation {
        JwtValidation {
            keys: Arc::new(KeyRing::fixed(KeySet::default())),
            issuer: Some("https://issuer".into()),
            audience: vec!["api".into(), "web".into()],
            algorithms: vec![Algorithm::ES256],
            required: vec![Required { claim: "role".into(), values: vec!["user".into(), "7".into()] }],
            leeway_ms: 60_000,
            source: TokenSource::Bearer,
            forward: Vec::new(),
            role_claim: "role".into(),
            verified: Recent::new(16),
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn sample_claims_are_admitted() {
        assert!(policy().judge(&policy().sample_claims("a"), NOW).is_ok());
    }

    fn judge(change: Value) -> Result<Timestamp, TokenFault> {
        let mut claims = json!({
            "iss": "https://issuer", "aud": "api", "sub": "a", "role": "user", "exp": NOW / 1000 + 10,
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        policy().judge(claims.as_object().unwrap(), NOW)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn claims_are_judged() {
        let now = NOW / 1000;
        for (change, wanted) in [
            (json!({}), None),
            (json!({"exp": now - 59}), None),
            (json!({"exp": now - 60}), Some(TokenFault::Expired)),
            (json!({"exp": now as f64 + 0.5}), None),
            (json!({"exp": "soon"}), Some(TokenFault::Malformed)),
            (json!({"exp": -1}), Some(TokenFault::Malformed)),
            (json!({"exp": 1e300}), Some(TokenFault::Malformed)),
            (json!({"nbf": i64::MIN}), Some(TokenFault::Malformed)),
            (json!({"nbf": now + 60}), None),
            (json!({"nbf": now + 61}), Some(TokenFault::NotYetValid)),
            (json!({"iat": now + 3600}), Some(TokenFault::NotYetValid)),
            (json!({"iss": "https://issuer/"}), Some(TokenFault::Issuer)),
            (json!({"iss": null}), Some(TokenFault::Issuer)),
            (json!({"aud": ["x", "web"]}), None),
            (json!({"aud": []}), Some(TokenFault::Audience)),
            (json!({"aud": {"api": true}}), Some(TokenFault::Audience)),
            (json!({"role": ["x", "user"]}), None),
            (json!({"role": 7}), None),
            (json!({"role": "admin"}), Some(TokenFault::Claims)),
            (json!({"role": ""}), Some(TokenFault::Claims)),
            (json!({"role": null}), Some(TokenFault::Claims)),
        ] {
            assert_eq!(judge(change.clone()).err(), wanted, "{change}");
        }
    }

    fn parse(header: Value) -> Result<Algorithm, TokenFault> {
        let encode = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let token = format!("{}.{}.c2ln", encode(&header), encode(&json!({"sub": "a"})));
        policy().parse(&token).map(|token| token.algorithm)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_allowed_algorithms_are_looked_at() {
        assert_eq!(parse(json!({"alg": "ES256"})), Ok(Algorithm::ES256));
        for name in ["none", "None", "HS256", "RS256", "es256", ""] {
            assert_eq!(parse(json!({"alg": name})), Err(TokenFault::Algorithm), "{name}");
        }
        assert_eq!(parse(json!({"alg": "ES256", "crit": ["exp"]})), Err(TokenFault::Critical));
        assert_eq!(parse(json!({"alg": "ES256", "crit": []})), Err(TokenFault::Critical));
        assert_eq!(parse(json!({})), Err(TokenFault::Malformed));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn nonsense_is_malformed() {
        for token in ["", ".", "..", "a.b", "a.b.c", "....", &"a".repeat(10_000)] {
            assert_eq!(policy().parse(token).err(), Some(TokenFault::Malformed), "{token}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn two_credentials_are_one_too_many() {
        let request =
            Request::get("/").header("authorization", "Bearer a").header("authorization", "Bearer b");
        let head = request.body(()).unwrap().into_parts().0;
        assert_eq!(policy().token(&head), Err(Refusal::AmbiguousToken));
        let head =
            Request::get("/").header("authorization", "Bearer a, Bearer b").body(()).unwrap().into_parts().0;
        assert_eq!(policy().token(&head), Err(Refusal::AmbiguousToken));
        let cookie = JwtValidation { source: TokenSource::Cookie("t".into()), ..policy() };
        let head = Request::get("/").header("cookie", "t=a; x=1; t=b").body(()).unwrap().into_parts().0;
        assert_eq!(cookie.token(&head), Err(Refusal::AmbiguousToken));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_scheme_may_be_written_in_any_case() {
        for (value, wanted) in [
            ("Bearer a", Some("a")),
            ("bearer  a ", Some("a")),
            ("Basic a", None),
            ("Bearer", None),
            ("a", None),
        ] {
            let head = Request::get("/").header("authorization", value).body(()).unwrap().into_parts().0;
            assert_eq!(policy().token(&head).unwrap().as_deref(), wanted, "{value}");
        }
    }
}
