//! Times as they are read and written in Japan, whatever the time zone of the server is.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{self, TimeZone};

/// Nine hours ahead of UTC since 1951, without summer time: no time zone database is needed.
fn jst() -> TimeZone {
    TimeZone::fixed(tz::offset(9))
}

fn civil(time: Timestamp) -> DateTime {
    time.to_zoned(jst()).datetime()
}

pub fn date(time: Timestamp) -> Date {
    civil(time).date()
}

/// To the minute, or to the second where there are seconds.
pub fn shown(time: Timestamp) -> String {
    let time = civil(time);
    let form = if time.second() == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
    time.strftime(form).to_string()
}

pub fn with_seconds(time: Timestamp) -> String {
    civil(time).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A period, with the day of its end only where that is another day.
pub fn period(from: Timestamp, to: Timestamp, between: &str) -> String {
    let end = if date(from) == date(to) {
        shown(to).split_once(' ').map_or_else(String::new, |(_, time)| time.to_owned())
    } else {
        shown(to)
    };
    format!("{} {between} {end}", shown(from))
}

/// As an `<input type="datetime-local">` holds it, to the millisecond.
pub fn input(time: Timestamp) -> String {
    if time.subsec_millisecond() != 0 {
        return civil(time).strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string();
    }
    shown(time).replace(' ', "T")
}

pub fn from_input(text: &str) -> Option<Timestamp> {
    // A browser without a picker sends what was typed, often with a space.
    let time: DateTime = text.replacen(' ', "T", 1).parse().ok()?;
    (1970..=9_000).contains(&time.year()).then_some(())?;
    Some(time.to_zoned(jst()).ok()?.timestamp())
}

/// A month on a calendar: its weeks from Sunday to Saturday, with the days of its neighbours that share them.
pub fn weeks(first: Date) -> Vec<[Date; 7]> {
    let before = i64::from(first.weekday().to_sunday_zero_offset());
    let day = |offset: i64| first.saturating_add(jiff::Span::new().days(offset - before));
    let weeks = (0..6).map(|week| std::array::from_fn(|weekday| day(week * 7 + weekday as i64)));
    weeks.filter(|week: &[Date; 7]| week.iter().any(|day| day.month() == first.month())).collect()
}

/// The first day of a month that is written as `2026-11`.
pub fn month(text: &str) -> Option<Date> {
    let (year, month) = text.split_once('-')?;
    let (year, month) = (year.parse().ok()?, month.parse().ok()?);
    (1970..=9_000).contains(&year).then(|| Date::new(year, month, 1).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_shown_and_read_in_japan_time() {
        assert_eq!(shown(time("2026-11-24T15:00:00Z")), "2026-11-25 00:00");
        assert_eq!(shown(time("2026-11-24T15:00:07Z")), "2026-11-25 00:00:07");
        assert_eq!(input(time("2026-11-24T15:00:00Z")), "2026-11-25T00:00");
        assert_eq!(input(time("2026-11-24T15:00:00.5Z")), "2026-11-25T00:00:00.500");
        assert_eq!(from_input("2026-11-25T00:00:00.500"), Some(time("2026-11-24T15:00:00.5Z")));
        assert_eq!(from_input("2026-11-25T00:00"), Some(time("2026-11-24T15:00:00Z")));
        assert_eq!(from_input("2026-11-25 00:00:07"), Some(time("2026-11-24T15:00:07Z")));
        for text in ["", "tomorrow", "2026-13-01T00:00", "9999-12-31T23:59"] {
            assert_eq!(from_input(text), None, "{text}");
        }
    }

    #[test]
    fn a_period_names_its_second_day_only_when_that_is_another_day() {
        let opens = time("2026-11-24T01:00:00Z");
        assert_eq!(period(opens, time("2026-11-24T03:30:00Z"), "to"), "2026-11-24 10:00 to 12:30");
        assert_eq!(period(opens, time("2026-11-24T15:00:00Z"), "to"), "2026-11-24 10:00 to 2026-11-25 00:00");
    }

    #[test]
    fn a_month_is_shown_in_whole_weeks() {
        // 1 November 2026 is a Sunday, and the month has thirty days.
        let november = weeks(month("2026-11").unwrap());
        assert_eq!(november.len(), 5);
        assert_eq!((november[0][0].day(), november[4][1].day(), november[4][2].day()), (1, 30, 1));
        assert_eq!(weeks(month("2026-08").unwrap()).len(), 6);
        for text in ["2026", "2026-0", "2026-13", "-1-1", "99999-1"] {
            assert_eq!(month(text), None, "{text}");
        }
    }
}
