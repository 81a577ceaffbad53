//! Tokens as cases describe them: claims with times relative to the clock, and a header that may lie.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value, json};

use crate::{case::request::Signed, span};

/// Claims that are points in time (RFC 7519 §4.1), which cases may write relative to the clock.
const TIMES: [&str; 3] = ["exp", "nbf", "iat"];

/// The token, as made at `now`. It lives for an hour unless its claims say otherwise.
pub fn token(signed: &Signed, now: u64) -> Result<String, String> {
    let key = signed.key;
    let header = over(json!({"alg": key.algorithm(), "typ": "JWT", "kid": key.id()}), &signed.header);
    let mut claims = over(json!({"exp": "+1h"}), &signed.claims);
    for name in TIMES {
        if let Some(Value::String(text)) = claims.get(name) {
            let offset =
                span::offset(text).ok_or_else(|| format!("`{text}` is no time relative to the clock"))?;
            let at = now.saturating_add_signed(offset) / 1000;
            claims.insert(name.to_owned(), at.into());
        }
    }
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default().to_owned();
    let encode = |part: Map<String, Value>| {
        Base64UrlUnpadded::encode_string(Value::Object(part).to_string().as_bytes())
    };
    let message = format!("{}.{}", encode(header), encode(claims));
    // A key can't but sign in its own way, whatever the header says; the two lies that need no key are told here.
    let signature = match algorithm.as_str() {
        "HS256" => key.sign_with_public_half(message.as_bytes()),
        other if other.eq_ignore_ascii_case("none") => Ok(Vec::new()),
        _ => key.sign(message.as_bytes()),
    };
    let signature = signature.map_err(|unmade| unmade.to_string())?;
    Ok(format!("{message}.{}", Base64UrlUnpadded::encode_string(&signature)))
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
    use crate::keys::Key;

    fn parts(claims: Value, header: Value) -> (Value, Value, String) {
        let map = |value: Value| value.as_object().unwrap().clone();
        let signed = Signed { claims: map(claims), key: Key::Main, header: map(header) };
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
