//! What keeps a value from being decoded, in the terms of serde.

use std::fmt;

use serde::de::{self, Unexpected};

/// Why decoding of one value gave up.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The finding is noted already.
    Noted,
    /// To be noted at the value that is being decoded.
    Unnoted(String),
    /// Something else was wanted there.
    Wanted(String),
    /// The mapping that is being decoded lacks a key.
    Missing(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noted => f.write_str("noted"),
            Self::Unnoted(text) | Self::Wanted(text) => f.write_str(text),
            Self::Missing(key) => f.write_str(key),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Unnoted(message.to_string())
    }

    /// What was found is left out: it may hold the value of a variable.
    fn invalid_type(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Wanted(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Wanted(expected.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}
