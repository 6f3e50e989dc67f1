//! Times as operators in Japan write and read them.

use std::str::FromStr;

use jiff::civil::{DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Japan has one offset and no daylight saving time, so no time zone database is needed.
fn japan() -> TimeZone {
    TimeZone::fixed(Offset::constant(9))
}

/// A time on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    At(Timestamp),
    /// The next such time of day in Japan.
    TimeOfDay(Time),
    /// A duration from now.
    In(SignedDuration),
}

impl When {
    /// The moment; a time of day means the first one after `after`.
    pub(super) fn moment(self, now: Timestamp, after: Timestamp) -> anyhow::Result<Timestamp> {
        Ok(match self {
            Self::At(at) => at,
            Self::In(duration) => now.checked_add(duration)?,
            Self::TimeOfDay(time) => {
                let day = after.to_zoned(japan());
                let at = day.with().time(time).build()?;
                if at.timestamp() > after { at } else { at.checked_add(1.day())? }.timestamp()
            }
        })
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at_in_japan = |at: DateTime| at.to_zoned(japan()).map(|at| Self::At(at.timestamp()));
        let found = match text.strip_prefix('+') {
            Some(duration) => duration_of(duration).map(Self::In),
            None if text.len() <= "HH:MM:SS".len() => text.parse().ok().map(Self::TimeOfDay),
            None => {
                text.parse().map(Self::At).or_else(|_| text.parse::<DateTime>().and_then(at_in_japan)).ok()
            }
        };
        found.ok_or_else(|| {
            "neither RFC 3339, nor HH:MM or YYYY-MM-DD HH:MM in Japan, nor +90s, +5m, +2h from now".to_owned()
        })
    }
}

fn duration_of(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    // The bound exceeds every calendar.
    let number: i64 = number.parse().ok().filter(|number| (0..=1_000_000_000).contains(number))?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(SignedDuration::from_secs(number.checked_mul(seconds)?))
}

/// `2026-11-25 00:00:00 JST`.
pub(super) fn in_japan(at: Timestamp) -> String {
    at.to_zoned(japan()).strftime("%Y-%m-%d %H:%M:%S JST").to_string()
}

/// `00:00:00 JST`.
pub(super) fn time_in_japan(at: Timestamp) -> String {
    at.to_zoned(japan()).strftime("%H:%M:%S JST").to_string()
}

/// The time until then as a countdown: `4:57`, `1:02:03`, `2 days 1:02:03`; 0:00 when it has passed.
pub(super) fn countdown(now: Timestamp, until: Timestamp) -> String {
    // A begun second counts in full, so that the time has come at 0:00.
    let seconds = (until.duration_since(now).as_millis().max(0) + 999) / 1_000;
    let (days, hours, minutes, seconds) =
        (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        (1, _) => format!("1 day {hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days} days {hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn moment(text: &str, now: &str, after: &str) -> String {
        let when: When = text.parse().unwrap();
        when.moment(at(now), at(after)).unwrap().to_string()
    }

    #[test]
    fn times_are_read_in_the_time_of_japan() {
        // 21:00 in Japan.
        let now = "2026-11-24T12:00:00Z";
        for (text, expected) in [
            ("2026-11-25T00:00:00+09:00", "2026-11-24T15:00:00Z"),
            ("2026-11-24T15:00:00Z", "2026-11-24T15:00:00Z"),
            ("2026-11-25 00:00", "2026-11-24T15:00:00Z"),
            ("2026-11-25T00:00:30", "2026-11-24T15:00:30Z"),
            ("22:30", "2026-11-24T13:30:00Z"),
            ("20:59", "2026-11-25T11:59:00Z"),
            ("+90s", "2026-11-24T12:01:30Z"),
            ("+2h", "2026-11-24T14:00:00Z"),
        ] {
            assert_eq!(moment(text, now, now), expected, "{text}");
        }
        // It closes after it opens, in the night.
        assert_eq!(moment("01:00", now, "2026-11-24T14:00:00Z"), "2026-11-24T16:00:00Z");
        for other in ["", "+", "+5", "+-5s", "25:00", "tomorrow", "2026-13-01 00:00", "+9999999999d", "あ"] {
            assert!(other.parse::<When>().is_err(), "{other}");
        }
    }

    #[test]
    fn a_countdown_ends_at_zero() {
        let now = at("2026-11-24T12:00:00Z");
        for (until, expected) in [
            ("2026-11-24T11:00:00Z", "0:00"),
            ("2026-11-24T12:00:00.001Z", "0:01"),
            ("2026-11-24T12:04:57Z", "4:57"),
            ("2026-11-24T13:02:03Z", "1:02:03"),
            ("2026-11-27T13:02:03Z", "3 days 1:02:03"),
        ] {
            assert_eq!(countdown(now, at(until)), expected);
        }
        assert_eq!(in_japan(now), "2026-11-24 21:00:00 JST");
        assert_eq!(time_in_japan(now), "21:00:00 JST");
    }
}
