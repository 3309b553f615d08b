use std::{fmt, str::FromStr};

use saga::Timestamp;
use serde::{Serialize, Serializer};
use time::{Date, Month};

/// A day in UTC, written `2026-11-24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

/// A text that is no day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no day; it takes year, month and day, such as 2026-11-24")]
pub struct DayError(String);

impl Day {
    /// The day of a moment, in UTC.
    pub fn of(moment: Timestamp) -> Self {
        // A timestamp is written in UTC, with the day in its first ten characters.
        let text = moment.to_string();
        text.get(..10)
            .and_then(|day| day.parse().ok())
            .unwrap_or(Self(Date::MIN))
    }
}

impl FromStr for Day {
    type Err = DayError;
    fn from_str(text: &str) -> Result<Self, DayError> {
        let digits = |range: std::ops::Range<usize>| {
            let part = text.get(range)?;
            let digits = part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u16>().ok().filter(|_| digits)
        };
        let shape = text.len() == 10 && text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
        let numbers = (digits(0..4), digits(5..7), digits(8..10));
        let date = match numbers {
            (Some(year), Some(month), Some(day)) if shape => date(year, month, day),
            _ => None,
        };
        date.map(Self)
            .ok_or_else(|| DayError(text.chars().take(40).collect()))
    }
}

fn date(year: u16, month: u16, day: u16) -> Option<Date> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    Date::from_calendar_date(year.into(), month, u8::try_from(day).ok()?).ok()
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        write!(f, "{year:04}-{:02}-{day:02}", u8::from(month))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_of_a_moment_is_that_in_utc() {
        let day = |text: &str| Day::of(text.parse().unwrap()).to_string();
        assert_eq!(day("2026-11-24T23:59:59.999999Z"), "2026-11-24");
        assert_eq!(day("2026-11-24T23:59:59-02:00"), "2026-11-25");
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for odd in ["", "2026-11-31", "2026-1-1", "today", "2026-11-24T00:00:00Z"] {
            let error = odd.parse::<Day>().unwrap_err().to_string();
            assert!(error.contains("2026-11-24"), "{error}");
        }
    }
}
