use std::{fmt, str::FromStr};

use projection::{micros, moment};
use saga::{Timestamp, Token};
use serde::{Serialize, Serializer};

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Where the page before ended; the first page without.
    pub cursor: Option<Cursor>,
    /// How many rows: 1 to [`PageRequest::MOST`]. What is outside is brought inside.
    pub limit: u32,
    /// In which order.
    pub order: Direction,
}

/// The order of a list by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

/// The place of a row in a list: its time and its id, so that no row is shown twice or left out when others come
/// between. As text it is opaque, and checked when it is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    created_at: i64,
    order_id: Token,
}

/// A text that is no cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no cursor; it takes the text of `next` of the page before")]
pub struct CursorError(String);

impl PageRequest {
    /// The most rows of one page.
    pub const MOST: u32 = 200;

    /// The rows wanted, within the bounds.
    pub(crate) fn rows(&self) -> u32 {
        self.limit.clamp(1, Self::MOST)
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            cursor: None,
            limit: 50,
            order: Direction::Newest,
        }
    }
}

impl Cursor {
    pub(crate) fn of(created_at: Timestamp, order_id: &Token) -> Self {
        Self {
            created_at: micros(created_at),
            order_id: order_id.clone(),
        }
    }

    pub(crate) const fn created_at(&self) -> i64 {
        self.created_at
    }

    pub(crate) const fn order_id(&self) -> &Token {
        &self.order_id
    }
}

impl FromStr for Cursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let read = || {
            let (time, id) = text.split_at_checked(16)?;
            let time = u64::from_str_radix(time, 16).ok()?;
            let cursor = Self {
                created_at: time.try_into().ok()?,
                order_id: Token::new(id).ok()?,
            };
            (cursor.to_string() == text && micros(moment(cursor.created_at)) == cursor.created_at)
                .then_some(cursor)
        };
        read().ok_or_else(|| CursorError(text.chars().take(100).collect()))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{}", self.created_at, self.order_id)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written_and_nothing_else_is() {
        let time = "2026-11-24T09:30:00.000001Z".parse().unwrap();
        let cursor = Cursor::of(time, &Token::new("ORD-1").unwrap());
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for odd in [
            "",
            "ORD-1",
            "0005f3a1b2c3d4e5",
            "ffffffffffffffffORD-1",
            "+005f3a1b2c3d4e5ORD-1",
            "0005F3A1B2C3D4E5x",
        ] {
            assert!(odd.parse::<Cursor>().is_err(), "{odd}");
        }
        assert!("é".repeat(20).parse::<Cursor>().is_err());
    }
}
