//! Points and lengths of time as they are written in cases: RFC 3339, milliseconds, `61s`, `-90s`.
//!
//! No calendar beyond that: cases are played in UTC.

use tollgate_core::config::length::milliseconds;

pub use tollgate_core::config::instant::instant;

/// Milliseconds of a length with a sign: `+60s`, `-90s`.
pub fn offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    Some(sign * i64::try_from(milliseconds(rest)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_a_unit_and_offsets_a_sign() {
        assert_eq!((offset("-90s"), offset("+1h"), offset("90s")), (Some(-90_000), Some(3_600_000), None));
    }
}
