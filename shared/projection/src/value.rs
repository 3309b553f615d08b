use std::time::Duration;

use saga::{Timestamp, Token};

/// What a cell of a table holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Nothing is known.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number; of a time, the microseconds since 1970.
    Integer(i64),
    /// Text. It holds no NUL, which PostgreSQL cannot keep: each is replaced by U+FFFD.
    Text(String),
}

/// `moment` as a cell holds it: microseconds since 1970, 0 for what is earlier.
pub fn micros(moment: Timestamp) -> i64 {
    i64::try_from(moment.since(Timestamp::EPOCH).as_micros()).unwrap_or(i64::MAX)
}

/// The moment that a cell holds; [`micros`] back, to the microsecond.
pub fn moment(micros: i64) -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_micros(micros.try_into().unwrap_or(0)))
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u64> for Value {
    /// At most 2^63 - 1.
    fn from(value: u64) -> Self {
        Self::Integer(value.try_into().unwrap_or(i64::MAX))
    }
}

impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Integer(micros(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        if value.contains('\0') {
            Self::Text(value.replace('\0', "\u{FFFD}"))
        } else {
            Self::Text(value)
        }
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        value.to_owned().into()
    }
}

impl From<&Token> for Value {
    fn from(value: &Token) -> Self {
        Self::Text(value.as_str().to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_to_the_microsecond() {
        let time: Timestamp = "2026-11-24T09:30:00.123456Z".parse().unwrap();
        assert_eq!(moment(micros(time)), time);
        assert_eq!(micros("1969-01-01T00:00:00Z".parse().unwrap()), 0);
    }

    #[test]
    fn no_text_holds_a_nul() {
        assert_eq!(Value::from("a\0b"), Value::Text("a\u{FFFD}b".to_owned()));
    }
}
