//! Small forms that several mappings of a case share: texts with or without quotes, one or many of a kind,
//! header fields.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        self, Error as _, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use serde_json::Value;

/// The text of a scalar, whatever YAML takes it for; none for lists and mappings.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// One, or a list of them.
#[derive(Debug, Clone)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Vec<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping, or a list of mappings")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<Vec<T>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(access))
            }
            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Vec<T>, A::Error> {
                Ok(vec![T::deserialize(MapAccessDeserializer::new(access))?])
            }
        }
        deserializer.deserialize_any(Either(PhantomData)).map(Self)
    }
}

/// Header fields, in their order: a mapping from name to value or list of values, or a list of `Name: value`.
#[derive(Debug, Clone, Default)]
pub struct Fields(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping from name to value, or a list of `Name: value`")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(line) = access.next_element::<String>()? {
                    let (name, value) = line.split_once(':').ok_or_else(|| {
                        A::Error::custom(format!("`{line}` is not of the form `Name: value`"))
                    })?;
                    fields.push((name.to_owned(), value.trim().to_owned()));
                }
                Ok(Fields(fields))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    for value in value.as_array().map_or(std::slice::from_ref(&value), Vec::as_slice) {
                        let text = scalar(value).ok_or_else(|| {
                            A::Error::custom(format!("the field `{name}` has no text as its value"))
                        })?;
                        fields.push((name.clone(), text));
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The content of a message, in one of the ways in which it can be written.
#[derive(Debug, Clone)]
pub enum Content {
    /// `body`: a text as it is.
    Text(String),
    /// `body`: a mapping or a list, sent as JSON.
    Json(Value),
    /// `body_size`: generated, of so many bytes.
    Generated(usize),
    /// `stream`: pieces, whose number and size are not told beforehand.
    Pieces(Vec<String>),
}

impl Content {
    /// From the three keys, of which one may be there.
    pub(super) fn read<E: de::Error>(
        body: Option<Value>,
        body_size: Option<usize>,
        stream: Option<Vec<String>>,
    ) -> Result<Option<Self>, E> {
        Ok(Some(match (body, body_size, stream) {
            (None, None, None) => return Ok(None),
            (Some(Value::String(text)), None, None) => Self::Text(text),
            (Some(value), None, None) => Self::Json(value),
            (None, Some(size), None) => Self::Generated(size),
            (None, None, Some(pieces)) => Self::Pieces(pieces),
            _ => return Err(E::custom("`body`, `body_size` and `stream` exclude one another")),
        }))
    }
}
