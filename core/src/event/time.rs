//! Timestamps as text (RFC 3339, UTC, milliseconds).

use std::fmt::{self, Display, Formatter};

use serde::{Serialize, Serializer};

use crate::host::Timestamp;

/// `2026-01-31T23:59:59.999Z`
#[derive(Debug, Clone, Copy)]
pub struct Rfc3339(pub Timestamp);

impl Display for Rfc3339 {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (days, millis) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil(days);
        let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
        let (second, milli) = (millis / 1_000 % 60, millis % 1_000);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

impl Rfc3339 {
    /// Reads what is written so, with more or fewer digits for the fraction.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let [year, month, day] = numbers(date, '-')?;
        let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
        let [hour, minute, second] = numbers(clock, ':')?;
        let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
        let millis: u64 = digits.parse().ok()?;
        let fine = (1970..=9999).contains(&year) && hour < 24 && minute < 60 && second <= 60;
        let days =
            (fine && (1..=12).contains(&month) && (1..=31).contains(&day)).then(|| days(year, month, day))?;
        Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + millis)
    }
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let mut parts = text
        .split(separator)
        .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then_some(part)?.parse::<u64>().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// The days from 1970-01-01 to a date: `civil` the other way.
pub(crate) fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Year, month and day of a number of days since 1970-01-01 (Howard Hinnant's `civil_from_days`).
///
/// Years begin in March there, so that the odd day of leap years comes last.
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097; // 400 years
    let since_march_of_year_0 = days + 719_468;
    let era = since_march_of_year_0 / DAYS_PER_ERA;
    let day_of_era = since_march_of_year_0 % DAYS_PER_ERA;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn dates_are_those_of_the_calendar() {
        for (timestamp, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_767_225_599_001, "2025-12-31T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Rfc3339(timestamp).to_string(), text);
            assert_eq!(Rfc3339::parse(text), Some(timestamp), "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_time_is_not_read_as_one() {
        for text in
            ["", "now", "2024-02-29", "2024-13-01T00:00:00Z", "2024-02-29T24:00:00Z", "1-2-3-4T1:2:3Z"]
        {
            assert_eq!(Rfc3339::parse(text), None, "{text}");
        }
        assert_eq!(Rfc3339::parse("1970-01-01T00:00:01Z"), Some(1_000));
        assert_eq!(Rfc3339::parse("1970-01-01T00:00:01.5Z"), Some(1_500));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_timestamp_is_too_large() {
        assert!(Rfc3339(u64::MAX).to_string().ends_with('Z'));
    }
}
