//! Lengths of time as they are written: a number and a unit.

/// Milliseconds of `500ms`, `60s`, `5m`, `2h`, `1d`; none for what is no such text, or too long to count.
pub fn milliseconds(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(split)?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_length_of_time_is_a_number_and_a_unit() {
        for (text, wanted) in [
            ("1s", Some(1_000)),
            ("250ms", Some(250)),
            ("5m", Some(300_000)),
            ("1d", Some(86_400_000)),
            ("60", None),
            ("s", None),
            ("1w", None),
            ("99999999999999999d", None),
        ] {
            assert_eq!(milliseconds(text), wanted, "{text}");
        }
    }
}
