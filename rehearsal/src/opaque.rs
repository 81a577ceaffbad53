//! Tokens that only their issuer can read, and issuers that are asked about them (RFC 7662), as rehearsals make them
//! up. Nothing here judges an answer.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value};

/// A token of which its issuer says just this. What cases and people write by hand is never like it.
pub(crate) fn token(answer: &Map<String, Value>) -> String {
    Base64UrlUnpadded::encode_string(Value::Object(answer.clone()).to_string().as_bytes())
}

/// What the issuer says of a token that was made here. Of one that others can read too, it says what stands in it.
pub(crate) fn answer(token: &str) -> Option<Map<String, Value>> {
    let read = |text: &str| {
        let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
        serde_json::from_slice::<Map<String, Value>>(&bytes).ok()
    };
    match token.split('.').nth(1) {
        Some(claims) => read(claims).map(active),
        None => read(token).filter(|answer| answer.contains_key("active")),
    }
}

/// The answer that a token is one.
pub(crate) fn active(mut claims: Map<String, Value>) -> Map<String, Value> {
    claims.insert("active".to_owned(), true.into());
    claims
}

/// The token that a question is about.
pub(crate) fn asked_about(question: &[u8]) -> Option<String> {
    let pairs = question.split(|byte| *byte == b'&');
    pairs.filter_map(|pair| pair.strip_prefix(b"token=")).next().and_then(decoded)
}

fn decoded(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_known_by_its_issuer() {
        let said = json!({"active": false, "sub": "a"}).as_object().unwrap().clone();
        assert_eq!(answer(&token(&said)), Some(said));
        for unknown in ["", "right", "eyJhIjoxfQ", "a.b.c"] {
            assert_eq!(answer(unknown), None, "{unknown}");
        }
        let readable = format!("x.{}.y", Base64UrlUnpadded::encode_string(br#"{"sub":"a"}"#));
        assert_eq!(answer(&readable).unwrap()["active"], true);
    }

    #[test]
    fn a_question_is_read_as_a_form() {
        let asked = |question: &str| asked_about(question.as_bytes());
        assert_eq!(asked("client_id=x&token=a%2Bb+c%26&y=z").as_deref(), Some("a+b c&"));
        assert_eq!(asked("tokens=a"), None);
        assert_eq!(asked("token=%2"), None);
    }
}
