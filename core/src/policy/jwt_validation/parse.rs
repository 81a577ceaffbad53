//! A token taken apart, before anything of it is believed: which key would have to have signed it, and how.
//!
//! Its claims are not looked at here. What its header says about where keys are (`jwk`, `jku`, `x5u`, `x5c`) is
//! looked at nowhere.

use jwt_compact::{Empty, UntrustedToken};
use serde_json::Value;

use super::{Issuer, JwtValidation, TokenFault, members};
use crate::verify::Algorithm;

/// A longer token is not looked at.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A parsed token about which nothing is known yet.
#[derive(Debug)]
pub(crate) struct Unverified<'t> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    /// What was signed.
    pub(crate) message: &'t [u8],
    pub(crate) signature: Vec<u8>,
    pub(super) payload: &'t str,
}

impl JwtValidation {
    /// Takes a token apart, and says whose it would be. Beyond that, its claims are not looked at before its signature
    /// is good.
    pub(crate) fn parse<'t>(&self, token: &'t str) -> Result<(Unverified<'t>, &Issuer), TokenFault> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenFault::Malformed);
        }
        let parsed = UntrustedToken::<Empty>::try_from(token).map_err(|_| TokenFault::Malformed)?;
        let (message, _) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenFault::Malformed)?;
        // The crate reads what it knows and lets names stand twice, so the header is read once more.
        let header = members::object(header).ok_or(TokenFault::Malformed)?;
        if header.contains_key("crit") || header.get("b64").is_some_and(|encoded| *encoded != true) {
            return Err(TokenFault::Critical);
        }
        let algorithm = Algorithm::named(parsed.algorithm())
            .filter(|named| self.issuers.iter().any(|issuer| issuer.algorithms.contains(named)))
            .ok_or(TokenFault::Algorithm)?;
        if let Some(wanted) = &self.typ
            && !header.get("typ").and_then(Value::as_str).is_some_and(|typ| same_type(typ, wanted))
        {
            return Err(TokenFault::Typ);
        }
        let issuer = self.issuer(payload)?;
        if !issuer.algorithms.contains(&algorithm) {
            return Err(TokenFault::Algorithm);
        }
        let token = Unverified {
            algorithm,
            kid: parsed.header().key_id.clone(),
            message: message.as_bytes(),
            signature: parsed.signature_bytes().to_vec(),
            payload,
        };
        Ok((token, issuer))
    }

    /// The issuer by whose keys a token is to be judged: of several, the one that it names.
    fn issuer(&self, payload: &str) -> Result<&Issuer, TokenFault> {
        if let [only] = self.issuers.as_slice() {
            return Ok(only);
        }
        let claims = members::object(payload).ok_or(TokenFault::Malformed)?;
        let named = claims.get("iss").and_then(Value::as_str).ok_or(TokenFault::Issuer)?;
        let mut issuers = self.issuers.iter();
        issuers.find(|issuer| issuer.name.as_deref() == Some(named)).ok_or(TokenFault::Issuer)
    }
}

/// Whether two media types are the same: case does not matter, and `application/` may be left out (RFC 7515
/// §4.1.9).
fn same_type(one: &str, other: &str) -> bool {
    const PREFIX: &str = "application/";
    let short = |text: &str| -> String {
        let lower = text.to_ascii_lowercase();
        lower.strip_prefix(PREFIX).map(str::to_owned).unwrap_or(lower)
    };
    short(one) == short(other)
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::policy::jwt_validation::tests::{issuer, policy};

    fn parse(header: Value) -> Result<Algorithm, TokenFault> {
        parse_by(&policy(), header)
    }

    fn parse_by(policy: &JwtValidation, header: Value) -> Result<Algorithm, TokenFault> {
        let encode = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let token = format!("{}.{}.c2ln", encode(&header), encode(&json!({"sub": "a"})));
        policy.parse(&token).map(|(token, _)| token.algorithm)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_allowed_algorithms_are_looked_at() {
        assert_eq!(parse(json!({"alg": "ES256"})), Ok(Algorithm::ES256));
        for name in ["none", "None", "HS256", "RS256", "es256", ""] {
            assert_eq!(parse(json!({"alg": name})), Err(TokenFault::Algorithm), "{name}");
        }
        assert_eq!(parse(json!({"alg": "ES256", "crit": ["exp"]})), Err(TokenFault::Critical));
        assert_eq!(parse(json!({"alg": "ES256", "crit": []})), Err(TokenFault::Critical));
        assert_eq!(parse(json!({"alg": "ES256", "crit": null})), Err(TokenFault::Critical));
        assert_eq!(parse(json!({"alg": "ES256", "b64": false})), Err(TokenFault::Critical));
        assert_eq!(parse(json!({"alg": "ES256", "b64": true})), Ok(Algorithm::ES256));
        assert_eq!(parse(json!({})), Err(TokenFault::Malformed));
        assert_eq!(parse(json!({"alg": 7})), Err(TokenFault::Malformed));
        assert_eq!(parse(json!({"alg": "ES256", "kid": 7})), Err(TokenFault::Malformed));
        assert_eq!(parse(json!({"alg": "ES256", "cty": "JWT"})), Err(TokenFault::Malformed));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_type_is_compared_as_a_media_type() {
        let policy = JwtValidation { typ: Some("at+jwt".into()), ..policy() };
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            assert_eq!(parse_by(&policy, json!({"alg": "ES256", "typ": typ})), Ok(Algorithm::ES256), "{typ}");
        }
        for header in [
            json!({"alg": "ES256"}),
            json!({"alg": "ES256", "typ": "JWT"}),
            json!({"alg": "ES256", "typ": "at+jwt "}),
            json!({"alg": "ES256", "typ": "text/at+jwt"}),
        ] {
            assert_eq!(parse_by(&policy, header.clone()), Err(TokenFault::Typ), "{header}");
        }
        assert!(same_type("JWT", "application/jwt"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn nonsense_is_malformed() {
        for token in ["", ".", "..", "a.b", "a.b.c", "....", &"a".repeat(10_000)] {
            assert_eq!(policy().parse(token).err(), Some(TokenFault::Malformed), "{token}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn of_several_issuers_the_token_names_its_own_and_is_held_to_their_algorithms() {
        let issuers = vec![issuer("a", Algorithm::ES256), issuer("b", Algorithm::HS256)];
        let policy = JwtValidation { issuers, ..policy() };
        let encode = |value: Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        for (alg, iss, wanted) in [
            ("ES256", json!("a"), Ok(Some("a".to_owned()))),
            ("HS256", json!("b"), Ok(Some("b".to_owned()))),
            ("HS256", json!("a"), Err(TokenFault::Algorithm)),
            ("ES256", json!("b"), Err(TokenFault::Algorithm)),
            ("RS256", json!("a"), Err(TokenFault::Algorithm)),
            ("ES256", json!("c"), Err(TokenFault::Issuer)),
            ("ES256", json!("A"), Err(TokenFault::Issuer)),
            ("ES256", json!(["a"]), Err(TokenFault::Issuer)),
            ("ES256", json!(null), Err(TokenFault::Issuer)),
        ] {
            let token = format!("{}.{}.c2ln", encode(json!({"alg": alg})), encode(json!({"iss": iss})));
            let found = policy.parse(&token).map(|(_, issuer)| issuer.name.clone());
            assert_eq!(found, wanted, "{alg} {iss}");
        }
    }
}
