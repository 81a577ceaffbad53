//! When to order: decisions over times, without a clock of their own and without asking anybody. All gateways that
//! share a certificate decide alike, for what scatters their orders is taken from the certificate.

use aws_lc_rs::digest::{SHA256, digest as sha};
use tollgate_core::host::Timestamp;

pub(super) const SECOND: u64 = 1_000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// Certificates that live shorter are renewed at half of that.
const SHORT_LIVED: u64 = 10 * DAY;
/// No window is waited for longer than so many tenths of a certificate's life.
const LATEST_TENTHS: u64 = 9;
/// How often an authority may be asked for the window, whatever it says itself (RFC 9773 §4.3.2), and how often it is when
/// it says nothing.
const ASKED: (u64, u64) = (MINUTE, DAY);
pub(super) const ASK_AGAIN: u64 = 6 * HOUR;
/// Nothing is put off for longer, so that a mistake that was mended is noticed within a day.
pub(super) const LONGEST_PAUSE: u64 = DAY;

/// From when until when a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// When the authority wants a certificate to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

/// A place within any span, from 0 to 65535, that is the same for everybody who has the certificate.
pub(super) fn place(certificate: &[u8]) -> u64 {
    sha(&SHA256, certificate).as_ref().iter().take(2).fold(0, |place, byte| place << 8 | u64::from(*byte))
}

/// When to renew: within the authority's window, or else after two thirds of the certificate's life, or half of a short
/// one.
pub(super) fn renew_at(validity: Validity, window: Option<Window>, place: u64) -> Timestamp {
    let life = validity.until.saturating_sub(validity.from);
    if let Some(Window { start, end }) = window {
        let latest = validity.from.saturating_add(life / 10 * LATEST_TENTHS);
        return start.saturating_add(part(end.saturating_sub(start), place)).min(latest);
    }
    let used = if life < SHORT_LIVED { life / 2 } else { life / 3 * 2 };
    validity.from.saturating_add(used).saturating_add(part(life / 30, place))
}

fn part(span: u64, place: u64) -> u64 {
    (span >> 16) * place + (((span & 0xffff) * place) >> 16)
}

/// How long until the authority is asked again when it wants a certificate to be renewed.
pub(super) fn ask_again_in(told_ms: Option<u64>) -> u64 {
    told_ms.unwrap_or(ASK_AGAIN).clamp(ASKED.0, ASKED.1)
}

/// Why no certificate came of an order, as far as the next attempt depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Nobody was there, or nobody who could answer: nothing counts against us.
    Unreachable,
    /// The authority could not see that the name is ours, or refused. It counts such failures.
    Refused,
    /// The authority says that it was too much.
    Limited,
}

/// How long to wait after so many failures in a row. What is random scatters those who failed together.
pub(super) fn pause(why: Why, failures: u32, told_ms: Option<u64>, random: u64) -> u64 {
    let at = usize::try_from(failures.max(1) - 1).unwrap_or(usize::MAX);
    let steps: &[u64] = match why {
        Why::Unreachable => {
            &[10 * SECOND, 20 * SECOND, 40 * SECOND, 80 * SECOND, 160 * SECOND, 5 * MINUTE, 10 * MINUTE]
        }
        // Let's Encrypt allows five failures an hour for a name.
        Why::Refused => &[2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR],
        Why::Limited => &[HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR],
    };
    let step = steps.get(at).or(steps.last()).copied().unwrap_or(HOUR);
    // Longer, never shorter: what was asked of us is a least.
    let least = step.max(told_ms.unwrap_or(0));
    (least + part(step / 4, random & 0xffff)).min(LONGEST_PAUSE)
}

/// For how long no other certificate is ordered in the place of one that has just come, whatever a clock that is wrong or a
/// window says.
pub(super) fn rest(validity: Validity) -> u64 {
    (validity.until.saturating_sub(validity.from) / 4).min(DAY)
}

/// When an attempt that was put off may be made. What lies further ahead than anything is put off was written by a clock
/// that was wrong.
pub(super) fn not_before(written: Timestamp, now: Timestamp) -> Timestamp {
    if written > now.saturating_add(LONGEST_PAUSE) { now } else { written }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn living(days: u64) -> Validity {
        Validity { from: NOW, until: NOW + days * DAY }
    }

    #[test]
    fn two_thirds_of_a_long_life_and_half_of_a_short_one_are_used() {
        assert_eq!(renew_at(living(90), None, 0), NOW + 60 * DAY);
        assert_eq!(renew_at(living(6), None, 0), NOW + 3 * DAY);
    }

    #[test]
    fn those_with_the_same_life_are_scattered_over_a_thirtieth_of_it() {
        let last = renew_at(living(90), None, 65_535);
        assert!(last > NOW + 62 * DAY && last < NOW + 63 * DAY, "{}", last - NOW);
        assert_ne!(place(b"one"), place(b"two"));
        assert_eq!(place(b"one"), place(b"one"));
    }

    #[test]
    fn the_window_of_the_authority_is_kept_to() {
        let window = Window { start: NOW + 10 * DAY, end: NOW + 12 * DAY };
        assert_eq!(renew_at(living(90), Some(window), 0), NOW + 10 * DAY);
        assert_eq!(renew_at(living(90), Some(window), 32_768), NOW + 11 * DAY);
        let last = renew_at(living(90), Some(window), 65_535);
        assert!(last < window.end);
    }

    #[test]
    fn a_window_that_is_over_is_now() {
        let revoked = Window { start: NOW - 2 * DAY, end: NOW - DAY };
        assert!(renew_at(living(90), Some(revoked), 65_535) < NOW);
    }

    #[test]
    fn a_window_behind_the_end_is_not_waited_for() {
        let window = Window { start: NOW + 100 * DAY, end: NOW + 99 * DAY };
        assert_eq!(renew_at(living(90), Some(window), 7), NOW + 81 * DAY);
    }

    #[test]
    fn nothing_overflows() {
        let (never, always) = (Validity { from: 0, until: 0 }, Validity { from: 0, until: u64::MAX });
        let window = Window { start: 0, end: u64::MAX };
        assert_eq!(renew_at(never, None, 65_535), 0);
        assert!(renew_at(always, None, 65_535) > renew_at(always, None, 0));
        renew_at(always, Some(window), 65_535);
    }

    #[test]
    fn failures_are_followed_by_longer_and_longer_pauses() {
        for why in [Why::Unreachable, Why::Refused, Why::Limited] {
            let pauses: Vec<_> = (0..20).map(|failures| pause(why, failures, None, 0)).collect();
            assert!(pauses.is_sorted(), "{why:?}");
            assert!(pauses.iter().all(|pause| (10 * SECOND..=LONGEST_PAUSE).contains(pause)), "{why:?}");
        }
        let hour: u64 = (1..=4).map(|failures| pause(Why::Refused, failures, None, 0)).sum();
        assert!(hour > HOUR, "more than four failures an hour");
        assert_eq!(pause(Why::Refused, u32::MAX, None, u64::MAX).div_ceil(HOUR), 15);
    }

    #[test]
    fn what_the_authority_asks_for_is_a_least() {
        assert_eq!(pause(Why::Refused, 1, Some(HOUR), 0), HOUR);
        assert!(pause(Why::Refused, 1, Some(HOUR), 65_535) > HOUR);
        assert_eq!(pause(Why::Refused, 1, Some(10 * DAY), 0), LONGEST_PAUSE);
        assert_eq!(ask_again_in(None), 6 * HOUR);
        assert_eq!(ask_again_in(Some(0)), MINUTE);
        assert_eq!(ask_again_in(Some(30 * DAY)), DAY);
    }

    #[test]
    fn what_has_just_come_is_left_alone() {
        assert_eq!(rest(living(90)), DAY);
        assert_eq!(rest(living(2)), DAY / 2);
        assert!(rest(living(90)) <= LONGEST_PAUSE, "it would be taken for a mistake");
    }

    #[test]
    fn what_a_wrong_clock_has_put_off_for_years_is_tried_now() {
        assert_eq!(not_before(NOW + HOUR, NOW), NOW + HOUR);
        assert_eq!(not_before(NOW + 400 * DAY, NOW), NOW);
    }
}
