//! Tokens as cases describe them: claims with times relative to the clock, and a header that may lie.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value, json};

use crate::{
    case::request::{Lies, Signed},
    keys::{Half, Key},
    span,
    tamper::{Parts, Tamper},
};

/// Claims that are points in time (RFC 7519 §4.1), which cases may write relative to the clock.
const TIMES: [&str; 3] = ["exp", "nbf", "iat"];

/// The token, as made at `now`. It lives for an hour unless its claims say otherwise.
pub fn token(signed: &Signed, now: u64) -> Result<String, String> {
    let Lies { key, header, header_text, claims_text, hmac, tamper } = &signed.lies;
    let header = over(json!({"alg": key.algorithm(), "typ": "JWT", "kid": key.id()}), header);
    let mut claims = over(json!({"exp": "+1h"}), &signed.claims);
    for name in TIMES {
        if let Some(Value::String(text)) = claims.get(name)
            && text.starts_with(['+', '-'])
        {
            let offset =
                span::offset(text).ok_or_else(|| format!("`{text}` is no time relative to the clock"))?;
            let at = now.saturating_add_signed(offset) / 1000;
            claims.insert(name.to_owned(), at.into());
        }
    }
    let mut parts = Parts {
        header: header_text.clone().unwrap_or_else(|| Value::Object(header).to_string()),
        claims: claims_text.clone().unwrap_or_else(|| Value::Object(claims).to_string()),
    };
    tamper.iter().for_each(|tamper| tamper.before_coding(&mut parts));
    let said: Value = serde_json::from_str(&parts.header).unwrap_or_default();
    let algorithm = said.get("alg").and_then(Value::as_str).unwrap_or_default();
    let inner =
        tamper.contains(&Tamper::Nest).then(|| sign(&parts, *key, algorithm, *hmac, &[])).transpose()?;
    let parts = Parts { claims: inner.unwrap_or(parts.claims), ..parts };
    sign(&parts, *key, algorithm, *hmac, tamper)
}

fn sign(parts: &Parts, key: Key, algorithm: &str, hmac: Half, tamper: &[Tamper]) -> Result<String, String> {
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let mut parts = Parts { header: encode(&parts.header), claims: encode(&parts.claims) };
    tamper.iter().try_for_each(|tamper| tamper.before_signing(&mut parts))?;
    let message = format!("{}.{}", parts.header, parts.claims);
    // A key can't but sign in its own way, whatever the header says; the two lies that need no key are told here.
    let mut signature = match algorithm {
        "HS256" | "HS384" | "HS512" if key.secret().is_none() => {
            key.sign_with_public_half(algorithm, hmac, message.as_bytes())
        }
        other if other.eq_ignore_ascii_case("none") => Ok(Vec::new()),
        _ => key.sign(message.as_bytes()),
    }
    .map_err(|unmade| unmade.to_string())?;
    tamper.iter().for_each(|tamper| tamper.to_signature(&mut signature));
    let mut token = format!("{message}.{}", Base64UrlUnpadded::encode_string(&signature));
    tamper.iter().try_for_each(|tamper| tamper.after_signing(&mut token))?;
    Ok(token)
}

/// `base` with members added and replaced; `null` removes one.
fn over(base: Value, members: &Map<String, Value>) -> Map<String, Value> {
    let Value::Object(mut map) = base else { return Map::new() };
    for (name, value) in members {
        if value.is_null() {
            map.remove(name);
        } else {
            map.insert(name.clone(), value.clone());
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(claims: Value, header: Value) -> (Value, Value, String) {
        let map = |value: Value| value.as_object().unwrap().clone();
        let lies = Lies { header: map(header), ..Lies::default() };
        let signed = Signed { claims: map(claims), lies };
        let token = token(&signed, 100_000).unwrap();
        let mut parts = token.split('.');
        let mut read = || parts.next().map(|part| Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap();
        let json = |bytes: Vec<u8>| serde_json::from_slice(&bytes).unwrap();
        (json(read()), json(read()), parts.next().unwrap().to_owned())
    }

    #[test]
    fn times_are_relative_to_the_clock_and_null_removes() {
        let (_, claims, _) = parts(json!({"sub": "a", "nbf": "-90s", "iat": 7}), json!({}));
        assert_eq!(claims, json!({"sub": "a", "nbf": 10, "iat": 7, "exp": 3_700}));
        let (header, claims, _) = parts(json!({"exp": null}), json!({"kid": null, "crit": ["b64"]}));
        assert_eq!((header, claims), (json!({"alg": "EdDSA", "typ": "JWT", "crit": ["b64"]}), json!({})));
    }

    #[test]
    fn a_token_of_no_algorithm_has_no_signature() {
        assert_eq!(parts(json!({}), json!({"alg": "none"})).2, "");
    }
}
