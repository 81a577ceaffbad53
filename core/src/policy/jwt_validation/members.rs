//! The JSON of a token's header and claims: an object in which no name stands twice, at any depth (RFC 7515 §4,
//! RFC 7519 §4), since whoever reads it next might believe the other one.
//!
//! What the members mean is not known here.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// The object that a part of a token holds; `None` where it holds anything else. The coding has one form only:
/// no padding, no white space, no bits that mean nothing.
pub(super) fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = Base64UrlUnpadded::decode_vec(part).ok()?;
    match read(&bytes).ok()? {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// JSON in which no name stands twice.
pub(crate) fn read(bytes: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice::<Strict>(bytes).map(|strict| strict.0)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Members).map(Self)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Strict(value))) = entries.next_entry::<String, _>()? {
            if members.insert(name, value).is_some() {
                return Err(de::Error::custom("a name stands twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn read(json: &str) -> Option<Value> {
        object(&Base64UrlUnpadded::encode_string(json.as_bytes())).map(Value::Object)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_read_is_what_was_written() {
        let text = r#"{"a":[1,-2,3.5,true,null,{"b":"\u00e9"}],"c":{"a":1},"d":18446744073709551615}"#;
        assert_eq!(read(text), Some(serde_json::from_str(text).unwrap()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_name_that_stands_twice_is_refused_at_any_depth_and_in_any_spelling() {
        for text in [
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"sub":"a","s\u0075b":"a"}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn anything_but_one_object_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(4_000), "]".repeat(4_000));
        for text in ["", "[]", "null", "\"{}\"", "{} {}", "{}x", "\u{feff}{}", "{\"a\":1,}", "{'a':1}", &deep]
        {
            assert_eq!(read(text), None);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_part_has_one_form_only() {
        assert!(object("e30").is_some());
        // Padding, white space, bits that mean nothing (`e31` decodes to the same two bytes).
        for part in ["e30=", "e30\n", " e30", "e3 0", "e31", "e3", "e", "e30.", "e3+"] {
            assert_eq!(object(part), None, "{part}");
        }
    }
}
