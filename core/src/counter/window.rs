//! Windows that stand one after another: of a fixed length, or as the calendar has them. In UTC, like all clocks here.

use crate::{
    event::time::{civil, days},
    host::Timestamp,
};

const DAY_MS: u64 = 86_400_000;

/// Which windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Of so many milliseconds, the first from 1970-01-01T00:00:00Z: hours begin with the hour, days at midnight.
    Length(u64),
    /// The months of the calendar.
    Month,
}

impl Window {
    /// When the window begins and ends in which a moment is.
    pub fn bounds(self, now: Timestamp) -> (Timestamp, Timestamp) {
        match self {
            Self::Length(length) => {
                let length = length.max(1);
                let begins = now - now % length;
                (begins, begins.saturating_add(length))
            }
            Self::Month => {
                let (year, month, _) = civil(now / DAY_MS);
                let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                (days(year, month, 1) * DAY_MS, days(next.0, next.1, 1) * DAY_MS)
            }
        }
    }

    /// Its length in milliseconds; of a month at least.
    pub const fn least_ms(self) -> u64 {
        match self {
            Self::Length(length) => length,
            Self::Month => 28 * DAY_MS,
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::event::time::Rfc3339;

    fn month(text: &str) -> (String, String) {
        let (begins, ends) = Window::Month.bounds(Rfc3339::parse(text).unwrap());
        (Rfc3339(begins).to_string(), Rfc3339(ends).to_string())
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn months_begin_on_their_first_day() {
        for (now, begins, ends) in [
            ("2026-11-24T12:00:00.000Z", "2026-11-01", "2026-12-01"),
            ("2026-12-31T23:59:59.999Z", "2026-12-01", "2027-01-01"),
            ("2028-02-29T00:00:00.000Z", "2028-02-01", "2028-03-01"),
            ("1970-01-01T00:00:00.000Z", "1970-01-01", "1970-02-01"),
            ("2026-03-01T00:00:00.000Z", "2026-03-01", "2026-04-01"),
        ] {
            let midnight = |date: &str| format!("{date}T00:00:00.000Z");
            assert_eq!(month(now), (midnight(begins), midnight(ends)));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn windows_are_aligned_to_the_epoch() {
        assert_eq!(Window::Length(60_000).bounds(119_999), (60_000, 120_000));
        assert_eq!(Window::Length(60_000).bounds(120_000), (120_000, 180_000));
        assert_eq!(Window::Length(0).bounds(5), (5, 6));
    }
}
