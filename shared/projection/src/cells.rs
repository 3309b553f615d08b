//! Parameters and answers of our own statements.

use crate::{Type, Value, database::Arg};

pub(crate) fn text(text: &str) -> Arg {
    (Type::Text, text.into())
}

pub(crate) const fn integer(number: i64) -> Arg {
    (Type::Integer, Value::Integer(number))
}

pub(crate) fn text_at(row: &[Value], index: usize) -> &str {
    match row.get(index) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

pub(crate) fn integer_at(row: &[Value], index: usize) -> i64 {
    match row.get(index) {
        Some(Value::Integer(number)) => *number,
        _ => 0,
    }
}

/// A sequence as the database keeps it.
pub(crate) fn signed(sequence: u64) -> i64 {
    sequence.try_into().unwrap_or(i64::MAX)
}

/// A sequence back.
pub(crate) fn unsigned(sequence: i64) -> u64 {
    sequence.try_into().unwrap_or(0)
}
